//! When a step is tried again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::runbook::step::{Backoff, Step, duration};
use crate::runbook::{Scope, StepType};

/// The pause between two attempts where the step names none.
const DEFAULT_DELAY: Duration = Duration::from_secs(5);
/// No pause grows beyond this, however many attempts there were.
const LONGEST_DELAY: Duration = Duration::from_mins(10);

/// How often and for how long a step is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Attempts in all; at least 1.
    pub attempts: i32,
    pub delay: Duration,
    pub backoff: Backoff,
    /// Of one attempt; with `until`, of all of them together.
    pub timeout: Option<Duration>,
}

impl Pacing {
    /// What the step's own fields say in this scope.
    ///
    /// # Errors
    /// A field that does not evaluate, or is no number or duration.
    pub fn of(step: &Step, scope: &dyn Scope) -> Result<Self, String> {
        let value = |name: &str, template: &Option<crate::runbook::Template>| -> Result<Value, String> {
            template.as_ref().map_or(Ok(Value::Null), |template| {
                template.render(scope).map_err(|error| format!("{name}: {error}"))
            })
        };
        let span = |name: &str, value: &Value| match value {
            Value::Null => Ok(None),
            given => duration(given).map(Some).map_err(|error| format!("{name}: {error}")),
        };
        Ok(Self {
            attempts: attempts(&value("retries", &step.retries)?)?,
            delay: span("retry_delay", &value("retry_delay", &step.retry_delay)?)?.unwrap_or(DEFAULT_DELAY),
            backoff: step.backoff,
            timeout: span("timeout", &value("timeout", &step.timeout)?)?.or_else(|| default_timeout(step)),
        })
    }

    /// When the next attempt is due, after `attempt` ended at `ended`. With exponential backoff the pause doubles each time and
    /// moves by up to a fifth either way; `seed` (the step's path) decides how far, so that many that failed together part.
    #[must_use]
    pub fn due(&self, attempt: i32, ended: Timestamp, seed: &str) -> Timestamp {
        let pause = match self.backoff {
            Backoff::Fixed => self.delay,
            Backoff::Exponential => {
                let doublings = u32::try_from(attempt.saturating_sub(1)).unwrap_or(0).min(20);
                let pause = self.delay.saturating_mul(1 << doublings).min(LONGEST_DELAY.max(self.delay));
                pause.mul_f64(0.8 + 0.4 * fraction(seed, attempt))
            }
        };
        ended
            .saturating_add(SignedDuration::try_from(pause).unwrap_or(SignedDuration::MAX))
            .unwrap_or(Timestamp::MAX)
    }
}

fn attempts(value: &Value) -> Result<i32, String> {
    let number = match value {
        Value::Null => Some(1),
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    };
    number
        .and_then(|number| i32::try_from(number).ok())
        .filter(|number| (1..=1000).contains(number))
        .ok_or_else(|| format!("retries: {value} is not a number of attempts; write a whole number from 1 to 1000"))
}

/// The timeout of one attempt where the step names none; with `until` the Operation's own bounds it.
fn default_timeout(step: &Step) -> Option<Duration> {
    if step.until.is_some() {
        return None;
    }
    match step.kind {
        StepType::HttpRequest | StepType::HealthCheck => Some(Duration::from_secs(10)),
        StepType::SshCommand | StepType::Git => Some(Duration::from_mins(1)),
        StepType::Delay | StepType::Conditional | StepType::Foreach => None,
        _ => Some(Duration::from_secs(30)),
    }
}

/// A number in [0, 1) that is always the same for the same seed and attempt.
fn fraction(seed: &str, attempt: i32) -> f64 {
    let hash = seed
        .bytes()
        .chain(attempt.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}
