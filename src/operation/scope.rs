//! The variables of a run, in layers: the run's own, and one of each foreach item.

use std::borrow::Cow;

use jiff::Timestamp;
use serde_json::{Map, Value, json};

use crate::runbook::Scope;

/// One layer of variables.
#[derive(Debug, Clone, Default)]
pub struct Layer {
    pub variables: Map<String, Value>,
    /// What `steps.<name>` yields.
    pub steps: Map<String, Value>,
    /// The results of the last foreach, and whether each item went well.
    pub last_foreach: Option<Vec<Value>>,
    /// The registry entry that a lookup of this foreach item read; the first one counts.
    pub registry_entry: Option<Value>,
}

/// What a run is called; what the built-ins of the same names yield.
#[derive(Debug, Clone, Default)]
pub struct Identity {
    pub operation_name: String,
    pub operation_namespace: String,
    /// The uid.
    pub operation_id: String,
    pub runbook_name: String,
}

/// What went wrong, for rollback and notifications.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The path of the step that failed; absent where no step did.
    pub step: Option<String>,
    pub message: String,
}

/// What an expression sees at one moment of a run.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// Innermost last.
    pub layers: &'a [&'a Layer],
    pub identity: &'a Identity,
    pub now: Timestamp,
    pub attempt: i32,
    pub failure: Option<&'a Failure>,
    /// What `result` yields inside `until`.
    pub result: Option<&'a Value>,
}

impl Scope for View<'_> {
    fn lookup(&self, name: &str) -> Option<Cow<'_, Value>> {
        if name == "result"
            && let Some(result) = self.result
        {
            return Some(Cow::Borrowed(result));
        }
        if let Some(value) = self.layers.iter().rev().find_map(|layer| layer.variables.get(name)) {
            return Some(Cow::Borrowed(value));
        }
        self.built_in(name).map(Cow::Owned)
    }
}

impl View<'_> {
    fn built_in(&self, name: &str) -> Option<Value> {
        let text = |text: &str| Some(Value::String(text.to_owned()));
        let time = |format: &str| Some(Value::String(self.now.strftime(format).to_string()));
        match name {
            "current_date" => time("%Y-%m-%d"),
            "current_time" => time("%H:%M:%S"),
            "current_timestamp" => time("%Y-%m-%dT%H:%M:%SZ"),
            "operation_name" => text(&self.identity.operation_name),
            "operation_namespace" => text(&self.identity.operation_namespace),
            "operation_id" => text(&self.identity.operation_id),
            "runbook_name" => text(&self.identity.runbook_name),
            "attempt" => Some(json!(self.attempt)),
            "error_message" => self.failure.and_then(|failure| text(&failure.message)),
            "failed_step" => self.failure.and_then(|failure| text(failure.step.as_deref()?)),
            "steps" => Some(Value::Object(self.layers.iter().flat_map(|layer| layer.steps.clone()).collect())),
            _ => None,
        }
    }
}
