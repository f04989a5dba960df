//! The operation log: one entry for every Operation that ended, in the document `infra/state/operations.json` of its namespace.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::stream::{self, StreamExt as _};
use jiff::Timestamp;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Shared;
use super::document::{Change, Documents as _, Error, OPERATIONS};
use crate::api::Operation;
use crate::api::operation::Phase;
use crate::controller::watch::Key;

/// How long entries wait for others to join their write: the log is written at most this often.
const PAUSE: Duration = Duration::from_secs(2);
/// How many namespaces' logs are written at once.
const AT_ONCE: usize = 8;

/// Where ends are noted.
pub struct Log {
    entries: mpsc::UnboundedSender<Entry>,
    /// The Operations that are noted and still exist, with their uids.
    noted: HashMap<Key, String>,
    /// What had ended before we looked has all been seen.
    caught_up: bool,
}

/// An entry that is not written yet.
#[derive(Debug, Clone)]
struct Entry {
    key: Key,
    uid: String,
    finished_at: Option<Timestamp>,
    /// It ended before we looked, so that it may have been written by whoever looked then.
    earlier: bool,
    fields: Value,
}

impl Log {
    /// A log, and the writing of it, which ends with the log.
    pub fn new(shared: Arc<Shared>) -> (Self, impl Future<Output = ()>) {
        let (entries, receiver) = mpsc::unbounded_channel();
        let log = Self {
            entries,
            noted: HashMap::new(),
            caught_up: false,
        };
        (log, write_all(shared, receiver))
    }

    /// From now on what ended did so under our eyes.
    pub fn catch_up(&mut self) {
        self.caught_up = true;
    }

    /// Notes, once, that an Operation ended.
    pub fn ended(&mut self, operation: &Operation) {
        let uid = operation.metadata.uid.clone().unwrap_or_default();
        let known = self.noted.insert(Key::of(&operation.metadata), uid.clone());
        if !operation.spec.dry_run && known != Some(uid) {
            self.tell(entry(operation, !self.caught_up));
        }
    }

    /// Notes that an unfinished Operation is gone: that was its end.
    pub fn deleted(&self, operation: &Operation) {
        if !operation.is_finished() && !operation.spec.dry_run {
            let mut entry = entry(operation, false);
            if let Some(fields) = entry.fields.as_object_mut() {
                fields.insert("phase".to_owned(), json!(Phase::Cancelled));
                fields.insert("error".to_owned(), json!("was deleted"));
            }
            self.tell(entry);
        }
    }

    /// An Operation is gone.
    pub fn forget(&mut self, key: &Key) {
        self.noted.remove(key);
    }

    fn tell(&self, entry: Entry) {
        // nobody writes only while the process ends; whoever comes after finds what is missing
        let _ = self.entries.send(entry);
    }
}

fn entry(operation: &Operation, earlier: bool) -> Entry {
    let status = operation.status.clone().unwrap_or_default();
    let phase = operation.phase();
    let runbook = status.runbook.as_ref();
    let mut fields = json!({
        "name": operation.metadata.name,
        "runbook": runbook.map(|runbook| &runbook.name),
        "type": runbook.map(|runbook| &runbook.kind),
        "phase": phase,
        "startedAt": status.started_at,
        "finishedAt": status.finished_at,
        "error": status.message.filter(|_| phase != Phase::Succeeded),
    });
    if let Some(fields) = fields.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    Entry {
        key: Key::of(&operation.metadata),
        uid: operation.metadata.uid.clone().unwrap_or_default(),
        finished_at: status.finished_at.map(|time| time.0),
        earlier,
        fields,
    }
}

async fn write_all(shared: Arc<Shared>, mut entries: mpsc::UnboundedReceiver<Entry>) {
    let mut waiting: HashMap<String, Vec<Entry>> = HashMap::new();
    loop {
        if waiting.is_empty() {
            match entries.recv().await {
                Some(entry) => waiting.entry(entry.key.namespace.clone()).or_default().push(entry),
                None => return,
            }
        }
        tokio::time::sleep(PAUSE).await;
        while let Ok(entry) = entries.try_recv() {
            waiting.entry(entry.key.namespace.clone()).or_default().push(entry);
        }
        let writes = waiting.drain().map(|(namespace, entries)| write(&shared, namespace, entries));
        let failed: Vec<_> = stream::iter(writes).buffer_unordered(AT_ONCE).collect().await;
        waiting.extend(failed.into_iter().flatten());
    }
}

/// Writes a namespace's entries; yields those that are to be tried again.
async fn write(shared: &Shared, namespace: String, entries: Vec<Entry>) -> Option<(String, Vec<Entry>)> {
    match append(shared, &namespace, &entries).await {
        Ok(()) => None,
        Err(error) if error.is_permanent() => {
            tracing::warn!(namespace, "the operation log was not written: {error}");
            None
        }
        Err(error) => {
            tracing::debug!(namespace, "failed to write the operation log, trying again: {error}");
            Some((namespace, entries))
        }
    }
}

async fn append(shared: &Shared, namespace: &str, entries: &[Entry]) -> Result<(), Error> {
    let documents = shared.documents(namespace);
    let last = if entries.iter().any(|entry| entry.earlier) {
        documents.read(OPERATIONS).await?.as_deref().and_then(last_end)
    } else {
        None
    };
    // times are whole seconds: among equals the ids tell
    let missing = entries.iter().filter(|entry| !entry.earlier || entry.finished_at >= last);
    let new: Vec<_> = missing.map(|entry| (entry.uid.clone(), entry.fields.clone())).collect();
    if new.is_empty() {
        return Ok(());
    }
    documents.change(OPERATIONS, Change::AppendAll(new)).await.map(drop)
}

/// When the last Operation of a log ended. Entries that runbooks wrote themselves have no such time.
fn last_end(log: &Value) -> Option<Timestamp> {
    let entries = log.get("operations")?.as_array()?;
    entries
        .iter()
        .filter_map(|entry| entry.get("finishedAt")?.as_str()?.parse().ok())
        .max()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    fn operation(status: &Value) -> Operation {
        let object = json!({
            "apiVersion": "thermostat.dev/v1alpha1",
            "kind": "Operation",
            "metadata": {"name": "a", "namespace": "n", "uid": "u"},
            "spec": {"runbook": {"name": "r"}, "parameters": {"size": 5}},
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    fn log() -> (Log, mpsc::UnboundedReceiver<Entry>) {
        let (entries, receiver) = mpsc::unbounded_channel();
        let log = Log {
            entries,
            noted: HashMap::new(),
            caught_up: true,
        };
        (log, receiver)
    }

    #[test]
    fn an_entry_names_the_run_its_times_and_its_error_and_no_parameters() {
        let status = json!({
            "phase": "Failed",
            "message": "check: status 503",
            "runbook": {"name": "r", "type": "deploy", "digest": "d"},
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:00:05Z",
        });
        let expected = json!({
            "name": "a",
            "runbook": "r",
            "type": "deploy",
            "phase": "Failed",
            "startedAt": "2026-01-01T00:00:00Z",
            "finishedAt": "2026-01-01T00:00:05Z",
            "error": "check: status 503",
        });
        assert_eq!(entry(&operation(&status), false).fields, expected);
        let fields = entry(
            &operation(&json!({"phase": "Succeeded", "message": "every step came to its end"})),
            false,
        )
        .fields;
        assert_eq!(fields, json!({"name": "a", "phase": "Succeeded"}));
    }

    #[test]
    fn an_end_is_noted_once() {
        let (mut log, mut entries) = log();
        let ended = operation(&json!({"phase": "Succeeded"}));
        log.ended(&ended);
        log.ended(&ended);
        log.deleted(&ended);
        assert!(entries.try_recv().is_ok() && entries.try_recv().is_err());
    }

    #[test]
    fn what_is_deleted_before_its_end_was_cancelled() {
        let (log, mut entries) = log();
        log.deleted(&operation(&json!({"phase": "Running"})));
        let fields = entries.try_recv().unwrap().fields;
        assert_eq!((&fields["phase"], &fields["error"]), (&json!("Cancelled"), &json!("was deleted")));
    }

    #[test]
    fn the_last_end_is_the_latest_among_the_entries_that_have_one() {
        let log = json!({"operations": [
            {"finishedAt": "2026-01-01T00:00:05Z"}, {"finishedAt": "2026-01-01T00:00:09Z"}, {"what": "deployed"}, {"finishedAt": 5},
        ]});
        assert_eq!(last_end(&log), Some("2026-01-01T00:00:09Z".parse().unwrap()));
        assert_eq!(last_end(&json!({})), None);
    }
}
