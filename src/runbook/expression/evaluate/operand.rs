//! Values while an expression is evaluated: borrowed from the scope and the program as long as nothing changes them.

use std::ops::Deref;
use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::{Map as JsonMap, Number, Value};

use super::budget::{Budget, ELEMENT};

/// Why there is no value.
#[derive(Debug)]
pub(super) enum Failure {
    /// The budget is used up: nothing makes up for that.
    Exhausted(String),
    /// Everything else: the other side of `&&` and `||` may make up for it, as in CEL.
    Wrong(String),
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
    Built(Rc<Vec<Operand<'e>>>),
}

#[derive(Debug, Clone)]
pub(super) enum Map<'e> {
    Borrowed(&'e JsonMap<String, Value>),
    Built(Rc<IndexMap<Key<'e>, Operand<'e>>>),
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

impl<'e> From<Vec<Operand<'e>>> for Operand<'e> {
    fn from(items: Vec<Operand<'e>>) -> Self {
        Self::List(List::Built(Rc::new(items)))
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

impl<'e> Operand<'e> {
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

    /// It as JSON. What was borrowed whole costs nothing; what was built costs its text.
    pub(super) fn into_value(self, budget: &mut Budget) -> Result<Value, Failure> {
        Ok(match self {
            Self::Null => Value::Null,
            Self::Boolean(boolean) => Value::Bool(boolean),
            Self::Integer(integer) => Value::Number(integer_to_json(integer)?),
            Self::Double(double) => match Number::from_f64(double) {
                Some(number) => Value::Number(number),
                None => return wrong("the result is infinite or not a number, and neither has a place in a document"),
            },
            Self::Text(Text::Borrowed(text)) => Value::String(text.to_owned()),
            Self::Text(Text::Built(text)) => Value::String(Rc::unwrap_or_clone(text)),
            Self::List(List::Borrowed(values)) => Value::Array(values.to_vec()),
            Self::Map(Map::Borrowed(map)) => Value::Object(map.clone()),
            Self::List(List::Built(items)) => {
                let items = Rc::unwrap_or_clone(items).into_iter();
                Value::Array(items.map(|item| item.into_element(budget)).collect::<Result<_, _>>()?)
            }
            Self::Map(Map::Built(entries)) => Value::Object(map_to_json(&entries, budget)?),
        })
    }

    /// It as JSON inside of a list or a map that was built, where what was borrowed costs its text too.
    fn into_element(self, budget: &mut Budget) -> Result<Value, Failure> {
        match &self {
            Self::Text(text) => budget.produce(text.len())?,
            Self::List(List::Borrowed(values)) => values.iter().try_for_each(|value| weigh(value, budget))?,
            Self::Map(Map::Borrowed(map)) => weigh_map(map, budget)?,
            _ => {}
        }
        budget.produce(ELEMENT)?;
        self.into_value(budget)
    }

    /// Writes it as text: texts as they are, null as nothing, all else as compact JSON.
    pub(super) fn write_to(&self, target: &mut String, budget: &mut Budget) -> Result<(), Failure> {
        match self {
            Self::Null => Ok(()),
            Self::Text(text) => {
                budget.produce(text.len())?;
                target.push_str(text);
                Ok(())
            }
            other => {
                let text = other.clone().into_element(budget)?.to_string();
                budget.produce(text.len())?;
                target.push_str(&text);
                Ok(())
            }
        }
    }
}

fn integer_to_json(integer: i128) -> Result<Number, Failure> {
    let small = i64::try_from(integer).map(Number::from);
    small
        .or_else(|_| u64::try_from(integer).map(Number::from))
        .or_else(|_| wrong("the result is an integer of more than 64 bits"))
}

fn map_to_json(entries: &IndexMap<Key<'_>, Operand<'_>>, budget: &mut Budget) -> Result<JsonMap<String, Value>, Failure> {
    let mut map = JsonMap::with_capacity(entries.len());
    for (key, item) in entries {
        let key = match key {
            Key::Boolean(boolean) => boolean.to_string(),
            Key::Integer(integer) => integer.to_string(),
            Key::Text(text) => text.to_string(),
        };
        budget.produce(key.len())?;
        if map.insert(key, item.clone().into_element(budget)?).is_some() {
            return wrong("two keys of this map are the same text in a document, such as 1 and '1'");
        }
    }
    Ok(map)
}

/// Accounts for the text of a value that is copied into something built.
fn weigh(value: &Value, budget: &mut Budget) -> Result<(), Failure> {
    budget.produce(ELEMENT)?;
    match value {
        Value::String(text) => budget.produce(text.len()),
        Value::Array(values) => values.iter().try_for_each(|value| weigh(value, budget)),
        Value::Object(map) => weigh_map(map, budget),
        _ => Ok(()),
    }
}

fn weigh_map(map: &JsonMap<String, Value>, budget: &mut Budget) -> Result<(), Failure> {
    map.iter().try_for_each(|(key, value)| {
        budget.produce(key.len())?;
        weigh(value, budget)
    })
}

impl<'e> List<'e> {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Borrowed(values) => values.len(),
            Self::Built(items) => items.len(),
        }
    }

    pub(super) fn get(&self, index: usize) -> Option<Operand<'e>> {
        match self {
            Self::Borrowed(values) => values.get(index).map(Operand::from),
            Self::Built(items) => items.get(index).cloned(),
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
            Self::Built(map) => map.len(),
        }
    }

    pub(super) fn get(&self, key: &Key<'e>) -> Option<Operand<'e>> {
        match (self, key) {
            (Self::Borrowed(map), Key::Text(text)) => map.get(&**text).map(Operand::from),
            (Self::Borrowed(_), _) => None,
            (Self::Built(map), key) => map.get(key).cloned(),
        }
    }

    pub(super) fn keys(&self) -> Vec<Key<'e>> {
        match self {
            Self::Borrowed(map) => map.keys().map(|key| Key::Text(Text::Borrowed(key))).collect(),
            Self::Built(map) => map.keys().cloned().collect(),
        }
    }
}
