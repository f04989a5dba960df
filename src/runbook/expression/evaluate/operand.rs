//! Values while an expression is evaluated: borrowed from the scope and the program as long as nothing changes them.

use std::ops::Deref;
use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::{Map as JsonMap, Value};

use super::budget::DEEPEST;

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Failure {
    /// The budget is used up: nothing makes up for that.
    Exhausted(String),
    /// Everything else: the other side of `&&` and `||` may make up for it, as in CEL.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(message: String) -> Self {
        Self::Wrong(message)
    }
}

impl Failure {
    pub(super) fn message(self) -> String {
        match self {
            Self::Exhausted(message) | Self::Wrong(message) => message,
        }
    }
}

/// That there is no value, and why.
pub(super) fn wrong<T>(message: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Wrong(message.into()))
}

#[derive(Debug, Clone)]
pub(super) enum Operand<'e> {
    Null,
    Boolean(bool),
    /// Wide enough for all integers of JSON; arithmetic stays within 64 bits with a sign.
    Integer(i128),
    Double(f64),
    Text(Text<'e>),
    List(List<'e>),
    Map(Map<'e>),
}

#[derive(Debug, Clone)]
pub(super) enum Text<'e> {
    Borrowed(&'e str),
    Built(Rc<String>),
}

#[derive(Debug, Clone)]
pub(super) enum List<'e> {
    Borrowed(&'e [Value]),
    Built(Rc<Nested<Vec<Operand<'e>>>>),
}

#[derive(Debug, Clone)]
pub(super) enum Map<'e> {
    Borrowed(&'e JsonMap<String, Value>),
    Built(Rc<Nested<IndexMap<Key<'e>, Operand<'e>>>>),
}

/// What was built, and how many levels of lists and maps were built around its innermost value. Bounded, for a chain of macros may
/// wrap a value ever deeper.
#[derive(Debug, Clone)]
pub(super) struct Nested<T> {
    pub(super) items: T,
    depth: usize,
}

/// A key of a map literal. Maps of JSON have texts only.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Key<'e> {
    Boolean(bool),
    Integer(i128),
    Text(Text<'e>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Built(text) => text,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl std::hash::Hash for Text<'_> {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (**self).hash(state);
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Built(Rc::new(text))
    }
}

impl<'e> From<&'e Value> for Operand<'e> {
    fn from(value: &'e Value) -> Self {
        match value {
            Value::Null => Self::Null,
            Value::Bool(boolean) => Self::Boolean(*boolean),
            Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
                (Some(integer), ..) => Self::Integer(integer.into()),
                (_, Some(integer), _) => Self::Integer(integer.into()),
                (.., double) => Self::Double(double.unwrap_or(f64::NAN)),
            },
            Value::String(text) => Self::Text(Text::Borrowed(text)),
            Value::Array(values) => Self::List(List::Borrowed(values)),
            Value::Object(map) => Self::Map(Map::Borrowed(map)),
        }
    }
}

impl From<String> for Operand<'_> {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl<'e> From<Key<'e>> for Operand<'e> {
    fn from(key: Key<'e>) -> Self {
        match key {
            Key::Boolean(boolean) => Self::Boolean(boolean),
            Key::Integer(integer) => Self::Integer(integer),
            Key::Text(text) => Self::Text(text),
        }
    }
}

/// That lists and maps do not nest too deep.
pub(super) fn check_depth(depth: usize) -> Result<(), Failure> {
    if depth > DEEPEST {
        wrong(format!("lists and maps nest deeper than {DEEPEST} levels here"))
    } else {
        Ok(())
    }
}

/// The depth of what is built around these.
fn depth_around<'o, 'e: 'o>(operands: impl Iterator<Item = &'o Operand<'e>>) -> Result<usize, Failure> {
    let depth = 1 + operands.map(Operand::depth).max().unwrap_or_default();
    check_depth(depth)?;
    Ok(depth)
}

impl<'e> Operand<'e> {
    /// A list of these.
    ///
    /// # Errors
    /// It would nest too deep.
    pub(super) fn list(items: Vec<Self>) -> Result<Self, Failure> {
        let depth = depth_around(items.iter())?;
        Ok(Self::List(List::Built(Rc::new(Nested { items, depth }))))
    }

    /// A map of these.
    ///
    /// # Errors
    /// It would nest too deep.
    pub(super) fn map(items: IndexMap<Key<'e>, Self>) -> Result<Self, Failure> {
        let depth = depth_around(items.values())?;
        Ok(Self::Map(Map::Built(Rc::new(Nested { items, depth }))))
    }

    /// How many levels of lists and maps were built around its innermost value.
    fn depth(&self) -> usize {
        match self {
            Self::List(List::Built(list)) => list.depth,
            Self::Map(Map::Built(map)) => map.depth,
            _ => 0,
        }
    }

    /// Its type, as an error tells it.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Double(_) => "a double",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a map",
        }
    }

    /// It as a key of a map, unless it can be none.
    pub(super) fn key(&self) -> Option<Key<'e>> {
        match self {
            Self::Boolean(boolean) => Some(Key::Boolean(*boolean)),
            Self::Integer(integer) => Some(Key::Integer(*integer)),
            Self::Text(text) => Some(Key::Text(text.clone())),
            _ => None,
        }
    }

    /// It as a double, if it is a number.
    pub(super) fn number(&self) -> Option<f64> {
        match self {
            #[expect(clippy::cast_precision_loss, reason = "CEL compares an integer with a double as doubles")]
            Self::Integer(integer) => Some(*integer as f64),
            Self::Double(double) => Some(*double),
            _ => None,
        }
    }
}

impl<'e> List<'e> {
    /// Both lists as one. Appends in place where nobody else holds this one, so that a chain of sums copies each item once;
    /// `copies` is told how many items are copied.
    pub(super) fn concatenate(self, other: &Self, mut copies: impl FnMut(usize) -> Result<(), Failure>) -> Result<Self, Failure> {
        copies(other.len())?;
        let mut built = match self {
            Self::Built(built) if Rc::strong_count(&built) == 1 => built,
            shared => {
                copies(shared.len())?;
                let items: Vec<_> = shared.iter().collect();
                let depth = depth_around(items.iter())?;
                Rc::new(Nested { items, depth })
            }
        };
        let nested = Rc::make_mut(&mut built);
        let before = nested.items.len();
        nested.items.extend(other.iter());
        nested.depth = nested.depth.max(depth_around(nested.items.iter().skip(before))?);
        Ok(Self::Built(built))
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(values) => values.len(),
            Self::Built(list) => list.items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Operand<'e>> {
        match self {
            Self::Borrowed(values) => values.get(index).map(Operand::from),
            Self::Built(list) => list.items.get(index).cloned(),
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = Operand<'e>> {
        (0..self.len()).map_while(|index| self.get(index))
    }
}

impl<'e> Map<'e> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(map) => map.len(),
            Self::Built(map) => map.items.len(),
        }
    }

    pub(super) fn get(&self, key: &Key<'e>) -> Option<Operand<'e>> {
        match (self, key) {
            (Self::Borrowed(map), Key::Text(text)) => map.get(&**text).map(Operand::from),
            (Self::Borrowed(_), _) => None,
            (Self::Built(map), key) => map.items.get(key).cloned(),
        }
    }

    pub(super) fn keys(&self) -> Vec<Key<'e>> {
        match self {
            Self::Borrowed(map) => map.keys().map(|key| Key::Text(Text::Borrowed(key))).collect(),
            Self::Built(map) => map.items.keys().cloned().collect(),
        }
    }

    /// Its keys, as a list.
    pub(super) fn key_list(&self) -> List<'e> {
        let items = self.keys().into_iter().map(Operand::from).collect();
        List::Built(Rc::new(Nested { items, depth: 1 }))
    }
}
