//! Regular expressions, bounded: matching takes time linear in the text, compiling little memory.

use regex::{Regex, RegexBuilder};

/// Most memory that a compiled pattern may take, in bytes.
const LARGEST: usize = 256 * 1024;

/// Compiles a pattern.
///
/// # Errors
/// What is wrong with it, without quoting it: it may be made of a secret.
pub(super) fn compile(pattern: &str) -> Result<Regex, String> {
    RegexBuilder::new(pattern)
        .size_limit(LARGEST)
        .nest_limit(50)
        .build()
        .map_err(|error| match error {
            regex::Error::CompiledTooBig(_) => "the pattern is too large once it is compiled: fewer or smaller repetitions".to_owned(),
            _ => "the pattern is no regular expression (RE2 syntax, neither look-around nor back-references)".to_owned(),
        })
}
