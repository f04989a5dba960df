//! Follows a command as a shell reads it, to know the place of every value.
//!
//! Where shells differ, or the end of something cannot be told without running the command, everything after it is
//! of uncertain place and takes no value any more: refusing is safe, guessing is not.

mod here_document;
mod units;

use here_document::HereDocument;
use units::{Unit, Units};

use super::Part;
use super::place::Place;
use super::word::{Commands, Opening, Position};
use crate::runbook::expression::ParseError;

/// What was learned about a command.
#[derive(Debug, Default)]
pub(super) struct Scanned {
    /// The place of every `${...}`, in order.
    pub places: Vec<Place>,
    /// The offset of the first value that is read as a command once more.
    pub reinterpreted: Option<usize>,
}

/// Nesting beyond this makes the place uncertain.
const NESTING_LIMIT: usize = 64;

const CONTINUED: &str = "an operator may go on in the next line";

/// Finds the place of every value.
///
/// # Errors
/// The first value that cannot be quoted for its place.
pub(super) fn scan(parts: &[Part<'_>]) -> Result<Scanned, ParseError> {
    let mut scanner = Scanner::new(parts);
    while let Some(unit) = scanner.units.peek() {
        scanner.step(unit)?;
    }
    scanner.finish()
}

#[derive(Debug)]
enum Frame {
    Commands(Box<Commands>),
    SingleQuoted,
    DoubleQuoted,
    /// `$'...'`
    Escaped,
    Backtick,
    Comment,
    /// `${...}` of the shell, itself inside double quotes or not.
    Parameter {
        quoted: bool,
    },
    /// `$((...))` or `((...))`, this many parentheses deep.
    Arithmetic {
        depth: usize,
        expansion: bool,
    },
}

struct Scanner {
    units: Units,
    frames: Vec<Frame>,
    pending: Vec<HereDocument>,
    /// Why places are uncertain from here on.
    uncertain: Option<&'static str>,
    /// The last thing read is a `$name`, so that a letter after it would belong to the name.
    after_name: bool,
    first_value: Option<usize>,
    scanned: Scanned,
}

impl Scanner {
    fn new(parts: &[Part<'_>]) -> Self {
        Self {
            units: Units::new(parts),
            frames: vec![Frame::Commands(Box::new(Commands::new(Opening::Start, Position::Command)))],
            pending: Vec::new(),
            uncertain: None,
            after_name: false,
            first_value: None,
            scanned: Scanned::default(),
        }
    }

    fn step(&mut self, unit: Unit) -> Result<(), ParseError> {
        match unit {
            Unit::Character(c) => {
                // A continued line goes on with the name.
                self.after_name &= c == '\\';
                self.units.advance();
                self.character(c)
            }
            Unit::Value | Unit::Raw => {
                let offset = self.units.offset();
                if unit == Unit::Value {
                    let place = self.place(offset)?;
                    self.scanned.places.push(place);
                    self.first_value = self.first_value.or(Some(offset));
                    self.with_innermost(|commands| commands.word.value = commands.word.value.or(Some(offset)));
                }
                self.units.advance();
                self.with_commands(|commands| {
                    commands.empty = false;
                    commands.word.quote();
                });
                Ok(())
            }
        }
    }

    /// The innermost list of commands, which may hold the quotes that are open.
    fn commands(&mut self) -> Option<&mut Commands> {
        self.frames.iter_mut().rev().find_map(|frame| match frame {
            Frame::Commands(commands) => Some(commands.as_mut()),
            _ => None,
        })
    }

    fn with_innermost(&mut self, change: impl FnOnce(&mut Commands)) {
        if let Some(commands) = self.commands() {
            change(commands);
        }
    }

    fn character(&mut self, c: char) -> Result<(), ParseError> {
        match self.frames.last() {
            Some(Frame::Commands(_)) | None => return self.command_character(c),
            Some(Frame::Comment) if c == '\n' => {
                self.frames.pop();
                return self.command_character(c);
            }
            Some(Frame::Comment) => return Ok(()),
            _ if c == '\n' && !self.pending.is_empty() => self.doubt("a here-document starts inside something else"),
            _ => {}
        }
        match (self.frames.last(), c) {
            (Some(Frame::SingleQuoted | Frame::Escaped), '\'')
            | (Some(Frame::DoubleQuoted), '"')
            | (Some(Frame::Backtick), '`')
            | (Some(Frame::Parameter { .. }), '}') => {
                self.frames.pop();
            }
            (Some(Frame::Escaped), '\\') => self.escape_in_escaped(),
            (Some(Frame::Arithmetic { .. }), _) => self.arithmetic_character(c),
            (Some(Frame::DoubleQuoted | Frame::Parameter { .. }), '`') => self.open(Frame::Backtick),
            (Some(Frame::DoubleQuoted | Frame::Parameter { .. }), '$') => self.dollar(true),
            (Some(Frame::Parameter { quoted: true }), '\'' | '"') => {
                self.doubt("quotes inside a quoted `${...}` of the shell are read in different ways");
            }
            (Some(Frame::Parameter { .. }), '\'') => self.open(Frame::SingleQuoted),
            (Some(Frame::Parameter { .. }), '"') => self.open(Frame::DoubleQuoted),
            (Some(Frame::DoubleQuoted | Frame::Backtick | Frame::Parameter { .. }), '\\') => return self.backslash(),
            _ => {}
        }
        Ok(())
    }

    fn command_character(&mut self, c: char) -> Result<(), ParseError> {
        let next = self.units.peek();
        let Some(Frame::Commands(commands)) = self.frames.last_mut() else {
            return Ok(());
        };
        let empty = std::mem::replace(&mut commands.empty, false);
        if matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>') || matches!(c, '(' | ')') && !commands.word.started {
            commands.end_word().map_err(arithmetic)?;
        }
        let in_array = commands.position == Position::Array;
        if matches!(c, ';' | '<' | '(') && next == Some(Unit::Character('\\')) {
            self.doubt(CONTINUED);
        }
        if in_array && matches!(c, ';' | '&' | '|' | '<' | '>' | '(') {
            // bash goes on with the next line after this error, and a value may hold a line break.
            self.doubt("an operator stands inside `name=( )`");
        }
        let Some(Frame::Commands(commands)) = self.frames.last_mut() else {
            return Ok(());
        };
        match c {
            ' ' | '\t' => {}
            '\n' => {
                commands.end_command();
                return self.line_break();
            }
            ';' => {
                if self.units.take(";&") || self.units.take(";") || self.units.take("&") {
                    self.with_commands(Commands::end_case_item);
                } else {
                    self.with_commands(Commands::end_command);
                }
            }
            '&' | '|' => commands.end_command(),
            '>' => {
                let _ = self.units.take("&") || self.units.take("|") || self.units.take(">");
                self.redirect();
            }
            '<' => self.less()?,
            '(' => self.parenthesis(),
            ')' => return self.close(empty),
            '\\' => {
                if next != Some(Unit::Character('\n')) {
                    commands.word.quote();
                }
                return self.backslash();
            }
            '\'' | '"' | '`' => {
                commands.word.quote();
                self.open(match c {
                    '\'' => Frame::SingleQuoted,
                    '"' => Frame::DoubleQuoted,
                    _ => Frame::Backtick,
                });
            }
            '$' => {
                commands.word.quote();
                self.dollar(false);
            }
            '#' if !commands.word.started => self.open(Frame::Comment),
            _ => commands.word.push(c),
        }
        Ok(())
    }

    fn with_commands(&mut self, change: impl FnOnce(&mut Commands)) {
        if let Some(Frame::Commands(commands)) = self.frames.last_mut() {
            change(commands);
        }
    }

    fn redirect(&mut self) {
        self.with_commands(|commands| {
            if commands.position == Position::Command {
                commands.position = Position::Argument;
            }
        });
    }

    /// After `<`.
    fn less(&mut self) -> Result<(), ParseError> {
        self.redirect();
        if self.units.take("<<") {
            return Ok(());
        }
        if self.units.take("<") {
            return self.here_document();
        }
        let _ = self.units.take("&") || self.units.take(">");
        Ok(())
    }

    /// After `(` outside quotes.
    fn parenthesis(&mut self) {
        let Some(Frame::Commands(commands)) = self.frames.last_mut() else {
            return;
        };
        let started = commands.word.started;
        let position = commands.position;
        if position == Position::Pattern && !started {
            return;
        }
        if !started && position != Position::Conditional && self.units.take("(") {
            return self.open(Frame::Arithmetic {
                depth: 2,
                expansion: false,
            });
        }
        let (opened_by, inside) = match position {
            Position::Conditional => (Opening::Word, Position::Conditional),
            _ if started => (Opening::Word, Position::Array),
            _ => (Opening::Subshell, Position::Command),
        };
        self.open(Frame::Commands(Box::new(Commands::new(opened_by, inside))));
    }

    /// After `)` outside quotes.
    fn close(&mut self, empty: bool) -> Result<(), ParseError> {
        let Some(Frame::Commands(commands)) = self.frames.last_mut() else {
            return Ok(());
        };
        commands.end_word().map_err(arithmetic)?;
        if commands.position == Position::Pattern {
            commands.position = Position::Command;
            return Ok(());
        }
        let opened_by = commands.opened_by;
        if opened_by == Opening::Start {
            self.doubt("a `)` closes nothing");
            return Ok(());
        }
        self.frames.pop();
        if self.pending.iter().any(|document| document.nesting > self.frames.len()) {
            self.doubt("a here-document has no line of its own");
        }
        self.with_commands(|commands| match opened_by {
            Opening::Subshell => commands.position = Position::Command,
            Opening::Word if empty => {
                commands.word = super::word::Word::default();
                commands.position = Position::Command;
            }
            _ => commands.word.quote(),
        });
        Ok(())
    }

    /// After `$`, bare or inside double quotes.
    fn dollar(&mut self, quoted: bool) {
        if self.units.take("((") {
            self.open(Frame::Arithmetic { depth: 2, expansion: true });
        } else if self.units.take("(") {
            self.open(Frame::Commands(Box::new(Commands::new(Opening::Substitution, Position::Command))));
        } else if self.units.take("{") {
            let quoted = quoted && !matches!(self.frames.last(), Some(Frame::Parameter { quoted: false }));
            self.open(Frame::Parameter { quoted });
        } else if self.units.sees("\\\n") {
            self.doubt(CONTINUED);
        } else if self.units.sees("[") {
            self.doubt("`$[` is arithmetic to some shells");
        } else if !quoted && self.units.take("'") {
            self.open(Frame::Escaped);
        } else if self.units.peek_character().is_some_and(is_name) {
            while self.units.peek_character().is_some_and(is_name) {
                self.units.advance();
            }
            self.after_name = true;
        } else if self.units.peek_character().is_some_and(|c| "?$!#@*-".contains(c)) {
            self.units.advance();
        }
    }

    /// After a backslash that protects what follows it.
    fn backslash(&mut self) -> Result<(), ParseError> {
        match self.units.peek() {
            Some(Unit::Value) => Err(refused(
                self.units.offset(),
                "after a backslash",
                "remove the backslash, or write `$${` for a literal `${`",
            )),
            Some(Unit::Character('\n')) if !self.pending.is_empty() => {
                self.doubt("a line with a here-document is continued");
                Ok(())
            }
            Some(Unit::Character(_)) => {
                self.units.advance();
                Ok(())
            }
            Some(Unit::Raw) | None => Ok(()),
        }
    }

    /// After a backslash inside `$'...'`, which not every shell knows.
    fn escape_in_escaped(&mut self) {
        if self.units.sees("'") {
            self.doubt("`\\'` inside `$'...'` is read in different ways");
        }
        if self.units.peek_character().is_some() {
            self.units.advance();
        }
    }

    fn arithmetic_character(&mut self, c: char) {
        let Some(Frame::Arithmetic { depth, expansion }) = self.frames.last_mut() else {
            return;
        };
        match c {
            '(' => *depth += 1,
            ')' if *depth > 2 => *depth -= 1,
            ')' => {
                if !self.units.take(")") {
                    self.doubt("`((` is arithmetic or a command in a subshell");
                }
                self.frames.pop();
            }
            '$' => self.dollar(true),
            '\'' | '"' | '`' | '\\' => self.doubt("quotes inside arithmetic are read in different ways"),
            '#' | '<' if !*expansion => self.doubt("`((` is arithmetic or a command in a subshell"),
            _ => {}
        }
    }

    fn open(&mut self, frame: Frame) {
        if self.frames.len() >= NESTING_LIMIT {
            self.doubt("the command is nested too deeply");
            return;
        }
        self.frames.push(frame);
    }

    fn doubt(&mut self, reason: &'static str) {
        self.uncertain = self.uncertain.or(Some(reason));
    }

    /// The place of the value at this offset.
    fn place(&mut self, offset: usize) -> Result<Place, ParseError> {
        if let Some(reason) = self.uncertain {
            return Err(refused(
                offset,
                &format!("here, since {reason}"),
                "set a variable of the shell at the start of the command and use that",
            ));
        }
        for frame in &self.frames {
            let (place, fix) = match frame {
                Frame::Backtick => ("inside backticks", "write `$(...)` instead of backticks"),
                Frame::Arithmetic { .. } => ("inside arithmetic", "set a variable of the shell and use that"),
                Frame::Parameter { .. } => ("inside a `${...}` of the shell", "set a variable of the shell and use that"),
                Frame::Escaped => ("inside `$'...'`", "use `'...'` or `\"...\"`"),
                Frame::Comment if self.frames.len() > 2 => ("in a comment inside a command substitution", "move the comment out of it"),
                _ => continue,
            };
            return Err(refused(offset, place, fix));
        }
        let within_quotes = !matches!(self.frames.last(), Some(Frame::Commands(_)));
        if let Some(commands) = self.commands() {
            if commands.is_arithmetic() {
                return Err(arithmetic(offset));
            }
            let reinterpreted = commands.is_reinterpreted(within_quotes);
            if reinterpreted && !matches!(self.frames.last(), Some(Frame::Comment)) {
                self.scanned.reinterpreted = self.scanned.reinterpreted.or(Some(offset));
            }
        }
        Ok(match self.frames.last() {
            Some(Frame::SingleQuoted) => Place::SingleQuoted,
            Some(Frame::DoubleQuoted) => Place::DoubleQuoted {
                after_name: self.after_name,
            },
            Some(Frame::Comment) => Place::Comment,
            _ => Place::Bare,
        })
    }

    fn finish(mut self) -> Result<Scanned, ParseError> {
        if let Some(commands) = self.commands() {
            commands.end_word().map_err(arithmetic)?;
        }
        let open = match self.frames.last() {
            Some(Frame::Comment) if self.frames.len() == 2 => None,
            Some(Frame::Commands(commands)) if commands.opened_by == Opening::Start => None,
            Some(Frame::Commands(_)) => Some("a parenthesis"),
            Some(Frame::SingleQuoted | Frame::DoubleQuoted | Frame::Escaped) => Some("a quote"),
            Some(Frame::Backtick) => Some("a backtick"),
            _ => Some("an expansion of the shell"),
        };
        match (open, self.first_value) {
            (Some(open), Some(offset)) => Err(refused(offset, &format!("in a command where {open} is not closed"), "close it")),
            _ => Ok(self.scanned),
        }
    }
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

pub(super) fn refused(offset: usize, place: &str, fix: &str) -> ParseError {
    ParseError {
        offset,
        message: format!("a value cannot be quoted {place}"),
        fix: Some(fix.to_owned()),
    }
}

fn arithmetic(offset: usize) -> ParseError {
    refused(
        offset,
        "where bash reads it as arithmetic",
        "compare with `[ ... ]`, or set a variable of the shell and use that",
    )
}
