//! A resolved path, and what it finds and sets in a document.

use std::fmt;

use serde_json::{Map, Value};

use super::super::substitute::Piece;
use super::write_key;

/// A path with nothing left to substitute.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ResolvedPath {
    pub(super) segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Segment {
    /// `*`
    Any,
    Key(String),
}

impl ResolvedPath {
    /// The path `.*.name` of a service.
    #[must_use]
    pub fn service(name: &str) -> Self {
        Self {
            segments: vec![Segment::Any, Segment::Key(name.to_owned())],
        }
    }

    /// Whether it holds a `*`.
    #[must_use]
    pub fn has_wildcard(&self) -> bool {
        self.segments.contains(&Segment::Any)
    }

    /// The value at the first place, in document order, that the path names.
    #[must_use]
    pub fn get<'a>(&self, document: &'a Value) -> Option<&'a Value> {
        find(&self.segments, document)
    }

    /// Puts the value at every place that the path names, and counts them.
    ///
    /// Without a `*` that is one place, and the maps on the way to it are created; null counts as missing. With a `*`
    /// it is wherever the segments before the last exist, which may be nowhere.
    ///
    /// # Errors
    /// Without a `*`, something other than a map in the way, named with its segment; and the path `.`. The document is
    /// then as it was.
    pub fn set(&self, document: &mut Value, value: &Value) -> Result<usize, String> {
        let Some((last, before)) = self.segments.split_last() else {
            return Err("`.` is the whole document and cannot be set".to_owned());
        };
        if self.has_wildcard() {
            return Ok(set_everywhere(before, last, document, value));
        }
        let mut place = document;
        for (depth, segment) in self.segments.iter().enumerate() {
            let Segment::Key(key) = segment else { continue };
            place = enter(place, key).map_err(|problem| format!("{problem} at `{}`", self.up_to(depth)))?;
        }
        *place = value.clone();
        Ok(1)
    }

    /// The path of its first so many segments.
    fn up_to(&self, depth: usize) -> Self {
        Self {
            segments: self.segments.iter().take(depth).cloned().collect(),
        }
    }
}

/// Sets all of them or, where one fails, none; counts the places that were set.
///
/// # Errors
/// The first path that cannot be set, and why.
pub fn apply_all(document: &mut Value, updates: &[(ResolvedPath, Value)]) -> Result<usize, String> {
    let mut changed = document.clone();
    let mut count = 0;
    for (path, value) in updates {
        count += path
            .set(&mut changed, value)
            .map_err(|problem| format!("failed to set `{path}`: {problem}"))?;
    }
    *document = changed;
    Ok(count)
}

fn find<'a>(segments: &[Segment], value: &'a Value) -> Option<&'a Value> {
    let Some((first, rest)) = segments.split_first() else {
        return Some(value);
    };
    match (first, value) {
        (Segment::Key(key), _) => find(rest, child(value, key)?),
        (Segment::Any, Value::Object(map)) => map.values().find_map(|value| find(rest, value)),
        (Segment::Any, Value::Array(items)) => items.iter().find_map(|value| find(rest, value)),
        (Segment::Any, _) => None,
    }
}

fn child<'a>(value: &'a Value, key: &str) -> Option<&'a Value> {
    match value {
        Value::Object(map) => map.get(key),
        Value::Array(items) => items.get(index(key)?),
        _ => None,
    }
}

fn child_mut<'a>(value: &'a mut Value, key: &str) -> Option<&'a mut Value> {
    match value {
        Value::Object(map) => map.get_mut(key),
        Value::Array(items) => items.get_mut(index(key)?),
        _ => None,
    }
}

/// Only the canonical spelling of a number is an index, so that `07` and `+7` stay keys.
fn index(key: &str) -> Option<usize> {
    key.parse::<usize>().ok().filter(|index| index.to_string() == key)
}

/// The place of this key, created in a map.
fn enter<'a>(place: &'a mut Value, key: &str) -> Result<&'a mut Value, String> {
    if place.is_null() {
        *place = Value::Object(Map::new());
    }
    match place {
        Value::Object(map) => Ok(map.entry(key).or_insert(Value::Null)),
        Value::Array(items) => {
            let length = items.len();
            let item = index(key).and_then(|index| items.get_mut(index));
            item.ok_or_else(|| format!("there is no item {key:?} in the list of {length}"))
        }
        other => Err(format!("there is {} and no map", kind(other))),
    }
}

fn set_everywhere(before: &[Segment], last: &Segment, place: &mut Value, value: &Value) -> usize {
    match (before.split_first(), place) {
        (None, place) => set_last(last, place, value),
        (Some((Segment::Key(key), rest)), place) => child_mut(place, key).map_or(0, |place| set_everywhere(rest, last, place, value)),
        (Some((Segment::Any, rest)), Value::Object(map)) => map.values_mut().map(|place| set_everywhere(rest, last, place, value)).sum(),
        (Some((Segment::Any, rest)), Value::Array(items)) => items.iter_mut().map(|place| set_everywhere(rest, last, place, value)).sum(),
        (Some((Segment::Any, _)), _) => 0,
    }
}

fn set_last(last: &Segment, place: &mut Value, value: &Value) -> usize {
    match (last, place) {
        (Segment::Key(key), Value::Object(map)) => {
            map.insert(key.clone(), value.clone());
            1
        }
        (Segment::Key(key), place) => child_mut(place, key).map_or(0, |item| {
            *item = value.clone();
            1
        }),
        (Segment::Any, Value::Object(map)) => map.values_mut().map(|place| *place = value.clone()).count(),
        (Segment::Any, Value::Array(items)) => items.iter_mut().map(|place| *place = value.clone()).count(),
        (Segment::Any, _) => 0,
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "a map",
    }
}

/// What [`super::StatePath::parse`] reads back.
impl fmt::Display for ResolvedPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.segments.is_empty() {
            return f.write_str(".");
        }
        for segment in &self.segments {
            match segment {
                Segment::Any => f.write_str(".*")?,
                Segment::Key(key) if key.is_empty() => f.write_str(".\"\"")?,
                Segment::Key(key) => write_key(f, &[Piece::Literal(key.clone())])?,
            }
        }
        Ok(())
    }
}
