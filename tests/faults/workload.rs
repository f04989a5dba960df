//! Operations whose every effect is counted, by a target that keeps the books.

use std::{ops::Range, time::Duration};

use futures::{StreamExt, TryStreamExt, stream};
use kube::{Api, api::PostParams};
use rand::{RngExt as _, rngs::StdRng};
use serde_json::{Value, json};
use thermostat::api::{Operation, OperationQueue};

use crate::harness::{
    Result,
    control_plane::ControlPlane,
    target::{Answer, Target},
};

/// The steps that must not run twice, in order.
pub const POSTS: [&str; 3] = ["first", "second", "third"];
/// Of one Operation, in all.
pub const STEPS: usize = 5;
/// The rollback step, which must not run twice either.
pub const UNDO: &str = "undo";
/// Where POSTs go.
const COUNTED: &str = "/counted";
/// A POST takes so long that some of them are under way whenever something breaks.
const ANSWER_AFTER: Duration = Duration::from_millis(50);
/// Where health checks go; one such path for each tenth of a second that the answer takes.
const PROBED: &str = "/probed";

/// A namespace with one queue and a target for its Operations.
pub struct Workload {
    pub target: Target,
    pub max_concurrent: usize,
    operations: Api<Operation>,
    queues: Api<OperationQueue>,
}

/// How long the two repeatable steps of an Operation take, chosen at random for each.
pub type Pause = Range<Duration>;

impl Workload {
    /// A new namespace whose queue runs `max_concurrent` at once.
    ///
    /// # Errors
    /// When the control plane refuses.
    pub async fn begin(plane: &ControlPlane, max_concurrent: usize) -> Result<Self> {
        plane.install()?;
        let (namespace, client) = (plane.namespace().await?, plane.client().await?);
        let workload = Self {
            operations: Api::namespaced(client.clone(), &namespace),
            queues: Api::namespaced(client, &namespace),
            target: Target::start()?,
            max_concurrent,
        };
        workload.target.answer(COUNTED, Answer::body("counted").after(ANSWER_AFTER));
        let queue = serde_json::from_value(json!({
            "apiVersion": "thermostat.dev/v1alpha1", "kind": "OperationQueue",
            "metadata": { "name": "counted" }, "spec": { "maxConcurrent": max_concurrent },
        }))?;
        workload.queues.create(&PostParams::default(), &queue).await?;
        Ok(workload)
    }

    pub fn operations(&self) -> &Api<Operation> {
        &self.operations
    }

    pub fn queues(&self) -> &Api<OperationQueue> {
        &self.queues
    }

    /// Creates `count` Operations, named by `prefix` and a number.
    ///
    /// # Errors
    /// When one is refused.
    pub async fn create(&self, prefix: &str, count: usize, pause: Pause, rng: &mut StdRng) -> Result<()> {
        let operations: Vec<_> = (0..count)
            .map(|number| {
                self.operation(
                    &format!("{prefix}-{number}"),
                    rng.random_range(pause.clone()),
                    rng.random_range(pause.clone()),
                )
            })
            .collect::<Result<_>>()?;
        let create = |operation: Operation| async move { self.operations.create(&PostParams::default(), &operation).await };
        let _: Vec<Operation> = stream::iter(operations).map(create).buffer_unordered(8).try_collect().await?;
        Ok(())
    }

    /// Three POSTs, each with a key of its own; between them a delay and a health check, which may run again. A rollback
    /// that is one POST more.
    fn operation(&self, name: &str, delay: Duration, probe: Duration) -> Result<Operation> {
        let tenths = probe.as_millis().div_ceil(100);
        let probed = format!("{PROBED}/{tenths}");
        let answer_after = Duration::from_millis(100).saturating_mul(u32::try_from(tenths)?);
        self.target.answer(&probed, Answer::body("healthy").after(answer_after));
        let [first, second, third, undo] = [POSTS[0], POSTS[1], POSTS[2], UNDO].map(|step| self.post(step));
        let steps = json!([
            first,
            { "name": "wait", "type": "delay", "duration": format!("{}ms", delay.as_millis()) },
            second,
            { "name": "probe", "type": "health_check", "method": "http", "timeout": "5m",
              "url": self.target.url(&format!("{probed}?op=${{operation_name}}")) },
            third,
        ]);
        Ok(serde_json::from_value(json!({
            "apiVersion": "thermostat.dev/v1alpha1", "kind": "Operation",
            "metadata": { "name": name },
            "spec": { "queue": "counted", "runbook": { "inline": {
                "operation": { "name": "counted", "type": "maintain" },
                "steps": steps,
                "rollback": { "on_failure": [undo] },
            } } },
        }))?)
    }

    fn post(&self, step: &str) -> Value {
        let url = self
            .target
            .url(&format!("{COUNTED}?op=${{operation_name}}&key=${{operation_name}}/{step}"));
        json!({ "name": step, "type": "http_request", "method": "POST", "url": url })
    }
}
