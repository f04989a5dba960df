//! The digest of a document.

use std::fmt::Write as _;

use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::runbook::document::{Node, NodeValue};

/// Hex SHA-256 over the document as compact JSON with sorted keys and integers wherever a number is one.
pub(super) fn digest(document: &Node) -> String {
    let mut canonical = String::new();
    serialize(document, &mut canonical);
    Sha256::digest(canonical.as_bytes()).iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn serialize(node: &Node, out: &mut String) {
    match &node.value {
        NodeValue::List(items) => separated(out, ['[', ']'], items, serialize),
        NodeValue::Map(entries) => {
            let mut entries: Vec<_> = entries.iter().map(|(key, value)| (key.name.as_str(), value)).collect();
            entries.sort_unstable_by_key(|(name, _)| *name);
            separated(out, ['{', '}'], &entries, |(name, value), out| {
                *out += &Value::from(*name).to_string();
                out.push(':');
                serialize(value, out);
            });
        }
        // The API server stores 5.0 as 5.
        NodeValue::Number(number) if number.fract() == 0.0 && number.abs() < 9e15 => drop(write!(out, "{:.0}", number + 0.0)),
        NodeValue::Number(number) => *out += &Value::from(*number).to_string(),
        NodeValue::Text(text) => *out += &Value::from(text.as_str()).to_string(),
        NodeValue::Integer(integer) => *out += &integer.to_string(),
        NodeValue::Boolean(boolean) => *out += if *boolean { "true" } else { "false" },
        NodeValue::Null => *out += "null",
    }
}

fn separated<T>(out: &mut String, brackets: [char; 2], items: &[T], mut each: impl FnMut(&T, &mut String)) {
    out.push(brackets[0]);
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        each(item, out);
    }
    out.push(brackets[1]);
}
