//! The functions on text.

use regex::Regex;

use super::super::function::Function;
use super::super::pattern::{self, Pattern};
use super::budget::ELEMENT;
use super::operand::{Failure, List, Operand, Text, wrong};
use super::{Evaluation, Outcome};

/// What matching costs in comparison with other ways to read a text.
const PATTERN_FACTOR: usize = 8;

impl<'e> Evaluation<'e, '_> {
    /// A function on a text, its number of arguments checked.
    pub(super) fn call_text(&mut self, function: Function, text: &Text<'e>, arguments: &[Operand<'e>]) -> Outcome<'e> {
        self.budget.read(text.len())?;
        match function {
            Function::Trim => match text {
                Text::Borrowed(text) => Ok(Operand::Text(Text::Borrowed(text.trim()))),
                Text::Built(text) => self.produced(text.trim().to_owned()),
            },
            Function::LowerAscii => self.produced(text.to_ascii_lowercase()),
            Function::UpperAscii => self.produced(text.to_ascii_uppercase()),
            Function::Split => self.split(text, arguments),
            Function::Replace => self.replace(text, arguments),
            Function::Matches => self.matches(text, text_argument(function, arguments, 0)?),
            _ => {
                let part = text_argument(function, arguments, 0)?;
                Ok(Operand::Boolean(match function {
                    Function::StartsWith => text.starts_with(part),
                    Function::EndsWith => text.ends_with(part),
                    _ => text.contains(part),
                }))
            }
        }
    }

    fn matches(&mut self, text: &str, pattern: &str) -> Outcome<'e> {
        if let Some(compiled) = self.patterns.get(pattern).cloned() {
            return self.is_match(text, &compiled);
        }
        let compiled = pattern::compile(pattern, |steps| self.budget.step(steps))?;
        self.patterns.insert(pattern.to_owned(), compiled.clone());
        self.is_match(text, &compiled)
    }

    /// `matches` with a pattern that stands in the text of the expression.
    pub(super) fn matches_literal(&mut self, text: &str, pattern: &Pattern) -> Outcome<'e> {
        let compiled = pattern.get(|steps| self.budget.step(steps))?;
        self.is_match(text, compiled)
    }

    fn is_match(&mut self, text: &str, pattern: &Regex) -> Outcome<'e> {
        self.budget.read(text.len().saturating_mul(PATTERN_FACTOR))?;
        Ok(Operand::Boolean(pattern.is_match(text)))
    }

    /// The parts between separators, at most `limit` of them; an empty separator parts every two characters.
    fn split(&mut self, text: &Text<'e>, arguments: &[Operand<'e>]) -> Outcome<'e> {
        let separator = text_argument(Function::Split, arguments, 0)?;
        let limit = limit_argument(Function::Split, arguments, 1)?;
        let mut parts = Vec::new();
        match text {
            Text::Borrowed(text) => split(text, separator, limit, |part| {
                self.budget.produce(ELEMENT)?;
                parts.push(Operand::Text(Text::Borrowed(part)));
                Ok(())
            })?,
            Text::Built(text) => split(text, separator, limit, |part| {
                self.budget.produce(ELEMENT + part.len())?;
                parts.push(Operand::from(part.to_owned()));
                Ok(())
            })?,
        }
        self.budget.step(parts.len())?;
        Operand::list(parts)
    }

    pub(super) fn join(&mut self, list: &List<'e>, arguments: &[Operand<'e>]) -> Outcome<'e> {
        let separator = if arguments.is_empty() {
            ""
        } else {
            text_argument(Function::Join, arguments, 0)?
        };
        let mut joined = String::new();
        for (index, item) in list.iter().enumerate() {
            self.budget.step(1)?;
            if index > 0 {
                self.budget.produce(separator.len())?;
                joined.push_str(separator);
            }
            item.write_to(&mut joined, &mut self.budget)?;
        }
        Ok(joined.into())
    }

    fn replace(&mut self, text: &str, arguments: &[Operand<'e>]) -> Outcome<'e> {
        let old = text_argument(Function::Replace, arguments, 0)?;
        let new = text_argument(Function::Replace, arguments, 1)?;
        let limit = limit_argument(Function::Replace, arguments, 2)?.unwrap_or(usize::MAX);
        let count = text.matches(old).take(limit).count();
        self.budget
            .produce((text.len() - count * old.len()).saturating_add(count.saturating_mul(new.len())))?;
        Ok(text.replacen(old, new, count).into())
    }

    fn produced(&mut self, text: String) -> Outcome<'e> {
        self.budget.produce(text.len())?;
        Ok(text.into())
    }
}

fn split<'t>(
    text: &'t str,
    separator: &str,
    limit: Option<usize>,
    mut push: impl FnMut(&'t str) -> Result<(), Failure>,
) -> Result<(), Failure> {
    if limit == Some(0) {
        return Ok(());
    }
    let mut left = limit.unwrap_or(usize::MAX);
    let mut rest = text;
    while left > 1 {
        let end = if separator.is_empty() {
            rest.char_indices().nth(1).map(|(at, _)| at)
        } else {
            rest.find(separator)
        };
        let Some(end) = end else { break };
        push(&rest[..end])?;
        rest = &rest[end + separator.len()..];
        left -= 1;
    }
    if separator.is_empty() && text.is_empty() {
        Ok(())
    } else {
        push(rest)
    }
}

fn text_argument<'a>(function: Function, arguments: &'a [Operand<'_>], index: usize) -> Result<&'a str, Failure> {
    match arguments.get(index) {
        Some(Operand::Text(text)) => Ok(text),
        other => wrong(format!(
            "`{}` takes text for an argument, got {}",
            function.name(),
            other.map_or("nothing", Operand::kind)
        )),
    }
}

/// How often at most; as often as possible where it is not given or negative.
fn limit_argument(function: Function, arguments: &[Operand<'_>], index: usize) -> Result<Option<usize>, Failure> {
    match arguments.get(index) {
        None | Some(Operand::Integer(..0)) => Ok(None),
        Some(Operand::Integer(limit)) => Ok(Some(usize::try_from(*limit).unwrap_or(usize::MAX))),
        Some(other) => wrong(format!("the limit of `{}` is an integer, got {}", function.name(), other.kind())),
    }
}
