//! YAML text or JSON to a tree of nodes that know their position.

use super::diagnostic::{Diagnostics, Position};

/// A node of the document.
#[derive(Debug, Clone)]
pub struct Node {
    pub value: NodeValue,
    /// Absent where the document came as JSON.
    pub position: Option<Position>,
}

/// What a node holds.
#[derive(Debug, Clone)]
pub enum NodeValue {
    Null,
    Boolean(bool),
    Integer(i64),
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
pub fn read(_text: &str) -> Result<Node, Diagnostics> {
    unimplemented!()
}

/// Takes a JSON document, under the same limits.
///
/// # Errors
/// As [`read`].
pub fn from_json(_value: &serde_json::Value) -> Result<Node, Diagnostics> {
    unimplemented!()
}
