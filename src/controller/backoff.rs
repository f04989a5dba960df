//! The one place where pauses between tries come from.

use std::time::Duration;

/// Pauses that double from a first to a longest one, each moved by up to a fifth either way so that many who failed together part.
#[derive(Debug, Clone)]
pub struct Backoff {
    first: Duration,
    longest: Duration,
    tries: u32,
}

impl Backoff {
    #[must_use]
    pub const fn new(first: Duration, longest: Duration) -> Self {
        Self { first, longest, tries: 0 }
    }

    /// For writes to the API server: from 50 ms to 5 s.
    #[must_use]
    pub const fn of_writes() -> Self {
        Self::new(Duration::from_millis(50), Duration::from_secs(5))
    }

    /// For what a person has to make first, such as a missing Secret: from 5 s to 1 min.
    #[must_use]
    pub const fn of_missing() -> Self {
        Self::new(Duration::from_secs(5), Duration::from_mins(1))
    }

    /// The next pause.
    pub fn pause(&mut self) -> Duration {
        let pause = self.first.saturating_mul(1 << self.tries.min(16)).min(self.longest);
        self.tries = self.tries.saturating_add(1);
        pause.mul_f64(rand::random_range(0.8..1.2))
    }

    /// The next pause is the first again.
    pub const fn reset(&mut self) {
        self.tries = 0;
    }
}
