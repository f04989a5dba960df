//! Lists of steps, and what every step has.

use std::collections::{BTreeSet, HashMap};

use indexmap::IndexMap;

use super::definition::defined_by;
use super::names::Allowed;
use super::{Checker, MAX_STEPS};
use crate::runbook::diagnostic::Diagnostic;
use crate::runbook::document::{Key, Node};
use crate::runbook::expression::Expression;
use crate::runbook::step::{Backoff, Body, COMMON_FIELDS, Shape, Step, StepType};

/// A step as far as it has been read.
pub(super) struct Reading<'n> {
    pub(super) node: &'n Node,
    pub(super) step: Step,
    /// Whether the step cannot be made: it was told why.
    pub(super) broken: bool,
}

impl Checker<'_> {
    /// A list of steps; those that cannot be made are left out, and it was told why.
    pub(super) fn steps(&mut self, node: &Node, path: &str, default: Option<StepType>) -> Vec<Step> {
        let Some(items) = node.as_list() else {
            if !node.is_null() {
                let message = format!("this is {}, where a list of steps is expected", node.kind());
                self.problems.error("wrong-shape", path, node.position, message);
            }
            return Vec::new();
        };
        let mut lines: HashMap<&str, usize> = HashMap::new();
        let mut steps = Vec::with_capacity(items.len().min(MAX_STEPS));
        for (index, item) in items.iter().enumerate() {
            let place = format!("{path}[{index}]");
            if let Some(name) = item.get("name").filter(|name| name.as_text().is_some()) {
                self.unique_name(name, &place, &mut lines);
            }
            steps.extend(self.step(item, place, default));
        }
        steps
    }

    fn unique_name<'n>(&mut self, node: &'n Node, place: &str, lines: &mut HashMap<&'n str, usize>) {
        let name = node.as_text().unwrap_or_default();
        let line = node.position.map_or(0, |position| position.line);
        match lines.get(name) {
            None => drop(lines.insert(name, line)),
            Some(first) => {
                let there = if *first > 0 {
                    format!("; the first is on line {first}")
                } else {
                    String::new()
                };
                let message = format!("two steps of this list are named \"{name}\"{there}");
                self.problems
                    .error("duplicate-name", &format!("{place}.name"), node.position, message);
            }
        }
    }

    fn step(&mut self, node: &Node, place: String, default: Option<StepType>) -> Option<Step> {
        self.steps += 1;
        if self.steps > MAX_STEPS {
            if self.steps == MAX_STEPS + 1 {
                let message = format!("the runbook has more than {MAX_STEPS} steps");
                self.problems.error("too-many-steps", &place, node.position, message);
            }
            return None;
        }
        let Some(entries) = node.as_map() else {
            let message = format!("this is {}, where a step is expected", node.kind());
            self.problems.error("wrong-shape", &place, node.position, message);
            return None;
        };
        let kind = self.step_type(node, &place, default);
        let always = self.names.always;
        self.names.always &= node.get("when").is_none_or(Node::is_null) && node.get("platform_specific").is_none_or(Node::is_null);
        let mut reading = Reading {
            node,
            step: empty_step(kind.unwrap_or(StepType::Delay), place, node),
            broken: kind.is_none(),
        };
        for (key, value) in entries.iter().filter(|(_, value)| !value.is_null()) {
            self.entry(&mut reading, kind, key, value);
        }
        self.condition_to_run(&mut reading);
        if let Some(kind) = kind {
            self.body(&mut reading, kind);
            self.required(&mut reading, kind);
        }
        for (name, _) in defined_by(kind, node) {
            self.names.define(name);
            reading.step.defines.insert(name.to_owned());
        }
        self.names.always = always;
        (!reading.broken).then_some(reading.step)
    }

    fn step_type(&mut self, node: &Node, place: &str, default: Option<StepType>) -> Option<StepType> {
        let path = format!("{place}.type");
        let Some(given) = node.get("type").filter(|given| !given.is_null()) else {
            if default.is_none() {
                self.problems.error("required-field", &path, node.position, "a step needs a type");
            }
            return default;
        };
        let name = self.literal_text(given, &path)?;
        let Some(kind) = StepType::parse(&name) else {
            let hint = self.problems.hint(&name, StepType::ALL.map(StepType::name));
            let message = format!("there is no step type \"{name}\"");
            self.problems
                .push(Diagnostic::error("unknown-step-type", path, given.position, message).with_fix(hint));
            return None;
        };
        if default.is_some_and(|default| default != kind) {
            let message = format!("only notifications stand here, not {kind}");
            self.problems.error("wrong-step-type", &path, given.position, message);
        } else if !kind.available() {
            self.not_available(&format!("the step type \"{kind}\""), &path, given);
        }
        Some(kind)
    }

    pub(super) fn not_available(&mut self, what: &str, path: &str, node: &Node) {
        let message = format!("{what} is not available in this version");
        self.problems.error("not-available", path, node.position, message);
    }

    fn entry(&mut self, reading: &mut Reading<'_>, kind: Option<StepType>, key: &Key, value: &Node) {
        let path = format!("{}.{}", reading.step.place, key.name);
        let own = kind.and_then(|kind| kind.fields().iter().find(|field| field.name == key.name));
        let common = COMMON_FIELDS.iter().find(|field| field.name == key.name);
        match (own, common, kind) {
            (Some(field), common, _) => {
                if common.is_some() {
                    self.common(reading, field.name, value, &path);
                }
                // What a step holds inside itself is read after all else.
                if !matches!(field.shape, Shape::Steps | Shape::Condition | Shape::Variable) {
                    let template = self.field(field.shape, value, &path);
                    reading.step.fields.insert(field.name, template);
                }
            }
            (None, Some(field), _) => self.common(reading, field.name, value, &path),
            (None, None, Some(kind)) if kind.takes_other_fields() => drop(self.template(value, &path)),
            (None, None, Some(kind)) => {
                let known = kind.fields().iter().chain(COMMON_FIELDS).map(|field| field.name);
                let hint = self.problems.hint(&key.name, known);
                let message = format!("{kind} has no field \"{}\"", key.name);
                self.problems
                    .push(Diagnostic::error("unknown-field", path, key.position, message).with_fix(hint));
            }
            (None, None, None) => {}
        }
    }

    /// A field of every step.
    fn common(&mut self, reading: &mut Reading<'_>, name: &str, value: &Node, path: &str) {
        let step = &mut reading.step;
        match name {
            "name" => step.name = self.literal_text(value, path),
            "description" => step.description = Some(self.field(Shape::Text, value, path)),
            "output" => step.output = self.variable(value, path),
            "outcome" => step.outcome = self.variable(value, path),
            "until" => {
                let allowed = Allowed {
                    result: true,
                    ..self.names.allowed
                };
                step.until = self.allowing(allowed, |checker| checker.condition(value, path));
            }
            "continue_on_failure" => step.continue_on_failure = self.flag(value, path),
            "exit" => {
                step.exit = self.flag(value, path);
                if step.exit && self.inside_foreach > 0 {
                    let message = "exit cannot stand inside a foreach: other items may still be running";
                    self.problems.error("exit-in-foreach", path, value.position, message);
                }
            }
            "idempotent" => step.idempotent = self.flag(value, path),
            "retries" => step.retries = Some(self.field(Shape::Count, value, path)),
            "retry_delay" => step.retry_delay = Some(self.field(Shape::Duration, value, path)),
            "timeout" => step.timeout = Some(self.field(Shape::Timeout, value, path)),
            "backoff" => step.backoff = self.backoff(value, path),
            "rollback" => {
                self.not_available("the rollback of a single step", path, value);
                self.sometimes(|checker| drop(checker.steps(value, path, None)));
            }
            _ => {}
        }
    }

    fn backoff(&mut self, value: &Node, path: &str) -> Backoff {
        if value.as_text().is_some_and(|text| text.contains("${")) {
            self.problems.error(
                "wrong-shape",
                path,
                value.position,
                "the backoff is written out: fixed or exponential",
            );
            return Backoff::Fixed;
        }
        self.field(Shape::Word(&["fixed", "exponential"]), value, path);
        match value.as_text() {
            Some("exponential") => Backoff::Exponential,
            _ => Backoff::Fixed,
        }
    }

    /// `when`, with `platform_specific` folded in.
    fn condition_to_run(&mut self, reading: &mut Reading<'_>) {
        let path = |field: &str| format!("{}.{field}", reading.step.place);
        let given = |field: &str| reading.node.get(field).filter(|value| !value.is_null());
        let when = given("when").map(|node| self.condition(node, &path("when")));
        let platform = given("platform_specific").and_then(|node| {
            let platform = self.literal_text(node, &path("platform_specific"))?;
            let quoted = platform.replace('\\', "\\\\").replace('\'', "\\'");
            let condition = format!("platform == '{quoted}'");
            // Named in its own words: the reader has not written this condition.
            let written = Node {
                value: crate::runbook::document::NodeValue::Text(condition.clone()),
                origin: None,
                ..node.clone()
            };
            self.condition(&written, &path("platform_specific")).map(|_| condition)
        });
        reading.step.when = match (when.flatten(), platform) {
            (when, None) => when,
            (None, Some(platform)) => Expression::parse_condition(&platform).ok(),
            (Some(when), Some(platform)) => Expression::parse_condition(&format!("({}) && {platform}", when.source())).ok(),
        };
    }

    fn required(&mut self, reading: &mut Reading<'_>, kind: StepType) {
        let given = |name: &str| reading.node.get(name).is_some_and(|value| !value.is_null());
        let place = &reading.step.place;
        let mut missing: Vec<String> = Vec::new();
        for field in kind.fields().iter().filter(|field| field.required && !given(field.name)) {
            missing.push(format!("{kind} needs \"{}\"", field.name));
            self.required_field(
                &format!("{place}.{}", field.name),
                reading.node,
                missing.last().cloned().unwrap_or_default(),
            );
        }
        for group in kind.alternatives() {
            let named = group.iter().map(|name| format!("\"{name}\"")).collect::<Vec<_>>().join(" or ");
            match group.iter().filter(|name| given(name)).count() {
                1 => {}
                0 => self.required_field(place, reading.node, format!("{kind} needs {named}")),
                _ => self.problems.error(
                    "exclusive-fields",
                    place,
                    reading.node.position,
                    format!("{kind} takes {named}, not both"),
                ),
            }
        }
    }

    pub(super) fn required_field(&mut self, path: &str, node: &Node, message: String) {
        self.problems.error("required-field", path, node.position, message);
    }
}

fn empty_step(kind: StepType, place: String, node: &Node) -> Step {
    Step {
        name: None,
        kind,
        description: None,
        output: None,
        outcome: None,
        when: None,
        until: None,
        continue_on_failure: false,
        retries: None,
        retry_delay: None,
        backoff: Backoff::Fixed,
        timeout: None,
        exit: false,
        idempotent: false,
        reports: false,
        fields: IndexMap::new(),
        body: Body::None,
        defines: BTreeSet::new(),
        place,
        position: node.position,
    }
}
