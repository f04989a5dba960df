//! Quoted literals; in a condition, with `${...}` inside.

use serde_json::Value;

use super::super::ParseError;
use super::super::embedded::embedded_end;
use super::super::syntax::Node;
use super::Parser;
use super::lex::{Lexeme, Token};
use super::quoted::unescape;

impl Parser<'_> {
    pub(super) fn quoted(&mut self, raw: bool) -> Result<Node, ParseError> {
        let lexeme = self.advance()?;
        let (start, end) = (lexeme.start + 1 + usize::from(raw), lexeme.end - 1);
        if !self.condition {
            return self.plain(start, end, raw).map(Value::String).map(Node::Literal);
        }
        let mut pieces = Vec::new();
        let mut text = String::new();
        let mut at = start;
        while let Some(dollar) = self.text.get(at..end).and_then(|rest| rest.find("${")).map(|found| at + found) {
            if self.text[at..dollar].ends_with('$') {
                text += &self.plain(at, dollar - 1, raw)?;
                text += "${";
                at = dollar + 2;
                continue;
            }
            text += &self.plain(at, dollar, raw)?;
            if !text.is_empty() {
                pieces.push(Node::Literal(Value::String(std::mem::take(&mut text))));
            }
            let inside = self.text.get(dollar + 2..end).unwrap_or_default();
            let length = embedded_end(inside).ok_or_else(|| ParseError::unterminated(dollar))?;
            pieces.push(self.embedded(dollar + 2, dollar + 2 + length)?);
            at = dollar + 2 + length + 1;
        }
        text += &self.plain(at, end, raw)?;
        if pieces.is_empty() {
            return Ok(Node::Literal(Value::String(text)));
        }
        if !text.is_empty() {
            pieces.push(Node::Literal(Value::String(text)));
        }
        Ok(Node::Text(pieces))
    }

    fn plain(&self, start: usize, end: usize, raw: bool) -> Result<String, ParseError> {
        let inside = self.text.get(start..end).unwrap_or_default();
        if raw { Ok(inside.to_owned()) } else { unescape(inside, start) }
    }

    /// Parses the part between these offsets as an expression of its own, with the same names and macro variables.
    fn embedded(&mut self, start: usize, end: usize) -> Result<Node, ParseError> {
        let (text, current) = (self.text, self.current);
        self.text = text.get(..end).unwrap_or_default();
        self.current = Lexeme {
            token: Token::End,
            start,
            end: start,
        };
        self.advance()?;
        let node = self.nested(Self::expression)?;
        self.end()?;
        (self.text, self.current) = (text, current);
        Ok(node)
    }
}
