//! What a queue writes.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use kube::api::{ApiResource, DynamicObject, ListParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use serde::Deserialize as _;

use crate::api::operation::Phase;
use crate::api::operation_queue::Slot;
use crate::api::{Operation, OperationQueue, OperationQueueSpec, OperationQueueStatus};
use crate::controller::watch::Key;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How many Operations a page of the live list holds.
const PAGE: u32 = 500;

/// How a write ended.
#[derive(Debug)]
pub enum Written {
    Replaced(Arc<OperationQueue>),
    /// Who runs, by a live list: for a record that is empty because the queue is new.
    Filled(Vec<Slot>),
    /// Somebody else was faster: what stands there now.
    Stale(Arc<OperationQueue>),
    Gone,
    /// Nothing is known of it; it is tried again.
    Failed(String),
}

fn bounded(key: Key, write: impl Future<Output = Result<Written, kube::Error>> + Send + 'static) -> BoxFuture<'static, (Key, Written)> {
    async move {
        let written = match tokio::time::timeout(TIMEOUT, write).await {
            Ok(Ok(written)) => written,
            Ok(Err(error)) => Written::Failed(error.to_string()),
            Err(_) => Written::Failed(format!("no answer within {TIMEOUT:?}")),
        };
        (key, written)
    }
    .boxed()
}

/// Replaces the status of the object that was read, and nothing newer.
#[must_use]
pub fn replace_status(client: Client, key: Key, read: &OperationQueue, status: OperationQueueStatus) -> BoxFuture<'static, (Key, Written)> {
    let mut object = read.clone();
    object.status = Some(status);
    object.metadata.managed_fields = None;
    let name = key.name.clone();
    let api: Api<OperationQueue> = Api::namespaced(client, &key.namespace);
    bounded(key, async move {
        match api.replace_status(&name, &PostParams::default(), &object).await {
            Ok(object) => Ok(Written::Replaced(Arc::new(object))),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(api
                .get_opt(&name)
                .await?
                .map_or(Written::Gone, |object| Written::Stale(Arc::new(object)))),
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(Written::Gone),
            Err(error) => Err(error),
        }
    })
}

/// Creates the queue `default`.
#[must_use]
pub fn create_default(client: Client, key: Key) -> BoxFuture<'static, (Key, Written)> {
    let name = key.name.clone();
    let api: Api<OperationQueue> = Api::namespaced(client, &key.namespace);
    let metadata = ObjectMeta {
        name: Some(name.clone()),
        ..ObjectMeta::default()
    };
    let object = OperationQueue {
        metadata,
        spec: OperationQueueSpec::default(),
        status: None,
    };
    bounded(key, async move {
        match api.create(&PostParams::default(), &object).await {
            Ok(object) => Ok(Written::Stale(Arc::new(object))),
            Err(kube::Error::Api(status)) if status.code == 409 => Ok(api
                .get_opt(&name)
                .await?
                .map_or(Written::Gone, |object| Written::Stale(Arc::new(object)))),
            Err(error) => Err(error),
        }
    })
}

/// Who runs in a queue, by a live list of its namespace. Objects that our types cannot read are in that list too, so it is taken as
/// it comes.
#[must_use]
pub fn fill(client: Client, key: Key) -> BoxFuture<'static, (Key, Written)> {
    let queue = key.name.clone();
    let api: Api<DynamicObject> = Api::namespaced_with(client, &key.namespace, &ApiResource::erase::<Operation>(&()));
    bounded(key, async move {
        let mut running = Vec::new();
        let mut parameters = ListParams::default().limit(PAGE);
        loop {
            let page = api.list(&parameters).await?;
            running.extend(page.items.iter().filter(|operation| runs_in(operation, &queue)).map(slot));
            match page.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => parameters = parameters.continue_token(&token),
                None => return Ok(Written::Filled(running)),
            }
        }
    })
}

fn runs_in(operation: &DynamicObject, queue: &str) -> bool {
    let field = |pointer: &str| operation.data.pointer(pointer).filter(|value| !value.is_null());
    let phase = field("/status/phase").and_then(|phase| Phase::deserialize(phase).ok());
    field("/spec/queue").is_some_and(|name| name == queue) && field("/status/runner").is_some() && !phase.is_some_and(Phase::is_final)
}

fn slot(operation: &DynamicObject) -> Slot {
    Slot {
        name: operation.metadata.name.clone().unwrap_or_default(),
        uid: operation.metadata.uid.clone().unwrap_or_default(),
    }
}
