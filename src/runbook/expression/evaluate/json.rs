//! Operands to JSON and to text.

use std::rc::Rc;

use indexmap::IndexMap;
use serde_json::{Map as JsonMap, Number, Value};

use super::budget::{Budget, ELEMENT};
use super::operand::{Failure, Key, List, Map, Operand, Text, check_depth, wrong};

impl Operand<'_> {
    /// It as JSON. What was borrowed whole costs nothing; what was built costs its text.
    pub(super) fn into_value(self, budget: &mut Budget) -> Result<Value, Failure> {
        self.into_value_at(0, budget)
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
                let text = other.clone().into_element(0, budget)?.to_string();
                budget.produce(text.len())?;
                target.push_str(&text);
                Ok(())
            }
        }
    }

    /// It as JSON, so many levels down in lists and maps that were built.
    fn into_value_at(self, depth: usize, budget: &mut Budget) -> Result<Value, Failure> {
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
            Self::List(List::Built(list)) => {
                let items = Rc::unwrap_or_clone(list).items.into_iter();
                Value::Array(items.map(|item| item.into_element(depth + 1, budget)).collect::<Result<_, _>>()?)
            }
            Self::Map(Map::Built(map)) => Value::Object(map_to_json(&map.items, depth, budget)?),
        })
    }

    /// As [`Operand::into_value_at`] inside of a list or a map that was built, where what was borrowed costs its text too.
    fn into_element(self, depth: usize, budget: &mut Budget) -> Result<Value, Failure> {
        match &self {
            Self::Text(text) => budget.produce(text.len())?,
            Self::List(List::Borrowed(values)) => weigh_all(values, depth, budget)?,
            Self::Map(Map::Borrowed(map)) => weigh_map(map, depth, budget)?,
            _ => {}
        }
        budget.produce(ELEMENT)?;
        self.into_value_at(depth, budget)
    }
}

fn integer_to_json(integer: i128) -> Result<Number, Failure> {
    let small = i64::try_from(integer).map(Number::from);
    small
        .or_else(|_| u64::try_from(integer).map(Number::from))
        .or_else(|_| wrong("the result is an integer of more than 64 bits"))
}

fn map_to_json(items: &IndexMap<Key<'_>, Operand<'_>>, depth: usize, budget: &mut Budget) -> Result<JsonMap<String, Value>, Failure> {
    let mut map = JsonMap::with_capacity(items.len());
    for (key, item) in items {
        let key = match key {
            Key::Boolean(boolean) => boolean.to_string(),
            Key::Integer(integer) => integer.to_string(),
            Key::Text(text) => text.to_string(),
        };
        budget.produce(key.len())?;
        if map.insert(key, item.clone().into_element(depth + 1, budget)?).is_some() {
            return wrong("two keys of this map are the same text in a document, such as 1 and '1'");
        }
    }
    Ok(map)
}

/// Accounts for a value that is copied into something built, `depth` levels down.
fn weigh(value: &Value, depth: usize, budget: &mut Budget) -> Result<(), Failure> {
    budget.produce(ELEMENT)?;
    match value {
        Value::String(text) => budget.produce(text.len()),
        Value::Array(values) => weigh_all(values, depth, budget),
        Value::Object(map) => weigh_map(map, depth, budget),
        _ => Ok(()),
    }
}

fn weigh_all(values: &[Value], depth: usize, budget: &mut Budget) -> Result<(), Failure> {
    check_depth(depth + 1)?;
    values.iter().try_for_each(|value| weigh(value, depth + 1, budget))
}

fn weigh_map(map: &JsonMap<String, Value>, depth: usize, budget: &mut Budget) -> Result<(), Failure> {
    check_depth(depth + 1)?;
    map.iter().try_for_each(|(key, value)| {
        budget.produce(key.len())?;
        weigh(value, depth + 1, budget)
    })
}
