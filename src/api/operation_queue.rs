//! The kind `OperationQueue`: how many Operations run at once.

#![expect(clippy::duplicated_attributes, reason = "every printed column names its own type and priority")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How many Operations of one queue run at once.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "thermostat.dev",
    version = "v1alpha1",
    kind = "OperationQueue",
    plural = "operationqueues",
    shortname = "opq",
    category = "thermostat",
    namespaced,
    status = "OperationQueueStatus",
    derive = "PartialEq",
    doc = "How many Operations run at once. An Operation waits in the queue of its spec.queue, higher priority first, then older first.",
    printcolumn(
        name = "Max",
        type_ = "integer",
        json_path = ".spec.maxConcurrent",
        description = "How many Operations may run at once"
    ),
    printcolumn(
        name = "Running",
        type_ = "integer",
        json_path = ".status.runningCount",
        description = "How many run"
    ),
    printcolumn(name = "Queued", type_ = "integer", json_path = ".status.queued", description = "How many wait"),
    printcolumn(
        name = "Suspended",
        type_ = "boolean",
        json_path = ".spec.suspend",
        description = "Whether nothing new is admitted"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp")
)]
#[serde(rename_all = "camelCase")]
pub struct OperationQueueSpec {
    /// How many Operations of this queue may run at once. Lowering it stops none that runs.
    #[schemars(range(min = 1, max = 1000))]
    #[serde(default = "default_max_concurrent")]
    pub max_concurrent: i32,
    /// true admits nothing new; what runs goes on.
    #[serde(default)]
    pub suspend: bool,
}

fn default_max_concurrent() -> i32 {
    OperationQueueSpec::DEFAULT_MAX_CONCURRENT
}

impl OperationQueueSpec {
    /// `maxConcurrent` where none is given.
    pub const DEFAULT_MAX_CONCURRENT: i32 = 3;
}

impl Default for OperationQueueSpec {
    fn default() -> Self {
        Self {
            max_concurrent: Self::DEFAULT_MAX_CONCURRENT,
            suspend: false,
        }
    }
}

/// What the queue holds. `running` is the arbiter of its slots: an Operation starts only once it is listed there.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct OperationQueueStatus {
    /// The generation of the spec that was last acted upon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// How many Operations wait; refreshed with the next admission or end, or every 5 s.
    #[serde(default)]
    pub queued: i32,
    /// How many Operations hold a slot: the length of running.
    #[serde(default)]
    pub running_count: i32,
    /// The Operations that hold a slot.
    #[serde(default)]
    pub running: Vec<Slot>,
    /// The names of the next 20.
    #[serde(default)]
    pub head: Vec<String>,
    /// Ready.
    #[serde(default)]
    pub conditions: Vec<Condition>,
}

/// An Operation that holds a slot.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Slot {
    /// The Operation's name.
    pub name: String,
    /// The Operation's uid.
    pub uid: String,
}
