//! Places in a state document: `.a.b`, `."a.b".c`, `.*.url`.
//!
//! A segment is a key of a map or, where it is a number, the index of an existing list item; `*` stands for every
//! key and item. A substituted value is part of its segment whatever it contains. `.` is the document itself.

mod parse;
mod place;

use std::collections::BTreeSet;
use std::fmt;

pub use place::{ResolvedPath, apply_all};

use super::expression::{EvaluationError, ParseError, Scope};
use super::substitute::{Budget, Piece};

/// How many segments a path may have.
pub const DEPTH_LIMIT: usize = 64;

/// A path that may hold `${...}`.
#[derive(Debug, Clone)]
pub struct StatePath {
    segments: Vec<Segment>,
}

#[derive(Debug, Clone)]
enum Segment {
    /// `*`
    Any,
    /// The pieces of one key.
    Key(Vec<Piece>),
}

impl StatePath {
    /// Parses a path; the dot in front may be left out.
    ///
    /// # Errors
    /// The first place where the text is no path, or more than [`DEPTH_LIMIT`] segments.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// The path in this scope.
    ///
    /// # Errors
    /// Where an expression in it fails or leaves a segment empty.
    pub fn resolve(&self, scope: &dyn Scope) -> Result<ResolvedPath, EvaluationError> {
        let mut budget = Budget::default();
        let mut segments = Vec::with_capacity(self.segments.len());
        for segment in &self.segments {
            segments.push(match segment {
                Segment::Any => place::Segment::Any,
                Segment::Key(pieces) => place::Segment::Key(key(pieces, scope, &mut budget)?),
            });
        }
        Ok(ResolvedPath { segments })
    }

    /// The names its expressions read.
    #[must_use]
    pub fn names(&self) -> BTreeSet<&str> {
        let keys = self.segments.iter().filter_map(|segment| match segment {
            Segment::Any => None,
            Segment::Key(pieces) => Some(pieces),
        });
        keys.flatten()
            .filter_map(Piece::expression)
            .flat_map(|expression| expression.names())
            .collect()
    }
}

fn key(pieces: &[Piece], scope: &dyn Scope, budget: &mut Budget) -> Result<String, EvaluationError> {
    let key = budget.join(pieces, scope)?;
    match pieces.iter().find_map(Piece::expression) {
        Some(expression) if key.is_empty() => Err(EvaluationError(format!(
            "`${{{}}}` is empty and leaves a segment of the path empty",
            expression.source()
        ))),
        _ => Ok(key),
    }
}

/// What [`StatePath::parse`] reads back.
impl fmt::Display for StatePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str(".");
        }
        for segment in &self.segments {
            match segment {
                Segment::Any => f.write_str(".*")?,
                Segment::Key(pieces) => write_key(f, pieces)?,
            }
        }
        Ok(())
    }
}

/// Writes `.key`, quoted where it must be.
fn write_key(f: &mut fmt::Formatter<'_>, pieces: &[Piece]) -> fmt::Result {
    let plain = !pieces.is_empty()
        && pieces.iter().all(|piece| match piece {
            Piece::Literal(literal) => literal.chars().all(parse::is_plain),
            Piece::Expression(_) => true,
        });
    f.write_str(if plain { "." } else { ".\"" })?;
    for piece in pieces {
        match piece {
            Piece::Literal(literal) => f.write_str(&parse::escape(literal))?,
            Piece::Expression(_) => write!(f, "{piece}")?,
        }
    }
    f.write_str(if plain { "" } else { "\"" })
}

#[cfg(test)]
mod tests;
