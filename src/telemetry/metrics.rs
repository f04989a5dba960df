//! Every figure that Prometheus can scrape. Names begin with `thermostat_`; durations are in seconds.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::{EncodeLabelSet, text};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

/// The media type of [`Metrics::encode`].
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds of step durations: a check takes milliseconds, a deployment may take an hour.
const STEP_SECONDS: [f64; 12] = [0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PhaseLabel {
    phase: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QueueLabels {
    namespace: String,
    queue: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StepLabels {
    r#type: String,
    phase: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TypeLabel {
    r#type: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ChannelLabel {
    channel: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    verb: String,
    reason: String,
}

/// The figures of this process. Cheap to clone; all clones count together.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    operations_ended: Family<PhaseLabel, Counter>,
    operations_running: Family<QueueLabels, Gauge>,
    operations_queued: Family<QueueLabels, Gauge>,
    steps_ended: Family<StepLabels, Counter>,
    step_duration: Family<TypeLabel, Histogram>,
    status_writes: Counter,
    status_write_conflicts: Counter,
    status_write_retries: Counter,
    queue_writes: Counter,
    unreadable_objects: Family<KindLabel, Gauge>,
    notification_failures: Family<ChannelLabel, Counter>,
    leader: Gauge,
    api_request_errors: Family<RequestLabels, Counter>,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Metrics").finish_non_exhaustive()
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All figures, at zero.
    #[must_use]
    pub fn new() -> Self {
        let mut inner = Inner {
            registry: Registry::with_prefix("thermostat"),
            operations_ended: Family::default(),
            operations_running: Family::default(),
            operations_queued: Family::default(),
            steps_ended: Family::default(),
            step_duration: Family::new_with_constructor(|| Histogram::new(STEP_SECONDS)),
            status_writes: Counter::default(),
            status_write_conflicts: Counter::default(),
            status_write_retries: Counter::default(),
            queue_writes: Counter::default(),
            unreadable_objects: Family::default(),
            notification_failures: Family::default(),
            leader: Gauge::default(),
            api_request_errors: Family::default(),
        };
        inner.register();
        Self(Arc::new(inner))
    }

    /// An Operation reached its final `phase`.
    pub fn operation_ended(&self, phase: &str) {
        self.0.operations_ended.get_or_create(&PhaseLabel { phase: phase.to_owned() }).inc();
    }

    /// How many Operations of a queue hold a slot, and how many wait for one.
    pub fn set_queue(&self, namespace: &str, queue: &str, running: usize, queued: usize) {
        let labels = queue_labels(namespace, queue);
        self.0.operations_running.get_or_create(&labels).set(to_gauge(running));
        self.0.operations_queued.get_or_create(&labels).set(to_gauge(queued));
    }

    /// A queue is no more.
    pub fn forget_queue(&self, namespace: &str, queue: &str) {
        let labels = queue_labels(namespace, queue);
        self.0.operations_running.remove(&labels);
        self.0.operations_queued.remove(&labels);
    }

    /// A step ended in `phase` after `duration`, all its attempts together.
    pub fn step_ended(&self, step_type: &str, phase: &str, duration: Duration) {
        self.0
            .steps_ended
            .get_or_create(&StepLabels {
                r#type: step_type.to_owned(),
                phase: phase.to_owned(),
            })
            .inc();
        self.0
            .step_duration
            .get_or_create(&TypeLabel {
                r#type: step_type.to_owned(),
            })
            .observe(duration.as_secs_f64());
    }

    /// The API server accepted a status of an Operation.
    pub fn status_written(&self) {
        self.0.status_writes.inc();
    }

    /// A status of an Operation was not written, because somebody else had.
    pub fn status_write_conflicted(&self) {
        self.0.status_write_conflicts.inc();
    }

    /// A status of an Operation is sent again, because the API server did not answer or could not.
    pub fn status_write_retried(&self) {
        self.0.status_write_retries.inc();
    }

    /// The API server accepted a status of a queue.
    pub fn queue_written(&self) {
        self.0.queue_writes.inc();
    }

    /// How many objects of `kind` there are that this version cannot read.
    pub fn set_unreadable_objects(&self, kind: &str, count: usize) {
        self.0
            .unreadable_objects
            .get_or_create(&KindLabel { kind: kind.to_owned() })
            .set(to_gauge(count));
    }

    /// A notification could not be delivered.
    pub fn notification_failed(&self, channel: &str) {
        self.0
            .notification_failures
            .get_or_create(&ChannelLabel {
                channel: channel.to_owned(),
            })
            .inc();
    }

    /// Whether this process leads.
    pub fn set_leader(&self, leads: bool) {
        self.0.leader.set(i64::from(leads));
    }

    /// A request to the API server failed; `reason` is that of its answer, or `Connection`.
    pub fn api_request_failed(&self, verb: &str, reason: &str) {
        self.0
            .api_request_errors
            .get_or_create(&RequestLabels {
                verb: verb.to_owned(),
                reason: reason.to_owned(),
            })
            .inc();
    }

    /// All figures as `OpenMetrics` text, of [`CONTENT_TYPE`].
    ///
    /// # Errors
    /// None in practice: writing to a string does not fail.
    pub fn encode(&self) -> Result<String, fmt::Error> {
        let mut out = String::new();
        text::encode(&mut out, &self.0.registry)?;
        Ok(out)
    }
}

impl Inner {
    fn register(&mut self) {
        let registry = &mut self.registry;
        let build = Info::new([("version", env!("CARGO_PKG_VERSION"))]);
        registry.register("build", "The version of this process", build);
        registry.register("leader", "1 if this process leads, 0 if it stands by", self.leader.clone());
        registry.register(
            "operations_ended",
            "Operations that ended, by final phase",
            self.operations_ended.clone(),
        );
        registry.register(
            "operations_running",
            "Operations that hold a slot of their queue",
            self.operations_running.clone(),
        );
        registry.register(
            "operations_queued",
            "Operations that wait for a slot of their queue",
            self.operations_queued.clone(),
        );
        registry.register("steps_ended", "Steps that ended, by type and phase", self.steps_ended.clone());
        registry.register_with_unit(
            "step_duration",
            "How long steps took, all attempts together, by type",
            Unit::Seconds,
            self.step_duration.clone(),
        );
        registry.register("status_writes", "Writes of an Operation's status", self.status_writes.clone());
        registry.register(
            "status_write_conflicts",
            "Writes of an Operation's status that somebody else came before",
            self.status_write_conflicts.clone(),
        );
        registry.register(
            "status_write_retries",
            "Writes of an Operation's status that were sent again",
            self.status_write_retries.clone(),
        );
        registry.register("queue_writes", "Writes of a queue's status", self.queue_writes.clone());
        registry.register(
            "unreadable_objects",
            "Objects that this version cannot read, by kind",
            self.unreadable_objects.clone(),
        );
        registry.register(
            "notification_failures",
            "Notifications that were not delivered, by channel",
            self.notification_failures.clone(),
        );
        registry.register(
            "api_request_errors",
            "Requests to the Kubernetes API that failed, by verb and reason",
            self.api_request_errors.clone(),
        );
    }
}

fn queue_labels(namespace: &str, queue: &str) -> QueueLabels {
    QueueLabels {
        namespace: namespace.to_owned(),
        queue: queue.to_owned(),
    }
}

fn to_gauge(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;

    #[test]
    fn what_is_counted_is_told() {
        let metrics = Metrics::new();
        let clone = metrics.clone();
        clone.operation_ended("Succeeded");
        clone.set_queue("prod", "default", 2, 5);
        clone.step_ended("http_request", "Failed", Duration::from_millis(70));
        clone.status_written();
        clone.status_write_conflicted();
        clone.status_write_retried();
        clone.queue_written();
        clone.set_unreadable_objects("Operation", 1);
        clone.notification_failed("log");
        clone.set_leader(true);
        clone.api_request_failed("patch", "Conflict");
        let text = metrics.encode().unwrap();
        for line in [
            concat!("thermostat_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"} 1"),
            "thermostat_leader 1",
            "thermostat_operations_ended_total{phase=\"Succeeded\"} 1",
            "thermostat_operations_running{namespace=\"prod\",queue=\"default\"} 2",
            "thermostat_operations_queued{namespace=\"prod\",queue=\"default\"} 5",
            "thermostat_steps_ended_total{type=\"http_request\",phase=\"Failed\"} 1",
            "thermostat_step_duration_seconds_bucket{le=\"0.05\",type=\"http_request\"} 0",
            "thermostat_step_duration_seconds_bucket{le=\"0.1\",type=\"http_request\"} 1",
            "thermostat_step_duration_seconds_count{type=\"http_request\"} 1",
            "thermostat_status_writes_total 1",
            "thermostat_status_write_conflicts_total 1",
            "thermostat_status_write_retries_total 1",
            "thermostat_queue_writes_total 1",
            "thermostat_unreadable_objects{kind=\"Operation\"} 1",
            "thermostat_notification_failures_total{channel=\"log\"} 1",
            "thermostat_api_request_errors_total{verb=\"patch\",reason=\"Conflict\"} 1",
        ] {
            assert!(text.lines().any(|told| told == line), "{line} is missing in\n{text}");
        }
        assert!(text.ends_with("# EOF\n"));
    }

    #[test]
    fn a_queue_that_is_gone_is_told_of_no_more() {
        let metrics = Metrics::new();
        metrics.set_queue("prod", "default", 2, 5);
        metrics.forget_queue("prod", "default");
        assert!(!metrics.encode().unwrap().contains("prod"));
    }
}
