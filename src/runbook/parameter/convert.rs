//! A given value to the type of its parameter.

use serde_json::{Number, Value};

use super::Kind;

/// The value as this type; a text is read as a command line or a form means it.
///
/// # Errors
/// What to write instead.
pub(super) fn convert(given: &Value, kind: Kind) -> Result<Value, &'static str> {
    match (kind, given) {
        (Kind::String, Value::String(_))
        | (Kind::Boolean, Value::Bool(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::List, Value::Array(_))
        | (Kind::Object, Value::Object(_)) => Some(given.clone()),
        (Kind::Integer, Value::Number(number)) => integer(number),
        (Kind::Integer, Value::String(text)) => number(text).as_ref().and_then(integer),
        (Kind::Number, Value::String(text)) => number(text).map(Value::Number),
        (Kind::Boolean, Value::String(text)) => boolean(text),
        (Kind::List, Value::String(text)) => list(text),
        (Kind::Object, Value::String(text)) => serde_json::from_str(text).ok().filter(Value::is_object),
        _ => None,
    }
    .ok_or_else(|| fix(kind, given))
}

fn fix(kind: Kind, given: &Value) -> &'static str {
    match (kind, given) {
        (Kind::String, Value::Number(_) | Value::Bool(_)) => "quote it",
        (Kind::String, _) => "write a text",
        (Kind::Integer, _) => "write a whole number, such as 8080",
        (Kind::Number, _) => "write a number, such as 1.5",
        (Kind::Boolean, _) => "write `true` or `false`",
        (Kind::List, _) => "write a list: `[\"a\", \"b\"]`, or as text `a,b`",
        (Kind::Object, _) => "write a map: `{\"key\": \"value\"}`",
    }
}

/// A whole number, also one that is written as `5.0`.
fn integer(number: &Number) -> Option<Value> {
    if number.is_f64() {
        let number = number.as_f64().filter(|number| number.fract() == 0.0)?;
        // In decimal, so that nothing beyond 64 bits comes out as something else.
        return format!("{number:.0}").parse::<i64>().ok().map(Value::from);
    }
    number.as_i64().map(Value::from)
}

fn number(text: &str) -> Option<Number> {
    let text = text.trim();
    let decimal = text.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-' | '.' | 'e' | 'E'));
    let whole = text.parse::<i64>().ok().map(Number::from);
    whole.or_else(|| text.parse::<f64>().ok().filter(|_| decimal).and_then(Number::from_f64))
}

fn boolean(text: &str) -> Option<Value> {
    match text.trim() {
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ => None,
    }
}

/// JSON, or texts between commas.
fn list(text: &str) -> Option<Value> {
    if text.trim_start().starts_with('[') {
        return serde_json::from_str(text).ok().filter(Value::is_array);
    }
    Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).collect())
}
