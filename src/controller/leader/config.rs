//! The settings of an election.

use std::time::Duration;

use kube::Client;

/// The longest lease: a leader that dies keeps everybody waiting for so long.
const LONGEST_LEASE: Duration = Duration::from_hours(1);

/// How much later than its period a retry may come, as a factor.
const JITTER: f64 = 1.2;

/// Where the Lease is, who this process is, and how long everything takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The Lease's.
    pub namespace: String,
    /// The Lease's.
    pub name: String,
    /// Unlike that of any other process, now or ever; see [`new_identity`].
    pub identity: String,
    /// How long the others wait after the last renewal that they saw.
    pub lease_duration: Duration,
    /// How long after its last successful renewal a leader ceases to be one.
    pub renew_deadline: Duration,
    /// Between two renewals, and between two tries.
    pub retry_period: Duration,
}

/// Durations under which there could be two leaders, or none for long.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    #[error(
        "--lease-duration {lease_duration:?} must be longer than --renew-deadline {renew_deadline:?}: a leader must have stopped before another begins"
    )]
    RenewDeadline {
        lease_duration: Duration,
        renew_deadline: Duration,
    },
    #[error(
        "--renew-deadline {renew_deadline:?} must be longer than 1.2 times --retry-period {retry_period:?}: a leader must get to renew before its deadline"
    )]
    RetryPeriod { renew_deadline: Duration, retry_period: Duration },
    #[error("--lease-duration {0:?} must be whole seconds, from 1s to 1h: a Lease cannot hold anything else")]
    LeaseDuration(Duration),
    #[error("--retry-period {0:?} must be at least 100ms")]
    TooOften(Duration),
    #[error("the {0} of the election must not be empty")]
    Empty(&'static str),
}

impl Config {
    /// 15 s, 10 s and 2 s, as all of Kubernetes has it.
    #[must_use]
    pub fn new(namespace: impl Into<String>, name: impl Into<String>, identity: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            name: name.into(),
            identity: identity.into(),
            lease_duration: Duration::from_secs(15),
            renew_deadline: Duration::from_secs(10),
            retry_period: Duration::from_secs(2),
        }
    }

    /// Do the durations fit each other?
    ///
    /// # Errors
    /// The first that does not, named by its flag.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Self {
            lease_duration,
            renew_deadline,
            retry_period,
            ..
        } = *self;
        for (what, value) in [("namespace", &self.namespace), ("name", &self.name), ("identity", &self.identity)] {
            if value.is_empty() {
                return Err(ConfigError::Empty(what));
            }
        }
        if lease_duration.is_zero() || lease_duration.subsec_nanos() != 0 || lease_duration > LONGEST_LEASE {
            return Err(ConfigError::LeaseDuration(lease_duration));
        }
        if lease_duration <= renew_deadline {
            return Err(ConfigError::RenewDeadline {
                lease_duration,
                renew_deadline,
            });
        }
        if retry_period < Duration::from_millis(100) {
            return Err(ConfigError::TooOften(retry_period));
        }
        if retry_period >= renew_deadline || renew_deadline <= retry_period.mul_f64(JITTER) {
            return Err(ConfigError::RetryPeriod {
                renew_deadline,
                retry_period,
            });
        }
        Ok(())
    }

    /// How long one call may take, so that a renewal gets a second try.
    pub(super) fn call_timeout(&self) -> Duration {
        self.renew_deadline / 2
    }

    /// `period`, or up to a fifth more, so that candidates do not try in step.
    pub(super) fn jittered(&self, period: Duration) -> Duration {
        period.mul_f64(rand::random_range(1.0..JITTER)).min(self.renew_deadline)
    }
}

/// A client for [`super::Election::new`]: its own connections, and no retries, which kube would go on with long after the deadline.
///
/// # Errors
/// As [`Client::try_from`].
pub fn lease_client(mut config: kube::Config) -> Result<Client, kube::Error> {
    config.default_retry = false;
    Client::try_from(config)
}

/// The host's name and 128 random bits: no two processes share one, not even two of the same pod.
#[must_use]
pub fn new_identity() -> String {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname")
        .or_else(|_| std::fs::read_to_string("/etc/hostname"))
        .unwrap_or_default();
    let host = match host.trim() {
        "" => "thermostat",
        host => host,
    };
    format!("{host}_{:032x}", rand::random::<u128>())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    fn config(lease: u64, renew: u64, retry: u64) -> Config {
        let [lease_duration, renew_deadline, retry_period] = [lease, renew, retry].map(Duration::from_millis);
        Config {
            lease_duration,
            renew_deadline,
            retry_period,
            ..Config::new("ns", "name", "me")
        }
    }

    #[test]
    fn durations_must_leave_time_to_renew_and_time_to_stop() {
        for (lease, renew, retry, hint) in [
            (10_000, 10_000, 2_000, "longer than --renew-deadline 10s"),
            (10_000, 20_000, 2_000, "longer than --renew-deadline 20s"),
            (15_000, 10_000, 10_000, "longer than 1.2 times --retry-period 10s"),
            (15_000, 12_000, 10_000, "longer than 1.2 times"),
            (15_500, 10_000, 2_000, "whole seconds"),
            (0, 0, 0, "whole seconds"),
            (3_601_000, 10_000, 2_000, "whole seconds"),
            (15_000, 10_000, 0, "at least 100ms"),
            (15_000, 10_000, 9, "at least 100ms"),
        ] {
            let message = config(lease, renew, retry).validate().unwrap_err().to_string();
            assert!(message.contains(hint), "{lease} {renew} {retry}: {message}");
        }
        for (lease, renew, retry) in [
            (15_000, 10_000, 2_000),
            (3_000, 2_000, 500),
            (2_000, 1_999, 1_000),
            (3_600_000, 3_599_000, 100),
        ] {
            config(lease, renew, retry).validate().unwrap();
        }
        assert_eq!(
            Config {
                identity: String::new(),
                ..config(15_000, 10_000, 2_000)
            }
            .validate(),
            Err(ConfigError::Empty("identity"))
        );
        let huge = Config {
            retry_period: Duration::MAX,
            ..config(15_000, 10_000, 0)
        };
        assert!(
            matches!(huge.validate(), Err(ConfigError::RetryPeriod { .. })),
            "and nothing overflows"
        );
    }

    #[test]
    fn no_two_identities_are_alike() {
        assert_ne!(new_identity(), new_identity());
        assert!(new_identity().len() > 33);
    }

    #[test]
    fn jitter_delays_by_a_fifth_at_most() {
        let config = config(15_000, 10_000, 2_000);
        for _ in 0..100 {
            let wait = config.jittered(config.retry_period);
            assert!((2_000..2_400).contains(&wait.as_millis()), "{wait:?}");
        }
    }
}
