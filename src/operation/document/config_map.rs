//! State documents as `ConfigMap`s of one namespace.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Api;
use kube::api::PostParams;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use tokio::sync::{Mutex, oneshot};

use super::{Change, Documents, Error, apply_each, full_path, parse, print};
use crate::api::{STATE_LABEL, STATE_PATH};

/// How often a write is tried again after somebody else changed the document in between.
const CONFLICTS: u32 = 20;

/// A change that waits for its write, and who waits for it.
type Waiting = (Change, oneshot::Sender<Result<usize, Error>>);

/// `ConfigMap`s of one namespace. Changes that arrive while one is written join into the next write.
#[derive(Clone)]
pub struct ConfigMaps {
    api: Api<ConfigMap>,
    queues: Arc<Mutex<HashMap<String, Arc<Queue>>>>,
}

#[derive(Default)]
struct Queue {
    waiting: std::sync::Mutex<Vec<Waiting>>,
    writing: Mutex<()>,
}

/// The name and key of the `ConfigMap` that holds a document: its path with dots for slashes, and the file's name. A path that is
/// no DNS name that way gets a suffix from its digest.
fn place(path: &str) -> (String, String) {
    let key: String = path
        .rsplit('/')
        .next()
        .unwrap_or(path)
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' })
        .collect();
    let dotted = path.replace('/', ".");
    let is_label = |part: &str| {
        !part.is_empty()
            && part.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
            && !part.starts_with('-')
            && !part.ends_with('-')
    };
    if dotted.len() <= 253 && dotted.split('.').all(is_label) {
        return (dotted, key);
    }
    let plain: String = dotted
        .to_ascii_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || c == '.' { c } else { '-' })
        .collect();
    let plain: Vec<_> = plain
        .split('.')
        .map(|part| part.trim_matches('-'))
        .filter(|part| !part.is_empty())
        .collect();
    let mut plain = plain.join(".");
    plain.truncate(200);
    let number = Sha256::digest(path.as_bytes())
        .iter()
        .take(5)
        .fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let digest = format!("{number:010x}");
    let plain = plain.trim_matches(['.', '-']);
    (
        if plain.is_empty() {
            format!("state-{digest}")
        } else {
            format!("{plain}-{digest}")
        },
        key,
    )
}

impl ConfigMaps {
    #[must_use]
    pub fn new(api: Api<ConfigMap>) -> Self {
        Self {
            api,
            queues: Arc::default(),
        }
    }

    /// Writes what waits for a document, once whoever writes it now is done.
    async fn write_waiting(self, path: String, queue: Arc<Queue>) {
        let _one = queue.writing.lock().await;
        let (changes, senders): (Vec<_>, Vec<_>) = take(&queue).into_iter().unzip();
        if changes.is_empty() {
            return;
        }
        for (sender, result) in senders.into_iter().zip(self.write(&path, &changes).await) {
            // whoever was stopped in the meantime does not wait any more
            let _ = sender.send(result);
        }
    }

    async fn load(&self, path: &str) -> Result<(Option<ConfigMap>, Value), Error> {
        let (name, key) = place(path);
        let map = self.api.get_opt(&name).await.map_err(|error| unreachable(path, &error))?;
        let text = map.as_ref().and_then(|map| map.data.as_ref()).and_then(|data| data.get(&key));
        let value = text.map_or(Ok(Value::Null), |text| parse(path, text))?;
        Ok((map, value))
    }

    /// Writes all changes at once; again from the start where somebody else was faster.
    async fn write(&self, path: &str, changes: &[Change]) -> Vec<Result<usize, Error>> {
        let all = |error: &Error| changes.iter().map(|_| Err(error.clone())).collect();
        for attempt in 0..CONFLICTS {
            let (map, mut document) = match self.load(path).await {
                Ok(loaded) => loaded,
                Err(error) => return all(&error),
            };
            let before = document.clone();
            let results = apply_each(path, &mut document, changes);
            if document == before && map.is_some() {
                return results;
            }
            match self.store(path, map, &document).await {
                Ok(true) => return results,
                Ok(false) => tokio::time::sleep(Duration::from_millis(u64::from(10 * (attempt + 1)))).await,
                Err(error) => return all(&error),
            }
        }
        all(&Error::Unreachable {
            path: path.to_owned(),
            message: "others change it all the time".to_owned(),
        })
    }

    /// `false` where somebody else was faster.
    async fn store(&self, path: &str, map: Option<ConfigMap>, document: &Value) -> Result<bool, Error> {
        let (name, key) = place(path);
        let text = print(path, document)?;
        let parameters = PostParams::default();
        let result = if let Some(mut map) = map {
            if !map.metadata.labels.as_ref().is_some_and(|labels| labels.contains_key(STATE_LABEL)) {
                let message =
                    format!("the ConfigMap {name} is not a state document of ours; label it {STATE_LABEL}=true to let it be written");
                return Err(Error::Change {
                    path: path.to_owned(),
                    message,
                });
            }
            map.data.get_or_insert_default().insert(key, text);
            map.metadata.managed_fields = None;
            self.api.replace(&name, &parameters, &map).await
        } else {
            let metadata = ObjectMeta {
                name: Some(name),
                labels: Some(BTreeMap::from([(STATE_LABEL.to_owned(), "true".to_owned())])),
                annotations: Some(BTreeMap::from([(STATE_PATH.to_owned(), path.to_owned())])),
                ..ObjectMeta::default()
            };
            let map = ConfigMap {
                metadata,
                data: Some(BTreeMap::from([(key, text)])),
                ..ConfigMap::default()
            };
            self.api.create(&parameters, &map).await
        };
        match result {
            Ok(_) => Ok(true),
            Err(kube::Error::Api(status)) if status.code == 409 || status.code == 404 => Ok(false),
            Err(error) => Err(unreachable(path, &error)),
        }
    }
}

fn unreachable(path: &str, error: &kube::Error) -> Error {
    let message = error.to_string();
    match error {
        kube::Error::Api(status) if matches!(status.code, 400 | 403 | 413 | 422) => Error::Change {
            path: path.to_owned(),
            message,
        },
        _ => Error::Unreachable {
            path: path.to_owned(),
            message,
        },
    }
}

impl Documents for ConfigMaps {
    fn read<'a>(&'a self, path: &'a str) -> BoxFuture<'a, Result<Option<Arc<Value>>, Error>> {
        async move {
            let (map, value) = self.load(&full_path(path)?).await?;
            Ok(map.map(|_| Arc::new(value)))
        }
        .boxed()
    }

    fn change<'a>(&'a self, path: &'a str, change: Change) -> BoxFuture<'a, Result<usize, Error>> {
        async move {
            let path = full_path(path)?;
            let queue = self.queues.lock().await.entry(path.clone()).or_default().clone();
            let (sender, receiver) = oneshot::channel();
            push(&queue, (change, sender));
            // a task of its own: a step that is stopped must not stop the changes of others that joined its write
            tokio::spawn(self.clone().write_waiting(path.clone(), queue));
            receiver.await.unwrap_or_else(|_| {
                Err(Error::Unreachable {
                    path,
                    message: "the write was stopped".to_owned(),
                })
            })
        }
        .boxed()
    }
}

fn push(queue: &Queue, waiting: Waiting) {
    queue
        .waiting
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .push(waiting);
}

fn take(queue: &Queue) -> Vec<Waiting> {
    std::mem::take(&mut *queue.waiting.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
}

#[cfg(test)]
mod tests {
    use super::place;

    #[test]
    fn a_document_is_a_config_map_named_like_its_path() {
        assert_eq!(
            place("infra/state/deployments.json"),
            ("infra.state.deployments.json".to_owned(), "deployments.json".to_owned())
        );
    }

    #[test]
    fn a_path_that_is_no_dns_name_gets_a_suffix_of_its_own() {
        let (name, key) = place("infra/state/My File.json");
        assert!(name.starts_with("infra.state.my-file.json-"), "{name}");
        assert_eq!(key, "My-File.json");
        assert_ne!(place("infra/state/my file.json").0, name);
    }
}
