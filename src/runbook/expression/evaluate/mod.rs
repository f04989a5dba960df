//! The parsed form to a value.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::collections::HashMap;

use indexmap::IndexMap;
use regex::Regex;
use serde_json::Value;

use super::Scope;
use super::syntax::{Arithmetic, Comparison, Link, Node, Program, Sign};

mod arithmetic;
mod budget;
mod call;
mod compare;
mod convert;
mod json;
mod operand;
mod text;

use budget::Budget;
use operand::{Failure, Operand, wrong};

type Outcome<'e> = Result<Operand<'e>, Failure>;

/// Looks each name of a program up once, when it is first read.
pub(super) struct Names<'s> {
    scope: &'s dyn Scope,
    values: Vec<OnceCell<Option<Cow<'s, Value>>>>,
}

impl<'s> Names<'s> {
    pub(super) fn new(program: &Program, scope: &'s dyn Scope) -> Self {
        Self {
            scope,
            values: program.names.iter().map(|_| OnceCell::new()).collect(),
        }
    }

    fn read(&self, index: usize, program: &Program) -> Option<&Value> {
        let name = program.names.get_index(index)?;
        self.values.get(index)?.get_or_init(|| self.scope.lookup(name)).as_deref()
    }
}

/// One evaluation. What it borrows lives for `'e`.
pub(super) struct Evaluation<'e, 's> {
    program: &'e Program,
    names: &'e Names<'s>,
    /// The values of the macro variables, the outermost first.
    locals: Vec<Operand<'e>>,
    /// Patterns that were made while evaluating.
    patterns: HashMap<String, Regex>,
    budget: Budget,
}

impl<'e, 's> Evaluation<'e, 's> {
    pub(super) fn new(program: &'e Program, names: &'e Names<'s>) -> Self {
        Self {
            program,
            names,
            locals: Vec::new(),
            patterns: HashMap::new(),
            budget: Budget::new(),
        }
    }

    /// The value of the whole.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn value(mut self) -> Result<Value, String> {
        self.evaluate(&self.program.root)
            .and_then(|operand| operand.into_value(&mut self.budget))
            .map_err(Failure::message)
    }

    /// The value of the whole as that of a condition.
    ///
    /// # Errors
    /// Why there is none, or that it is no boolean.
    pub(super) fn holds(mut self) -> Result<bool, String> {
        match self.evaluate(&self.program.root).map_err(Failure::message)? {
            Operand::Boolean(holds) => Ok(holds),
            other => Err(format!(
                "a condition is true or false, and this one is {}: compare it, as in `... == true`",
                other.kind()
            )),
        }
    }

    fn evaluate(&mut self, node: &'e Node) -> Outcome<'e> {
        match node {
            Node::Literal(value) => Ok(Operand::from(value)),
            Node::Name(index) => Ok(self.names.read(*index, self.program).map_or(Operand::Null, Operand::from)),
            Node::Local(index) => Ok(self.locals.get(*index).cloned().unwrap_or(Operand::Null)),
            Node::List(nodes) => self.list(nodes),
            Node::Map(pairs) => self.map(pairs),
            Node::Text(pieces) => self.text(pieces),
            Node::Signed(signs, node) => self.signed(signs, node),
            Node::Arithmetic(first, rest) => self.arithmetic(first, rest),
            Node::Compare(first, rest) => self.compare(first, rest),
            Node::And(nodes) => self.and(nodes),
            Node::Or(nodes) => self.or(nodes),
            Node::Choice(cases, otherwise) => self.choose(cases, otherwise),
            Node::Chain(base, links) => self.chain(base, links),
        }
    }

    fn list(&mut self, nodes: &'e [Node]) -> Outcome<'e> {
        self.budget.step(nodes.len())?;
        self.budget.produce_elements(nodes.len())?;
        let items: Result<Vec<_>, _> = nodes.iter().map(|node| self.evaluate(node)).collect();
        items.and_then(Operand::list)
    }

    fn map(&mut self, pairs: &'e [(Node, Node)]) -> Outcome<'e> {
        self.budget.step(pairs.len())?;
        self.budget.produce_elements(pairs.len())?;
        let mut map = IndexMap::with_capacity(pairs.len());
        for (key, value) in pairs {
            let key = self.evaluate(key)?;
            let Some(key) = key.key() else {
                return wrong(format!("a key of a map is text, an integer or a boolean, got {}", key.kind()));
            };
            map.insert(key, self.evaluate(value)?);
        }
        Operand::map(map)
    }

    fn text(&mut self, pieces: &'e [Node]) -> Outcome<'e> {
        self.budget.step(pieces.len())?;
        let mut text = String::new();
        for piece in pieces {
            self.evaluate(piece)?.write_to(&mut text, &mut self.budget)?;
        }
        Ok(text.into())
    }

    fn signed(&mut self, signs: &[Sign], node: &'e Node) -> Outcome<'e> {
        self.budget.step(signs.len())?;
        let mut operand = self.evaluate(node)?;
        for sign in signs.iter().rev() {
            operand = arithmetic::sign(*sign, &operand)?;
        }
        Ok(operand)
    }

    fn arithmetic(&mut self, first: &'e Node, rest: &'e [(Arithmetic, Node)]) -> Outcome<'e> {
        let mut left = self.evaluate(first)?;
        for (operator, node) in rest {
            self.budget.step(1)?;
            let right = self.evaluate(node)?;
            left = arithmetic::apply(*operator, left, right, &mut self.budget)?;
        }
        Ok(left)
    }

    fn compare(&mut self, first: &'e Node, rest: &'e [(Comparison, Node)]) -> Outcome<'e> {
        let mut left = self.evaluate(first)?;
        for (comparison, node) in rest {
            self.budget.step(1)?;
            let right = self.evaluate(node)?;
            left = Operand::Boolean(compare::holds(*comparison, &left, &right, &mut self.budget)?);
        }
        Ok(left)
    }

    /// A side that is false decides, whatever goes wrong on another.
    fn and(&mut self, nodes: &'e [Node]) -> Outcome<'e> {
        let mut failure = None;
        for node in nodes {
            self.budget.step(1)?;
            let outcome = self.evaluate(node).and_then(|operand| boolean(&operand, "`&&` joins booleans"));
            if settled(outcome, false, &mut failure)? {
                return Ok(Operand::Boolean(false));
            }
        }
        failure.map_or(Ok(Operand::Boolean(true)), Err)
    }

    /// A side that is true decides, whatever goes wrong on another. A left side that is no boolean is the value unless it is null
    /// or empty.
    fn or(&mut self, nodes: &'e [Node]) -> Outcome<'e> {
        let mut failure = None;
        let mut after_boolean = false;
        let mut last = Operand::Null;
        for node in nodes {
            self.budget.step(1)?;
            let outcome = self.evaluate(node);
            if let (Ok(operand), false) = (&outcome, after_boolean) {
                last = operand.clone();
                match operand {
                    Operand::Boolean(_) => {}
                    Operand::Null => continue,
                    Operand::Text(text) if text.is_empty() => continue,
                    _ => return Ok(last),
                }
            }
            after_boolean = true;
            if settled(
                outcome.and_then(|operand| boolean(&operand, "`||` after a boolean joins booleans")),
                true,
                &mut failure,
            )? {
                return Ok(Operand::Boolean(true));
            }
        }
        match failure {
            Some(failure) => Err(failure),
            None if after_boolean => Ok(Operand::Boolean(false)),
            None => Ok(last),
        }
    }

    fn choose(&mut self, cases: &'e [(Node, Node)], otherwise: &'e Node) -> Outcome<'e> {
        for (condition, value) in cases {
            self.budget.step(1)?;
            if boolean(&self.evaluate(condition)?, "what stands before `?` is true or false")? {
                return self.evaluate(value);
            }
        }
        self.evaluate(otherwise)
    }

    fn chain(&mut self, base: &'e Node, links: &'e [Link]) -> Outcome<'e> {
        let mut operand = self.evaluate(base)?;
        for link in links {
            self.budget.step(1)?;
            operand = self.link(&operand, link)?;
        }
        Ok(operand)
    }

    /// Evaluates a node with one more macro variable.
    fn with_local(&mut self, value: Operand<'e>, node: &'e Node) -> Outcome<'e> {
        self.locals.push(value);
        let outcome = self.evaluate(node);
        self.locals.pop();
        outcome
    }
}

/// The boolean that an operand is.
fn boolean(operand: &Operand<'_>, rule: &str) -> Result<bool, Failure> {
    match operand {
        Operand::Boolean(boolean) => Ok(*boolean),
        Operand::Text(_) => wrong(format!("{rule}, got text: compare it, as in `... == true`")),
        other => wrong(format!("{rule}, got {}", other.kind())),
    }
}

/// Whether this side of `&&` or `||` decides. Remembers the first failure; one of the budget is final.
fn settled(outcome: Result<bool, Failure>, decisive: bool, failure: &mut Option<Failure>) -> Result<bool, Failure> {
    match outcome {
        Ok(side) => Ok(side == decisive),
        Err(exhausted @ Failure::Exhausted(_)) => Err(exhausted),
        Err(wrong) => {
            failure.get_or_insert(wrong);
            Ok(false)
        }
    }
}
