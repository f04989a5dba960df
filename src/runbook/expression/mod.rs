//! Expressions: the CEL subset of runbooks, with a budget.

use std::borrow::Cow;
use std::collections::BTreeSet;

use serde_json::Value;

mod embedded;

pub use embedded::embedded_end;

/// Where names get their values.
pub trait Scope {
    /// The value of a name, or `None` where nothing defines it (which evaluates to null).
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>>;
}

/// A parsed expression.
#[derive(Debug, Clone)]
pub struct Expression {
    source: String,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Byte offset into the text given.
    pub offset: usize,
    pub message: String,
    pub fix: Option<String>,
}

/// Why an expression has no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EvaluationError(pub String);

impl Expression {
    /// Parses what stands inside `${...}`, or an expression on its own.
    ///
    /// # Errors
    /// The first place where the text is not of the subset.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        Ok(Self { source: text.to_owned() })
    }

    /// Parses a condition, where `${e}` stands for `(e)` and, inside a quoted literal, for the text of `e`.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn parse_condition(text: &str) -> Result<Self, ParseError> {
        Ok(Self { source: text.to_owned() })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names it reads from its scope, macro variables not among them. `steps.<name>` counts as `steps`.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        BTreeSet::new()
    }

    /// The value in this scope.
    ///
    /// # Errors
    /// A type error, or the budget is used up.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvaluationError> {
        Ok(scope.lookup(&self.source).map_or(Value::Null, Cow::into_owned))
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and where the value is no boolean.
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, EvaluationError> {
        self.evaluate(scope)?.as_bool().ok_or_else(|| EvaluationError("not a boolean".to_owned()))
    }
}
