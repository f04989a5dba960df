//! The commonest break in the wild: a `key: value` line at the column of the list above it.
//!
//! ```yaml
//! steps:
//!   - type: http_request
//!   url: https://example.org    # meant: two columns to the right
//! ```

use serde_yaml::granit_parser::ErrorKind;

use super::load::{Content, Frame, load};
use super::{MAX_TEXT, Node};
use crate::runbook::diagnostic::{Diagnostic, Position};

/// A line at the column of the list above it.
pub(super) struct Misplaced {
    /// Where the key stands.
    position: Position,
    key: String,
    meant: Meant,
}

/// What was meant.
enum Meant {
    /// The key belongs at this column, counted from 1.
    Column { column: usize, owner: Owner },
    /// The list is a member of a map of its own, under this key: `services`, in a registry's group.
    Wrapped { under: &'static str, list: Position },
    /// Neither place is free.
    Unclear,
}

#[derive(Clone, Copy)]
enum Owner {
    Item,
    Parent,
}

impl Misplaced {
    /// Looks at where the parser stopped.
    pub(super) fn find(source: &str, stack: &[Frame], kind: &ErrorKind, at: Position) -> Option<Self> {
        let (list, around) = stack.split_last()?;
        let Content::List(items) = &list.content else { return None };
        if *kind != ErrorKind::ExpectedBlockSequenceEntry || !list.block || list.position.column != at.column {
            return None;
        }
        let key = key_of(source.lines().nth(at.line.checked_sub(1)?)?)?;
        Some(Self {
            position: at,
            meant: meant(&key, items, list.position, around),
            key,
        })
    }

    pub(super) fn diagnostic(&self, path: String) -> Diagnostic {
        let Self { position, key, meant } = self;
        let message = format!("\"{key}\" stands at the column of the list above it, where only another item can");
        let spaces = |column: usize| column.saturating_sub(1);
        let fix = match meant {
            Meant::Column {
                column,
                owner: Owner::Item,
            } => {
                format!(
                    "indent line {} by {} spaces, so that it belongs to the item above",
                    position.line,
                    spaces(*column)
                )
            }
            Meant::Column {
                column,
                owner: Owner::Parent,
            } => {
                format!(
                    "indent line {} by {} spaces, so that it stands beside the list's own key",
                    position.line,
                    spaces(*column)
                )
            }
            Meant::Wrapped { under, list } => format!("put the list under a key \"{under}:\" of its own, above line {}", list.line),
            Meant::Unclear => "indent it like the keys it belongs to".to_owned(),
        };
        Diagnostic::error("mis-indented-key", path, Some(*position), message).with_fix(fix)
    }

    /// The text with the line, and all that hangs on it, where it was meant.
    fn edit(&self, text: &str) -> Option<String> {
        let lines: Vec<&str> = text.split_inclusive('\n').collect();
        match self.meant {
            Meant::Column { column, .. } => {
                let first = self.position.line.checked_sub(1)?;
                let block = first..end_of_block(&lines, first)?;
                let (from, to) = (self.position.column.checked_sub(1)?, column.checked_sub(1)?);
                Some(shifted(&lines, block, from, to))
            }
            Meant::Wrapped { under, list } => {
                let first = list.line.checked_sub(1)?;
                let column = list.column.checked_sub(1)?;
                let block = first..self.position.line.checked_sub(1)?;
                let moved = shifted(&lines, block, column, column + 2);
                let before: usize = lines.get(..first)?.iter().map(|line| line.len()).sum();
                let (head, tail) = moved.split_at_checked(before)?;
                Some(format!("{head}{}{under}:\n{tail}", " ".repeat(column)))
            }
            Meant::Unclear => None,
        }
    }
}

/// The item above first: there the key acts no wider than its author could have meant.
fn meant(key: &str, items: &[Node], list: Position, around: &[Frame]) -> Meant {
    let entries = items.last().and_then(Node::as_map).unwrap_or_default();
    let item_column = entries
        .first()
        .and_then(|(key, _)| key.position)
        .filter(|first| first.column > list.column);
    if let Some(column) = item_column.map(|first| first.column)
        && entries.iter().all(|(other, _)| other.name != key)
    {
        return Meant::Column {
            column,
            owner: Owner::Item,
        };
    }
    let keys = |frame: &Frame| match &frame.content {
        Content::Map { entries, key, .. } => entries.iter().map(|(key, _)| key).chain(key).cloned().collect(),
        Content::List(_) => Vec::new(),
    };
    let is_group = around
        .iter()
        .rev()
        .nth(1)
        .is_some_and(|frame| keys(frame).last().is_some_and(|key| key.name == "service_groups"));
    if is_group {
        return Meant::Wrapped { under: "services", list };
    }
    let siblings = around.last().map(keys).unwrap_or_default();
    match siblings.first().and_then(|sibling| sibling.position) {
        Some(first) if first.column < list.column && siblings.iter().all(|sibling| sibling.name != key) => Meant::Column {
            column: first.column,
            owner: Owner::Parent,
        },
        _ => Meant::Unclear,
    }
}

/// The key of a `key: value` line, unquoted.
fn key_of(line: &str) -> Option<String> {
    let line = line.trim();
    let (key, rest) = match line.chars().next()? {
        quote @ ('"' | '\'') => line.get(1..)?.split_once(quote)?,
        _ => line.split_at_checked(line.find(": ").or_else(|| line.strip_suffix(':').map(str::len))?)?,
    };
    (rest.trim_start().starts_with(':') && !key.is_empty()).then(|| key.to_owned())
}

fn indentation_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// Past the last line that hangs on the one at `first`.
fn end_of_block(lines: &[&str], first: usize) -> Option<usize> {
    let own = indentation_of(lines.get(first)?);
    let mut end = first + 1;
    for (index, line) in lines.iter().enumerate().skip(first + 1) {
        if !line.trim().is_empty() {
            if indentation_of(line) <= own {
                break;
            }
            end = index + 1;
        }
    }
    Some(end)
}

fn shifted(lines: &[&str], block: std::ops::Range<usize>, from: usize, to: usize) -> String {
    let mut text = String::with_capacity(lines.iter().map(|line| line.len()).sum());
    for (index, line) in lines.iter().enumerate() {
        let blank = line.trim().is_empty();
        if !block.contains(&index) || blank {
            text.push_str(line);
        } else if to >= from {
            text.push_str(&" ".repeat(to - from));
            text.push_str(line);
        } else {
            text.push_str(line.get((from - to).min(indentation_of(line))..).unwrap_or(line));
        }
    }
    text
}

/// Moves every line that stands at the column of the list above it to where it was meant, and changes nothing else.
///
/// `None` where there is no such line, or none whose place is clear.
#[must_use]
pub fn repair(text: &str) -> Option<String> {
    const MOST_EDITS: usize = 100;
    let mut repaired: Option<String> = None;
    for _ in 0..MOST_EDITS {
        let current = repaired.as_deref().unwrap_or(text);
        if current.len() > MAX_TEXT {
            break;
        }
        let misplaced = load(current).err().and_then(|failure| failure.misplaced);
        match misplaced.and_then(|misplaced| misplaced.edit(current)) {
            Some(edited) => repaired = Some(edited),
            None => break,
        }
    }
    repaired
}
