//! Here-documents: where they end, and that no value stands in one.

use super::{Scanner, Unit, refused};
use crate::runbook::expression::ParseError;

/// One that is still to be read.
pub(super) struct HereDocument {
    delimiter: String,
    strips_tabs: bool,
    expands: bool,
    /// How many frames there were.
    pub(super) nesting: usize,
}

impl Scanner {
    /// Reads the delimiter of a here-document, after `<<`.
    pub(super) fn here_document(&mut self) -> Result<(), ParseError> {
        let strips_tabs = self.units.take("-");
        while self.units.take(" ") || self.units.take("\t") {}
        let mut delimiter = String::new();
        let mut expands = true;
        let mut quote = None;
        while let Some(unit) = self.units.peek() {
            let c = match unit {
                Unit::Character(c) => c,
                Unit::Value => return Err(in_here_document(self.units.offset())),
                Unit::Raw => {
                    self.doubt("the end of a here-document is `raw`");
                    break;
                }
            };
            match (quote, c) {
                (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => break,
                (None, '\'' | '"') => (quote, expands) = (Some(c), false),
                (Some(open), _) if open == c => quote = None,
                (None, '\\') => {
                    expands = false;
                    self.units.advance();
                    delimiter.extend(self.units.peek_character());
                }
                (None | Some('"'), '\\' | '$' | '`') => self.doubt("the end of a here-document cannot be told"),
                _ => delimiter.push(c),
            }
            self.units.advance();
        }
        if delimiter.is_empty() || quote.is_some() || delimiter.contains('\n') {
            self.doubt("the end of a here-document cannot be told");
        }
        self.pending.push(HereDocument {
            delimiter,
            strips_tabs,
            expands,
            nesting: self.frames.len(),
        });
        Ok(())
    }

    /// After a line break between commands: the here-documents of the line follow.
    pub(super) fn line_break(&mut self) -> Result<(), ParseError> {
        for document in std::mem::take(&mut self.pending) {
            if document.nesting != self.frames.len() {
                self.doubt("a here-document starts inside something else");
            }
            while !self.here_document_line(&document)? {}
        }
        Ok(())
    }

    /// Reads one line of a here-document; true at its end.
    fn here_document_line(&mut self, document: &HereDocument) -> Result<bool, ParseError> {
        if self.units.peek().is_none() {
            return Ok(true);
        }
        let mut line = String::new();
        let mut has_raw = false;
        while let Some(unit) = self.units.peek() {
            if unit == Unit::Value {
                return Err(in_here_document(self.units.offset()));
            }
            self.units.advance();
            match unit {
                Unit::Character('\n') => break,
                Unit::Character(c) => line.push(c),
                Unit::Value | Unit::Raw => has_raw = true,
            }
        }
        let content = if document.strips_tabs {
            line.trim_start_matches('\t')
        } else {
            &line
        };
        if content == document.delimiter && !has_raw {
            return Ok(true);
        }
        if document.expands && continues(content) || self.frames.len() > 1 && content.starts_with(&document.delimiter) {
            self.doubt("the end of a here-document cannot be told");
        }
        Ok(false)
    }
}

/// Whether a line of an expanded here-document holds an expansion that may go on in the next line.
fn continues(line: &str) -> bool {
    let count = |c| line.matches(c).count();
    let opens = line.contains("$(") && count('(') != count(')') || line.contains("${") && count('{') != count('}');
    opens || count('`') % 2 == 1 || line.ends_with('\\')
}

fn in_here_document(offset: usize) -> ParseError {
    refused(offset, "inside a here-document", "use `printf '%s\\n' \"...\"` instead")
}
