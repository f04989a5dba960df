//! `${expression}` inside any value: parsed once, rendered when the step starts.

mod segment;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

pub(super) use segment::{Segment, parse_at, segments};

use super::expression::{EvaluationError, Expression, ParseError, Scope};

/// How many bytes of text one rendering may make, all strings of the value together.
pub const TEXT_LIMIT: usize = 1024 * 1024;

/// A value with `${...}` anywhere inside.
#[derive(Debug, Clone)]
pub enum Template {
    /// Nothing to substitute.
    Literal(Value),
    /// A string that is exactly one `${...}`: keeps the value's type.
    Expression(Expression),
    /// A string with `${...}` in it: renders to text.
    Text(Vec<Piece>),
    List(Vec<Template>),
    /// Keys may hold `${...}` too.
    Map(Vec<(Template, Template)>),
}

/// A piece of text.
#[derive(Debug, Clone)]
pub enum Piece {
    Literal(String),
    Expression(Expression),
}

impl Template {
    /// Parses one string.
    ///
    /// # Errors
    /// An unterminated `${`, or an expression that does not parse; the offset is into `text`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        let mut pieces = Vec::new();
        for segment in segments(text)? {
            match segment {
                Segment::Literal { text, .. } => push_literal(&mut pieces, text),
                Segment::Expression { source, offset } => pieces.push(Piece::Expression(parse_at(source, offset)?)),
            }
        }
        if pieces.len() > 1 {
            return Ok(Self::Text(pieces));
        }
        Ok(match pieces.pop() {
            None => Self::Literal(Value::String(String::new())),
            Some(Piece::Literal(literal)) => Self::Literal(Value::String(literal)),
            Some(Piece::Expression(expression)) => Self::Expression(expression),
        })
    }

    /// A list; a literal where none of the items has anything to substitute.
    #[must_use]
    pub fn list(items: Vec<Self>) -> Self {
        match items.iter().map(Self::literal).collect::<Option<Vec<_>>>() {
            Some(values) => Self::Literal(values.into_iter().cloned().collect()),
            None => Self::List(items),
        }
    }

    /// A map; a literal where none of the keys and values has anything to substitute.
    ///
    /// Keys that are the same text are found when it is rendered.
    #[must_use]
    pub fn map(entries: Vec<(Self, Self)>) -> Self {
        let literal = |(key, value): &(Self, Self)| Some((text(key.literal()?), value.literal()?.clone()));
        match entries.iter().map(literal).collect::<Option<Map<_, _>>>() {
            Some(values) if values.len() == entries.len() => Self::Literal(Value::Object(values)),
            _ => Self::Map(entries),
        }
    }

    /// The value in this scope.
    ///
    /// # Errors
    /// Where an expression in it fails, two keys of a map render to the same text, or the text is over [`TEXT_LIMIT`].
    pub fn render(&self, scope: &dyn Scope) -> Result<Value, EvaluationError> {
        self.value(scope).map(Cow::into_owned)
    }

    /// As [`Template::render`], and a literal is borrowed.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn value(&self, scope: &dyn Scope) -> Result<Cow<'_, Value>, EvaluationError> {
        match self {
            Self::Literal(value) => Ok(Cow::Borrowed(value)),
            _ => self.make(scope, &mut Budget::default()).map(Cow::Owned),
        }
    }

    /// The value as text, as [`text`] makes it.
    ///
    /// # Errors
    /// As [`Template::render`].
    pub fn render_text(&self, scope: &dyn Scope) -> Result<Cow<'_, str>, EvaluationError> {
        let mut budget = Budget::default();
        match self {
            Self::Literal(Value::String(literal)) => Ok(Cow::Borrowed(literal)),
            Self::Text(pieces) => budget.join(pieces, scope).map(Cow::Owned),
            _ => {
                let rendered = text(&*self.value(scope)?);
                budget.take(rendered.len())?;
                Ok(Cow::Owned(rendered))
            }
        }
    }

    fn make(&self, scope: &dyn Scope, budget: &mut Budget) -> Result<Value, EvaluationError> {
        match self {
            Self::Literal(value) => Ok(value.clone()),
            Self::Expression(expression) => {
                let value = expression.evaluate(scope)?;
                budget.take(size(&value))?;
                Ok(value)
            }
            Self::Text(pieces) => budget.join(pieces, scope).map(Value::String),
            Self::List(items) => items.iter().map(|item| item.make(scope, budget)).collect(),
            Self::Map(entries) => {
                let mut map = Map::new();
                for (key, value) in entries {
                    let key = text(&key.make(scope, budget)?);
                    if map.contains_key(&key) {
                        return Err(EvaluationError(format!("two keys of one map are both {key:?}")));
                    }
                    map.insert(key, value.make(scope, budget)?);
                }
                Ok(Value::Object(map))
            }
        }
    }

    /// The value where nothing is to substitute.
    #[must_use]
    pub fn literal(&self) -> Option<&Value> {
        match self {
            Self::Literal(value) => Some(value),
            _ => None,
        }
    }

    /// The names its expressions read.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let mut names = BTreeSet::new();
        self.each_expression(&mut |expression| names.extend(expression.names()));
        names
    }

    /// Shows every expression, in document order.
    pub fn each_expression<'a>(&'a self, show: &mut dyn FnMut(&'a Expression)) {
        match self {
            Self::Literal(_) => {}
            Self::Expression(expression) => show(expression),
            Self::Text(pieces) => pieces.iter().filter_map(Piece::expression).for_each(show),
            Self::List(items) => items.iter().for_each(|item| item.each_expression(show)),
            Self::Map(entries) => {
                for (key, value) in entries {
                    key.each_expression(show);
                    value.each_expression(show);
                }
            }
        }
    }

    /// The value as the document has it, before substitution.
    #[must_use]
    pub fn source(&self) -> Value {
        match self {
            Self::Literal(value) => escaped(value),
            Self::Expression(_) | Self::Text(_) => Value::String(self.to_string()),
            Self::List(items) => items.iter().map(Self::source).collect(),
            Self::Map(entries) => entries.iter().map(|(key, value)| (text(&key.source()), value.source())).collect(),
        }
    }
}

/// What [`Template::parse`] reads back; lists and maps as compact JSON.
impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expression(expression) => write!(f, "${{{}}}", expression.source()),
            Self::Text(pieces) => pieces.iter().try_for_each(|piece| write!(f, "{piece}")),
            _ => f.write_str(&text(&self.source())),
        }
    }
}

impl Piece {
    /// The expression, if it is one.
    #[must_use]
    pub fn expression(&self) -> Option<&Expression> {
        match self {
            Self::Literal(_) => None,
            Self::Expression(expression) => Some(expression),
        }
    }
}

impl fmt::Display for Piece {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(literal) => f.write_str(&escape(literal)),
            Self::Expression(expression) => write!(f, "${{{}}}", expression.source()),
        }
    }
}

/// A value as text: strings as they are, null as the empty string, all else as compact JSON.
#[must_use]
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// What is left of [`TEXT_LIMIT`].
pub(super) struct Budget(usize);

impl Default for Budget {
    fn default() -> Self {
        Self(TEXT_LIMIT)
    }
}

impl Budget {
    /// # Errors
    /// Where that many bytes are no longer left.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), EvaluationError> {
        self.0 = self
            .0
            .checked_sub(bytes)
            .ok_or_else(|| EvaluationError(format!("the text is longer than {TEXT_LIMIT} bytes")))?;
        Ok(())
    }

    /// The pieces as one text.
    pub(super) fn join(&mut self, pieces: &[Piece], scope: &dyn Scope) -> Result<String, EvaluationError> {
        let mut joined = String::new();
        for piece in pieces {
            let part = match piece {
                Piece::Literal(literal) => Cow::Borrowed(literal.as_str()),
                Piece::Expression(expression) => Cow::Owned(text(&expression.evaluate(scope)?)),
            };
            self.take(part.len())?;
            joined.push_str(&part);
        }
        Ok(joined)
    }
}

/// Appends text to the literal at the end, or starts one.
pub(super) fn push_literal(pieces: &mut Vec<Piece>, text: &str) {
    match pieces.last_mut() {
        Some(Piece::Literal(literal)) => literal.push_str(text),
        _ => pieces.push(Piece::Literal(text.to_owned())),
    }
}

/// A literal as it is written in a text that may hold `${...}`.
pub(super) fn escape(literal: &str) -> String {
    literal.replace("${", "$${")
}

fn escaped(value: &Value) -> Value {
    match value {
        Value::String(literal) => Value::String(escape(literal)),
        Value::Array(items) => items.iter().map(escaped).collect(),
        Value::Object(entries) => entries.iter().map(|(key, value)| (escape(key), escaped(value))).collect(),
        other => other.clone(),
    }
}

/// About how many bytes a value takes as text.
fn size(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) => 8,
        Value::String(text) => text.len(),
        Value::Array(items) => items.iter().map(|item| 1 + size(item)).sum(),
        Value::Object(entries) => entries.iter().map(|(key, value)| 2 + key.len() + size(value)).sum(),
    }
}

#[cfg(test)]
mod tests;
