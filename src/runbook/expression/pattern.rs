//! Regular expressions, bounded: matching takes time linear in the text, and compiling is paid for by its size. A pattern that stands
//! in a text is compiled when it is first matched, so that reading a document full of patterns stays cheap.

use std::sync::OnceLock;

use regex::{Error, Regex, RegexBuilder};

/// Most memory that a compiled pattern may take, in bytes.
const LARGEST: usize = 1024 * 1024;

/// Memory that nearly all patterns stay within, in bytes.
const SMALL: usize = 16 * 1024;

/// What compiling costs within [`SMALL`], in steps.
const SMALL_STEPS: usize = 100;

/// What compiling costs beyond that, in steps.
const LARGE_STEPS: usize = 4000;

/// A pattern that stands in a text.
#[derive(Debug)]
pub(super) struct Pattern {
    source: String,
    compiled: OnceLock<Regex>,
}

impl Pattern {
    /// Checks a pattern without compiling it.
    ///
    /// # Errors
    /// What is wrong with it, unless it is only its size.
    pub(super) fn parse(source: &str) -> Result<Self, String> {
        // The syntax is checked before the size, and no room is left for compiling.
        match build(source, 0) {
            Ok(_) | Err(Error::CompiledTooBig(_)) => Ok(Self {
                source: source.to_owned(),
                compiled: OnceLock::new(),
            }),
            Err(error) => Err(describe(&error)),
        }
    }

    /// The compiled pattern; `pay` is called as by [`compile`], once for all evaluations.
    ///
    /// # Errors
    /// As [`compile`].
    pub(super) fn get<E: From<String>>(&self, pay: impl FnMut(usize) -> Result<(), E>) -> Result<&Regex, E> {
        match self.compiled.get() {
            Some(compiled) => Ok(compiled),
            None => compile(&self.source, pay).map(|compiled| self.compiled.get_or_init(|| compiled)),
        }
    }
}

/// Compiles a pattern; `pay` is called with what it costs, in steps, before that is done.
///
/// # Errors
/// What `pay` says; what is wrong with the pattern, without quoting it: it may be made of a secret.
pub(super) fn compile<E: From<String>>(pattern: &str, mut pay: impl FnMut(usize) -> Result<(), E>) -> Result<Regex, E> {
    pay(SMALL_STEPS + pattern.len() / 8)?;
    let compiled = match build(pattern, SMALL) {
        Err(Error::CompiledTooBig(_)) => {
            pay(LARGE_STEPS)?;
            build(pattern, LARGEST)
        }
        small => small,
    };
    compiled.map_err(|error| E::from(describe(&error)))
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
