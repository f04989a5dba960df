//! The words of a list of commands: which are reserved, and what they say about the words after them.

/// What the next word is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Position {
    /// The first of a command, where reserved words are.
    Command,
    Argument,
    /// After `for`.
    Name,
    /// After `for name`.
    AfterName,
    /// After `function`.
    Function,
    /// After `case`.
    Subject,
    /// After `case subject`.
    In,
    /// In the pattern of a `case`, up to its `)`.
    Pattern,
    /// Inside `[[ ... ]]`.
    Conditional,
    /// Inside `name=( ... )`, where nothing is reserved.
    Array,
}

/// One word as far as it was read.
#[derive(Debug, Clone, Default)]
pub(super) struct Word {
    pub started: bool,
    /// Its characters outside quotes; no more than are needed to know it.
    text: String,
    /// It has quotes, an expansion or a value in it, so it is no reserved word.
    pub quoted: bool,
    /// It is `name[` so far.
    pub subscript: bool,
    /// The offset of the first value in it.
    pub value: Option<usize>,
}

impl Word {
    /// Longer words are never reserved.
    const KNOWN_LENGTH: usize = 64;

    pub(super) fn push(&mut self, c: char) {
        self.started = true;
        match c {
            '[' if !self.quoted && is_name(&self.text) => self.subscript = true,
            ']' => self.subscript = false,
            _ => {}
        }
        if self.text.len() < Self::KNOWN_LENGTH {
            self.text.push(c);
        }
    }

    pub(super) fn quote(&mut self) {
        self.started = true;
        self.quoted = true;
    }

    /// The word, where nothing in it is quoted or expanded.
    fn plain(&self) -> Option<&str> {
        (!self.quoted).then_some(self.text.as_str())
    }
}

fn is_name(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_') && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
}

/// A list of commands, up to the `)` that ends it where one does.
#[derive(Debug, Clone)]
pub(super) struct Commands {
    pub word: Word,
    pub position: Position,
    /// How many `case` are open.
    cases: usize,
    pub opened_by: Opening,
    /// Nothing was read yet.
    pub empty: bool,
    /// A word of this command reads its arguments as commands.
    interpreter: Interpreter,
    /// The last word of a `[[ ]]` makes the next one arithmetic.
    arithmetic_next: bool,
    /// The value in the last word of a `[[ ]]`.
    last_value: Option<usize>,
}

/// What a list of commands stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Opening {
    /// The command itself.
    Start,
    /// `$(`
    Substitution,
    /// `(`
    Subshell,
    /// `(` inside a word, or inside `[[ ]]`.
    Word,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Interpreter {
    None,
    /// `sh`: after `-c`.
    Shell,
    /// `ssh`, `su`: whatever argument has more than the value in it.
    Remote,
    /// `eval`: every argument.
    Every,
}

impl Commands {
    pub(super) fn new(opened_by: Opening, position: Position) -> Self {
        Self {
            word: Word::default(),
            position,
            cases: 0,
            opened_by,
            empty: true,
            interpreter: Interpreter::None,
            arithmetic_next: false,
            last_value: None,
        }
    }

    /// Whether a value here would be read as arithmetic, which in bash may run commands.
    pub(super) fn is_arithmetic(&self) -> bool {
        self.word.subscript || self.position == Position::Conditional && self.arithmetic_next
    }

    /// Whether a value here is read as a command once more.
    pub(super) fn is_reinterpreted(&self, within_quotes: bool) -> bool {
        match self.interpreter {
            Interpreter::None | Interpreter::Shell => false,
            Interpreter::Remote => within_quotes,
            Interpreter::Every => true,
        }
    }

    /// A new command starts, save where line breaks and operators do not end one.
    pub(super) fn end_command(&mut self) {
        if !matches!(
            self.position,
            Position::In | Position::Pattern | Position::Conditional | Position::Array
        ) {
            self.position = Position::Command;
            self.interpreter = Interpreter::None;
        }
    }

    /// `;;`
    pub(super) fn end_case_item(&mut self) {
        self.end_command();
        if self.cases > 0 {
            self.position = Position::Pattern;
        }
    }

    /// Ends the word, if there is one.
    ///
    /// # Errors
    /// The offset of a value that an operator after it reads as arithmetic.
    pub(super) fn end_word(&mut self) -> Result<(), usize> {
        let word = std::mem::take(&mut self.word);
        if !word.started {
            return Ok(());
        }
        let plain = word.plain();
        let before = self.position;
        self.position = match before {
            Position::Command => self.command_word(plain),
            Position::Name => Position::AfterName,
            Position::AfterName if plain == Some("do") => Position::Command,
            Position::Function => Position::Command,
            Position::Subject => Position::In,
            Position::In if plain == Some("in") => {
                self.cases += 1;
                Position::Pattern
            }
            Position::Pattern if plain == Some("esac") => {
                self.cases = self.cases.saturating_sub(1);
                Position::Command
            }
            Position::Conditional if plain == Some("]]") => Position::Argument,
            Position::In | Position::AfterName => Position::Argument,
            unchanged => unchanged,
        };
        if matches!(before, Position::Command | Position::Argument) {
            self.interpret(plain);
        }
        if before == Position::Conditional {
            self.operand(plain, word.value)
        } else {
            Ok(())
        }
    }

    fn command_word(&mut self, plain: Option<&str>) -> Position {
        match plain {
            Some("case") => Position::Subject,
            Some("esac") => {
                self.cases = self.cases.saturating_sub(1);
                Position::Command
            }
            Some("for" | "select") => Position::Name,
            Some("function") => Position::Function,
            Some("[[") => Position::Conditional,
            Some("if" | "then" | "elif" | "else" | "fi" | "while" | "until" | "do" | "done" | "{" | "}" | "!" | "time") => {
                Position::Command
            }
            _ => Position::Argument,
        }
    }

    fn interpret(&mut self, plain: Option<&str>) {
        let Some(plain) = plain else { return };
        self.interpreter = match (self.interpreter, plain.rsplit('/').next().unwrap_or(plain)) {
            (Interpreter::Every, _) | (_, "eval" | "trap") => Interpreter::Every,
            (Interpreter::Shell, option) if option.starts_with('-') && option.ends_with('c') => Interpreter::Every,
            (_, "sh" | "bash" | "dash" | "ash" | "ksh" | "zsh") => Interpreter::Shell,
            (Interpreter::None, "ssh" | "su" | "watch") => Interpreter::Remote,
            (unchanged, _) => unchanged,
        };
    }

    fn operand(&mut self, plain: Option<&str>, value: Option<usize>) -> Result<(), usize> {
        let comparison = matches!(plain, Some("-eq" | "-ne" | "-lt" | "-le" | "-gt" | "-ge"));
        self.arithmetic_next = comparison || matches!(plain, Some("-v" | "-R"));
        let before = std::mem::replace(&mut self.last_value, value);
        if comparison { before.map_or(Ok(()), Err) } else { Ok(()) }
    }
}
