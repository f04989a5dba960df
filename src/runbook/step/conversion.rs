//! From the value of a field to what the step needs.

use std::time::Duration;

use serde_json::Value;

/// The longest duration that is taken seriously: a year.
const LONGEST: Duration = Duration::from_hours(366 * 24);

/// Seconds as a number, or text such as `90s`, `5m`, `1h30m`, `2d`, `500ms`; a text that is a number counts as seconds.
///
/// # Errors
/// What is wrong, without the field's name: no duration, negative, or longer than a year.
pub fn duration(value: &Value) -> Result<Duration, String> {
    let parsed = match value {
        Value::Number(seconds) => seconds.as_f64().ok_or_else(|| not_a_duration(value)).and_then(from_seconds)?,
        Value::String(text) => match text.trim().parse::<f64>() {
            Ok(seconds) => from_seconds(seconds)?,
            Err(_) => from_units(text.trim()).ok_or_else(|| not_a_duration(value))?,
        },
        _ => return Err(not_a_duration(value)),
    };
    if parsed > LONGEST {
        return Err(format!("{value} is longer than a year"));
    }
    Ok(parsed)
}

fn not_a_duration(value: &Value) -> String {
    format!("{value} is no duration; write seconds, or text such as \"90s\", \"5m\" or \"1h30m\"")
}

fn from_seconds(seconds: f64) -> Result<Duration, String> {
    if seconds < 0.0 {
        return Err(format!("{seconds} is negative"));
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| format!("{seconds} is longer than a year"))
}

/// Whole numbers, each with its unit, the largest unit first.
fn from_units(text: &str) -> Option<Duration> {
    const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
    let mut rest = text;
    let mut total: u64 = 0;
    let mut units = UNITS.as_slice();
    while !rest.is_empty() {
        let (digits, tail) = rest.split_at_checked(rest.find(|c: char| !c.is_ascii_digit())?)?;
        let (unit, tail) = tail.split_at_checked(tail.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(tail.len()))?;
        let index = units.iter().position(|(name, _)| *name == unit)?;
        let milliseconds = digits.parse::<u64>().ok()?.checked_mul(units.get(index)?.1)?;
        total = total.checked_add(milliseconds)?;
        units = units.get(index + 1..)?;
        rest = tail;
    }
    (!text.is_empty()).then(|| Duration::from_millis(total))
}

/// `true` or `false`, also as text, as a command line gives them.
///
/// # Errors
/// What is wrong, without the field's name.
pub fn boolean(value: &Value) -> Result<bool, String> {
    match value {
        Value::Bool(boolean) => Ok(*boolean),
        Value::String(text) if text == "true" => Ok(true),
        Value::String(text) if text == "false" => Ok(false),
        _ => Err(format!("{value} is neither true nor false")),
    }
}

/// An integer, at least 1, also as text.
///
/// # Errors
/// What is wrong, without the field's name.
pub fn count(value: &Value) -> Result<u32, String> {
    let number = match value {
        Value::Number(number) => number
            .as_f64()
            .filter(|number| number.fract() == 0.0)
            .map(|number| format!("{number:.0}")),
        Value::String(text) => Some(text.trim().to_owned()),
        _ => None,
    };
    let number: Option<u32> = number.and_then(|digits| digits.parse().ok());
    number
        .filter(|count| *count > 0)
        .ok_or_else(|| format!("{value} is no whole number of at least 1"))
}
