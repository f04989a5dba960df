//! The kind `Operation`: one run of a runbook.

#![expect(clippy::duplicated_attributes, reason = "every printed column names its own type and priority")]
#![expect(clippy::struct_field_names, reason = "the names are those of the API")]
#![expect(clippy::doc_markdown, reason = "kubectl explain shows the comments as plain text")]

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::duration::Duration;
use super::reference::{ConfigMapKeyReference, DigestedUrl, NameReference};

/// The version of what `status` records of a run. A controller leaves an Operation with a higher one alone.
pub const JOURNAL_VERSION: i32 = 1;

/// What to run, with what, and when.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "thermostat.dev",
    version = "v1alpha1",
    kind = "Operation",
    plural = "operations",
    shortname = "op",
    category = "thermostat",
    namespaced,
    status = "OperationStatus",
    derive = "PartialEq",
    doc = "One run of a runbook: checked, queued, carried out step by step, and undone where it fails.",
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "Where it stands"),
    printcolumn(
        name = "Progress",
        type_ = "string",
        json_path = ".status.progress",
        description = "Steps ended of steps in all"
    ),
    printcolumn(
        name = "Step",
        type_ = "string",
        json_path = ".status.currentStep",
        description = "The step that runs"
    ),
    printcolumn(
        name = "Queue position",
        type_ = "integer",
        json_path = ".status.queue.position",
        description = "1 is next"
    ),
    printcolumn(
        name = "Priority",
        type_ = "integer",
        json_path = ".spec.priority",
        description = "Higher is sooner"
    ),
    printcolumn(
        name = "Ready",
        type_ = "string",
        json_path = r#".status.conditions[?(@.type=="Ready")].status"#,
        description = "True once it succeeded"
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Runbook",
        type_ = "string",
        json_path = ".status.runbook.name",
        priority = 1,
        description = "The runbook's name"
    ),
    printcolumn(
        name = "Queue",
        type_ = "string",
        json_path = ".spec.queue",
        priority = 1,
        description = "The queue it goes through"
    ),
    printcolumn(
        name = "Duration",
        type_ = "string",
        json_path = ".status.duration",
        priority = 1,
        description = "How long it ran"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        json_path = ".status.message",
        priority = 1,
        description = "What happened last"
    )
)]
#[serde(rename_all = "camelCase")]
#[x_kube(
    validation = ("self.runbook == oldSelf.runbook", "runbook cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("(has(self.parameters) ? [self.parameters] : []) == (has(oldSelf.parameters) ? [oldSelf.parameters] : [])", "parameters cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("(has(self.parametersFrom) ? self.parametersFrom : []) == (has(oldSelf.parametersFrom) ? oldSelf.parametersFrom : [])", "parametersFrom cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("self.queue == oldSelf.queue", "queue cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("(has(self.dependsOn) ? self.dependsOn : []) == (has(oldSelf.dependsOn) ? oldSelf.dependsOn : [])", "dependsOn cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("(has(self.concurrency) ? [self.concurrency] : []) == (has(oldSelf.concurrency) ? [oldSelf.concurrency] : [])", "concurrency cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("self.dryRun == oldSelf.dryRun", "dryRun cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("(has(self.retryOf) ? [self.retryOf] : []) == (has(oldSelf.retryOf) ? [oldSelf.retryOf] : [])", "retryOf cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("self.timeout == oldSelf.timeout", "timeout cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("(has(self.serviceAccountName) ? self.serviceAccountName : '') == (has(oldSelf.serviceAccountName) ? oldSelf.serviceAccountName : '')", "serviceAccountName cannot be changed: an Operation is one run; create a new Operation"),
    validation = ("!oldSelf.cancel || self.cancel", "cancel cannot be taken back: it was latched when it was first seen; create a new Operation"),
)]
pub struct OperationSpec {
    /// What is to be done: exactly one of name, inline, configMapKeyRef and url. It is read once, before the run, and
    /// frozen: a later edit does not change this run.
    pub runbook: RunbookSource,
    /// Values for the runbook's parameters, by name, such as `{version: 2.4.0}`; they win over parametersFrom. A name that the
    /// runbook does not declare is an error. Anyone who may read this Operation can read them: secrets belong in parametersFrom.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub parameters: Map<String, Value>,
    /// Secrets and ConfigMaps of this namespace whose keys are parameters; later entries win. Every value of a Secret is masked
    /// wherever it would be shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub parameters_from: Vec<ParametersSource>,
    /// The OperationQueue, in this namespace, whose slots it shares. The queue default is created where it is first needed; any
    /// other must exist.
    #[serde(default = "default_queue")]
    #[schemars(length(min = 1, max = 253))]
    pub queue: String,
    /// Its place among those that wait: higher is sooner, among equals the older. It may change while the Operation is queued.
    #[serde(default = "default_priority")]
    #[schemars(range(min = 0, max = 1000))]
    pub priority: i32,
    /// Objects that must have ended before this one starts. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 32))]
    pub depends_on: Vec<Dependency>,
    /// A group of which one Operation runs at a time. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<Concurrency>,
    /// true lists in status.steps what each step would do, and does nothing: no slot, no connection, no state is changed.
    #[serde(default)]
    pub dry_run: bool,
    /// true cancels: at once if it waits; a running one stops its step, then rolls back. It cannot be taken back. Deleting an
    /// Operation that has not ended does the same.
    #[serde(default)]
    pub cancel: bool,
    /// true holds it: queued, it is not admitted; running, it pauses between two steps and keeps its slot.
    #[serde(default)]
    pub suspend: bool,
    /// The failed Operation of which this is a new run. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_of: Option<Retry>,
    /// How long its steps may take together, such as 90s, 30m or 1h30m; its rollback has the same again. Waiting and suspended
    /// time do not count. When it is over the Operation fails as TimedOut and rolls back.
    #[serde(default = "default_timeout")]
    pub timeout: Duration,
    /// How many seconds after its end it is deleted; without a value it stays. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 2_147_483_647))]
    pub ttl_seconds_after_finished: Option<i64>,
    /// The ServiceAccount as which everything is read and created. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 253))]
    pub service_account_name: Option<String>,
}

fn default_queue() -> String {
    super::DEFAULT_QUEUE.to_owned()
}

/// The middle of what people use, so that there is room below.
fn default_priority() -> i32 {
    5
}

fn default_timeout() -> Duration {
    Duration(std::time::Duration::from_hours(1))
}

/// An object whose fields the schema does not name.
fn any_object(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"type": "object", "x-kubernetes-preserve-unknown-fields": true})
}

/// A value of any type.
fn any_value(_: &mut SchemaGenerator) -> Schema {
    json_schema!({"x-kubernetes-preserve-unknown-fields": true})
}

/// Where a runbook stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.name), has(self.inline), has(self.configMapKeyRef), has(self.url)].filter(x, x).size() == 1",
    "give exactly one of name, inline, configMapKeyRef and url"
))]
pub struct RunbookSource {
    /// The name of a runbook of the controller's library, such as maintain/health-check.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = 253))]
    pub name: Option<String>,
    /// The runbook itself, as docs/runbooks.md describes it; at most 200 KiB.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_object")]
    pub inline: Option<Map<String, Value>>,
    /// A key of a ConfigMap of this namespace that holds the runbook as YAML text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_key_ref: Option<ConfigMapKeyReference>,
    /// A runbook on the web, with its digest. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<DigestedUrl>,
}

/// Where parameters come from: exactly one of the three.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, KubeSchema)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = (
    "[has(self.secretRef), has(self.configMapRef), has(self.heatStackRef)].filter(x, x).size() == 1",
    "give exactly one of secretRef, configMapRef and heatStackRef"
))]
pub struct ParametersSource {
    /// A Secret whose keys are parameters. Their values are secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret_ref: Option<NameReference>,
    /// A ConfigMap whose keys are parameters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config_map_ref: Option<NameReference>,
    /// A HeatStack whose outputs are parameters. Not available in this version: an Operation that has it fails as InvalidRunbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub heat_stack_ref: Option<NameReference>,
}

/// What must come before an Operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Dependency {
    /// Operation or HeatStack.
    pub kind: DependencyKind,
    /// The object's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Succeeded waits for success; Finished for any end.
    #[serde(default)]
    pub until: DependencyState,
}

/// The kind of a dependency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DependencyKind {
    Operation,
    HeatStack,
}

/// What a dependency must have reached.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DependencyState {
    #[default]
    Succeeded,
    Finished,
}

/// A concurrency group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Concurrency {
    /// The group's name, within one queue.
    #[schemars(length(min = 1, max = 253))]
    pub group: String,
    /// Queue waits, Replace cancels the older, Reject ends the newcomer.
    #[serde(default)]
    pub policy: ConcurrencyPolicy,
}

/// What happens where another of the group is unfinished.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ConcurrencyPolicy {
    #[default]
    Queue,
    Replace,
    Reject,
}

/// A new run of a failed Operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Retry {
    /// The failed Operation's name.
    #[schemars(length(min = 1, max = 253))]
    pub name: String,
    /// Where to start: failed, start or a step's name.
    #[serde(default = "default_from")]
    #[schemars(length(min = 1, max = 253))]
    pub from: String,
}

fn default_from() -> String {
    "failed".to_owned()
}

/// Where a run stands: the record of what it did, from which any controller can go on.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct OperationStatus {
    /// The generation of the spec that was last acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where it stands: Pending (something it names is missing), Queued, Running, RollingBack, and at its end Succeeded, Failed or
    /// Cancelled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phase: Option<Phase>,
    /// Its place in its queue while it waits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub queue: Option<QueuePlace>,
    /// How many of the runbook's steps have ended, of how many, such as 4/9. Steps inside others are not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub progress: Option<String>,
    /// The path of the step that runs now, such as services[#2]/probe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current_step: Option<String>,
    /// What happened last, in a sentence, and what to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// The runbook that runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runbook: Option<RunbookIdentity>,
    /// The controller process that runs it, or ran it last; no other may write this status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub runner: Option<Runner>,
    /// When it got its slot.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its rollback began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rollback_started_at: Option<Time>,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// From startedAt to finishedAt, rollback included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration: Option<Duration>,
    /// How long spec.suspend held it while it was running.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_for: Option<Duration>,
    /// Since when spec.suspend holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suspended_at: Option<Time>,
    /// Every step that started, in order of start; of a dry run, what each would do.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub steps: Vec<StepStatus>,
    /// Every step of the rollback that started, in order of start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rollback: Vec<StepStatus>,
    /// What the runbook's outputs yielded, known once it succeeded.
    #[serde(skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub outputs: Map<String, Value>,
    /// The runbook's results.report_format, filled in at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<String>,
    /// Why it ended as it did, as one word; docs/operations.md says what to do about each.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What went wrong first; what went wrong after it is in steps and rollback.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failure: Option<FailureStatus>,
    /// When spec.cancel, or a deletion, was first seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cancel_requested_at: Option<Time>,
    /// The name of the Secret that holds what was frozen for this run (runbook, merged parameters) and what must not be shown here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal: Option<String>,
    /// The version of this record; a controller that does not know it leaves the Operation alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub journal_version: Option<i32>,
    /// The last thermostat.dev/reconcile-at that was acted upon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_handled_reconcile_at: Option<String>,
    /// Ready, and Reconciling or Stalled.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
}

/// Where an Operation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum Phase {
    /// Not yet fit to be queued.
    Pending,
    /// Waits for a slot.
    Queued,
    /// Holds a slot and runs.
    Running,
    /// Is being undone.
    RollingBack,
    Succeeded,
    Failed,
    Cancelled,
}

impl Phase {
    /// Whether it is an end: a finished Operation never runs again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Cancelled)
    }

    /// The word that stands in the status.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Queued => "Queued",
            Self::Running => "Running",
            Self::RollingBack => "RollingBack",
            Self::Succeeded => "Succeeded",
            Self::Failed => "Failed",
            Self::Cancelled => "Cancelled",
        }
    }
}

/// An Operation's place in its queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct QueuePlace {
    /// 1 is next. Known for the first 20, refreshed at most every 5 s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<i32>,
    /// The priority it waits with.
    pub priority: i32,
}

/// Which runbook runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RunbookIdentity {
    /// operation.name of the document.
    pub name: String,
    /// operation.type of the document.
    #[serde(rename = "type")]
    pub kind: String,
    /// SHA-256 of the document.
    pub digest: String,
}

/// Who runs an Operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Runner {
    /// The controller's identity.
    pub identity: String,
    /// The number of its leadership; it rises with every change of leader.
    pub epoch: i64,
}

/// What went wrong first; what follows does not change it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct FailureStatus {
    /// The path of the step that failed, or that ran when the run was stopped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<String>,
    /// What happened.
    pub message: String,
}

/// What is on record of one step.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct StepStatus {
    /// Where it stands in the run, such as `services[#2]/probe`.
    pub path: String,
    /// Its name in the runbook.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Where it stands.
    pub phase: StepPhase,
    /// The attempt that runs or was the last; counts from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attempt: Option<i32>,
    /// When its first attempt started.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started_at: Option<Time>,
    /// When its last attempt ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Time>,
    /// What happened, or what a dry run would do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Its result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub output: Option<Value>,
    /// Variables that it set besides its output.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    #[schemars(schema_with = "any_object")]
    pub variables: Map<String, Value>,
    /// The registry entry that it read, where that becomes part of a foreach item's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "any_value")]
    pub registry_entry: Option<Value>,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum StepPhase {
    /// An attempt runs.
    #[default]
    Running,
    /// An attempt failed and another will follow.
    Retrying,
    Succeeded,
    Failed,
    /// Its condition did not hold, or it is a dry run.
    Skipped,
    /// It was running when its controller ended and must not run twice.
    Interrupted,
    /// It was stopped.
    Cancelled,
}

impl StepPhase {
    /// Whether the step came to its end. No step on record as ended runs again.
    #[must_use]
    pub const fn is_final(self) -> bool {
        !matches!(self, Self::Running | Self::Retrying)
    }
}

impl Operation {
    /// Where it stands; an Operation nobody looked at yet is Pending.
    #[must_use]
    pub fn phase(&self) -> Phase {
        self.status.as_ref().and_then(|status| status.phase).unwrap_or(Phase::Pending)
    }

    /// Whether it came to its end.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.phase().is_final()
    }
}
