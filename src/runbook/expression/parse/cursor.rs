//! Where the parser stands, and what it expects there.

use super::super::ParseError;
use super::lex::{self, Lexeme, Token};
use super::{DEEPEST, Parser};

impl<'t> Parser<'t> {
    /// What stands between here and the closing bracket, separated by commas.
    pub(super) fn until<T>(
        &mut self,
        close: &'static str,
        trailing_comma: bool,
        item: fn(&mut Self) -> Result<T, ParseError>,
    ) -> Result<Vec<T>, ParseError> {
        let mut items = Vec::new();
        while !self.take(close)? {
            if !items.is_empty() {
                self.expect(",", &format!("or `{close}` after this"))?;
                if trailing_comma && self.take(close)? {
                    break;
                }
            }
            items.push(self.nested(item)?);
        }
        Ok(items)
    }

    /// Parses one level of brackets further down.
    pub(super) fn nested<T>(&mut self, parse: fn(&mut Self) -> Result<T, ParseError>) -> Result<T, ParseError> {
        if self.depth == DEEPEST {
            let message = format!("brackets nest deeper than {DEEPEST} levels here");
            return Err(ParseError::new(self.current.start, message).fix("a variable for a part of it"));
        }
        self.depth += 1;
        let parsed = parse(self);
        self.depth -= 1;
        parsed
    }

    /// Takes the current token, and reads the next.
    pub(super) fn advance(&mut self) -> Result<Lexeme, ParseError> {
        let next = lex::next(self.text, self.current.end, self.condition)?;
        Ok(std::mem::replace(&mut self.current, next))
    }

    pub(super) fn symbol(&self) -> Option<&'static str> {
        match self.current.token {
            Token::Symbol(symbol) => Some(symbol),
            _ => None,
        }
    }

    pub(super) fn take(&mut self, symbol: &str) -> Result<bool, ParseError> {
        let found = self.symbol() == Some(symbol);
        if found {
            self.advance()?;
        }
        Ok(found)
    }

    pub(super) fn expect(&mut self, symbol: &'static str, place: &str) -> Result<(), ParseError> {
        if self.take(symbol)? {
            Ok(())
        } else {
            Err(self.unexpected(&format!("`{symbol}` {place}")))
        }
    }

    /// That nothing follows.
    pub(super) fn end(&self) -> Result<(), ParseError> {
        if self.current.token == Token::End {
            Ok(())
        } else {
            Err(self.unexpected("an operator or the end"))
        }
    }

    pub(super) fn slice(&self, lexeme: Lexeme) -> &'t str {
        self.text.get(lexeme.start..lexeme.end).unwrap_or_default()
    }

    pub(super) fn unexpected(&self, expected: &str) -> ParseError {
        let found = self.slice(self.current);
        let offset = self.current.start;
        if self.current.token == Token::End {
            return ParseError::new(offset, format!("{expected} is expected, and the text ends"));
        }
        let error = ParseError::new(offset, format!("{expected} is expected, and `{}` found", excerpt(found)));
        match (self.current.token, found) {
            (Token::Word, "and") => error.fix("`AND` or `&&`"),
            (Token::Word, "or") => error.fix("`OR` or `||`"),
            (Token::Word, "not") => error.fix("`NOT` or `!`"),
            (Token::Word, "is" | "eq" | "equals") => error.fix("`==`"),
            (Token::Symbol("NOT"), _) => error.fix("`NOT a in b`, with `NOT` before the whole comparison"),
            (Token::Double(_), index) if index.starts_with('.') => error.fix(format!("`[{}]`", &index[1..])),
            (Token::Quoted { .. }, _) => error.fix("`+` between two texts"),
            _ => error,
        }
    }
}

fn excerpt(text: &str) -> String {
    let short: String = text.chars().take(40).collect();
    if short.len() < text.len() { short + "..." } else { short }
}
