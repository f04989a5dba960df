//! What goes on record of a step, with everything secret masked. Pure.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::api::operation::{StepPhase, StepStatus};
use crate::telemetry::redaction::Redactor;

/// The longest text output that goes on record, in bytes, and the largest structured one; a longer text is cut and marked.
const LONGEST_TEXT: usize = 64 * 1024;
/// The longest message, in bytes.
const LONGEST_MESSAGE: usize = 2048;
/// The most that is kept apart from the record, in bytes of JSON: the journal's share beside the document and the parameters.
const MOST_ORIGINALS: usize = 384 * 1024;

/// How much may be on record in an object of the API server, in bytes of JSON, before no step starts any more. It holds about twice
/// that.
pub const ROOM_OF_AN_OBJECT: usize = 512 * 1024;
/// The longest value that joins a record of which a quarter is full; longer ones are kept apart.
const SHORT: usize = 1024;
/// How a message begins that tells of a size.
const TOO_LARGE: &str = "OutputTooLarge: ";

/// How a step ended, before anything is masked.
#[derive(Debug, Clone, Default)]
pub struct Ending {
    pub failed: bool,
    pub output: Value,
    pub variables: Map<String, Value>,
    pub message: Option<String>,
    pub registry_entry: Option<Value>,
    /// The output follows from other records, so the original need not be kept.
    pub derived: bool,
}

/// What is not on record as it really is: it is secret, or too large. It goes to the journal Secret, never to the status.
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
    fn restore(&self, record: &StepStatus) -> StepStatus {
        StepStatus {
            output: Some(self.output.clone()),
            variables: self.variables.clone(),
            registry_entry: self.registry_entry.clone(),
            ..record.clone()
        }
    }

    fn values(&mut self) -> impl Iterator<Item = &mut Value> {
        [&mut self.output]
            .into_iter()
            .chain(self.variables.values_mut())
            .chain(&mut self.registry_entry)
    }
}

/// Puts endings on record.
#[derive(Debug, Default)]
pub struct Recorder {
    redactor: Redactor,
    originals: BTreeMap<String, Original>,
    /// The size of all originals, in bytes of JSON.
    size: usize,
    /// The journal does not have them as they are.
    changed: bool,
    /// The size of what is on record, and how much of it there may be, in bytes of JSON.
    recorded: usize,
    room: usize,
}

impl Recorder {
    /// A recorder that masks what `redactor` knows; `originals` is what the journal holds from before, `room` how much may
    /// be on record, in bytes of JSON.
    #[must_use]
    pub fn new(redactor: Redactor, originals: BTreeMap<String, Original>, room: usize) -> Self {
        let size = originals.values().map(length).sum();
        Self {
            redactor,
            originals,
            size,
            changed: false,
            recorded: 0,
            room,
        }
    }

    /// Takes note of what is on record from before.
    pub fn count(&mut self, record: &StepStatus) {
        self.recorded = self.recorded.saturating_add(length(record));
    }

    /// Whether there is room for another step.
    ///
    /// # Errors
    /// What to do where there is none.
    pub fn has_room(&self) -> Result<(), String> {
        if self.recorded <= self.room {
            return Ok(());
        }
        let recorded = self.recorded;
        Err(format!(
            "{TOO_LARGE}the steps on record take {recorded} bytes, and no more than about {} fit; split the runbook or its lists",
            self.room
        ))
    }

    /// A message as it may be shown.
    #[must_use]
    pub fn text(&self, text: &str) -> String {
        cut(&self.redactor.mask(text), LONGEST_MESSAGE)
    }

    /// A report as it may be shown.
    #[must_use]
    pub fn report(&self, text: &str) -> String {
        cut(&self.redactor.mask(text), LONGEST_TEXT)
    }

    /// A value as it may be shown.
    ///
    /// # Errors
    /// One that is too large for the status; a text is cut instead.
    pub fn value(&self, mut value: Value) -> Result<Value, String> {
        cut_value(&mut value);
        self.redactor.mask_value(&mut value);
        match structured_length(&value) {
            length if length > LONGEST_TEXT => Err(too_large(length, LONGEST_TEXT)),
            _ => Ok(value),
        }
    }

    /// Puts an ending on record. What has to be masked, or is too large for the status, is kept apart; where there is no room for
    /// that, the step failed.
    pub fn record(&mut self, record: &mut StepStatus, ending: Ending) {
        let Ending {
            mut failed,
            output,
            variables,
            mut message,
            registry_entry,
            derived,
        } = ending;
        let mut original = Original {
            output,
            variables,
            registry_entry,
        };
        original.values().for_each(cut_value);
        let mut shown = original.clone();
        self.forget(&record.path);
        if self.shorten(&mut shown) && !derived {
            let length = length(&original);
            if self.size.saturating_add(length) > MOST_ORIGINALS {
                failed = true;
                message = Some(format!(
                    "{TOO_LARGE}{}",
                    too_large(self.size.saturating_add(length), MOST_ORIGINALS)
                ));
                shown = Original::default();
            } else {
                self.size += length;
                self.changed = true;
                self.originals.insert(record.path.clone(), original);
            }
        }
        record.phase = if failed { StepPhase::Failed } else { StepPhase::Succeeded };
        record.message = message.map(|message| self.text(&message));
        record.output = Some(shown.output).filter(|output| !output.is_null());
        record.variables = shown.variables;
        record.registry_entry = shown.registry_entry;
        self.count(record);
    }

    /// Makes of values what may stand in the status; whether that changed anything.
    fn shorten(&self, shown: &mut Original) -> bool {
        let mut changed = false;
        let is_filling = self.recorded > self.room / 4;
        for value in shown.values() {
            changed |= self.redactor.mask_value(value);
            let (length, limit) = if is_filling {
                (length(value), SHORT)
            } else {
                (structured_length(value), LONGEST_TEXT)
            };
            if length > limit {
                *value = Value::String(format!("[too large to be shown: {length} bytes]"));
                changed = true;
            }
        }
        changed
    }

    /// Forgets what was kept apart of a step that did not come to its end after all.
    pub fn forget(&mut self, path: &str) {
        if let Some(original) = self.originals.remove(path) {
            self.size = self.size.saturating_sub(length(&original));
            self.changed = true;
        }
    }

    /// A record as it really is.
    #[must_use]
    pub fn restored<'a>(&self, record: &'a StepStatus) -> Cow<'a, StepStatus> {
        self.originals
            .get(&record.path)
            .map_or(Cow::Borrowed(record), |original| Cow::Owned(original.restore(record)))
    }

    /// Everything that is kept apart, by path, if that changed since the last call.
    pub fn take_new_originals(&mut self) -> Option<BTreeMap<String, Original>> {
        std::mem::take(&mut self.changed).then(|| self.originals.clone())
    }
}

/// Whether a failure's message tells of a size.
#[must_use]
pub fn tells_of_size(message: &str) -> bool {
    message.starts_with(TOO_LARGE)
}

fn too_large(length: usize, limit: usize) -> String {
    format!("the value is too large: {length} bytes are more than {limit}; keep less of it")
}

fn length(value: &impl Serialize) -> usize {
    serde_json::to_vec(value).map_or(0, |json| json.len())
}

/// The size of a list or map; of nothing else, for texts are cut.
fn structured_length(value: &Value) -> usize {
    if value.is_array() || value.is_object() { length(value) } else { 0 }
}

fn cut_value(value: &mut Value) {
    if let Value::String(text) = value
        && text.len() > LONGEST_TEXT
    {
        *text = cut(text, LONGEST_TEXT);
    }
}

/// A text, or as much of its start as `limit` bytes hold together with a mark that says how much there was.
#[must_use]
pub fn cut(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let mark = format!("... [cut: {} bytes]", text.len());
    let kept = text.floor_char_boundary(limit.saturating_sub(mark.len()));
    format!("{}{mark}", text.get(..kept).unwrap_or_default())
}

#[cfg(test)]
mod tests;
