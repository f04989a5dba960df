//! YAML text or JSON to a tree of nodes that know their position.
//!
//! Scalars are those of the YAML 1.2 core schema: `yes`, `no`, `on` and `off` are text. Tags, several documents in one
//! text, keys that are no scalar, and numbers that JSON cannot hold are refused. Merge keys (`<<`) are resolved.

mod indentation;
mod json;
mod load;
mod scalar;

use super::diagnostic::{Diagnostic, Diagnostics, Position};

pub use indentation::repair;
pub use json::from_json;

/// The longest text, in bytes.
pub const MAX_TEXT: usize = 512 * 1024;
/// The longest inline document, in bytes of its JSON. For those who take one in: [`from_json`] does not know how it was sent.
pub const MAX_INLINE: usize = 200 * 1024;
/// The most nodes, aliases expanded.
pub const MAX_NODES: usize = 100_000;
/// The most bytes of text, aliases expanded.
pub const MAX_EXPANDED_TEXT: usize = 4 * MAX_TEXT;
/// The deepest nesting of lists and maps.
pub const MAX_DEPTH: usize = 64;

/// A node of the document.
#[derive(Debug, Clone)]
pub struct Node {
    pub value: NodeValue,
    /// Absent where the document came as JSON.
    pub position: Option<Position>,
    /// Where the first character of a text stands, if the text stands in the document as it is: on one line and
    /// without escapes, or as a literal block.
    pub origin: Option<Position>,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum NodeValue {
    Null,
    Boolean(bool),
    Integer(i64),
    /// Always finite.
    Number(f64),
    Text(String),
    List(Vec<Node>),
    /// Keys are unique and keep their order; a key's own position stands in its node.
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Debug, Clone)]
pub struct Key {
    pub name: String,
    pub position: Option<Position>,
}

/// Reads YAML text strictly.
///
/// # Errors
/// Diagnostics for what is no YAML, is a duplicate key, or is over a limit.
pub fn read(text: &str) -> Result<Node, Diagnostics> {
    if text.len() > MAX_TEXT {
        return Err(Diagnostic::error(
            "too-large",
            "",
            None,
            format!("the document has {} bytes; at most {MAX_TEXT} are allowed", text.len()),
        )
        .into());
    }
    load::load(text).map_err(|failure| failure.diagnostics)
}

impl Node {
    /// A node without a position.
    #[must_use]
    pub fn new(value: NodeValue) -> Self {
        Self {
            value,
            position: None,
            origin: None,
        }
    }

    /// The value of a key, if this is a map that has it.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_map()?.iter().find(|(key, _)| key.name == name).map(|(_, node)| node)
    }

    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(self.value, NodeValue::Null)
    }

    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match &self.value {
            NodeValue::Text(text) => Some(text),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_boolean(&self) -> Option<bool> {
        match self.value {
            NodeValue::Boolean(boolean) => Some(boolean),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_integer(&self) -> Option<i64> {
        match self.value {
            NodeValue::Integer(integer) => Some(integer),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_list(&self) -> Option<&[Self]> {
        match &self.value {
            NodeValue::List(items) => Some(items),
            _ => None,
        }
    }

    #[must_use]
    pub fn as_map(&self) -> Option<&[(Key, Self)]> {
        match &self.value {
            NodeValue::Map(entries) => Some(entries),
            _ => None,
        }
    }

    /// What this is, for a message: `a list`, `text`.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.value {
            NodeValue::Null => "nothing",
            NodeValue::Boolean(_) => "a boolean",
            NodeValue::Integer(_) => "an integer",
            NodeValue::Number(_) => "a number",
            NodeValue::Text(_) => "text",
            NodeValue::List(_) => "a list",
            NodeValue::Map(_) => "a map",
        }
    }

    /// The place in the document of a byte of this node's text; the node's own place where that cannot be told.
    #[must_use]
    pub fn position_at(&self, offset: usize) -> Option<Position> {
        let (Some(origin), Some(before)) = (self.origin, self.as_text().and_then(|text| text.get(..offset))) else {
            return self.position;
        };
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Some(Position {
            line: origin.line + before.matches('\n').count(),
            column: origin.column + before.get(line_start..).map_or(0, |line| line.chars().count()),
        })
    }
}

#[cfg(test)]
mod tests;
