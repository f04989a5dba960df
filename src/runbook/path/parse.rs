//! Text to the segments of a path.

use super::{DEPTH_LIMIT, Segment, StatePath};
use crate::runbook::expression::ParseError;
use crate::runbook::substitute::{self, Piece};

/// Whether a key may hold this character without quotes.
pub(super) fn is_plain(c: char) -> bool {
    !c.is_whitespace() && !c.is_control() && !matches!(c, '.' | '"' | '\\' | '*' | '[' | ']')
}

/// A key as it is written in a path, quotes around it not included.
pub(super) fn escape(key: &str) -> String {
    substitute::escape(&key.replace('\\', r"\\").replace('"', "\\\""))
}

pub(super) fn parse(text: &str) -> Result<StatePath, ParseError> {
    if text == "." {
        return Ok(StatePath { segments: Vec::new() });
    }
    let mut parser = Parser::new(text.starts_with('.'));
    for part in substitute::segments(text)? {
        match part {
            substitute::Segment::Literal { text, offset } => {
                for (index, c) in text.char_indices() {
                    parser.character(c, offset + index)?;
                }
            }
            substitute::Segment::Expression { source, offset } => {
                let expression = substitute::parse_at(source, offset)?;
                parser.substitution(Piece::Expression(expression), offset.saturating_sub(2))?;
            }
        }
    }
    parser.finish(text.len())
}

/// How far the current segment is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing of it yet.
    Start,
    Plain,
    /// Inside quotes that opened here.
    Quoted(usize),
    /// After a backslash inside quotes that opened here.
    Escape(usize),
    /// After the closing quote.
    Closed,
    /// After a `*`.
    Any,
}

struct Parser {
    segments: Vec<Segment>,
    pieces: Vec<Piece>,
    state: State,
    /// The next character is the dot in front of the path.
    leading_dot: bool,
}

impl Parser {
    fn new(leading_dot: bool) -> Self {
        Self {
            segments: Vec::new(),
            pieces: Vec::new(),
            state: State::Start,
            leading_dot,
        }
    }

    fn character(&mut self, c: char, offset: usize) -> Result<(), ParseError> {
        if std::mem::take(&mut self.leading_dot) {
            return Ok(());
        }
        self.state = match (self.state, c) {
            (State::Quoted(open), '\\') => State::Escape(open),
            (State::Quoted(_), '"') => State::Closed,
            (State::Quoted(open), c) => self.keep(c, State::Quoted(open)),
            (State::Escape(open), '"' | '\\') => self.keep(c, State::Quoted(open)),
            (State::Escape(_), _) => {
                return Err(error(
                    offset,
                    format!("`\\{c}` is no escape"),
                    "inside quotes only `\\\"` and `\\\\` are",
                ));
            }
            (_, '.') => {
                self.end_segment(offset)?;
                State::Start
            }
            (State::Closed, _) => return Err(error(offset, "text after the closing quote".to_owned(), "quote the whole segment")),
            (State::Start, '"') => State::Quoted(offset),
            (State::Start, '*') => State::Any,
            (State::Any, _) | (_, '*') => {
                return Err(error(
                    offset,
                    "`*` can only be a whole segment".to_owned(),
                    "quote the segment if the key holds a `*`",
                ));
            }
            (_, '[' | ']') => {
                return Err(error(
                    offset,
                    format!("`{c}` in a segment"),
                    "write `.0` for an index, or quote the segment",
                ));
            }
            (_, c) if is_plain(c) => self.keep(c, State::Plain),
            (_, c) => {
                return Err(error(
                    offset,
                    format!("{c:?} in a segment"),
                    "quote the segment, as in `.\"a b\".c`",
                ));
            }
        };
        Ok(())
    }

    fn keep(&mut self, c: char, next: State) -> State {
        substitute::push_literal(&mut self.pieces, c.encode_utf8(&mut [0; 4]));
        next
    }

    fn substitution(&mut self, piece: Piece, offset: usize) -> Result<(), ParseError> {
        self.state = match self.state {
            State::Start | State::Plain => State::Plain,
            State::Quoted(open) => State::Quoted(open),
            State::Escape(_) => return Err(error(offset, "a backslash before `${`".to_owned(), "write two backslashes for one")),
            State::Closed => return Err(error(offset, "text after the closing quote".to_owned(), "quote the whole segment")),
            State::Any => {
                return Err(error(
                    offset,
                    "`*` can only be a whole segment".to_owned(),
                    "quote the segment if the key holds a `*`",
                ));
            }
        };
        self.pieces.push(piece);
        Ok(())
    }

    fn end_segment(&mut self, offset: usize) -> Result<(), ParseError> {
        let pieces = std::mem::take(&mut self.pieces);
        self.segments.push(match self.state {
            State::Any => Segment::Any,
            State::Plain | State::Closed => Segment::Key(pieces),
            State::Start => {
                return Err(error(
                    offset,
                    "an empty segment".to_owned(),
                    "remove the dot, or write `\"\"` for the empty key",
                ));
            }
            State::Quoted(open) | State::Escape(open) => {
                return Err(error(open, "the quote is not closed".to_owned(), "close it with `\"`"));
            }
        });
        if self.segments.len() > DEPTH_LIMIT {
            return Err(error(offset, format!("more than {DEPTH_LIMIT} segments"), "use a shorter path"));
        }
        Ok(())
    }

    fn finish(mut self, offset: usize) -> Result<StatePath, ParseError> {
        self.end_segment(offset)?;
        Ok(StatePath { segments: self.segments })
    }
}

fn error(offset: usize, message: String, fix: &str) -> ParseError {
    ParseError {
        offset,
        message,
        fix: Some(fix.to_owned()),
    }
}
