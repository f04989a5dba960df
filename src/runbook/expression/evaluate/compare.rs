//! Equality, order and membership.

use std::cmp::Ordering;

use super::super::syntax::Comparison;
use super::budget::Budget;
use super::operand::{Failure, List, Map, Operand, wrong};

/// Whether `left comparison right` holds.
pub(super) fn holds(comparison: Comparison, left: &Operand<'_>, right: &Operand<'_>, budget: &mut Budget) -> Result<bool, Failure> {
    match comparison {
        Comparison::Equal => equal(left, right, budget),
        Comparison::Unequal => Ok(!equal(left, right, budget)?),
        Comparison::In => contains(right, left, budget),
        _ => {
            let order = order(comparison, left, right, budget)?;
            Ok(match comparison {
                Comparison::Less => order == Some(Ordering::Less),
                Comparison::LessOrEqual => matches!(order, Some(Ordering::Less | Ordering::Equal)),
                Comparison::Greater => order == Some(Ordering::Greater),
                _ => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
            })
        }
    }
}

/// Values of different types are unequal, save that the texts `true` and `false` equal the booleans.
pub(super) fn equal(left: &Operand<'_>, right: &Operand<'_>, budget: &mut Budget) -> Result<bool, Failure> {
    match (left, right) {
        (Operand::Null, Operand::Null) => Ok(true),
        (Operand::Boolean(left), Operand::Boolean(right)) => Ok(left == right),
        (Operand::Boolean(boolean), Operand::Text(text)) | (Operand::Text(text), Operand::Boolean(boolean)) => {
            Ok(&**text == if *boolean { "true" } else { "false" })
        }
        (Operand::Integer(left), Operand::Integer(right)) => Ok(left == right),
        (Operand::Text(left), Operand::Text(right)) => {
            budget.read(left.len().min(right.len()))?;
            Ok(left == right)
        }
        (Operand::List(left), Operand::List(right)) => equal_lists(left, right, budget),
        (Operand::Map(left), Operand::Map(right)) => equal_maps(left, right, budget),
        _ => Ok(left.number().is_some_and(|left| right.number() == Some(left))),
    }
}

fn equal_lists(left: &List<'_>, right: &List<'_>, budget: &mut Budget) -> Result<bool, Failure> {
    if left.len() != right.len() {
        return Ok(false);
    }
    for (left, right) in left.iter().zip(right.iter()) {
        budget.step(1)?;
        if !equal(&left, &right, budget)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn equal_maps(left: &Map<'_>, right: &Map<'_>, budget: &mut Budget) -> Result<bool, Failure> {
    if left.len() != right.len() {
        return Ok(false);
    }
    budget.step(left.len())?;
    for key in left.keys() {
        let same = match (left.get(&key), right.get(&key)) {
            (Some(left), Some(right)) => equal(&left, &right, budget)?,
            _ => false,
        };
        if !same {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether a list has an equal item, or a map the key. Null has nothing.
pub(super) fn contains(container: &Operand<'_>, item: &Operand<'_>, budget: &mut Budget) -> Result<bool, Failure> {
    match container {
        Operand::Null => Ok(false),
        Operand::List(list) => {
            for candidate in list.iter() {
                budget.step(1)?;
                if equal(&candidate, item, budget)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        Operand::Map(map) => Ok(item.key().is_some_and(|key| map.get(&key).is_some())),
        Operand::Text(_) => wrong("`in` looks into a list or a map, got text: `text.contains('part')` looks into a text"),
        other => wrong(format!("`in` looks into a list or a map, got {}", other.kind())),
    }
}

/// How two numbers, texts or booleans are ordered; not at all if one is not a number.
fn order(comparison: Comparison, left: &Operand<'_>, right: &Operand<'_>, budget: &mut Budget) -> Result<Option<Ordering>, Failure> {
    match (left, right) {
        (Operand::Integer(left), Operand::Integer(right)) => Ok(Some(left.cmp(right))),
        (Operand::Boolean(left), Operand::Boolean(right)) => Ok(Some(left.cmp(right))),
        (Operand::Text(left), Operand::Text(right)) => {
            budget.read(left.len().min(right.len()))?;
            Ok(Some((**left).cmp(&**right)))
        }
        _ => match (left.number(), right.number()) {
            (Some(left), Some(right)) => Ok(left.partial_cmp(&right)),
            _ => unordered(comparison, left, right),
        },
    }
}

fn unordered<T>(comparison: Comparison, left: &Operand<'_>, right: &Operand<'_>) -> Result<T, Failure> {
    let message = format!(
        "`{}` compares two numbers or two texts, got {} and {}",
        comparison.symbol(),
        left.kind(),
        right.kind()
    );
    let text_and_number = match (left, right) {
        (Operand::Text(_), other) | (other, Operand::Text(_)) => other.number().is_some(),
        _ => false,
    };
    wrong(if text_and_number {
        message + ": `int(x)` or `double(x)` makes a number of a text"
    } else {
        message
    })
}
