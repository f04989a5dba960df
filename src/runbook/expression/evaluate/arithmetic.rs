//! Signs, sums and products.

use std::rc::Rc;

use super::super::syntax::{Arithmetic, Sign};
use super::budget::Budget;
use super::operand::{Operand, Text, wrong};
use super::{Outcome, boolean};

/// `!operand` or `-operand`.
pub(super) fn sign<'e>(sign: Sign, operand: &Operand<'e>) -> Outcome<'e> {
    match (sign, operand) {
        (Sign::Not, operand) => Ok(Operand::Boolean(!boolean(operand, "only a boolean is negated by `!` or `NOT`")?)),
        (Sign::Negate, Operand::Integer(integer)) => bounded(integer.checked_neg(), "-"),
        (Sign::Negate, Operand::Double(double)) => Ok(Operand::Double(-double)),
        (Sign::Negate, other) => wrong(format!("`-` stands before a number, got {}", other.kind())),
    }
}

/// `left operator right`.
pub(super) fn apply<'e>(operator: Arithmetic, left: Operand<'e>, right: Operand<'e>, budget: &mut Budget) -> Outcome<'e> {
    match (operator, left, right) {
        (Arithmetic::Add, Operand::Text(left), Operand::Text(right)) => join(left, &right, budget),
        (Arithmetic::Add, Operand::List(left), Operand::List(right)) => {
            left.concatenate(&right, |count| budget.produce_elements(count)).map(Operand::List)
        }
        (_, Operand::Integer(left), Operand::Integer(right)) => integers(operator, left, right),
        (operator, left, right) => match (left.number(), right.number()) {
            (Some(left), Some(right)) if operator != Arithmetic::Remainder => Ok(Operand::Double(doubles(operator, left, right))),
            _ => mismatch(operator, &left, &right),
        },
    }
}

fn mismatch<'e>(operator: Arithmetic, left: &Operand<'_>, right: &Operand<'_>) -> Outcome<'e> {
    let message = format!("`{}` does not apply to {} and {}", operator.symbol(), left.kind(), right.kind());
    let text = matches!(left, Operand::Text(_)) || matches!(right, Operand::Text(_));
    wrong(if operator == Arithmetic::Add && text {
        message + ": `string(x)` makes a text of a value"
    } else {
        message
    })
}

fn integers<'e>(operator: Arithmetic, left: i128, right: i128) -> Outcome<'e> {
    let symbol = operator.symbol();
    match operator {
        Arithmetic::Add => bounded(left.checked_add(right), symbol),
        Arithmetic::Subtract => bounded(left.checked_sub(right), symbol),
        Arithmetic::Multiply => bounded(left.checked_mul(right), symbol),
        Arithmetic::Divide | Arithmetic::Remainder if right == 0 => wrong(format!("`{symbol}` by zero")),
        Arithmetic::Divide => bounded(left.checked_div(right), symbol),
        Arithmetic::Remainder => bounded(left.checked_rem(right), symbol),
    }
}

/// The integer, if 64 bits hold it.
fn bounded<'e>(integer: Option<i128>, symbol: &str) -> Outcome<'e> {
    match integer.filter(|integer| i64::try_from(*integer).is_ok()) {
        Some(integer) => Ok(Operand::Integer(integer)),
        None => wrong(format!("the result of `{symbol}` is no integer of 64 bits")),
    }
}

fn doubles(operator: Arithmetic, left: f64, right: f64) -> f64 {
    match operator {
        Arithmetic::Add => left + right,
        Arithmetic::Subtract => left - right,
        Arithmetic::Multiply => left * right,
        Arithmetic::Divide => left / right,
        Arithmetic::Remainder => left % right,
    }
}

/// Appends in place where nobody else holds the left text, so that a chain of sums copies each part once.
fn join<'e>(left: Text<'e>, right: &str, budget: &mut Budget) -> Outcome<'e> {
    budget.produce(right.len())?;
    let mut text = match left {
        Text::Built(text) if Rc::strong_count(&text) == 1 => text,
        other => {
            budget.produce(other.len())?;
            Rc::new(String::from(&*other))
        }
    };
    Rc::make_mut(&mut text).push_str(right);
    Ok(Operand::Text(Text::Built(text)))
}
