//! A text split into what is literal and what is `${...}`.

use crate::runbook::expression::{self, Expression, ParseError};

/// A part of a text that may hold `${...}`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::runbook) enum Segment<'a> {
    /// A slice of the text at this offset; the `${` of a `$${` is a slice of its own.
    Literal { text: &'a str, offset: usize },
    /// What stands inside `${...}`; the offset is that of `source`.
    Expression { source: &'a str, offset: usize },
}

/// The parts of a text, in order.
///
/// # Errors
/// An unterminated `${`.
pub(in crate::runbook) fn segments(text: &str) -> Result<Vec<Segment<'_>>, ParseError> {
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
pub(in crate::runbook) fn parse_at(source: &str, offset: usize) -> Result<Expression, ParseError> {
    Expression::parse(source).map_err(|error| ParseError {
        offset: error.offset + offset,
        ..error
    })
}

fn unterminated(offset: usize) -> ParseError {
    ParseError {
        offset,
        message: "`${` has no matching `}`".to_owned(),
        fix: Some("close it with `}`, or write `$${` for a literal `${`".to_owned()),
    }
}
