#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;
use crate::runbook::Runbook;

struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, _: &str) -> Option<Cow<'_, Value>> {
        None
    }
}

fn pacing(fields: &str) -> Pacing {
    let text = format!("operation: {{name: t, type: maintain}}\nsteps: [{{type: http_request, url: u{fields}}}]\n");
    Pacing::of(&Runbook::parse(&text).unwrap().steps[0], &Nothing).unwrap()
}

#[test]
fn a_step_that_says_nothing_is_tried_once_within_the_time_of_its_type() {
    let expected = Pacing {
        attempts: Some(1),
        delay: Duration::from_secs(5),
        backoff: Backoff::Fixed,
        timeout: Some(Duration::from_secs(10)),
        overall: None,
    };
    assert_eq!(pacing(""), expected);
}

#[test]
fn with_until_the_timeout_is_that_of_all_attempts() {
    let pacing = pacing(", until: result == 1, timeout: 5m");
    assert_eq!(
        (pacing.attempts, pacing.timeout, pacing.overall),
        (None, Some(Duration::from_mins(5)), Some(Duration::from_mins(5)))
    );
    assert!(!pacing.is_last(i32::MAX));
}

#[test]
fn attempts_are_counted_for_people() {
    assert_eq!(pacing(", retries: 3").count(2), "attempt 2 of 3");
    assert_eq!(pacing(", until: result == 1").count(2), "attempt 2");
    assert!(pacing(", retries: 3").is_last(3) && !pacing(", retries: 3").is_last(2));
}

#[test]
fn no_pause_is_longer_than_ten_minutes_unless_the_step_says_so() {
    let due = |pacing: &Pacing| pacing.due(i32::MAX, Timestamp::UNIX_EPOCH, "s").as_second();
    let long = pacing(", retries: 99, retry_delay: 1m, backoff: exponential");
    assert!((480..=720).contains(&due(&long)), "{}", due(&long));
    let longer = pacing(", retries: 99, retry_delay: 1h, backoff: exponential");
    assert!((2_880..=4_320).contains(&due(&longer)), "{}", due(&longer));
}

#[test]
fn the_same_step_of_two_operations_is_not_tried_again_at_the_same_time() {
    let pacing = pacing(", retries: 9, retry_delay: 100, backoff: exponential");
    let due = |seed: &str| pacing.due(1, Timestamp::UNIX_EPOCH, seed);
    assert_ne!(due("uid-1/ask"), due("uid-2/ask"));
    assert_eq!(due("uid-1/ask"), due("uid-1/ask"));
}

proptest! {
    #[test]
    fn the_next_attempt_is_never_due_before_the_last_one_ended(
        attempt in any::<i32>(), ended in -100_000_000_000_i64..200_000_000_000, seconds in 0_u64..=31_622_400, exponential in any::<bool>(), seed in ".{0,9}"
    ) {
        let backoff = if exponential { Backoff::Exponential } else { Backoff::Fixed };
        let pacing = Pacing { attempts: None, delay: Duration::from_secs(seconds), backoff, timeout: None, overall: None };
        let ended = Timestamp::from_second(ended).unwrap();
        prop_assert!(pacing.due(attempt, ended, &seed) >= ended);
    }
}
