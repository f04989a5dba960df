//! Everything about a runbook that can be known before anything acts.
//!
//! One pass from top to bottom in the order in which things run, after a first look at who defines which name. Every
//! problem is told; what is wrong in one place does not hide what is wrong in another.

mod body;
mod definition;
mod digest;
mod names;
mod parameter;
mod problems;
mod reading;
mod section;
mod step;
mod value;

use indexmap::IndexMap;

use super::diagnostic::{Diagnostic, Diagnostics};
use super::document::Node;
use super::parameter::Parameter;
use super::{Notifications, Results, Rollback, Runbook};
use names::{Allowed, Names};
use problems::Problems;
use reading::Ahead;

/// The most steps of a runbook, those inside others, in rollback and in notifications among them.
pub const MAX_STEPS: usize = 1_000;
/// The most items of a foreach.
pub const MAX_ITEMS: usize = 10_000;

const SECTIONS: [&str; 10] = [
    "operation",
    "parameters",
    "prerequisites",
    "steps",
    "finally",
    "rollback",
    "notifications",
    "triggers",
    "results",
    "outputs",
];

/// Checks a document and makes a runbook of it.
///
/// # Errors
/// All diagnostics, warnings included, if at least one is an error.
pub fn check(document: &Node) -> Result<Runbook, Diagnostics> {
    if document.as_map().is_none() {
        let message = format!("this is {}, where a runbook is expected", document.kind());
        let fix = "start with \"operation:\" and \"steps:\"".to_owned();
        return Err(Diagnostic::error("wrong-shape", "", document.position, message)
            .with_fix(fix)
            .into());
    }
    let mut checker = Checker {
        problems: Problems::default(),
        names: Names::new(document),
        steps: 0,
        inside_foreach: 0,
    };
    let mut runbook = checker.runbook(document);
    runbook.warnings = checker.problems.finish();
    if runbook.warnings.has_errors() {
        return Err(runbook.warnings);
    }
    Ok(runbook)
}

struct Checker<'d> {
    problems: Problems,
    names: Names<'d>,
    /// Steps seen so far.
    steps: usize,
    /// How many foreach are open.
    inside_foreach: usize,
}

impl Checker<'_> {
    fn runbook(&mut self, document: &Node) -> Runbook {
        self.unknown_sections(document);
        let section = |name: &str| document.get(name).filter(|section| !section.is_null());
        let operation = self.operation(section("operation"), document);
        let parameters = self.parameters(section("parameters"));

        self.names.always = true;
        self.prerequisites(section("prerequisites"));
        let mut steps = Vec::new();
        match section("steps") {
            Some(node) if node.as_list().is_none_or(|steps| !steps.is_empty()) => steps = self.steps(node, "steps", None),
            node => self.required_field("steps", node.unwrap_or(document), "a runbook needs at least one step".to_owned()),
        }
        self.names.always = false;
        reading::mark(&mut steps, Ahead::default());

        let rollback = self.rollback(section("rollback"));
        if let Some(node) = section("finally").filter(|node| node.as_list().is_none_or(|steps| !steps.is_empty())) {
            self.not_available("finally", "finally", node);
            self.steps(node, "finally", None);
        }
        let notifications = self.notifications(section("notifications"));
        self.triggers(section("triggers"));
        Runbook {
            name: operation.name,
            kind: operation.kind,
            description: operation.description,
            platform: operation.platform,
            parameters: self.with_required(parameters, document),
            steps,
            rollback,
            notifications,
            results: self.results(section("results")),
            outputs: self.outputs(section("outputs")),
            digest: digest::digest(document),
            warnings: Diagnostics::default(),
        }
    }

    fn unknown_sections(&mut self, document: &Node) {
        for (key, _) in document.as_map().unwrap_or_default() {
            if !SECTIONS.contains(&key.name.as_str()) {
                let message = format!("\"{}\" has no meaning at the top of a runbook", key.name);
                let hint = self.problems.hint(&key.name, SECTIONS);
                self.problems
                    .push(Diagnostic::warning("unknown-key", &key.name, key.position, message).with_fix(hint));
            }
        }
    }

    fn parameters(&mut self, section: Option<&Node>) -> IndexMap<String, Parameter> {
        let entries = self.map(section, "parameters");
        entries
            .iter()
            .map(|(key, node)| (key.name.clone(), self.parameter(key, node)))
            .collect()
    }

    /// A short form with nothing in it must be given if something that always runs reads it.
    fn with_required(&self, mut parameters: IndexMap<String, Parameter>, document: &Node) -> IndexMap<String, Parameter> {
        let declared = document.get("parameters");
        for (name, parameter) in &mut parameters {
            let is_empty = declared.and_then(|declared| declared.get(name)).is_some_and(parameter::is_empty);
            parameter.required |= is_empty && self.names.is_needed(name);
        }
        parameters
    }

    /// Checks with other names allowed.
    fn allowing<T>(&mut self, allowed: Allowed, check: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.names.allowed, allowed);
        let checked = check(self);
        self.names.allowed = before;
        checked
    }

    /// Checks what does not run in every run.
    fn sometimes<T>(&mut self, check: impl FnOnce(&mut Self) -> T) -> T {
        let before = std::mem::replace(&mut self.names.always, false);
        let checked = check(self);
        self.names.always = before;
        checked
    }
}

#[cfg(test)]
mod tests;
