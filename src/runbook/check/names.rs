//! Which names mean something where, and which parameters cannot be left out.

use std::collections::HashSet;

use serde_json::Value;

use super::definition::Definitions;
use super::problems::Problems;
use crate::runbook::diagnostic::Diagnostic;
use crate::runbook::document::Node;
use crate::runbook::expression::Expression;

/// Names that always have a value.
const BUILT_IN: [&str; 9] = [
    "current_date",
    "current_time",
    "current_timestamp",
    "operation_name",
    "operation_namespace",
    "operation_id",
    "runbook_name",
    "attempt",
    "steps",
];

/// Names that have a value once something failed.
const OF_FAILURE: [&str; 2] = ["error_message", "failed_step"];

/// What may be said at the place that is being checked.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Allowed {
    /// `error_message`, `failed_step`: in rollback and in failure notifications.
    pub(super) failure: bool,
    /// `result`: in `until`.
    pub(super) result: bool,
    /// Anything: an item's fields in a filter's condition.
    pub(super) anything: bool,
}

/// How a name is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// A value of a step: an empty parameter would leave it empty.
    Value,
    /// What a condition asks: empty is an answer.
    Condition,
}

struct Scope {
    /// The document path of the foreach; empty for the runbook's own.
    place: String,
    names: HashSet<String>,
}

pub(super) struct Names<'d> {
    definitions: Definitions<'d>,
    parameters: HashSet<String>,
    /// From the runbook's own to the innermost foreach.
    scopes: Vec<Scope>,
    pub(super) allowed: Allowed,
    /// Whether what is being checked runs in every run that gets there.
    pub(super) always: bool,
    /// Names that a step which always runs has defined.
    settled: HashSet<String>,
    /// Names that something which always runs read before.
    needed: HashSet<String>,
    /// Document paths with a name that was told to be undefined there: once is enough.
    told: HashSet<String>,
}

impl<'d> Names<'d> {
    pub(super) fn new(document: &'d Node) -> Self {
        let declared = document.get("parameters").and_then(Node::as_map).unwrap_or_default();
        let parameters: HashSet<String> = declared.iter().map(|(key, _)| key.name.clone()).collect();
        Self {
            definitions: Definitions::of(document),
            scopes: vec![Scope {
                place: String::new(),
                names: parameters.clone(),
            }],
            parameters,
            allowed: Allowed::default(),
            always: false,
            settled: HashSet::new(),
            needed: HashSet::new(),
            told: HashSet::new(),
        }
    }

    /// Whether a parameter that has no value of its own is read where it cannot be empty.
    pub(super) fn is_needed(&self, parameter: &str) -> bool {
        self.needed.contains(parameter)
    }

    /// A step defined this name.
    pub(super) fn define(&mut self, name: &str) {
        if self.always {
            self.settled.insert(name.to_owned());
        }
        if let Some(scope) = self.scopes.last_mut() {
            scope.names.insert(name.to_owned());
        }
    }

    /// Enters a foreach, whose items keep what they define.
    pub(super) fn enter(&mut self, place: &str, variable: &str) {
        self.scopes.push(Scope {
            place: place.to_owned(),
            names: HashSet::from([variable.to_owned()]),
        });
    }

    pub(super) fn leave(&mut self) {
        self.scopes.pop();
    }

    /// Whether some step or parameter gives this name a value, wherever it stands.
    pub(super) fn is_defined_somewhere(&self, name: &str) -> bool {
        self.parameters.contains(name) || self.definitions.origins.contains_key(name)
    }

    /// Checks what an expression reads. `node` is where it stands, for the message.
    pub(super) fn read(&mut self, expression: &Expression, reading: Reading, node: &Node, path: &str, problems: &mut Problems) {
        for name in expression.names() {
            self.read_name(name, reading, node, path, problems);
        }
        for step in expression.members_of("steps") {
            if !self.definitions.steps.contains(step) && !problems.is_full() {
                let hint = problems.hint(step, self.definitions.steps.iter().copied());
                let message = format!("there is no step named \"{step}\"");
                problems.push(Diagnostic::error("undefined-name", path, place_of(node, step), message).with_fix(hint));
            }
        }
        for (name, value) in expression.comparisons() {
            self.compare(name, value, node, path, problems);
        }
    }

    pub(super) fn read_name(&mut self, name: &str, reading: Reading, node: &Node, path: &str, problems: &mut Problems) {
        let known = self.scopes.iter().any(|scope| scope.names.contains(name));
        if self.always && reading == Reading::Value && !self.settled.contains(name) {
            self.needed.insert(name.to_owned());
        }
        let built_in =
            BUILT_IN.contains(&name) || self.allowed.failure && OF_FAILURE.contains(&name) || self.allowed.result && name == "result";
        if known || built_in || self.allowed.anything || problems.is_full() {
            return;
        }
        if !self.told.insert(format!("{path} {name}")) {
            return;
        }
        let at = place_of(node, name);
        let origins = self.definitions.origins.get(name).map(Vec::as_slice).unwrap_or_default();
        let reachable = |scope: &str| self.scopes.iter().any(|open| open.place == scope);
        let problem = if origins.iter().any(|origin| reachable(&origin.scope)) {
            let message = format!("\"{name}\" is null here: only a later step defines it");
            Diagnostic::warning("used-before-defined", path, at, message)
        } else if !origins.is_empty() {
            let message = format!("nothing defines \"{name}\" here: a variable that a foreach sets stays in its item");
            let fix = "give the foreach an output: it is the list of the items' results".to_owned();
            Diagnostic::error("undefined-name", path, at, message).with_fix(fix)
        } else if OF_FAILURE.contains(&name) {
            let message = format!("\"{name}\" has a value only in rollback and in on_failure notifications");
            Diagnostic::error("undefined-name", path, at, message)
        } else if name == "result" {
            Diagnostic::error("undefined-name", path, at, "\"result\" has a value only in until")
        } else {
            let hint = problems.hint(name, self.known());
            Diagnostic::error("undefined-name", path, at, format!("nothing defines \"{name}\"")).with_fix(hint)
        };
        problems.push(problem);
    }

    fn known(&self) -> impl Iterator<Item = &str> {
        let in_scope = self.scopes.iter().flat_map(|scope| scope.names.iter().map(String::as_str));
        let of_failure = OF_FAILURE.into_iter().filter(|_| self.allowed.failure);
        in_scope.chain(BUILT_IN).chain(of_failure)
    }

    /// Tells of a variable compared with a word that it can never hold.
    fn compare(&self, name: &str, value: &Value, node: &Node, path: &str, problems: &mut Problems) {
        let (Value::String(word), Some(origins)) = (value, self.definitions.origins.get(name)) else {
            return;
        };
        let is_item = |scope: &Scope| scope.names.contains(name) && origins.iter().all(|origin| origin.scope != scope.place);
        let all_words: Option<Vec<_>> = origins.iter().map(|origin| origin.words).collect();
        let words: Vec<&str> = all_words.unwrap_or_default().into_iter().flatten().copied().collect();
        if word.is_empty() || words.is_empty() || words.contains(&word.as_str()) || self.scopes.iter().any(is_item) {
            return;
        }
        let mut known = words.clone();
        known.sort_unstable();
        known.dedup();
        let message = format!("\"{name}\" is never \"{word}\"; it is one of {}", known.join(", "));
        problems.push(Diagnostic::warning("never-equal", path, place_of(node, word), message).with_fix(problems.hint(word, words)));
    }
}

/// Where a word stands in a node's text, or the node.
fn place_of(node: &Node, word: &str) -> Option<crate::runbook::diagnostic::Position> {
    let offset = node.as_text().and_then(|text| find_word(text, word));
    offset.map_or(node.position, |offset| node.position_at(offset))
}

/// The first place where the word stands on its own.
fn find_word(text: &str, word: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || c == '_';
    let alone = |offset: &usize| {
        let before = text.get(..*offset).and_then(|before| before.chars().next_back());
        let after = text.get(offset + word.len()..).and_then(|after| after.chars().next());
        !before.is_some_and(|c| is_part(c) || c == '.') && !after.is_some_and(is_part)
    };
    let offsets: Vec<usize> = text.match_indices(word).map(|(offset, _)| offset).collect();
    offsets
        .iter()
        .copied()
        .find(|offset| alone(offset))
        .or_else(|| offsets.first().copied())
}
