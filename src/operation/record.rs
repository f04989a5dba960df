//! What goes on record of a step, with everything secret masked.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::operation::StepStatus;
use crate::telemetry::redaction::Redactor;

/// The longest text output that goes on record, in bytes; what is longer is cut and marked.
const LONGEST_TEXT: usize = 64 * 1024;
/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 2048;

/// How a step ended, before anything is masked.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    pub failed: bool,
    pub output: Value,
    pub variables: Map<String, Value>,
    pub message: Option<String>,
    pub registry_entry: Option<Value>,
}

/// What was masked on record, as it really is. It goes to the journal Secret, never to the status.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Original {
    #[serde(default)]
    output: Value,
    #[serde(default)]
    variables: Map<String, Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    registry_entry: Option<Value>,
}

impl Original {
    /// The record with what was masked in its place.
    #[must_use]
    pub fn restore(&self, record: &StepStatus) -> StepStatus {
        StepStatus {
            output: Some(self.output.clone()),
            variables: self.variables.clone(),
            registry_entry: self.registry_entry.clone(),
            ..record.clone()
        }
    }
}

/// Puts endings on record.
#[derive(Debug, Default)]
pub struct Recorder {
    redactor: Redactor,
    originals: BTreeMap<String, Original>,
    /// How many of them the journal has.
    written: usize,
}

impl Recorder {
    /// A recorder that masks what `redactor` knows; `originals` is what the journal holds from before.
    #[must_use]
    pub fn new(redactor: Redactor, originals: BTreeMap<String, Original>) -> Self {
        let written = originals.len();
        Self {
            redactor,
            originals,
            written,
        }
    }

    /// Text as it may be shown.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        cut(&self.redactor.mask(text), LONGEST_MESSAGE)
    }

    /// A value as it may be shown.
    #[must_use]
    pub fn value(&self, mut value: Value) -> Value {
        self.redactor.mask_value(&mut value);
        value
    }

    /// Puts an ending on record; what has to be masked is kept apart.
    pub fn record(&mut self, record: &mut StepStatus, ending: Ending) {
        let Ending {
            mut output,
            mut variables,
            message,
            mut registry_entry,
            ..
        } = ending;
        if let Value::String(text) = &mut output
            && text.len() > LONGEST_TEXT
        {
            *text = cut(text, LONGEST_TEXT);
        }
        let original = Original {
            output: output.clone(),
            variables: variables.clone(),
            registry_entry: registry_entry.clone(),
        };
        let mut masked = self.redactor.mask_value(&mut output);
        for value in variables.values_mut().chain(&mut registry_entry) {
            masked |= self.redactor.mask_value(value);
        }
        if masked {
            self.originals.insert(record.path.clone(), original);
        }
        record.message = message.map(|message| self.text(&message));
        record.output = Some(output).filter(|output| !output.is_null());
        record.variables.extend(variables);
        record.registry_entry = registry_entry;
    }

    /// What was masked of a step.
    #[must_use]
    pub fn original(&self, path: &str) -> Option<&Original> {
        self.originals.get(path)
    }

    /// Everything that was masked, by path, if that grew since the last call.
    pub fn take_new_originals(&mut self) -> Option<BTreeMap<String, Original>> {
        if self.originals.len() == self.written {
            return None;
        }
        self.written = self.originals.len();
        Some(self.originals.clone())
    }
}

/// At most `limit` bytes of a text, and a mark where it was cut.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0);
    format!("{}... [cut: {} of {} bytes]", &text[..end], end, text.len())
}
