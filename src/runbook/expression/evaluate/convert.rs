//! `int`, `double`, `string` and `bool`. Whitespace around a text that is read as a number or a boolean does not count: what a
//! command prints ends in a newline.

use super::Outcome;
use super::budget::Budget;
use super::operand::{Operand, wrong};

pub(super) fn int<'e>(operand: &Operand<'e>) -> Outcome<'e> {
    let integer = match operand {
        Operand::Integer(integer) => i64::try_from(*integer).ok(),
        Operand::Double(double) => truncated(*double),
        Operand::Text(text) => match text.trim().parse() {
            Ok(integer) => Some(integer),
            Err(_) => return wrong("`int` got a text that is no integer of 64 bits"),
        },
        other => return wrong(format!("`int` makes an integer of a number or a text, got {}", other.kind())),
    };
    integer.map_or_else(
        || wrong("`int` got a number that no integer of 64 bits holds"),
        |integer| Ok(Operand::Integer(integer.into())),
    )
}

/// The integer towards zero, if 64 bits hold it.
fn truncated(double: f64) -> Option<i64> {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(clippy::cast_possible_truncation, reason = "the bounds are checked")]
    (-BOUND..BOUND).contains(&double).then_some(double as i64)
}

pub(super) fn double<'e>(operand: &Operand<'e>) -> Outcome<'e> {
    match (operand, operand.number()) {
        (_, Some(double)) => Ok(Operand::Double(double)),
        (Operand::Text(text), _) => match text.trim().parse() {
            Ok(double) => Ok(Operand::Double(double)),
            Err(_) => wrong("`double` got a text that is no number"),
        },
        _ => wrong(format!("`double` makes a number of a number or a text, got {}", operand.kind())),
    }
}

/// As CEL for scalars; null, lists and maps as they are rendered in a text.
pub(super) fn string<'e>(operand: &Operand<'e>, budget: &mut Budget) -> Outcome<'e> {
    match operand {
        Operand::Text(text) => Ok(Operand::Text(text.clone())),
        Operand::Double(double) => Ok(double.to_string().into()),
        other => {
            let mut text = String::new();
            other.write_to(&mut text, budget)?;
            Ok(text.into())
        }
    }
}

pub(super) fn bool<'e>(operand: &Operand<'e>) -> Outcome<'e> {
    match operand {
        Operand::Boolean(boolean) => Ok(Operand::Boolean(*boolean)),
        Operand::Text(text) => match text.trim() {
            "1" | "t" | "true" | "TRUE" | "True" => Ok(Operand::Boolean(true)),
            "0" | "f" | "false" | "FALSE" | "False" => Ok(Operand::Boolean(false)),
            _ => wrong("`bool` got a text that is neither `true` nor `false`"),
        },
        other => wrong(format!("`bool` makes a boolean of a text, got {}", other.kind())),
    }
}
