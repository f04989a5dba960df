//! Expressions: the CEL subset of runbooks, with a budget.
//!
//! | module | what it settles |
//! |---|---|
//! | [`embedded`] | where an embedded `${...}` ends |
//! | `parse` | text to the parsed form of `syntax` |
//! | `evaluate` | the parsed form to a value |
//! | `function`, `pattern` | which functions there are, and how regular expressions are bounded |
//!
//! Where CEL has an error for what is missing, the value is null: a member that a map lacks, an index past the end of a list. An
//! error never quotes a value, which may be secret.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

pub mod embedded;
mod evaluate;
mod function;
mod parse;
mod pattern;
mod syntax;
#[cfg(test)]
mod tests;

pub use embedded::embedded_end;

use evaluate::{Evaluation, Names};
use syntax::{Comparison, Link, Node, Program};

/// Where names get their values.
pub trait Scope {
    /// The value of a name, or `None` where nothing defines it (which evaluates to null). One evaluation asks at most once.
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>>;
}

/// A parsed expression. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Expression {
    source: Arc<str>,
    program: Arc<Program>,
}

/// Why a text is no expression.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ParseError {
    /// Byte offset into the text given.
    pub offset: usize,
    pub message: String,
    /// What to write instead.
    pub fix: Option<String>,
}

impl ParseError {
    fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
            fix: None,
        }
    }

    /// The same, with what to write instead.
    fn fix(self, fix: impl Into<String>) -> Self {
        Self {
            fix: Some(fix.into()),
            ..self
        }
    }

    /// That nothing ends the `${` at this offset.
    fn unterminated(offset: usize) -> Self {
        Self::new(offset, "nothing ends this `${`").fix("`}` after the expression, or `$${` for a literal `${`")
    }
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
        Ok(Self {
            program: Arc::new(parse::parse(text, false)?),
            source: text.into(),
        })
    }

    /// Parses a condition, where `${e}` stands for `(e)` and, inside a quoted literal, for the text of `e`.
    ///
    /// # Errors
    /// As [`Expression::parse`].
    pub fn parse_condition(text: &str) -> Result<Self, ParseError> {
        Ok(Self {
            program: Arc::new(parse::parse(text, true)?),
            source: text.into(),
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The names it reads from its scope, macro variables not among them. `steps.<name>` counts as `steps`.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.program.names.iter().map(String::as_str).collect()
    }

    /// The members it reads of a name, as `deploy` and `check` of `steps.deploy.output` and `steps['check']`.
    #[must_use]
    pub fn members_of(&self, name: &str) -> BTreeSet<&str> {
        let mut members: BTreeSet<&str> = BTreeSet::new();
        self.program.root.walk(&mut |node| {
            let Node::Chain(base, links) = node else { return };
            if self.name_of(base) != Some(name) {
                return;
            }
            match links.first() {
                Some(Link::Member(member) | Link::Has(member) | Link::Index(Node::Literal(Value::String(member)))) => {
                    members.insert(member)
                }
                Some(Link::Length) => members.insert("length"),
                _ => false,
            };
        });
        members
    }

    /// The names that it compares with a literal by `==`, `!=` or `in`, each with the literal; one pair for each item of a list.
    #[must_use]
    pub fn comparisons(&self) -> Vec<(&str, &Value)> {
        let mut pairs = Vec::new();
        self.program.root.walk(&mut |node| {
            let Node::Compare(left, rest) = node else { return };
            // In a chain such as `a == b == c` only the first comparison is between what stands there.
            let Some((comparison, right)) = rest.first() else { return };
            match (comparison, self.name_of(left), self.name_of(right), &**left, right) {
                (Comparison::Equal | Comparison::Unequal, Some(name), _, _, Node::Literal(value))
                | (Comparison::Equal | Comparison::Unequal, _, Some(name), Node::Literal(value), _) => pairs.push((name, value)),
                (Comparison::In, Some(name), _, _, Node::Literal(Value::Array(values))) => {
                    pairs.extend(values.iter().map(|value| (name, value)));
                }
                _ => {}
            }
        });
        pairs
    }

    /// Whether it was written `raw(...)`: its value goes into a command as it is, without quoting.
    #[must_use]
    pub fn is_raw(&self) -> bool {
        self.program.raw
    }

    /// The value in this scope.
    ///
    /// # Errors
    /// A type error, or the budget is used up.
    pub fn evaluate(&self, scope: &dyn Scope) -> Result<Value, EvaluationError> {
        let names = Names::new(&self.program, scope);
        Evaluation::new(&self.program, &names)
            .value()
            .map_err(|message| self.error(&message))
    }

    /// Whether a condition holds.
    ///
    /// # Errors
    /// As [`Expression::evaluate`], and where the value is no boolean.
    pub fn holds(&self, scope: &dyn Scope) -> Result<bool, EvaluationError> {
        let names = Names::new(&self.program, scope);
        Evaluation::new(&self.program, &names)
            .holds()
            .map_err(|message| self.error(&message))
    }

    /// The name that a node reads, also as `'${name}'`.
    fn name_of(&self, node: &Node) -> Option<&str> {
        match node {
            Node::Name(index) => self.program.names.get_index(*index).map(String::as_str),
            Node::Text(pieces) => match pieces.as_slice() {
                [Node::Name(index)] => self.program.names.get_index(*index).map(String::as_str),
                _ => None,
            },
            _ => None,
        }
    }

    fn error(&self, message: &str) -> EvaluationError {
        let source = self.source.trim();
        let short: String = source.chars().take(120).collect();
        let dots = if short.len() < source.len() { "..." } else { "" };
        EvaluationError(format!("{message} (in `{short}{dots}`)"))
    }
}
