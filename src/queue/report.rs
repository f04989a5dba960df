//! What the status of a queue says. Pure.

use jiff::Timestamp;

use super::decide::Index;
use crate::api::Reason;
use crate::api::operation_queue::{OperationQueue, OperationQueueStatus, Slot};
use crate::controller::condition::{Health, conditions};

/// How many of those who wait the status names.
pub const HEAD: usize = 20;

/// The status of a queue in which `running` hold a slot, of whom the last `admitted` still stand first in the index.
#[must_use]
pub fn status(queue: &OperationQueue, running: Vec<Slot>, index: &Index, admitted: usize, now: Timestamp) -> OperationQueueStatus {
    let previous = queue.status.as_ref().map(|status| status.conditions.as_slice()).unwrap_or_default();
    let generation = queue.metadata.generation;
    let (health, reason, message) = if queue.spec.suspend {
        (
            Health::Ready,
            Reason::Suspended,
            "is suspended: admits nothing new until spec.suspend is false",
        )
    } else {
        (Health::Ready, Reason::Admitting, "admits Operations")
    };
    OperationQueueStatus {
        observed_generation: generation,
        queued: i32::try_from(index.len().saturating_sub(admitted)).unwrap_or(i32::MAX),
        running_count: i32::try_from(running.len()).unwrap_or(i32::MAX),
        running,
        head: index.head().skip(admitted).take(HEAD).map(|slot| slot.name).collect(),
        conditions: conditions(health, reason, message, generation, previous, now),
    }
}
