//! `${...}` inside a command, quoted for the place it stands in.
//!
//! A value never ends its word and never starts another command: bare it becomes one single-quoted word, inside
//! quotes it is escaped for them. Where no quoting is safe (a here-document, backticks, arithmetic, after a
//! backslash) the command does not parse. The rules hold for every POSIX shell and for bash, whichever reads the command.

mod place;
mod scan;
mod word;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use super::expression::{EvaluationError, Expression, ParseError, Scope};
use super::substitute::{self, Budget, Segment};
use place::Place;

/// A shell command that may hold `${...}`.
#[derive(Debug, Clone)]
pub struct Command {
    source: String,
    pieces: Vec<Piece>,
    reinterpreted: Option<usize>,
}

#[derive(Debug, Clone)]
enum Piece {
    Literal(String),
    Value(Expression, Place),
    /// `${raw(...)}`
    Raw(Expression),
}

/// A piece that does not know its place yet.
enum Part<'a> {
    Literal {
        text: &'a str,
        offset: usize,
    },
    Expression {
        expression: Expression,
        /// Of the `${`.
        offset: usize,
    },
}

impl<'a> Part<'a> {
    fn new(segment: Segment<'a>) -> Result<Self, ParseError> {
        Ok(match segment {
            Segment::Literal { text, offset } => Self::Literal { text, offset },
            Segment::Expression { source, offset } => Self::Expression {
                expression: substitute::parse_at(source, offset)?,
                offset: offset.saturating_sub(2),
            },
        })
    }
}

impl Command {
    /// Parses the text of a command.
    ///
    /// # Errors
    /// As [`super::Template::parse`]; a NUL character; a `${...}` where its value cannot be quoted. The offset is into `text`.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        if let Some(offset) = text.find('\0') {
            return Err(ParseError {
                offset,
                message: "a command cannot hold a NUL character".to_owned(),
                fix: None,
            });
        }
        let parts = substitute::segments(text)?
            .into_iter()
            .map(Part::new)
            .collect::<Result<Vec<_>, _>>()?;
        let scanned = scan::scan(&parts)?;
        let mut places = scanned.places.into_iter();
        let mut piece = |part| match part {
            Part::Literal { text, .. } => Ok(Piece::Literal(text.to_owned())),
            Part::Expression { expression, .. } if expression.is_raw() => Ok(Piece::Raw(expression)),
            Part::Expression { expression, offset } => match places.next() {
                Some(place) => Ok(Piece::Value(expression, place)),
                None => Err(scan::refused(offset, "here", "use `raw(...)`")),
            },
        };
        Ok(Self {
            source: text.to_owned(),
            pieces: parts.into_iter().map(&mut piece).collect::<Result<_, _>>()?,
            reinterpreted: scanned.reinterpreted,
        })
    }

    /// The command in this scope, for `sh -c`.
    ///
    /// # Errors
    /// Where an expression fails, a value holds a NUL character, or the command is over [`substitute::TEXT_LIMIT`].
    pub fn render(&self, scope: &dyn Scope) -> Result<String, EvaluationError> {
        let mut budget = Budget::default();
        let mut rendered = String::new();
        for piece in &self.pieces {
            let part = match piece {
                Piece::Literal(literal) => Cow::Borrowed(literal.as_str()),
                Piece::Value(expression, place) => Cow::Owned(place.quote(&value(expression, scope)?)),
                Piece::Raw(expression) => Cow::Owned(value(expression, scope)?),
            };
            budget.take(part.len())?;
            rendered.push_str(&part);
        }
        Ok(rendered)
    }

    /// Whether a value goes in as it is, by `${raw(...)}`.
    #[must_use]
    pub fn uses_raw(&self) -> bool {
        self.pieces.iter().any(|piece| matches!(piece, Piece::Raw(_)))
    }

    /// Whether the text is exactly one `${...}`, so that its value would be the command.
    #[must_use]
    pub fn is_whole_expression(&self) -> bool {
        self.whole_expression().is_some()
    }

    /// The expression whose value would be the command, where the text is exactly one `${...}`, white space aside.
    #[must_use]
    pub fn whole_expression(&self) -> Option<&Expression> {
        let blank = |piece: &&Piece| matches!(piece, Piece::Literal(literal) if literal.trim().is_empty());
        let mut pieces = self.pieces.iter().filter(|piece| !blank(piece));
        match (pieces.next(), pieces.next()) {
            (Some(Piece::Value(expression, _)), None) => Some(expression),
            _ => None,
        }
    }

    /// Where a value first stands in an argument that is read as a command once more (`eval`, `sh -c`, `ssh host "..."`), as a
    /// byte offset into the text: it is one word to this shell, not to the next.
    #[must_use]
    pub fn reinterpreted(&self) -> Option<usize> {
        self.reinterpreted
    }

    /// The names its expressions read.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        self.expressions().flat_map(Expression::names).collect()
    }

    /// Its expressions, in order.
    pub fn expressions(&self) -> impl Iterator<Item = &Expression> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(_) => None,
            Piece::Value(expression, _) | Piece::Raw(expression) => Some(expression),
        })
    }

    /// The text it was parsed from.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}

fn value(expression: &Expression, scope: &dyn Scope) -> Result<String, EvaluationError> {
    let value = substitute::text(&expression.evaluate(scope)?);
    if value.contains('\0') {
        return Err(EvaluationError(format!(
            "the value of `${{{}}}` holds a NUL character, which no command can",
            expression.source()
        )));
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
