//! Follows a command as a shell reads it, to know the place of every value.
//!
//! Where shells differ, or the end of something cannot be told without running the command, everything after it is
//! of uncertain place and takes no value any more: refusing is safe, guessing is not.

use super::place::Place;
use super::word::{Commands, Opening, Position};
use crate::runbook::expression::ParseError;
use crate::runbook::substitute::Segment;

/// What was learned about a command.
pub(super) struct Scanned {
    /// The place of every `${...}`, in order.
    pub places: Vec<Place>,
    /// The offset of the first value that is read as a command once more.
    pub reinterpreted: Option<usize>,
}

/// Nesting beyond this makes the place uncertain.
const NESTING_LIMIT: usize = 64;

/// Finds the place of every value.
///
/// # Errors
/// The first value that cannot be quoted for its place.
pub(super) fn scan(segments: &[Segment<'_>]) -> Result<Scanned, ParseError> {
    let mut scanner = Scanner::new(segments);
    while let Some(unit) = scanner.peek() {
        scanner.step(unit)?;
    }
    scanner.finish()
}

/// A character or a value of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unit {
    Character(char),
    Value,
    /// `${raw(...)}`
    Raw,
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

struct HereDocument {
    delimiter: String,
    strips_tabs: bool,
    expands: bool,
    /// How many frames there were.
    nesting: usize,
}

struct Scanner {
    units: Vec<(Unit, usize)>,
    next: usize,
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
    fn new(segments: &[Segment<'_>]) -> Self {
        let mut units = Vec::new();
        for segment in segments {
            match *segment {
                Segment::Literal { text, offset } => {
                    units.extend(text.char_indices().map(|(index, c)| (Unit::Character(c), offset + index)));
                }
                Segment::Expression { source, offset } => {
                    let unit = if super::raw_argument(source).is_some() {
                        Unit::Raw
                    } else {
                        Unit::Value
                    };
                    units.push((unit, offset.saturating_sub(2)));
                }
            }
        }
        Self {
            units,
            next: 0,
            frames: vec![Frame::Commands(Box::new(Commands::new(Opening::Start, Position::Command)))],
            pending: Vec::new(),
            uncertain: None,
            after_name: false,
            first_value: None,
            scanned: Scanned {
                places: Vec::new(),
                reinterpreted: None,
            },
        }
    }

    fn peek(&self) -> Option<Unit> {
        self.units.get(self.next).map(|(unit, _)| *unit)
    }

    fn peek_character(&self) -> Option<char> {
        match self.peek() {
            Some(Unit::Character(c)) => Some(c),
            _ => None,
        }
    }

    /// Whether these characters come next.
    fn sees(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(index, c)| self.units.get(self.next + index).map(|(unit, _)| *unit) == Some(Unit::Character(c)))
    }

    /// Takes these characters if they come next.
    fn take(&mut self, text: &str) -> bool {
        let seen = self.sees(text);
        if seen {
            self.next += text.chars().count();
        }
        seen
    }

    fn offset(&self) -> usize {
        self.units.get(self.next).or(self.units.last()).map_or(0, |(_, offset)| *offset)
    }

    fn step(&mut self, unit: Unit) -> Result<(), ParseError> {
        match unit {
            Unit::Character(c) => {
                self.after_name = false;
                self.next += 1;
                self.character(c)
            }
            Unit::Value | Unit::Raw => {
                let offset = self.offset();
                if unit == Unit::Value {
                    let place = self.place(offset)?;
                    self.scanned.places.push(place);
                    self.first_value = self.first_value.or(Some(offset));
                    self.with_innermost(|commands| commands.word.value = commands.word.value.or(Some(offset)));
                }
                self.next += 1;
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
        };
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
            (Some(Frame::SingleQuoted), _) => {}
            (Some(Frame::Escaped), '\\') => self.escape_in_escaped(),
            (Some(Frame::Arithmetic { .. }), _) => self.arithmetic_character(c),
            (Some(Frame::DoubleQuoted | Frame::Parameter { .. }), '`') => self.open(Frame::Backtick),
            (Some(Frame::DoubleQuoted | Frame::Parameter { .. }), '$') => self.dollar(true),
            (Some(Frame::Parameter { quoted: true }), '\'' | '"') => {
                self.doubt("quotes inside a quoted `${...}` of the shell are read in different ways")
            }
            (Some(Frame::Parameter { .. }), '\'') => self.open(Frame::SingleQuoted),
            (Some(Frame::Parameter { .. }), '"') => self.open(Frame::DoubleQuoted),
            (Some(Frame::DoubleQuoted | Frame::Backtick | Frame::Parameter { .. }), '\\') => return self.backslash(),
            _ => {}
        }
        Ok(())
    }

    fn command_character(&mut self, c: char) -> Result<(), ParseError> {
        let next = self.peek();
        let Some(Frame::Commands(commands)) = self.frames.last_mut() else {
            return Ok(());
        };
        let empty = std::mem::replace(&mut commands.empty, false);
        if matches!(c, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>') || matches!(c, '(' | ')') && !commands.word.started {
            commands.end_word().map_err(arithmetic)?;
        }
        match c {
            ' ' | '\t' => {}
            '\n' => {
                commands.end_command();
                return self.line_break();
            }
            ';' => {
                if self.take(";&") || self.take(";") || self.take("&") {
                    self.with_commands(Commands::end_case_item);
                } else {
                    self.with_commands(Commands::end_command);
                }
            }
            '&' | '|' => commands.end_command(),
            '>' => {
                let _ = self.take("&") || self.take("|") || self.take(">");
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
        if self.take("<<") {
            return Ok(());
        }
        if self.take("<") {
            return self.here_document();
        }
        let _ = self.take("&") || self.take(">");
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
        if !started && position != Position::Conditional && self.take("(") {
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
        if self.take("((") {
            self.open(Frame::Arithmetic { depth: 2, expansion: true });
        } else if self.take("(") {
            self.open(Frame::Commands(Box::new(Commands::new(Opening::Substitution, Position::Command))));
        } else if self.take("{") {
            let quoted = quoted && !matches!(self.frames.last(), Some(Frame::Parameter { quoted: false }));
            self.open(Frame::Parameter { quoted });
        } else if self.sees("[") {
            self.doubt("`$[` is arithmetic to some shells");
        } else if !quoted && self.take("'") {
            self.open(Frame::Escaped);
        } else if self.peek_character().is_some_and(is_name) {
            while self.peek_character().is_some_and(is_name) {
                self.next += 1;
            }
            self.after_name = true;
        } else if self.peek_character().is_some_and(|c| "?$!#@*-".contains(c)) {
            self.next += 1;
        }
    }

    /// After a backslash that protects what follows it.
    fn backslash(&mut self) -> Result<(), ParseError> {
        match self.peek() {
            Some(Unit::Value) => Err(refused(
                self.offset(),
                "after a backslash",
                "remove the backslash, or write `$${` for a literal `${`",
            )),
            Some(Unit::Character('\n')) if !self.pending.is_empty() => {
                self.doubt("a line with a here-document is continued");
                Ok(())
            }
            Some(Unit::Character(_)) => {
                self.next += 1;
                Ok(())
            }
            Some(Unit::Raw) | None => Ok(()),
        }
    }

    /// After a backslash inside `$'...'`, which not every shell knows.
    fn escape_in_escaped(&mut self) {
        if self.sees("'") {
            self.doubt("`\\'` inside `$'...'` is read in different ways");
        }
        if self.peek_character().is_some() {
            self.next += 1;
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
                if !self.take(")") {
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

    /// Reads the delimiter of a here-document, after `<<`.
    fn here_document(&mut self) -> Result<(), ParseError> {
        let strips_tabs = self.take("-");
        while self.take(" ") || self.take("\t") {}
        let mut delimiter = String::new();
        let mut expands = true;
        let mut quote = None;
        while let Some(unit) = self.peek() {
            let c = match unit {
                Unit::Character(c) => c,
                Unit::Value => return Err(in_here_document(self.offset())),
                Unit::Raw => {
                    self.doubt("the end of a here-document is `raw`");
                    break;
                }
            };
            match (quote, c) {
                (None, ' ' | '\t' | '\n' | ';' | '&' | '|' | '<' | '>' | '(' | ')') => break,
                (None, '\'' | '"') => (quote, expands) = (Some(c), false),
                (Some(open), _) if open == c => quote = None,
                (None | Some('"'), '\\' | '$' | '`') => {
                    expands = false;
                    if c == '\\'
                        && quote.is_none()
                        && self
                            .units
                            .get(self.next + 1)
                            .is_some_and(|(unit, _)| matches!(unit, Unit::Character(c) if *c != '\n'))
                    {
                        self.next += 1;
                        delimiter.extend(self.peek_character());
                    } else {
                        self.doubt("the end of a here-document cannot be told");
                    }
                }
                _ => delimiter.push(c),
            }
            self.next += 1;
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
    fn line_break(&mut self) -> Result<(), ParseError> {
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
        let mut line = String::new();
        let mut has_raw = false;
        loop {
            let Some(unit) = self.peek() else { return Ok(true) };
            if unit == Unit::Value {
                return Err(in_here_document(self.offset()));
            }
            if unit == Unit::Raw {
                has_raw = true;
            }
            self.next += 1;
            match unit {
                Unit::Character('\n') => break,
                Unit::Character(c) => line.push(c),
                _ => {}
            }
            if self.next == self.units.len() {
                break;
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
        Ok(self.next >= self.units.len())
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

/// Whether a line of an expanded here-document holds an expansion that may go on in the next line.
fn continues(line: &str) -> bool {
    let count = |c| line.matches(c).count();
    let opens = line.contains("$(") && count('(') != count(')') || line.contains("${") && count('{') != count('}');
    opens || count('`') % 2 == 1 || line.ends_with('\\')
}

fn is_name(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

fn refused(offset: usize, place: &str, fix: &str) -> ParseError {
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

fn in_here_document(offset: usize) -> ParseError {
    refused(offset, "inside a here-document", "use `printf '%s\\n' \"...\"` instead")
}
