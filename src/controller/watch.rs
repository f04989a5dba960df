//! One shared watch per kind, that nothing stops: not a cut connection, and not an object that our types cannot read.

use std::collections::HashMap;
use std::fmt::Debug;

use futures::StreamExt as _;
use k8s_openapi::NamespaceResourceScope;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::runtime::{WatchStreamExt as _, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::sync::mpsc;

use super::Context;

/// How many changes may wait for whoever reads them.
const BACKLOG: usize = 1024;

/// A kind that is watched.
pub trait Watched:
    Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + Send + Sync + 'static
{
    /// Leaves out what nobody takes from the watch, before the object is read.
    fn slim(object: &mut Value);
}

/// An object by name; the uid tells it from one of the same name before or after.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    pub namespace: String,
    pub name: String,
}

impl Key {
    #[must_use]
    pub fn of(metadata: &ObjectMeta) -> Self {
        Self {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: metadata.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// What a watch tells.
#[derive(Debug)]
pub enum Change<K> {
    Applied(K),
    /// Deleted, or found missing when the watch began anew.
    Deleted(Key),
    /// Our types cannot read it.
    Unreadable {
        metadata: Box<ObjectMeta>,
        message: String,
    },
    /// Everything that existed when the watch began has been told.
    Synced,
}

/// An object, or why it cannot be read.
#[derive(Debug, Clone)]
struct Guarded<K>(Result<K, String>, ObjectMeta);

impl<'de, K: Watched> Deserialize<'de> for Guarded<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut value = Value::deserialize(deserializer)?;
        if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
            metadata.remove("managedFields");
        }
        K::slim(&mut value);
        let metadata = value
            .get("metadata")
            .map(ObjectMeta::deserialize)
            .transpose()
            .map_err(serde::de::Error::custom)?
            .unwrap_or_default();
        Ok(Self(K::deserialize(&value).map_err(|error| error.to_string()), metadata))
    }
}

impl<K: Watched> Resource for Guarded<K> {
    type DynamicType = ();
    type Scope = K::Scope;

    fn kind((): &()) -> std::borrow::Cow<'_, str> {
        K::kind(&())
    }

    fn group((): &()) -> std::borrow::Cow<'_, str> {
        K::group(&())
    }

    fn version((): &()) -> std::borrow::Cow<'_, str> {
        K::version(&())
    }

    fn plural((): &()) -> std::borrow::Cow<'_, str> {
        K::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.1
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.1
    }
}

/// Watches a kind in every namespace that is ours, for as long as somebody listens.
#[must_use]
pub fn watching<K: Watched>(context: &Context) -> mpsc::Receiver<Change<K>> {
    let (sender, receiver) = mpsc::channel(BACKLOG);
    let apis: Vec<Api<Guarded<K>>> = if context.namespaces.is_empty() {
        vec![Api::all(context.client.clone())]
    } else {
        context
            .namespaces
            .iter()
            .map(|namespace| Api::namespaced(context.client.clone(), namespace))
            .collect()
    };
    let (done, count) = (std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)), apis.len());
    for api in apis {
        tokio::spawn(follow(context.clone(), api, sender.clone(), done.clone(), count));
    }
    receiver
}

/// Follows one watch; the last of `count` to be complete for the first time says so.
async fn follow<K: Watched>(
    context: Context,
    api: Api<Guarded<K>>,
    sender: mpsc::Sender<Change<K>>,
    done: std::sync::Arc<std::sync::atomic::AtomicUsize>,
    count: usize,
) {
    let mut events = watcher(api, watcher::Config::default()).default_backoff().boxed();
    // what is known, and in which listing it was last seen
    let mut known: HashMap<Key, u64> = HashMap::new();
    let mut listing = 0;
    let mut complete = false;
    while let Some(event) = events.next().await {
        let changes = match event {
            Err(error) => {
                tracing::warn!(kind = %K::kind(&()), "the watch was cut and begins anew: {error}");
                continue;
            }
            Ok(watcher::Event::Init) => {
                listing += 1;
                continue;
            }
            Ok(watcher::Event::InitApply(object) | watcher::Event::Apply(object)) => {
                known.insert(Key::of(&object.1), listing);
                vec![match object.0 {
                    Ok(read) => {
                        context.readable::<K>(&Key::of(&object.1));
                        Change::Applied(read)
                    }
                    Err(message) => Change::Unreadable {
                        metadata: Box::new(object.1),
                        message,
                    },
                }]
            }
            Ok(watcher::Event::Delete(object)) => {
                let key = Key::of(&object.1);
                known.remove(&key);
                vec![Change::Deleted(key)]
            }
            Ok(watcher::Event::InitDone) => {
                let mut changes: Vec<_> = known
                    .extract_if(|_, seen| *seen != listing)
                    .map(|(key, _)| Change::Deleted(key))
                    .collect();
                if !std::mem::replace(&mut complete, true) && done.fetch_add(1, std::sync::atomic::Ordering::SeqCst) + 1 == count {
                    changes.push(Change::Synced);
                }
                changes
            }
        };
        for change in changes {
            if let Change::Deleted(key) = &change {
                context.readable::<K>(key);
            }
            if sender.send(change).await.is_err() {
                return;
            }
        }
    }
}
