//! When a step is tried again. Pure.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use serde_json::Value;

use crate::runbook::step::{Backoff, Step, count, duration};
use crate::runbook::{Scope, StepType, Template};

/// The pause between two attempts where the step names none.
const DEFAULT_DELAY: Duration = Duration::from_secs(5);
/// No pause grows beyond this, however many attempts there were.
const LONGEST_DELAY: Duration = Duration::from_mins(10);

/// How often and for how long a step is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pacing {
    /// Attempts in all, at least 1; none where only time bounds them.
    pub attempts: Option<u32>,
    pub delay: Duration,
    pub backoff: Backoff,
    /// Of one attempt.
    pub timeout: Option<Duration>,
    /// With `until`, of all attempts together.
    pub overall: Option<Duration>,
}

impl Pacing {
    /// What the step's own fields say in this scope.
    ///
    /// # Errors
    /// A field that does not evaluate, or is no number or duration.
    pub fn of(step: &Step, scope: &dyn Scope) -> Result<Self, String> {
        let value = |name: &str, template: &Option<Template>| -> Result<Option<Value>, String> {
            match template {
                None => Ok(None),
                Some(template) => {
                    let value = template.render(scope).map_err(|error| format!("{name}: {error}"))?;
                    Ok(Some(value).filter(|value| !value.is_null()))
                }
            }
        };
        let span = |name: &str, template: &Option<Template>| -> Result<Option<Duration>, String> {
            let value = value(name, template)?;
            value
                .map(|value| duration(&value).map_err(|error| format!("{name}: {error}")))
                .transpose()
        };
        let attempts = value("retries", &step.retries)?;
        let attempts = attempts
            .map(|value| count(&value).map_err(|error| format!("retries: {error}")))
            .transpose()?;
        let repeats = step.until.is_some();
        let timeout = span("timeout", &step.timeout)?;
        Ok(Self {
            attempts: attempts.or_else(|| (!repeats).then_some(1)),
            delay: span("retry_delay", &step.retry_delay)?.unwrap_or(DEFAULT_DELAY),
            backoff: step.backoff,
            timeout: timeout.or_else(|| default_timeout(step.kind)),
            overall: timeout.filter(|_| repeats),
        })
    }

    /// Whether no attempt follows this one.
    #[must_use]
    pub fn is_last(&self, attempt: i32) -> bool {
        self.attempts.is_some_and(|most| i64::from(attempt) >= i64::from(most))
    }

    /// The number of an attempt, for people.
    #[must_use]
    pub fn count(&self, attempt: i32) -> String {
        match self.attempts {
            Some(most) => format!("attempt {attempt} of {most}"),
            None => format!("attempt {attempt}"),
        }
    }

    /// When the next attempt is due, after `attempt` ended at `ended`. With exponential backoff the pause doubles each time and
    /// moves by up to a fifth either way; `seed` decides how far, so that many that failed together part.
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

/// The timeout of one attempt where the step names none; the Operation's own bounds what has none.
const fn default_timeout(kind: StepType) -> Option<Duration> {
    match kind {
        StepType::HttpRequest | StepType::HealthCheck => Some(Duration::from_secs(10)),
        StepType::SshCommand | StepType::Git => Some(Duration::from_mins(1)),
        StepType::StateCheck
        | StepType::StateUpdate
        | StepType::Notification
        | StepType::OperationLog
        | StepType::ServiceLookup
        | StepType::ServiceGroupLookup
        | StepType::AggregateResults
        | StepType::Filter
        | StepType::LogAnalysis
        | StepType::Unlock => Some(Duration::from_secs(30)),
        StepType::Delay
        | StepType::Conditional
        | StepType::Foreach
        | StepType::Lock
        | StepType::Script
        | StepType::LoadOperation
        | StepType::ExternalApi
        | StepType::HeatStack
        | StepType::Approval
        | StepType::Operation => None,
    }
}

/// A number from 0 to 1 that is always the same for the same seed and attempt.
fn fraction(seed: &str, attempt: i32) -> f64 {
    let bytes = seed.bytes().chain(attempt.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    f64::from(u32::try_from(hash >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

#[cfg(test)]
mod tests;
