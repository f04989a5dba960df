//! Regular expressions, bounded: matching takes time linear in the text, and a pattern that stands in a text is compiled when it
//! is first matched, so that reading a document full of large patterns stays cheap.

use std::sync::OnceLock;

use regex::{Error, Regex, RegexBuilder};

/// Most memory that a compiled pattern may take, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Memory within which a pattern is compiled to see whether it is one, in bytes. Its syntax is checked before its size.
const TRIAL: usize = 16 * 1024;

/// A pattern that stands in a text.
#[derive(Debug)]
pub(super) struct Pattern {
    source: String,
    compiled: OnceLock<Result<Regex, String>>,
}

impl Pattern {
    /// Checks a pattern.
    ///
    /// # Errors
    /// What is wrong with it, unless it is only its size.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        match build(source, TRIAL) {
            Ok(_) | Err(Error::CompiledTooBig(_)) => Ok(Self {
                source: source.to_owned(),
                compiled: OnceLock::new(),
            }),
            Err(error) => Err(describe(&error)),
        }
    }

    /// Whether [`Pattern::get`] has yet to compile it.
    pub(super) fn is_new(&self) -> bool {
        self.compiled.get().is_none()
    }

    /// The compiled pattern.
    ///
    /// # Errors
    /// That it is too large.
    pub(super) fn get(&self) -> Result<&Regex, String> {
        self.compiled.get_or_init(|| compile(&self.source)).as_ref().map_err(Clone::clone)
    }
}

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it, without quoting it: it may be made of a secret.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    build(pattern, LARGEST).map_err(|error| describe(&error))
}

fn build(pattern: &str, size: usize) -> Result<Regex, Error> {
    RegexBuilder::new(pattern).size_limit(size).nest_limit(50).build()
}

fn describe(error: &Error) -> String {
    match error {
        Error::CompiledTooBig(_) => "the pattern is too large once it is compiled: fewer or smaller repetitions".to_owned(),
        _ => "the pattern is no regular expression (RE2 syntax, neither look-around nor back-references)".to_owned(),
    }
}
