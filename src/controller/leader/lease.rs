//! The calls that an election makes: each is bounded in time and tells apart what an election needs to tell apart.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, ObjectMeta};
use kube::api::PostParams;
use kube::{Api, Client};

use super::config::Config;
use super::decide::Sighting;

/// Why a call did not do what it was for.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// It has changed since it was read, or somebody created it first.
    #[error("it has changed in the meantime")]
    Changed,
    #[error("it, or its namespace, does not exist")]
    Gone,
    /// Told by [`Keeper::renew`] and [`Keeper::release`] only.
    #[error("{}", if holder.is_empty() { "somebody released it".to_owned() } else { format!("{holder} holds it") })]
    Taken { holder: String },
    #[error("the API server did not answer within {0:?}")]
    TimedOut(Duration),
    #[error("the service account may not do that: {0}; see the rule for leases in the controller's Role")]
    Forbidden(String),
    #[error("the API server answered {code}: {message}")]
    Refused { code: u16, message: String },
    #[error(transparent)]
    Kube(kube::Error),
}

impl From<kube::Error> for Failure {
    fn from(error: kube::Error) -> Self {
        match error {
            kube::Error::Api(status) if status.is_conflict() || status.is_already_exists() => Self::Changed,
            kube::Error::Api(status) if status.is_not_found() => Self::Gone,
            kube::Error::Api(status) if status.is_forbidden() => Self::Forbidden(status.message),
            kube::Error::Api(status) => Self::Refused {
                code: status.code,
                message: status.message,
            },
            other => Self::Kube(other),
        }
    }
}

/// One candidate's access to the Lease.
pub struct Keeper {
    client: Client,
    pub config: Config,
}

impl fmt::Display for Keeper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.config.namespace, self.config.name)
    }
}

/// `leaseTransitions`, the epoch of whoever holds the Lease.
pub fn epoch(lease: &Lease) -> i64 {
    lease.spec.as_ref().and_then(|spec| spec.lease_transitions).unwrap_or(0).into()
}

fn holder(lease: &Lease) -> &str {
    lease
        .spec
        .as_ref()
        .and_then(|spec| spec.holder_identity.as_deref())
        .unwrap_or_default()
}

impl Keeper {
    pub fn new(client: Client, config: Config) -> Self {
        Self { client, config }
    }

    pub fn api(&self) -> Api<Lease> {
        Api::namespaced(self.client.clone(), &self.config.namespace)
    }

    /// What `lease`, whose change was seen at `changed`, means to a candidate.
    pub fn sighting(&self, lease: &Lease, changed: Duration) -> Sighting {
        let written = lease
            .spec
            .as_ref()
            .and_then(|spec| spec.lease_duration_seconds)
            .and_then(|seconds| u64::try_from(seconds).ok());
        let lasts = written
            .filter(|seconds| *seconds > 0)
            .map_or(self.config.lease_duration, Duration::from_secs);
        Sighting {
            holder: holder(lease).to_owned(),
            lasts,
            changed,
            deleted: false,
        }
    }

    /// The Lease as it is when this process takes it from whoever held it in `previous`.
    pub fn taken(&self, previous: Option<&Lease>) -> Lease {
        let now = Some(MicroTime(Timestamp::now()));
        let transitions = previous.map_or(0, |lease| epoch(lease).saturating_add(1));
        let spec = LeaseSpec {
            holder_identity: Some(self.config.identity.clone()),
            lease_duration_seconds: Some(i32::try_from(self.config.lease_duration.as_secs()).unwrap_or(i32::MAX)),
            acquire_time: now.clone(),
            renew_time: now,
            lease_transitions: Some(i32::try_from(transitions).unwrap_or(i32::MAX)),
            ..LeaseSpec::default()
        };
        let metadata = match previous {
            Some(previous) => previous.metadata.clone(),
            None => self.metadata(),
        };
        Lease {
            metadata,
            spec: Some(spec),
        }
    }

    fn metadata(&self) -> ObjectMeta {
        ObjectMeta {
            name: Some(self.config.name.clone()),
            namespace: Some(self.config.namespace.clone()),
            ..ObjectMeta::default()
        }
    }

    pub async fn read(&self) -> Result<Option<Lease>, Failure> {
        self.bounded(self.api().get_opt(&self.config.name)).await
    }

    pub async fn create(&self, lease: &Lease) -> Result<Lease, Failure> {
        self.bounded(self.api().create(&PostParams::default(), lease)).await
    }

    /// Replaces the Lease if it still has the resourceVersion of `lease`.
    pub async fn replace(&self, lease: &Lease) -> Result<Lease, Failure> {
        self.bounded(self.api().replace(&self.config.name, &PostParams::default(), lease))
            .await
    }

    /// Renews `lease`, which this process holds. What somebody else changed about it or that they deleted it does not matter, unless they took it.
    pub async fn renew(&self, lease: &Lease) -> Result<Lease, Failure> {
        let mut renewed = lease.clone();
        renewed.spec.get_or_insert_default().renew_time = Some(MicroTime(Timestamp::now()));
        self.write_held(renewed).await
    }

    /// Lets go of `lease`, which this process holds.
    pub async fn release(&self, lease: &Lease) -> Result<(), Failure> {
        let mut released = lease.clone();
        let spec = released.spec.get_or_insert_default();
        spec.holder_identity = None;
        spec.lease_duration_seconds = Some(1);
        spec.renew_time = Some(MicroTime(Timestamp::now()));
        self.write_held(released).await.map(drop)
    }

    /// Writes `wanted` over a Lease that this process holds, whatever became of its resourceVersion.
    async fn write_held(&self, mut wanted: Lease) -> Result<Lease, Failure> {
        match self.replace(&wanted).await {
            Err(Failure::Changed | Failure::Gone) => {}
            outcome => return outcome,
        }
        match self.read().await? {
            Some(current) if holder(&current) == self.config.identity => {
                wanted.metadata = current.metadata;
                self.replace(&wanted).await
            }
            Some(current) => Err(Failure::Taken {
                holder: holder(&current).to_owned(),
            }),
            None if holder(&wanted).is_empty() => Err(Failure::Gone),
            None => {
                wanted.metadata = self.metadata();
                self.create(&wanted).await
            }
        }
    }

    async fn bounded<T>(&self, call: impl Future<Output = Result<T, kube::Error>>) -> Result<T, Failure> {
        let limit = self.config.call_timeout();
        match tokio::time::timeout(limit, call).await {
            Ok(outcome) => Ok(outcome?),
            Err(_) => Err(Failure::TimedOut(limit)),
        }
    }
}
