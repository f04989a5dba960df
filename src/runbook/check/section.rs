//! The sections of a runbook beside its steps.

use indexmap::IndexMap;

use super::Checker;
use super::names::Allowed;
use super::reading::{self, Ahead};
use super::{Notifications, Results, Rollback};
use crate::runbook::diagnostic::Diagnostic;
use crate::runbook::document::{Key, Node};
use crate::runbook::expression::Expression;
use crate::runbook::step::{Shape, StepType};

/// `operation`
#[derive(Default)]
pub(super) struct Operation {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) description: Option<String>,
    pub(super) platform: Option<String>,
}

/// The fields of a prerequisite.
const PREREQUISITE: [(&str, Shape); 6] = [
    ("check", Shape::Text),
    ("command", Shape::Command),
    ("expected", Shape::Text),
    ("expected_contains", Shape::Text),
    ("expected_equals", Shape::Text),
    ("timeout", Shape::Timeout),
];

const AFTER_FAILURE: Allowed = Allowed {
    failure: true,
    result: false,
    anything: false,
};

impl Checker<'_> {
    /// The entries of a section that is a map.
    pub(super) fn map<'n>(&mut self, section: Option<&'n Node>, path: &str) -> &'n [(Key, Node)] {
        let Some(node) = section else { return &[] };
        let entries = node.as_map();
        if entries.is_none() {
            let message = format!("this is {}, where a map is expected", node.kind());
            self.problems.error("wrong-shape", path, node.position, message);
        }
        entries.unwrap_or_default()
    }

    fn list<'n>(&mut self, section: Option<&'n Node>, path: &str) -> &'n [Node] {
        let Some(node) = section else { return &[] };
        let items = node.as_list();
        if items.is_none() {
            let message = format!("this is {}, where a list is expected", node.kind());
            self.problems.error("wrong-shape", path, node.position, message);
        }
        items.unwrap_or_default()
    }

    fn unknown_key(&mut self, path: &str, key: &Key, known: &[&str]) -> Diagnostic {
        let message = format!("{path} has no field \"{}\"", key.name);
        let hint = self.problems.hint(&key.name, known.iter().copied());
        Diagnostic::error("unknown-field", format!("{path}.{}", key.name), key.position, message).with_fix(hint)
    }

    pub(super) fn operation(&mut self, section: Option<&Node>, document: &Node) -> Operation {
        let mut operation = Operation::default();
        let Some(node) = section else {
            self.required_field(
                "operation",
                document,
                "a runbook needs \"operation\", with a name and a type".to_owned(),
            );
            return operation;
        };
        for (key, value) in self.map(section, "operation").iter().filter(|(_, value)| !value.is_null()) {
            let path = format!("operation.{}", key.name);
            match key.name.as_str() {
                "name" => operation.name = self.literal_text(value, &path).unwrap_or_default(),
                "type" => operation.kind = self.operation_type(value, &path),
                "description" => operation.description = self.literal_text(value, &path),
                "platform" => operation.platform = self.literal_text(value, &path),
                _ => {
                    let unknown = self.unknown_key("operation", key, &["name", "type", "description", "platform"]);
                    self.problems.push(Diagnostic {
                        code: "unknown-key",
                        severity: crate::runbook::diagnostic::Severity::Warning,
                        ..unknown
                    });
                }
            }
        }
        for field in ["name", "type"] {
            if node.get(field).is_none_or(|value| value.is_null() || value.as_text() == Some("")) {
                self.required_field(&format!("operation.{field}"), node, format!("operation needs \"{field}\""));
            }
        }
        operation
    }

    fn operation_type(&mut self, node: &Node, path: &str) -> String {
        let kind = self.literal_text(node, path).unwrap_or_default();
        let is_inner = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_label = kind.len() <= 63 && kind.bytes().all(is_inner) && !kind.starts_with('-') && !kind.ends_with('-');
        if !is_label {
            let message = format!("\"{kind}\" is no DNS label");
            let fix = "use at most 63 lower-case letters, digits and hyphens, such as deploy, maintain or recovery".to_owned();
            self.problems
                .push(Diagnostic::error("bad-value", path, node.position, message).with_fix(fix));
        }
        kind
    }

    /// They are checked, and refused: what must hold before the first step is not passed over.
    pub(super) fn prerequisites(&mut self, section: Option<&Node>) {
        let items = self.list(section, "prerequisites");
        if let (Some(node), false) = (section, items.is_empty()) {
            self.problems.error(
                "not-available",
                "prerequisites",
                node.position,
                "prerequisites are not available in this version",
            );
        }
        for (index, item) in items.iter().enumerate() {
            let path = format!("prerequisites[{index}]");
            for (key, value) in self.map(Some(item), &path).iter().filter(|(_, value)| !value.is_null()) {
                if let Some((name, shape)) = PREREQUISITE.iter().find(|(name, _)| *name == key.name) {
                    self.field(*shape, value, &format!("{path}.{name}"));
                } else {
                    let unknown = self.unknown_key(&path, key, &PREREQUISITE.map(|(name, _)| name));
                    self.problems.push(unknown);
                }
            }
            if item.as_map().is_some() && item.get("command").is_none_or(Node::is_null) {
                self.required_field(&format!("{path}.command"), item, "a prerequisite needs \"command\"".to_owned());
            }
        }
    }

    pub(super) fn rollback(&mut self, section: Option<&Node>) -> Rollback {
        let mut rollback = Rollback {
            enabled: true,
            on_failure: Vec::new(),
        };
        for (key, value) in self.map(section, "rollback").iter().filter(|(_, value)| !value.is_null()) {
            match key.name.as_str() {
                "enabled" => rollback.enabled = self.flag(value, "rollback.enabled"),
                "on_failure" => {
                    rollback.on_failure = self.allowing(AFTER_FAILURE, |checker| checker.steps(value, "rollback.on_failure", None));
                    reading::mark(&mut rollback.on_failure, Ahead::default());
                }
                _ => {
                    let unknown = self.unknown_key("rollback", key, &["enabled", "on_failure"]);
                    self.problems.push(unknown);
                }
            }
        }
        rollback
    }

    pub(super) fn notifications(&mut self, section: Option<&Node>) -> Notifications {
        let mut notifications = Notifications::default();
        for (key, value) in self.map(section, "notifications") {
            let path = format!("notifications.{}", key.name);
            let Some(event) = key.name.strip_prefix("on_").filter(|event| !event.is_empty()) else {
                let unknown = self.unknown_key("notifications", key, &["on_success", "on_failure", "on_complete"]);
                self.problems.push(unknown);
                continue;
            };
            let allowed = if event == "failure" { AFTER_FAILURE } else { Allowed::default() };
            let steps = self.allowing(allowed, |checker| checker.steps(value, &path, Some(StepType::Notification)));
            match event {
                "success" => notifications.on_success = steps,
                "failure" => notifications.on_failure = steps,
                "complete" => notifications.on_complete = steps,
                other => {
                    self.other_event(other, key, &path);
                    notifications.on_other.insert(other.to_owned(), steps);
                }
            }
        }
        notifications
    }

    fn other_event(&mut self, event: &str, key: &Key, path: &str) {
        if self.names.is_defined_somewhere(event) || self.names.is_defined_somewhere(&format!("{event}s")) {
            return;
        }
        let message = format!("this is never sent: nothing defines \"{event}\" or \"{event}s\"");
        let hint = self.problems.hint(&key.name, ["on_success", "on_failure", "on_complete"]);
        self.problems
            .push(Diagnostic::warning("never-sent", path, key.position, message).with_fix(hint));
    }

    /// Their shape alone: each is one event with the fields that it must have.
    pub(super) fn triggers(&mut self, section: Option<&Node>) {
        let items = self.list(section, "triggers");
        for (index, item) in items.iter().enumerate() {
            let path = format!("triggers[{index}]");
            let entries = self.map(Some(item), &path);
            let is_event = entries.len() == 1 && entries.iter().all(|(_, fields)| fields.is_null() || fields.as_map().is_some());
            if item.as_map().is_some() && !is_event {
                let message = "a trigger is one event with a map of its fields";
                self.problems.error("wrong-shape", &path, item.position, message);
            }
        }
        if let (Some(node), false) = (section, items.is_empty()) {
            let message = "triggers start nothing in this version";
            self.problems
                .push(Diagnostic::warning("not-available", "triggers", node.position, message));
        }
    }

    pub(super) fn results(&mut self, section: Option<&Node>) -> Results {
        let mut results = Results::default();
        for (key, value) in self.map(section, "results").iter().filter(|(_, value)| !value.is_null()) {
            match key.name.as_str() {
                "report_format" => results.report = Some(self.field(Shape::Text, value, "results.report_format")),
                "save_to" => results.save_to = Some(self.field(Shape::Text, value, "results.save_to")),
                _ => {
                    let unknown = self.unknown_key("results", key, &["report_format", "save_to"]);
                    self.problems.push(unknown);
                }
            }
        }
        results
    }

    pub(super) fn outputs(&mut self, section: Option<&Node>) -> IndexMap<String, Expression> {
        let entries = self.map(section, "outputs");
        let output = |(key, value): &(Key, Node)| Some((key.name.clone(), self.expression(value, &format!("outputs.{}", key.name))?));
        entries.iter().filter_map(output).collect()
    }
}
