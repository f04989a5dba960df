//! What a candidate does next, from what it has seen of the Lease. Pure: times are durations since the candidate began to
//! look, by its own monotonic clock; the times written in the Lease are another machine's and decide nothing.

use std::time::Duration;

/// What a candidate knows of the Lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sighting {
    /// Who holds it; empty if it was released.
    pub holder: String,
    /// How long after its last change it is to be respected.
    pub lasts: Duration,
    /// When its last change was seen here.
    pub changed: Duration,
    /// It has been deleted since. Its holder does not know that yet, so it is respected all the same.
    pub deleted: bool,
}

/// What a candidate does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Create the Lease.
    Create,
    /// Replace the one that was seen.
    Take,
    /// Somebody else leads, until then unless the Lease changes.
    WaitUntil(Duration),
}

/// What `me`, which does not lead, does at `now`. An identity is used by one process only, so a Lease that `me` holds is one
/// whose acknowledgement was lost, or that of an earlier process: it is taken again, so that the epoch rises.
pub fn decide(me: &str, sighting: Option<&Sighting>, now: Duration) -> Next {
    let Some(sighting) = sighting else { return Next::Create };
    let expires = sighting.changed.saturating_add(sighting.lasts);
    let free = sighting.holder.is_empty() || sighting.holder == me || now >= expires;
    match (free, sighting.deleted) {
        (false, _) => Next::WaitUntil(expires),
        (true, true) => Next::Create,
        (true, false) => Next::Take,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn seen(holder: &str, deleted: bool) -> Sighting {
        Sighting {
            holder: holder.to_owned(),
            lasts: 15 * SECOND,
            changed: 100 * SECOND,
            deleted,
        }
    }

    #[test]
    fn a_candidate_takes_what_is_free_and_waits_for_what_is_not() {
        for (sighting, now, expected) in [
            (None, 0, Next::Create),
            (Some(seen("other", false)), 100, Next::WaitUntil(115 * SECOND)),
            (Some(seen("other", false)), 114, Next::WaitUntil(115 * SECOND)),
            (Some(seen("other", false)), 115, Next::Take),
            (Some(seen("other", false)), 1000, Next::Take),
            (Some(seen("", false)), 100, Next::Take),
            (Some(seen("me", false)), 100, Next::Take),
            (Some(seen("other", true)), 114, Next::WaitUntil(115 * SECOND)),
            (Some(seen("other", true)), 115, Next::Create),
            (Some(seen("", true)), 100, Next::Create),
            (Some(seen("me", true)), 100, Next::Create),
        ] {
            assert_eq!(decide("me", sighting.as_ref(), now * SECOND), expected, "{sighting:?} at {now}");
        }
    }

    #[test]
    fn an_absurd_duration_is_waited_for_and_does_not_overflow() {
        let sighting = Sighting {
            lasts: Duration::MAX,
            ..seen("other", false)
        };
        assert_eq!(decide("me", Some(&sighting), 200 * SECOND), Next::WaitUntil(Duration::MAX));
    }
}
