//! `${expression}` inside any value: parsed once, rendered when the step starts.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use super::expression::{self, EvaluationError, Expression, ParseError, Scope};

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

/// A part of a text that may hold `${...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Segment<'a> {
    /// A slice of the text at this offset; the `${` of a `$${` is a slice of its own.
    Literal { text: &'a str, offset: usize },
    /// What stands inside `${...}`; the offset is that of `source`.
    Expression { source: &'a str, offset: usize },
}

/// The parts of a text, in order.
///
/// # Errors
/// An unterminated `${`.
pub(super) fn segments(text: &str) -> Result<Vec<Segment<'_>>, ParseError> {
    let mut segments = Vec::new();
    let literal = |from: usize, to: usize, segments: &mut Vec<_>| {
        if from < to {
            segments.push(Segment::Literal {
                text: &text[from..to],
                offset: from,
            });
        }
    };
    let mut cursor = 0;
    while let Some(start) = text[cursor..].find("${").map(|found| cursor + found) {
        let inside = start + 2;
        if text[cursor..start].ends_with('$') {
            literal(cursor, start - 1, &mut segments);
            literal(start, inside, &mut segments);
            cursor = inside;
            continue;
        }
        let end = expression::embedded_end(&text[inside..]).ok_or_else(|| unterminated(start))? + inside;
        literal(cursor, start, &mut segments);
        segments.push(Segment::Expression {
            source: &text[inside..end],
            offset: inside,
        });
        cursor = end + 1;
    }
    literal(cursor, text.len(), &mut segments);
    Ok(segments)
}

/// Parses an expression that stands at this offset of a longer text.
pub(super) fn parse_at(source: &str, offset: usize) -> Result<Expression, ParseError> {
    Expression::parse(source).map_err(|error| ParseError {
        offset: error.offset + offset,
        ..error
    })
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

fn unterminated(offset: usize) -> ParseError {
    ParseError {
        offset,
        message: "`${` has no matching `}`".to_owned(),
        fix: Some("close it with `}`, or write `$${` for a literal `${`".to_owned()),
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
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    struct Names(Value);

    impl Scope for Names {
        fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
            self.0.get(name).map(Cow::Borrowed)
        }
    }

    fn scope() -> Names {
        Names(json!({
            "name": "web", "port": 8080, "hosts": ["a", "b"], "nothing": null, "yes": true, "same": "web",
            "large": "x".repeat(600 * 1024),
        }))
    }

    #[test]
    fn a_string_renders_to_the_value_or_to_text() {
        let table = [
            ("plain", json!("plain")),
            ("", json!("")),
            ("${port}", json!(8080)),
            ("${hosts}", json!(["a", "b"])),
            ("${nothing}", json!(null)),
            ("${missing}", json!(null)),
            (" ${port}", json!(" 8080")),
            ("${name}:${port}", json!("web:8080")),
            ("[${nothing}]", json!("[]")),
            ("hosts ${hosts} ${yes}", json!("hosts [\"a\",\"b\"] true")),
            ("$${name}", json!("${name}")),
            ("$$${name}", json!("$${name}")),
            ("a $${b} ${name}", json!("a ${b} web")),
            ("$name $ {name} }{", json!("$name $ {name} }{")),
            ("é${name}é", json!("éwebé")),
        ];
        for (text, expected) in table {
            let template = Template::parse(text).unwrap();
            assert_eq!(template.render(&scope()).unwrap(), expected, "{text}");
            assert_eq!(template.render_text(&scope()).unwrap(), super::text(&expected), "{text}");
            assert_eq!(template.to_string(), text);
        }
    }

    #[test]
    fn an_unterminated_substitution_is_an_error_at_its_place() {
        for (text, offset) in [("${", 0), ("a ${name", 2), ("$${a} é ${b", 9), ("${name} ${'}'", 8)] {
            assert_eq!(Template::parse(text).unwrap_err().offset, offset, "{text}");
        }
    }

    #[test]
    fn what_has_nothing_to_substitute_is_a_literal() {
        let literal = Template::parse("a").unwrap();
        let list = Template::list(vec![literal.clone(), Template::Literal(json!(1))]);
        assert_eq!(list.literal(), Some(&json!(["a", 1])));
        assert!(matches!(list.value(&scope()).unwrap(), Cow::Borrowed(_)));
        let map = Template::map(vec![(literal.clone(), list)]);
        assert_eq!(map.literal(), Some(&json!({"a": ["a", 1]})));
        assert!(
            Template::list(vec![literal, Template::parse("${name}").unwrap()])
                .literal()
                .is_none()
        );
    }

    #[test]
    fn lists_and_maps_render_at_any_depth_and_keep_nulls() {
        let parse = |text| Template::parse(text).unwrap();
        let inner = Template::map(vec![
            (parse(".${name}.port"), parse("${port}")),
            (parse("none"), parse("${nothing}")),
        ]);
        let template = Template::list(vec![inner, parse("${hosts}")]);
        assert_eq!(
            template.render(&scope()).unwrap(),
            json!([{".web.port": 8080, "none": null}, ["a", "b"]])
        );
        assert_eq!(
            template.names().into_iter().collect::<Vec<_>>(),
            ["hosts", "name", "nothing", "port"]
        );
        assert_eq!(
            template.to_string(),
            r#"[{".${name}.port":"${port}","none":"${nothing}"},"${hosts}"]"#
        );
    }

    #[test]
    fn two_keys_with_the_same_text_are_an_error_that_names_it() {
        let parse = |text| Template::parse(text).unwrap();
        let template = Template::map(vec![(parse("${name}"), parse("1")), (parse("${same}"), parse("2"))]);
        assert!(template.render(&scope()).unwrap_err().0.contains("\"web\""));
    }

    #[test]
    fn all_text_of_one_rendering_together_is_bounded() {
        let one = Template::parse("${large}").unwrap();
        assert!(one.render(&scope()).is_ok());
        assert!(Template::list(vec![one.clone(), one]).render(&scope()).is_err());
        assert!(Template::parse("${large} ${large}").unwrap().render_text(&scope()).is_err());
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics_and_shows_as_it_was_written(text in "([$][$]?[{]?|[}{'\"a-c é]){0,24}") {
            if let Ok(template) = Template::parse(&text) {
                prop_assert_eq!(template.to_string(), text);
                let _ = template.render(&scope());
            }
        }

        #[test]
        fn text_without_a_substitution_renders_to_itself(text in any::<String>()) {
            prop_assume!(!text.contains("${"));
            let template = Template::parse(&text).unwrap();
            prop_assert_eq!(template.literal(), Some(&json!(text)));
        }
    }
}
