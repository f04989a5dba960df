//! What the controllers share.

pub mod backoff;
pub mod condition;
pub mod leader;
pub mod slots;
pub mod watch;

use std::sync::Arc;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Client;
use kube::runtime::events::{Recorder, Reporter};

use crate::api::operation::Runner;
use crate::telemetry::metrics::Metrics;

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
    pub metrics: Metrics,
    pub events: Recorder,
}

impl Context {
    /// Tells of an object that our types cannot read; it stops nothing else.
    pub fn unreadable(&self, kind: &'static str, metadata: &ObjectMeta, message: &str) {
        let (namespace, name) = (
            metadata.namespace.clone().unwrap_or_default(),
            metadata.name.clone().unwrap_or_default(),
        );
        tracing::warn!(kind, namespace, name, "cannot be read and is left alone: {message}");
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
