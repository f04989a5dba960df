//! Between nodes and JSON.

use serde_json::{Map, Value};

use super::{Key, MAX_DEPTH, MAX_EXPANDED_TEXT, MAX_NODES, Node, NodeValue};
use crate::runbook::diagnostic::{Diagnostic, Diagnostics};

/// Takes a JSON document, under the same limits.
///
/// # Errors
/// As [`super::read`].
pub fn from_json(value: &Value) -> Result<Node, Diagnostics> {
    let mut budget = Budget {
        nodes: MAX_NODES,
        text: MAX_EXPANDED_TEXT,
    };
    budget.node(value, 0).map_err(Diagnostics::from)
}

/// What may still be read.
struct Budget {
    nodes: usize,
    text: usize,
}

impl Budget {
    fn node(&mut self, value: &Value, depth: usize) -> Result<Node, Diagnostic> {
        self.nodes = self.nodes.checked_sub(1).ok_or_else(too_many_nodes)?;
        if depth >= MAX_DEPTH && (value.is_array() || value.is_object()) {
            return Err(too_deep());
        }
        Ok(Node::new(match value {
            Value::Null => NodeValue::Null,
            Value::Bool(boolean) => NodeValue::Boolean(*boolean),
            Value::Number(number) => match number.as_i64() {
                Some(integer) => NodeValue::Integer(integer),
                None => NodeValue::Number(number.as_f64().unwrap_or_default()),
            },
            Value::String(text) => NodeValue::Text(self.text(text)?),
            Value::Array(items) => NodeValue::List(items.iter().map(|item| self.node(item, depth + 1)).collect::<Result<_, _>>()?),
            Value::Object(entries) => NodeValue::Map(
                entries
                    .iter()
                    .map(|(name, value)| {
                        let key = Key {
                            name: self.text(name)?,
                            position: None,
                        };
                        Ok((key, self.node(value, depth + 1)?))
                    })
                    .collect::<Result<_, _>>()?,
            ),
        }))
    }

    fn text(&mut self, text: &str) -> Result<String, Diagnostic> {
        self.text = self.text.checked_sub(text.len()).ok_or_else(too_much_text)?;
        Ok(text.to_owned())
    }
}

impl Node {
    /// The same document as JSON.
    #[must_use]
    pub fn to_json(&self) -> Value {
        match &self.value {
            NodeValue::Null => Value::Null,
            NodeValue::Boolean(boolean) => Value::Bool(*boolean),
            NodeValue::Integer(integer) => Value::from(*integer),
            NodeValue::Number(number) => Value::from(*number),
            NodeValue::Text(text) => Value::String(text.clone()),
            NodeValue::List(items) => Value::Array(items.iter().map(Self::to_json).collect()),
            NodeValue::Map(entries) => Value::Object(
                entries
                    .iter()
                    .map(|(key, node)| (key.name.clone(), node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

pub(super) fn too_deep() -> Diagnostic {
    Diagnostic::error(
        "too-deep",
        "",
        None,
        format!("lists and maps are nested more than {MAX_DEPTH} deep"),
    )
}

pub(super) fn too_many_nodes() -> Diagnostic {
    Diagnostic::error(
        "too-many-nodes",
        "",
        None,
        format!("the document has more than {MAX_NODES} nodes, aliases expanded"),
    )
}

pub(super) fn too_much_text() -> Diagnostic {
    let message = format!("the document has more than {MAX_EXPANDED_TEXT} bytes of text, aliases expanded");
    Diagnostic::error("too-much-text", "", None, message)
}
