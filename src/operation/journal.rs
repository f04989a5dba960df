//! The one writer of a run's status. It coalesces: while a write is in flight, further changes join the next.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use tokio::time::Instant;

use super::record::Original;
use crate::api::OperationStatus;

/// What is written at once.
#[derive(Debug, Clone)]
pub struct Snapshot {
    pub status: OperationStatus,
    /// What the status masks, where that changed since the last write: it goes to the journal Secret, before the status.
    pub originals: Option<BTreeMap<String, Original>>,
}

/// Nobody here may write this Operation's status any more: somebody else runs it, or it is gone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Fenced(pub String);

/// Where snapshots go.
pub trait Sink: Send + Sync {
    /// Writes a snapshot, and does not come back before that is acknowledged or can never be.
    fn write(self: Arc<Self>, snapshot: Snapshot) -> BoxFuture<'static, Result<(), Fenced>>;
}

/// What the writer wants next.
#[derive(Debug, PartialEq, Eq)]
pub enum Event {
    /// A write is due: give it a snapshot.
    Due,
    /// A write was acknowledged.
    Written,
    Fenced(Fenced),
}

/// The writer of one run.
pub struct Journal {
    sink: Arc<dyn Sink>,
    /// How long a change that nobody waits for may wait for others to join it.
    pause: Duration,
    in_flight: Option<BoxFuture<'static, Result<(), Fenced>>>,
    changed_at: Option<Instant>,
}

impl Journal {
    #[must_use]
    pub fn new(sink: Arc<dyn Sink>, pause: Duration) -> Self {
        Self {
            sink,
            pause,
            in_flight: None,
            changed_at: None,
        }
    }

    /// Notes that what is to be written changed.
    pub fn touch(&mut self) {
        self.changed_at.get_or_insert_with(Instant::now);
    }

    /// What the writer wants next; never comes back while there is nothing to write. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Event {
        if let Some(write) = &mut self.in_flight {
            let result = write.await;
            self.in_flight = None;
            return result.map_or_else(Event::Fenced, |()| Event::Written);
        }
        match self.changed_at {
            Some(at) => {
                tokio::time::sleep_until(at + self.pause).await;
                Event::Due
            }
            None => std::future::pending().await,
        }
    }

    /// Starts a write.
    pub fn begin(&mut self, snapshot: Snapshot) {
        self.changed_at = None;
        self.in_flight = Some(self.sink.clone().write(snapshot).boxed());
    }

    /// Writes, after whatever is in flight, and waits for the acknowledgement.
    ///
    /// # Errors
    /// Where nobody here may write any more.
    pub async fn flush(&mut self, snapshot: Snapshot) -> Result<(), Fenced> {
        if let Some(write) = self.in_flight.take() {
            write.await?;
        }
        self.changed_at = None;
        self.sink.clone().write(snapshot).await
    }
}
