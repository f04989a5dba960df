//! Which of several controllers leads, by a Lease, as client-go does it.
//!
//! 1. A candidate takes the Lease by creating it, or by replacing the one it read with its resourceVersion, so of several only one succeeds.
//! 2. The leader renews it. It measures from before each renewal was sent; if none succeeded for the renew deadline, [`Leadership::lost`] fires:
//!    the process must stop everything and exit before the lease is over for the others.
//! 3. The others measure from when they saw the Lease change, which is later than when it was sent, by their own monotonic
//!    clocks. So clocks that differ, jump or run backwards make no two leaders; only one that runs half again as fast as another does.
//! 4. They watch the Lease, and try at the instant of its expiry or release.
//!
//! Deliberately absent: giving up. A candidate that cannot reach the API server, or may not, says so in the log and tries on.

mod config;
mod decide;
mod lease;
#[cfg(test)]
mod tests;

use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use kube::runtime::watcher::watch_object;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::{CancellationToken, DropGuard};

pub use config::{Config, ConfigError, lease_client, new_identity};
use decide::{Next, Sighting, decide};
use lease::{Failure, Keeper};

/// A candidate for leadership.
pub struct Election {
    keeper: Arc<Keeper>,
    /// What [`Sighting`]s count from.
    began: Instant,
    /// The Lease as last read or watched, for its resourceVersion.
    lease: Option<Lease>,
    sighting: Option<Sighting>,
}

/// Proof that this process leads, for as long as [`Leadership::lost`] has not fired. Dropped without [`Leadership::release`], renewal ends and the Lease expires.
pub struct Leadership {
    epoch: i64,
    tenure: Tenure,
    stop: DropGuard,
    renewal: JoinHandle<Option<Lease>>,
    keeper: Arc<Keeper>,
}

/// Whether this process may act as the leader, for whoever asks right before it acts. The answer comes from the clock alone: a process
/// that hung past the deadline reads No before the task that renews has run again.
#[derive(Debug, Clone)]
pub struct Tenure {
    until: Arc<Mutex<Instant>>,
    lost: CancellationToken,
}

impl Tenure {
    /// Whether the Lease is ours, and was renewed within the renew deadline.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.lost.is_cancelled() && Instant::now() < *self.until.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn extend(&self, until: Instant) {
        *self.until.lock().unwrap_or_else(PoisonError::into_inner) = until;
    }
}

/// A Lease that could not be released; it expires by itself.
#[derive(Debug, thiserror::Error)]
#[error("failed to release Lease {namespace}/{name}: {reason}")]
pub struct ReleaseError {
    namespace: String,
    name: String,
    reason: String,
}

impl Election {
    /// A candidate under the given settings. `client` should be one of [`lease_client`], whose calls nothing else delays.
    ///
    /// # Errors
    /// If the durations do not fit each other.
    pub fn new(client: Client, config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Self {
            keeper: Arc::new(Keeper::new(client, config)),
            began: Instant::now(),
            lease: None,
            sighting: None,
        })
    }

    /// Waits until this process leads, however long that takes; may be dropped at any time.
    pub async fn acquire(&mut self) -> Leadership {
        let keeper = Arc::clone(&self.keeper);
        let mut changes = pin!(watch_object(keeper.api(), &keeper.config.name));
        let mut led_by = None;
        self.refresh().await;
        loop {
            let sent = Instant::now();
            let outcome = match decide(&keeper.config.identity, self.sighting.as_ref(), self.began.elapsed()) {
                Next::Create => keeper.create(&keeper.taken(None)).await,
                Next::Take => keeper.replace(&keeper.taken(self.lease.as_ref())).await,
                Next::WaitUntil(expiry) => {
                    self.note_leader(&mut led_by);
                    tokio::select! {
                        () = sleep_until(self.at(expiry)) => {}
                        change = changes.next() => self.take_in(change, expiry).await,
                    }
                    continue;
                }
            };
            match outcome {
                Ok(lease) => return Leadership::begin(keeper, lease, sent),
                Err(Failure::Changed | Failure::Gone) => sleep(keeper.config.jittered(keeper.config.retry_period / 8)).await,
                Err(failure) => {
                    tracing::warn!(lease = %keeper, %failure, "failed to become the leader, trying again");
                    sleep(keeper.config.jittered(keeper.config.retry_period)).await;
                }
            }
            self.refresh().await;
        }
    }

    /// Takes in what the watch reported. If it broke, the Lease is read again after a while, or at `expiry` if that is sooner.
    async fn take_in(&mut self, change: Option<kube::runtime::watcher::Result<Option<Lease>>>, expiry: Duration) {
        match change {
            Some(Ok(lease)) => self.see(lease),
            broken => {
                tracing::debug!(lease = %self.keeper, ?broken, "the watch of the lease broke");
                let retry = Instant::now() + self.keeper.config.jittered(self.keeper.config.retry_period);
                sleep_until(retry.min(self.at(expiry))).await;
                self.refresh().await;
            }
        }
    }

    /// Reads the Lease until that succeeds.
    async fn refresh(&mut self) {
        loop {
            match self.keeper.read().await {
                Ok(lease) => return self.see(lease),
                Err(failure) => {
                    tracing::warn!(lease = %self.keeper, %failure, "failed to read the lease, trying again");
                    sleep(self.keeper.config.jittered(self.keeper.config.retry_period)).await;
                }
            }
        }
    }

    /// Remembers the Lease, and when it changed.
    fn see(&mut self, lease: Option<Lease>) {
        let changed = match (&lease, &self.lease) {
            (Some(new), Some(old)) => new.spec != old.spec || new.metadata.uid != old.metadata.uid,
            (new, _) => new.is_some(),
        };
        match (&lease, &mut self.sighting) {
            (Some(lease), sighting) if changed || sighting.is_none() => *sighting = Some(self.keeper.sighting(lease, self.began.elapsed())),
            (Some(_), Some(sighting)) => sighting.deleted = false,
            (None, Some(sighting)) => sighting.deleted = true,
            (_, None) => {}
        }
        if lease.is_some() {
            self.lease = lease;
        }
    }

    /// The instant of a time since `began`; one too far away to be told is a year from now.
    fn at(&self, time: Duration) -> Instant {
        self.began
            .checked_add(time)
            .unwrap_or_else(|| Instant::now() + Duration::from_hours(24 * 365))
    }

    fn note_leader(&self, led_by: &mut Option<String>) {
        let holder = self.sighting.as_ref().map(|sighting| sighting.holder.clone());
        if *led_by != holder {
            tracing::info!(lease = %self.keeper, leader = holder.as_deref().unwrap_or_default(), "standing by");
            *led_by = holder;
        }
    }
}

impl Leadership {
    fn begin(keeper: Arc<Keeper>, lease: Lease, sent: Instant) -> Self {
        let epoch = lease::epoch(&lease);
        tracing::info!(lease = %keeper, identity = keeper.config.identity, epoch, "leading");
        let (lost, stop) = (CancellationToken::new(), CancellationToken::new());
        let until = Arc::new(Mutex::new(sent + keeper.config.renew_deadline));
        let tenure = Tenure { until, lost };
        let renewal = tokio::spawn(renew(Arc::clone(&keeper), lease, sent, tenure.clone(), stop.clone()));
        Self {
            epoch,
            tenure,
            stop: stop.drop_guard(),
            renewal,
            keeper,
        }
    }

    /// Rises each time that a process takes the Lease: `leaseTransitions`.
    #[must_use]
    pub fn epoch(&self) -> i64 {
        self.epoch
    }

    /// As the Lease names this process.
    #[must_use]
    pub fn identity(&self) -> &str {
        &self.keeper.config.identity
    }

    /// Fires when this process may no longer act as the leader: the Lease is somebody else's, or was not renewed in time.
    #[must_use]
    pub fn lost(&self) -> CancellationToken {
        self.tenure.lost.clone()
    }

    /// For whoever acts.
    #[must_use]
    pub fn tenure(&self) -> Tenure {
        self.tenure.clone()
    }

    /// Gives the Lease away, for the next to take at once. To be called when nothing acts any more.
    ///
    /// # Errors
    /// If the API server did not accept that; then the Lease expires by itself. A leadership that is lost already is no error.
    pub async fn release(self) -> Result<(), ReleaseError> {
        drop(self.stop);
        let Ok(Some(lease)) = self.renewal.await else { return Ok(()) };
        match self.keeper.release(&lease).await {
            Ok(()) | Err(Failure::Gone | Failure::Taken { .. }) => Ok(()),
            Err(failure) => Err(ReleaseError {
                namespace: self.keeper.config.namespace.clone(),
                name: self.keeper.config.name.clone(),
                reason: failure.to_string(),
            }),
        }
    }
}

/// Renews until told to stop, and returns the Lease as it is then; or until leadership is lost, which it tells.
async fn renew(keeper: Arc<Keeper>, mut lease: Lease, mut renewed: Instant, tenure: Tenure, stop: CancellationToken) -> Option<Lease> {
    // Should this task end in any way that is not foreseen, leadership is lost.
    let guard = tenure.lost.clone().drop_guard();
    let config = &keeper.config;
    let mut tried = renewed;
    loop {
        let deadline = renewed + config.renew_deadline;
        let next = deadline.min(tried + config.jittered(config.retry_period));
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            () = sleep_until(next) => {}
        }
        tried = Instant::now();
        let outcome = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            outcome = timeout_at(deadline, keeper.renew(&lease)) => outcome,
        };
        match outcome {
            Ok(Ok(current)) => {
                (lease, renewed) = (current, tried);
                tenure.extend(renewed + config.renew_deadline);
            }
            Ok(Err(failure @ Failure::Taken { .. })) => {
                tracing::error!(lease = %keeper, %failure, "leadership lost");
                return None;
            }
            Ok(Err(failure)) => tracing::warn!(lease = %keeper, %failure, "failed to renew the lease, trying again"),
            Err(_) => {
                tracing::error!(lease = %keeper, deadline = ?config.renew_deadline, "leadership lost: the lease was not renewed by the deadline");
                return None;
            }
        }
    }
    guard.disarm();
    Some(lease)
}
