//! What an Operation is made from: its runbook and its parameters, read where it says.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{Api, Client};
use serde_json::{Map, Value};

use super::library::Library;
use crate::api::operation::{OperationSpec, ParametersSource};
use crate::api::{Operation, Reason};

/// What is read for an Operation.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    pub document: Document,
    /// The merged parameters as given.
    pub parameters: Map<String, Value>,
    /// The names and values that come from Secrets.
    pub secrets: BTreeMap<String, String>,
}

/// A runbook's document.
#[derive(Debug, Clone)]
pub enum Document {
    Text(String),
    Inline(Value),
}

impl Default for Document {
    fn default() -> Self {
        Self::Text(String::new())
    }
}

/// Something that the Operation names is not there, or cannot be read now: it stays Pending and is tried again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Missing {
    pub reason: Reason,
    pub message: String,
}

/// Reads the document and the parameters.
///
/// # Errors
/// The first thing that is missing.
pub async fn inputs(operation: &Operation, library: &Library, client: &Client) -> Result<Inputs, Missing> {
    let namespace = operation.metadata.namespace.as_deref().unwrap_or_default();
    let document = document(&operation.spec, namespace, library, client).await?;
    let mut inputs = Inputs {
        document,
        ..Inputs::default()
    };
    for source in &operation.spec.parameters_from {
        inputs.merge(source, namespace, client).await?;
    }
    inputs.parameters.extend(operation.spec.parameters.clone());
    inputs
        .secrets
        .retain(|name, value| inputs.parameters.get(name).is_some_and(|used| used == value));
    Ok(inputs)
}

async fn document(spec: &OperationSpec, namespace: &str, library: &Library, client: &Client) -> Result<Document, Missing> {
    if let Some(inline) = &spec.runbook.inline {
        return Ok(Document::Inline(Value::Object(inline.clone())));
    }
    if let Some(name) = &spec.runbook.name {
        return library.find(name).map(|text| Document::Text(text.to_string())).map_err(|nearest| {
            let hint = nearest.map(|nearest| format!("; did you mean {nearest:?}?")).unwrap_or_default();
            Missing {
                reason: Reason::RunbookNotFound,
                message: format!("the library has no runbook {name:?}{hint}"),
            }
        });
    }
    let Some(reference) = &spec.runbook.config_map_key_ref else {
        return Ok(Document::default());
    };
    let data = config_map(&reference.name, namespace, client).await?;
    data.get(&reference.key).cloned().map(Document::Text).ok_or_else(|| Missing {
        reason: Reason::ConfigMapNotFound,
        message: format!(
            "the ConfigMap {} has no key {:?}; it has {}",
            reference.name,
            reference.key,
            listed(data.keys())
        ),
    })
}

fn listed<'a>(keys: impl Iterator<Item = &'a String>) -> String {
    let keys: Vec<_> = keys.map(String::as_str).collect();
    if keys.is_empty() { "none".to_owned() } else { keys.join(", ") }
}

async fn config_map(name: &str, namespace: &str, client: &Client) -> Result<BTreeMap<String, String>, Missing> {
    let api: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    match api.get_opt(name).await {
        Ok(Some(map)) => Ok(map.data.unwrap_or_default()),
        Ok(None) => Err(Missing {
            reason: Reason::ConfigMapNotFound,
            message: format!("there is no ConfigMap {name} in the namespace {namespace}; create it"),
        }),
        Err(error) => Err(unreachable("ConfigMap", name, &error)),
    }
}

fn unreachable(kind: &str, name: &str, error: &kube::Error) -> Missing {
    let reason = match error {
        kube::Error::Api(status) if status.code == 403 => Reason::Forbidden,
        _ => Reason::Pending,
    };
    Missing {
        reason,
        message: format!("failed to read the {kind} {name}: {error}"),
    }
}

impl Inputs {
    async fn merge(&mut self, source: &ParametersSource, namespace: &str, client: &Client) -> Result<(), Missing> {
        if let Some(reference) = &source.config_map_ref {
            let data = config_map(&reference.name, namespace, client).await?;
            self.parameters
                .extend(data.into_iter().map(|(name, value)| (name, Value::String(value))));
        }
        if let Some(reference) = &source.secret_ref {
            let name = &reference.name;
            let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
            let secret = match api.get_opt(name).await {
                Ok(Some(secret)) => secret,
                Ok(None) => {
                    let message = format!("there is no Secret {name} in the namespace {namespace}; create it");
                    return Err(Missing {
                        reason: Reason::SecretNotFound,
                        message,
                    });
                }
                Err(error) => return Err(unreachable("Secret", name, &error)),
            };
            for (key, bytes) in secret.data.unwrap_or_default() {
                let Ok(value) = String::from_utf8(bytes.0) else {
                    let message = format!("the key {key:?} of the Secret {name} is no UTF-8 text, which a parameter must be");
                    return Err(Missing {
                        reason: Reason::SecretNotFound,
                        message,
                    });
                };
                self.secrets.insert(key.clone(), value.clone());
                self.parameters.insert(key, Value::String(value));
            }
        }
        Ok(())
    }
}
