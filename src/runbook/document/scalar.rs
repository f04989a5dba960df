//! Plain scalars, by the YAML 1.2 core schema.

use std::num::ParseIntError;

use super::NodeValue;

/// What a plain scalar means.
///
/// # Errors
/// A number that JSON cannot hold: what is wrong with it.
pub(super) fn resolve(text: &str) -> Result<NodeValue, &'static str> {
    Ok(match text {
        "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
        "true" | "True" | "TRUE" => NodeValue::Boolean(true),
        "false" | "False" | "FALSE" => NodeValue::Boolean(false),
        _ if is_not_finite(text) => return Err("is not a finite number"),
        _ => match integer(text) {
            Some(Ok(integer)) => NodeValue::Integer(integer),
            Some(Err(_)) => return Err("does not fit in 64 bits"),
            None if is_float(text) => {
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                NodeValue::Number(number.ok_or("is out of range")?)
            }
            None => NodeValue::Text(text.to_owned()),
        },
    })
}

fn is_not_finite(text: &str) -> bool {
    matches!(unsigned(text), ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN")
}

fn unsigned(text: &str) -> &str {
    text.strip_prefix(['+', '-']).unwrap_or(text)
}

fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The value of what is written as an integer.
fn integer(text: &str) -> Option<Result<i64, ParseIntError>> {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix) {
            let all = !digits.is_empty() && digits.chars().all(|digit| digit.is_digit(radix));
            return all.then(|| i64::from_str_radix(digits, radix));
        }
    }
    is_digits(unsigned(text)).then(|| text.parse())
}

fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match unsigned(text).split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned(text), None),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let has_digits = is_digits(whole) && (fraction.is_empty() || is_digits(fraction)) || whole.is_empty() && is_digits(fraction);
    has_digits && exponent.is_none_or(|exponent| is_digits(unsigned(exponent)))
}
