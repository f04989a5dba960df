//! A command as characters and values, read from left to right.

use crate::runbook::shell::Part;

/// A character or a value of the command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unit {
    Character(char),
    Value,
    /// `${raw(...)}`
    Raw,
}

/// The units of a command with their offsets, and how far they were read.
pub(super) struct Units {
    units: Vec<(Unit, usize)>,
    next: usize,
}

impl Units {
    pub(super) fn new(parts: &[Part<'_>]) -> Self {
        let mut units = Vec::new();
        for part in parts {
            match part {
                Part::Literal { text, offset } => {
                    units.extend(text.char_indices().map(|(index, c)| (Unit::Character(c), *offset + index)));
                }
                Part::Expression { expression, offset } => {
                    let unit = if expression.is_raw() { Unit::Raw } else { Unit::Value };
                    units.push((unit, *offset));
                }
            }
        }
        Self { units, next: 0 }
    }

    /// Goes past the next unit.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    pub(super) fn peek(&self) -> Option<Unit> {
        self.units.get(self.next).map(|(unit, _)| *unit)
    }

    pub(super) fn peek_character(&self) -> Option<char> {
        match self.peek() {
            Some(Unit::Character(c)) => Some(c),
            _ => None,
        }
    }

    /// Whether these characters come next.
    pub(super) fn sees(&self, text: &str) -> bool {
        text.chars()
            .enumerate()
            .all(|(index, c)| self.units.get(self.next + index).map(|(unit, _)| *unit) == Some(Unit::Character(c)))
    }

    /// Takes these characters if they come next.
    pub(super) fn take(&mut self, text: &str) -> bool {
        let seen = self.sees(text);
        if seen {
            self.next += text.chars().count();
        }
        seen
    }

    pub(super) fn offset(&self) -> usize {
        self.units.get(self.next).or(self.units.last()).map_or(0, |(_, offset)| *offset)
    }
}
