//! Members, indexes, calls and macros: what is done to a value.

use super::super::function::{Function, Macro};
use super::super::syntax::{Link, Node};
use super::compare;
use super::convert;
use super::operand::{Failure, Key, List, Operand, Text, wrong};
use super::{Evaluation, Outcome, boolean, settled};

impl<'e> Evaluation<'e, '_> {
    /// What one link of a chain makes of a value.
    pub(super) fn link(&mut self, operand: &Operand<'e>, link: &'e Link) -> Outcome<'e> {
        match link {
            Link::Member(name) => member(operand, name),
            Link::Has(name) => has(operand, name),
            Link::Length => length(operand),
            Link::Index(node) => at(operand, &self.evaluate(node)?),
            Link::Call(function, nodes) => {
                let arguments = nodes.iter().map(|node| self.evaluate(node)).collect::<Result<Vec<_>, _>>()?;
                self.call(*function, operand, &arguments)
            }
            Link::Matches(pattern) => match operand {
                Operand::Text(text) => self.matches_literal(text, pattern),
                other => self.call(Function::Matches, other, &[]),
            },
            Link::Macro(called, nodes) => self.run(*called, operand, nodes),
            Link::Raw => Ok(operand.clone()),
        }
    }

    fn call(&mut self, function: Function, operand: &Operand<'e>, arguments: &[Operand<'e>]) -> Outcome<'e> {
        match (function, operand, arguments) {
            (Function::Size, operand, _) => size(operand),
            (Function::Int, operand, _) => convert::int(operand),
            (Function::Double, operand, _) => convert::double(operand),
            (Function::String, operand, _) => convert::string(operand, &mut self.budget),
            (Function::Bool, operand, _) => convert::bool(operand),
            (Function::Contains, Operand::List(_) | Operand::Map(_), [item]) => {
                compare::contains(operand, item, &mut self.budget).map(Operand::Boolean)
            }
            (Function::Join, Operand::List(list), _) => self.join(list, arguments),
            (Function::Join, other, _) => wrong(format!("`join` works on a list, got {}", other.kind())),
            (_, Operand::Text(text), _) => self.call_text(function, text, arguments),
            (_, Operand::Null, _) => wrong(format!(
                "`{}` works on text, got null: `(text || '')` takes null for an empty text",
                function.name()
            )),
            (_, other, _) => wrong(format!("`{}` works on text, got {}", function.name(), other.kind())),
        }
    }

    fn run(&mut self, called: Macro, operand: &Operand<'e>, nodes: &'e [Node]) -> Outcome<'e> {
        let items = items(operand, called.name())?;
        match (called, nodes) {
            (Macro::All, [condition]) => self.any(&items, condition, false),
            (Macro::Exists, [condition]) => self.any(&items, condition, true),
            (Macro::ExistsOne, [condition]) => Ok(Operand::Boolean(self.select(&items, condition, called)?.len() == 1)),
            (Macro::Filter, [condition]) => {
                let selected = self.select(&items, condition, called)?;
                self.budget.produce_elements(selected.len())?;
                Operand::list(selected)
            }
            (Macro::Map, [condition, value]) => {
                let selected = self.select(&items, condition, called)?;
                self.map_items(selected.into_iter(), value)
            }
            (_, [value]) => self.map_items(items.iter(), value),
            _ => wrong(format!("`{}` is written {}", called.name(), called.example())),
        }
    }

    /// Whether the condition has the `decisive` value for any item, whatever goes wrong for another; as a value, the decisive one if so.
    fn any(&mut self, items: &List<'e>, condition: &'e Node, decisive: bool) -> Outcome<'e> {
        let rule = if decisive {
            "the condition of `exists` is a boolean"
        } else {
            "the condition of `all` is a boolean"
        };
        let mut failure = None;
        for item in items.iter() {
            self.budget.step(1)?;
            let outcome = self.with_local(item, condition).and_then(|answer| boolean(&answer, rule));
            if settled(outcome, decisive, &mut failure)? {
                return Ok(Operand::Boolean(decisive));
            }
        }
        failure.map_or(Ok(Operand::Boolean(!decisive)), Err)
    }

    /// The items for which the condition holds.
    fn select(&mut self, items: &List<'e>, condition: &'e Node, called: Macro) -> Result<Vec<Operand<'e>>, Failure> {
        let mut selected = Vec::new();
        for item in items.iter() {
            self.budget.step(1)?;
            let answer = self.with_local(item.clone(), condition)?;
            match answer {
                Operand::Boolean(true) => selected.push(item),
                Operand::Boolean(false) => {}
                other => return wrong(format!("the condition of `{}` is a boolean, got {}", called.name(), other.kind())),
            }
        }
        Ok(selected)
    }

    fn map_items(&mut self, items: impl Iterator<Item = Operand<'e>>, value: &'e Node) -> Outcome<'e> {
        let mut mapped = Vec::new();
        for item in items {
            self.budget.step(1)?;
            self.budget.produce_elements(1)?;
            mapped.push(self.with_local(item, value)?);
        }
        Operand::list(mapped)
    }
}

/// What a macro runs over: the items of a list, or the keys of a map.
fn items<'e>(operand: &Operand<'e>, name: &str) -> Result<List<'e>, Failure> {
    match operand {
        Operand::List(list) => Ok(list.clone()),
        Operand::Map(map) => Ok(map.key_list()),
        Operand::Null => wrong(format!(
            "`{name}` runs over a list or a map, got null: `(items || []).{name}(...)` takes null for an empty list"
        )),
        other => wrong(format!("`{name}` runs over a list or a map, got {}", other.kind())),
    }
}

/// A member; null where a map lacks it, and where the value is null.
fn member<'e>(operand: &Operand<'e>, name: &'e str) -> Outcome<'e> {
    match operand {
        Operand::Null => Ok(Operand::Null),
        Operand::Map(map) => Ok(map.get(&Key::Text(Text::Borrowed(name))).unwrap_or(Operand::Null)),
        Operand::List(_) => wrong(format!(
            "a list has no member `{name}`: `items[0].{name}` is that of its first item"
        )),
        other => wrong(format!("{} has no member `{name}`", other.kind())),
    }
}

fn has<'e>(operand: &Operand<'e>, name: &'e str) -> Outcome<'e> {
    match operand {
        Operand::Null => Ok(Operand::Boolean(false)),
        Operand::Map(map) => Ok(Operand::Boolean(map.get(&Key::Text(Text::Borrowed(name))).is_some())),
        other => wrong(format!("`has` asks for a member of a map, got {}", other.kind())),
    }
}

/// `.length`: the member of that name where a map has one, else the size.
fn length<'e>(operand: &Operand<'e>) -> Outcome<'e> {
    let member = match operand {
        Operand::Map(map) => map.get(&Key::Text(Text::Borrowed("length"))),
        _ => None,
    };
    member.map_or_else(|| size(operand), Ok)
}

/// The characters of a text, the items of a list, the entries of a map; none of null.
fn size<'e>(operand: &Operand<'_>) -> Outcome<'e> {
    let size = match operand {
        Operand::Null => 0,
        Operand::Text(text) => text.chars().count(),
        Operand::List(list) => list.len(),
        Operand::Map(map) => map.len(),
        other => return wrong(format!("text, lists and maps have a size, {} has none", other.kind())),
    };
    Ok(Operand::Integer(i128::try_from(size).unwrap_or(i128::MAX)))
}

/// `operand[index]`; null where a map lacks the key, past the end of a list, and where the value is null.
fn at<'e>(operand: &Operand<'e>, index: &Operand<'e>) -> Outcome<'e> {
    match (operand, index) {
        (Operand::Null, _) => Ok(Operand::Null),
        (Operand::List(_), Operand::Integer(..0)) => {
            wrong("an index counts from 0 and is never negative: `items[items.length - 1]` is the last item")
        }
        (Operand::List(list), Operand::Integer(index)) => Ok(usize::try_from(*index)
            .ok()
            .and_then(|index| list.get(index))
            .unwrap_or(Operand::Null)),
        (Operand::List(_), other) => wrong(format!("the index of a list is an integer, got {}", other.kind())),
        (Operand::Map(map), index) => match index.key() {
            Some(key) => Ok(map.get(&key).unwrap_or(Operand::Null)),
            None => wrong(format!("the key of a map is text, got {}", index.kind())),
        },
        (other, _) => wrong(format!("`[]` takes an item of a list or a member of a map, got {}", other.kind())),
    }
}
