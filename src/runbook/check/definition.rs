//! Who may give a name its value: found before anything else, so that a name that nothing can define is told from one
//! that is defined later or elsewhere.

use std::collections::{HashMap, HashSet};

use crate::runbook::document::Node;
use crate::runbook::step::StepType;

/// What a step's answer is, where it is one of few words.
type Words = &'static [&'static str];

const HEALTH: Words = &["ok", "failed", "skipped"];
const CHECKED: Words = &["ok", "failed"];
const ENDED: Words = &["success", "failed"];

/// A step that may define a name.
pub(super) struct Origin {
    /// The foreach that the variable stays in; empty outside of any.
    pub(super) scope: String,
    /// All that the variable can hold, if that is known.
    pub(super) words: Option<Words>,
}

/// Every name that a step may define.
#[derive(Default)]
pub(super) struct Definitions<'d> {
    pub(super) origins: HashMap<&'d str, Vec<Origin>>,
    /// The names of steps, as in `steps.<name>`.
    pub(super) steps: HashSet<&'d str>,
}

impl<'d> Definitions<'d> {
    pub(super) fn of(document: &'d Node) -> Self {
        let mut definitions = Self::default();
        let rollback = document.get("rollback").and_then(|rollback| rollback.get("on_failure"));
        let lists = [
            ("steps", document.get("steps")),
            ("finally", document.get("finally")),
            ("rollback.on_failure", rollback),
        ];
        for (place, list) in lists {
            definitions.steps(list, place, "");
        }
        definitions
    }

    fn steps(&mut self, list: Option<&'d Node>, place: &str, scope: &str) {
        for (index, step) in list.and_then(Node::as_list).unwrap_or_default().iter().enumerate() {
            self.step(step, &format!("{place}[{index}]"), scope);
        }
    }

    fn step(&mut self, step: &'d Node, place: &str, scope: &str) {
        let text = |field| step.get(field).and_then(Node::as_text);
        let kind = text("type").and_then(StepType::parse);
        self.steps.extend(text("name"));
        for (name, words) in defined_by(kind, step) {
            let scope = scope.to_owned();
            self.origins.entry(name).or_default().push(Origin { scope, words });
        }
        let inner = if kind == Some(StepType::Foreach) { place } else { scope };
        for field in ["steps", "else", "rollback"] {
            self.steps(step.get(field), &format!("{place}.{field}"), inner);
        }
    }
}

/// The variables that a step itself may define, its body left out.
pub(super) fn defined_by(kind: Option<StepType>, step: &Node) -> Vec<(&str, Option<Words>)> {
    let text = |field| step.get(field).and_then(Node::as_text);
    let output = text("output");
    let mut names = Vec::new();
    names.extend(output.map(|name| (name, kind.and_then(|kind| words_of(kind, name, step)))));
    names.extend(text("outcome").map(|name| (name, Some(ENDED))));
    match kind {
        Some(StepType::HealthCheck) => names.push(("health_status", Some(HEALTH))),
        Some(StepType::AggregateResults) => {
            names.extend(["total_services", "healthy_count", "unhealthy_count", "service_details"].map(|name| (name, None)));
        }
        Some(StepType::ServiceLookup) if output.is_none() => names.extend(text("get").map(|name| (name, None))),
        _ => {}
    }
    names
}

fn words_of(kind: StepType, output: &str, step: &Node) -> Option<Words> {
    match kind {
        StepType::HealthCheck => Some(HEALTH),
        StepType::HttpRequest | StepType::SshCommand if output == "health_status" => Some(CHECKED),
        StepType::Script if step.get("parse").is_none() => Some(ENDED),
        StepType::LoadOperation => Some(ENDED),
        _ => None,
    }
}
