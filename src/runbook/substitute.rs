//! `${expression}` inside any value: parsed once, rendered when the step starts.

use std::collections::BTreeSet;

use serde_json::Value;

use super::expression::{EvaluationError, Expression, ParseError, Scope};

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
        Ok(Self::Literal(Value::String(text.to_owned())))
    }

    /// The value in this scope.
    ///
    /// # Errors
    /// Where an expression in it fails.
    pub fn render(&self, _scope: &dyn Scope) -> Result<Value, EvaluationError> {
        unimplemented!()
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
        BTreeSet::new()
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
