//! What an Operation writes to the API server: its status, its finalizer, its journal Secret.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use k8s_openapi::api::core::v1::Secret;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use kube::api::{ObjectMeta, Patch, PatchParams, PostParams};
use kube::{Api, Client, Resource as _};
use serde_json::{Value, json};

use super::journal::{Fenced, Sink, Snapshot};
use super::observe::{Document, Inputs};
use super::record::Original;
use crate::api::operation::Runner;
use crate::api::{FINALIZER, JOURNAL_LABEL, Operation, OperationStatus};
use crate::controller::backoff::Backoff;
use crate::telemetry::metrics::Metrics;

/// How long one request may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// How often a write is tried that the API server calls invalid while the fence holds, before that is an error in the log. It is never
/// given up: nobody else would go on with the run.
const INVALID_TRIES: u32 = 3;

/// Keys of the journal Secret.
const DOCUMENT: &str = "document";
const PARAMETERS: &str = "parameters.json";
const SECRETS: &str = "secrets.json";
const ORIGINALS: &str = "originals.json";

/// Writes the status of one Operation, fenced by `status.runner`: every write tests that it is still what was last written.
pub struct StatusSink {
    client: Client,
    api: Api<Operation>,
    namespace: String,
    name: String,
    uid: String,
    expected: Mutex<Option<Runner>>,
    metrics: Metrics,
}

/// What a refused write means.
enum Verdict {
    /// Try again after a pause.
    Again(String),
    /// The fence holds, so the status itself is refused.
    Invalid(String),
    Over(Fenced),
}

impl StatusSink {
    /// A sink for an Operation whose status names `expected` as its runner.
    #[must_use]
    pub fn new(client: Client, operation: &Operation, expected: Option<Runner>, metrics: Metrics) -> Arc<Self> {
        let metadata = &operation.metadata;
        let namespace = metadata.namespace.clone().unwrap_or_default();
        Arc::new(Self {
            api: Api::namespaced(client.clone(), &namespace),
            client,
            namespace,
            name: metadata.name.clone().unwrap_or_default(),
            uid: metadata.uid.clone().unwrap_or_default(),
            expected: Mutex::new(expected),
            metrics,
        })
    }

    fn expected(&self) -> Option<Runner> {
        self.expected.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn expect(&self, runner: Option<Runner>) {
        *self.expected.lock().unwrap_or_else(PoisonError::into_inner) = runner;
    }

    /// Writes a status alone.
    ///
    /// # Errors
    /// Where somebody else runs this Operation, or it is gone.
    pub async fn write_status(&self, status: &OperationStatus) -> Result<(), Fenced> {
        let mut backoff = Backoff::of_writes();
        let mut invalid = 0;
        loop {
            let patch = json!([
                {"op": "test", "path": "/metadata/uid", "value": self.uid},
                {"op": "test", "path": "/status/runner", "value": self.expected()},
                {"op": "add", "path": "/status", "value": status},
            ]);
            let refused = match self.patch_status(patch).await {
                Ok(()) => {
                    self.expect(status.runner.clone());
                    self.metrics.status_written();
                    return Ok(());
                }
                Err(error) => error,
            };
            self.metrics.status_write_retried();
            let pause = match self.judge(refused, status).await {
                Verdict::Over(fenced) => return Err(fenced),
                Verdict::Invalid(message) => {
                    invalid += 1;
                    if invalid > INVALID_TRIES {
                        tracing::error!(
                            namespace = self.namespace,
                            name = self.name,
                            "the API server refuses the status, trying again: {message}"
                        );
                    }
                    backoff.pause()
                }
                Verdict::Again(message) => {
                    tracing::debug!(
                        namespace = self.namespace,
                        name = self.name,
                        "failed to write the status, trying again: {message}"
                    );
                    backoff.pause()
                }
            };
            tokio::time::sleep(pause).await;
        }
    }

    async fn patch_status(&self, patch: Value) -> Result<(), kube::Error> {
        let patch: json_patch::Patch = serde_json::from_value(patch).map_err(kube::Error::SerdeError)?;
        let (parameters, patch) = (PatchParams::default(), Patch::Json::<()>(patch));
        match tokio::time::timeout(TIMEOUT, self.api.patch_status(&self.name, &parameters, &patch)).await {
            Ok(result) => result.map(drop),
            Err(_) => Err(kube::Error::Service(format!("no answer within {TIMEOUT:?}").into())),
        }
    }

    /// Reads what stands there now, where the refusal alone does not say whether the fence holds.
    async fn judge(&self, refused: kube::Error, status: &OperationStatus) -> Verdict {
        match &refused {
            kube::Error::Api(answer) if answer.code == 404 => return Verdict::Over(self.gone()),
            kube::Error::Api(answer) if matches!(answer.code, 400 | 413 | 422) => {}
            // a conflict among them: other writers were faster again and again, which says nothing of the fence
            _ => return Verdict::Again(refused.to_string()),
        }
        let live = match tokio::time::timeout(TIMEOUT, self.api.get_opt(&self.name)).await {
            Ok(Ok(Some(live))) if live.metadata.uid.as_ref() == Some(&self.uid) => live,
            Ok(Ok(_)) => return Verdict::Over(self.gone()),
            Ok(Err(error)) => return Verdict::Again(error.to_string()),
            Err(_) => return Verdict::Again("no answer".to_owned()),
        };
        let runner = live.status.and_then(|live| live.runner);
        if runner == self.expected() {
            Verdict::Invalid(refused.to_string())
        } else if runner == status.runner {
            // the answer to an earlier try was lost after it went through
            self.expect(runner);
            Verdict::Again("the answer was lost".to_owned())
        } else {
            let by = runner.map_or_else(
                || "nobody".to_owned(),
                |runner| format!("{} (epoch {})", runner.identity, runner.epoch),
            );
            Verdict::Over(Fenced(format!("{}/{} is run by {by}", self.namespace, self.name)))
        }
    }

    fn gone(&self) -> Fenced {
        Fenced(format!("{}/{} is gone", self.namespace, self.name))
    }

    /// Writes what the status masks.
    async fn write_originals(&self, originals: &BTreeMap<String, Original>) -> Result<(), Fenced> {
        let mut backoff = Backoff::of_writes();
        loop {
            let data = BTreeMap::from([(ORIGINALS.to_owned(), serde_json::to_string(originals).unwrap_or_default())]);
            match self.write_journal(data).await {
                Ok(()) => return Ok(()),
                Err(kube::Error::Api(answer)) if answer.code == 404 => return Err(self.gone()),
                Err(error) => tracing::warn!(
                    namespace = self.namespace,
                    name = self.name,
                    "failed to write the journal, trying again: {error}"
                ),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// Adds keys to the journal Secret, which is made where there is none.
    async fn write_journal(&self, data: BTreeMap<String, String>) -> Result<(), kube::Error> {
        let api: Api<Secret> = Api::namespaced(self.client.clone(), &self.namespace);
        let name = journal_name(&self.uid);
        let patch = Patch::Merge(json!({"stringData": data}));
        match api.patch(&name, &PatchParams::default(), &patch).await {
            Err(kube::Error::Api(answer)) if answer.code == 404 => {}
            result => return result.map(drop),
        }
        let owner = OwnerReference {
            api_version: Operation::api_version(&()).into_owned(),
            kind: Operation::kind(&()).into_owned(),
            name: self.name.clone(),
            uid: self.uid.clone(),
            controller: Some(true),
            ..OwnerReference::default()
        };
        let metadata = ObjectMeta {
            name: Some(name),
            labels: Some(BTreeMap::from([(JOURNAL_LABEL.to_owned(), self.uid.clone())])),
            owner_references: Some(vec![owner]),
            ..ObjectMeta::default()
        };
        let secret = Secret {
            metadata,
            string_data: Some(data),
            ..Secret::default()
        };
        api.create(&PostParams::default(), &secret).await.map(drop)
    }

    /// Freezes what a run reads, in the journal Secret; yields its name.
    ///
    /// # Errors
    /// Where the API server does not take it.
    pub async fn freeze(&self, inputs: &Inputs) -> Result<String, kube::Error> {
        let document = match &inputs.document {
            Document::Text(text) => text.clone(),
            Document::Inline(value) => value.to_string(),
        };
        let data = [
            (DOCUMENT, document),
            (
                PARAMETERS,
                serde_json::to_string(&inputs.parameters).map_err(kube::Error::SerdeError)?,
            ),
            (SECRETS, serde_json::to_string(&inputs.secrets).map_err(kube::Error::SerdeError)?),
        ];
        self.write_journal(data.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            .await?;
        Ok(journal_name(&self.uid))
    }
}

impl Sink for StatusSink {
    fn write(self: Arc<Self>, mut snapshot: Snapshot) -> BoxFuture<'static, Result<(), Fenced>> {
        async move {
            if let Some(originals) = &snapshot.originals {
                self.write_originals(originals).await?;
                snapshot.status.journal = Some(journal_name(&self.uid));
            }
            self.write_status(&snapshot.status).await
        }
        .boxed()
    }
}

fn journal_name(uid: &str) -> String {
    format!("operation-{uid}")
}

/// What the journal Secret holds.
#[derive(Debug, Default)]
pub struct Frozen {
    /// Absent where the Operation itself says it all.
    pub inputs: Option<Inputs>,
    pub originals: BTreeMap<String, Original>,
}

/// Reads the journal Secret.
///
/// # Errors
/// Where it cannot be read, or is not what was written.
pub async fn thaw(client: &Client, namespace: &str, journal: &str) -> Result<Frozen, kube::Error> {
    let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let data = api.get(journal).await?.data.unwrap_or_default();
    let text = |key: &str| data.get(key).map(|bytes| String::from_utf8_lossy(&bytes.0).into_owned());
    let inputs = match (text(DOCUMENT), text(PARAMETERS), text(SECRETS)) {
        (Some(document), Some(parameters), Some(secrets)) => Some(Inputs {
            document: Document::Text(document),
            parameters: serde_json::from_str(&parameters).map_err(kube::Error::SerdeError)?,
            secrets: serde_json::from_str(&secrets).map_err(kube::Error::SerdeError)?,
        }),
        _ => None,
    };
    let originals = text(ORIGINALS)
        .map(|text| serde_json::from_str(&text))
        .transpose()
        .map_err(kube::Error::SerdeError)?
        .unwrap_or_default();
    Ok(Frozen { inputs, originals })
}

/// Adds our finalizer, or takes it away.
///
/// # Errors
/// Where the Operation is gone.
pub async fn set_finalizer(api: &Api<Operation>, name: &str, uid: &str, wanted: bool) -> Result<(), Fenced> {
    let mut backoff = Backoff::of_writes();
    let gone = || Fenced(format!("{name} is gone"));
    loop {
        let result = async {
            let Some(live) = api
                .get_metadata_opt(name)
                .await?
                .filter(|live| live.metadata.uid.as_deref() == Some(uid))
            else {
                return Ok(None);
            };
            let before = live.metadata.finalizers.unwrap_or_default();
            if before.iter().any(|finalizer| finalizer == FINALIZER) == wanted {
                return Ok(Some(()));
            }
            let mut after: Vec<_> = before.into_iter().filter(|finalizer| finalizer != FINALIZER).collect();
            if wanted {
                after.push(FINALIZER.to_owned());
            }
            let patch = json!({"metadata": {"uid": uid, "resourceVersion": live.metadata.resource_version, "finalizers": after}});
            api.patch_metadata(name, &PatchParams::default(), &Patch::Merge(patch))
                .await
                .map(|_| Some(()))
        };
        match tokio::time::timeout(TIMEOUT, result).await {
            Ok(Ok(Some(()))) => return Ok(()),
            Ok(Ok(None)) => return Err(gone()),
            Ok(Err(kube::Error::Api(answer))) if answer.code == 404 => return Err(gone()),
            Ok(Err(error)) => tracing::debug!(name, "failed to write the finalizer, trying again: {error}"),
            Err(_) => tracing::debug!(name, "failed to write the finalizer, trying again: no answer"),
        }
        tokio::time::sleep(backoff.pause()).await;
    }
}
