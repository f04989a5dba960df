//! The life of an Operation: one run of a runbook.
//!
//! One task for each unfinished Operation tells the same story: observe what it is made from, validate that, decide, apply, report.
//! A run's steps are tasks beside it, so that a cancel is never hidden by a step that takes long.

pub mod apply;
pub mod decide;
pub mod document;
pub mod execute;
pub mod journal;
pub mod library;
pub mod log;
pub mod observe;
pub mod prepare;
pub mod record;
pub mod report;
pub mod retry;
pub mod rollback;
pub mod scope;
pub mod step;
mod supervise;
pub mod validate;
pub mod walk;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt as _;
use kube::Api;
use tokio::sync::watch;
use tokio::task::{Id, JoinError, JoinSet};

use crate::api::{FINALIZER, Operation};
use crate::controller::Context;
use crate::controller::slots::Slots;
use crate::controller::watch::{Change, Key, Watched, watching};
use crate::remote::http::HttpClient;
use document::ConfigMaps;
use library::Library;
use log::Log;

/// What every Operation is given.
pub struct Shared {
    pub context: Context,
    pub library: Library,
    pub http: HttpClient,
    pub slots: Slots,
    documents: Mutex<HashMap<String, Arc<ConfigMaps>>>,
}

impl Shared {
    #[must_use]
    pub fn new(context: Context, library: Library, http: HttpClient, slots: Slots) -> Arc<Self> {
        Arc::new(Self {
            context,
            library,
            http,
            slots,
            documents: Mutex::default(),
        })
    }

    /// The state documents of a namespace: one for all its Operations, so that their changes join.
    fn documents(&self, namespace: &str) -> Arc<ConfigMaps> {
        let mut known = self.documents.lock().unwrap_or_else(PoisonError::into_inner);
        let new = || Arc::new(ConfigMaps::new(Api::namespaced(self.context.client.clone(), namespace)));
        known.entry(namespace.to_owned()).or_insert_with(new).clone()
    }
}

/// The newest that is known of an Operation.
#[derive(Debug, Clone)]
struct Latest {
    operation: Arc<Operation>,
    /// It is gone: stop everything.
    deleted: bool,
}

/// An unfinished Operation and the task that looks after it.
struct Entry {
    uid: String,
    latest: watch::Sender<Latest>,
}

impl Watched for Operation {
    /// A run's own record is never taken from the watch: while a process runs an Operation its memory is the truth.
    fn slim(object: &mut serde_json::Value) {
        if let Some(status) = object.get_mut("status").and_then(serde_json::Value::as_object_mut) {
            for field in ["steps", "rollback", "outputs", "report"] {
                status.remove(field);
            }
        }
    }
}

/// Looks after all Operations until the watch ends.
pub async fn run(shared: Arc<Shared>) {
    let mut changes = watching::<Operation>(&shared.context);
    let (log, writing) = Log::new(shared.clone());
    let mut operations = Operations {
        shared,
        log,
        entries: HashMap::new(),
        tasks: JoinSet::new(),
        keys: HashMap::new(),
    };
    operations.tasks.spawn(writing.map(|()| Left::Released));
    loop {
        tokio::select! {
            change = changes.recv() => match change {
                Some(change) => operations.observe(change),
                None => return,
            },
            Some(ended) = operations.tasks.join_next_with_id(), if !operations.tasks.is_empty() => {
                match ended {
                    Ok((task, left)) => operations.ended(task, left),
                    Err(broken) => operations.broken(&broken),
                }
            }
        }
    }
}

/// All unfinished Operations.
struct Operations {
    shared: Arc<Shared>,
    log: Log,
    entries: HashMap<Key, Entry>,
    /// One task for each of them; all end with this.
    tasks: JoinSet<Left>,
    keys: HashMap<Id, Key>,
}

/// How a task left its Operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    /// Its end is on record; the watch may still tell of what was before.
    Ended,
    /// It is gone, or somebody else's.
    Released,
}

impl Operations {
    fn observe(&mut self, change: Change<Operation>) {
        match change {
            Change::Applied(operation) => self.applied(operation),
            Change::Deleted(key) => {
                if let Some(entry) = self.entries.remove(&key) {
                    self.delete(&entry);
                }
                self.log.forget(&key);
            }
            Change::Unreadable { metadata, message } => self.shared.context.unreadable::<Operation>(&metadata, &message),
            Change::Synced => {
                self.shared.slots.unfinished().complete();
                self.log.catch_up();
            }
        }
    }

    fn applied(&mut self, operation: Operation) {
        let key = Key::of(&operation.metadata);
        let uid = operation.metadata.uid.clone().unwrap_or_default();
        if self.entries.get(&key).is_some_and(|entry| entry.uid != uid)
            && let Some(replaced) = self.entries.remove(&key)
        {
            self.delete(&replaced);
        }
        let operation = Arc::new(operation);
        if operation.is_finished() {
            self.log.ended(&operation);
        }
        if let Some(entry) = self.entries.get(&key) {
            let over = operation.is_finished() && entry.latest.is_closed();
            entry.latest.send_replace(Latest { operation, deleted: false });
            if over {
                self.shared.slots.unfinished().remove(&uid);
                self.entries.remove(&key);
            }
        } else if operation.is_finished() {
            self.shared.slots.unfinished().remove(&uid);
            if has_finalizer(&operation) {
                self.tasks.spawn(supervise::release(self.shared.clone(), operation));
            }
        } else {
            self.shared.slots.unfinished().insert(&uid);
            let (latest, receiver) = watch::channel(Latest { operation, deleted: false });
            let task = self.tasks.spawn(supervise::supervise(self.shared.clone(), receiver));
            self.keys.insert(task.id(), key.clone());
            self.entries.insert(key, Entry { uid, latest });
        }
    }

    fn delete(&mut self, entry: &Entry) {
        self.log.deleted(&entry.latest.borrow().operation);
        self.shared.slots.unfinished().remove(&entry.uid);
        entry.latest.send_modify(|latest| latest.deleted = true);
    }

    /// A task came to its end. An entry stays until the watch tells of that end, so that nothing it tells of before is taken for new.
    fn ended(&mut self, task: Id, left: Left) {
        let Some(key) = self.keys.remove(&task) else { return };
        let Some(entry) = self.entries.get(&key).filter(|entry| entry.latest.is_closed()) else {
            return;
        };
        let Latest { operation, deleted } = entry.latest.borrow().clone();
        let over = deleted || operation.is_finished();
        if over {
            self.shared.slots.unfinished().remove(&entry.uid);
        }
        if over || left == Left::Released {
            self.entries.remove(&key);
        }
    }

    /// A task broke down, which it never should; its Operation is looked after anew when it next changes.
    fn broken(&mut self, error: &JoinError) {
        tracing::error!("the task of an Operation broke down: {error}");
        self.ended(error.id(), Left::Released);
    }
}

fn has_finalizer(operation: &Operation) -> bool {
    operation
        .metadata
        .finalizers
        .iter()
        .flatten()
        .any(|finalizer| finalizer == FINALIZER)
}
