//! What the controllers share.

pub mod backoff;
pub mod condition;
pub mod leader;
pub mod slots;
pub mod watch;

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use k8s_openapi::api::core::v1::ObjectReference;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use crate::api::Reason;
use crate::api::operation::Runner;
use crate::telemetry::metrics::Metrics;
use watch::Key;

/// The longest note of an Event, in characters; the API server takes 1 KiB.
const LONGEST_NOTE: usize = 250;

/// What every controller is given.
#[derive(Clone)]
pub struct Context {
    pub client: Client,
    /// The namespaces that are ours; empty: all.
    pub namespaces: Arc<[String]>,
    /// How many Operations run at once, over all queues.
    pub max_running: usize,
    /// Who we are, and the number of our leadership.
    pub runner: Runner,
    /// Asked before anything acts.
    pub tenure: leader::Tenure,
    pub metrics: Metrics,
    pub events: Recorder,
    pub unreadable: Unreadable,
}

/// The objects that our types cannot read, by kind.
#[derive(Clone, Default)]
pub struct Unreadable(Arc<Mutex<HashMap<String, HashSet<Key>>>>);

impl Unreadable {
    /// Takes note of whether an object can be read; yields how many of its kind cannot, where that changed.
    fn note(&self, kind: &str, key: &Key, readable: bool) -> Option<usize> {
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if readable {
            let of_kind = kinds.get_mut(kind)?;
            of_kind.remove(key).then_some(of_kind.len())
        } else {
            let of_kind = kinds.entry(kind.to_owned()).or_default();
            of_kind.insert(key.clone()).then_some(of_kind.len())
        }
    }
}

impl Context {
    /// Tells of an object that our types cannot read, once; it stops nothing else.
    pub fn unreadable<K: Resource<DynamicType = ()>>(&self, metadata: &ObjectMeta, message: &str) {
        let (kind, key) = (K::kind(&()), Key::of(metadata));
        let Some(count) = self.unreadable.note(&kind, &key, false) else {
            return;
        };
        self.metrics.set_unreadable_objects(&kind, count);
        tracing::warn!(%kind, object = %key, "cannot be read and is left alone: {message}");
        let object = ObjectReference {
            api_version: Some(K::api_version(&()).into_owned()),
            kind: Some(kind.into_owned()),
            namespace: metadata.namespace.clone(),
            name: metadata.name.clone(),
            uid: metadata.uid.clone(),
            ..ObjectReference::default()
        };
        self.warn(object, Reason::Unreadable, &format!("cannot be read and is left alone: {message}"));
    }

    /// Writes a warning Event about an object, beside everything else. An Event that cannot be written is only logged.
    pub fn warn(&self, object: ObjectReference, reason: Reason, message: &str) {
        let event = Event {
            type_: EventType::Warning,
            reason: reason.to_string(),
            note: Some(message.chars().take(LONGEST_NOTE).collect()),
            action: "Observe".to_owned(),
            secondary: None,
        };
        let events = self.events.clone();
        tokio::spawn(async move {
            if let Err(error) = events.publish(&event, &object).await {
                tracing::debug!(object = object.name, "failed to write an Event: {error}");
            }
        });
    }

    /// An object can be read, or is gone.
    pub fn readable<K: Resource<DynamicType = ()>>(&self, key: &Key) {
        let kind = K::kind(&());
        if let Some(count) = self.unreadable.note(&kind, key, true) {
            self.metrics.set_unreadable_objects(&kind, count);
        }
    }

    /// A recorder of Kubernetes Events in our name.
    #[must_use]
    pub fn recorder(client: &Client, identity: &str) -> Recorder {
        Recorder::new(
            client.clone(),
            Reporter {
                controller: "thermostat".to_owned(),
                instance: Some(identity.to_owned()),
            },
        )
    }
}
