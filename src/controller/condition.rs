//! The one function that conditions come from.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::Reason;
use crate::api::condition::{READY, RECONCILING, STALLED};

/// How an object stands, for whoever waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It is what its spec asks for: Ready.
    Ready,
    /// Work goes on: Reconciling.
    Reconciling,
    /// Nothing will happen without a change: Stalled.
    Stalled,
}

/// The conditions of an object: always Ready, and Reconciling or Stalled but never both. A condition whose status did not
/// change keeps the time of its last transition.
#[must_use]
pub fn conditions(
    health: Health,
    reason: Reason,
    message: &str,
    generation: Option<i64>,
    previous: &[Condition],
    now: Timestamp,
) -> Vec<Condition> {
    let condition = |kind: &str, status: &str| {
        let same = previous.iter().find(|earlier| earlier.type_ == kind && earlier.status == status);
        Condition {
            type_: kind.to_owned(),
            status: status.to_owned(),
            reason: reason.to_string(),
            message: message.to_owned(),
            observed_generation: generation,
            last_transition_time: same.map_or(Time(now), |earlier| earlier.last_transition_time.clone()),
        }
    };
    match health {
        Health::Ready => vec![condition(READY, "True")],
        Health::Reconciling => vec![condition(READY, "False"), condition(RECONCILING, "True")],
        Health::Stalled => vec![condition(READY, "False"), condition(STALLED, "True")],
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn a_condition_keeps_its_transition_time_while_its_status_stays() {
        let (early, late) = ("2026-01-01T00:00:00Z".parse().unwrap(), "2026-01-02T00:00:00Z".parse().unwrap());
        let first = conditions(Health::Reconciling, Reason::Queued, "waits", Some(1), &[], early);
        let second = conditions(Health::Reconciling, Reason::Running, "runs", Some(1), &first, late);
        assert_eq!(second[0].last_transition_time.0, early);
        assert_eq!(second[0].reason, "Running");
        let third = conditions(Health::Ready, Reason::Succeeded, "done", Some(1), &second, late);
        assert_eq!(third[0].last_transition_time.0, late);
    }

    #[test]
    fn reconciling_and_stalled_never_stand_together() {
        for health in [Health::Ready, Health::Reconciling, Health::Stalled] {
            let now = Timestamp::UNIX_EPOCH;
            let kinds: Vec<_> = conditions(health, Reason::Running, "", None, &[], now)
                .into_iter()
                .map(|c| c.type_)
                .collect();
            assert_eq!(kinds[0], READY);
            assert!(!(kinds.contains(&RECONCILING.to_owned()) && kinds.contains(&STALLED.to_owned())));
        }
    }
}
