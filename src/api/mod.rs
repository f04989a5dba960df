//! What users write, and what the kinds must agree on. Types only.

pub mod condition;
pub mod duration;
pub mod operation;
pub mod operation_queue;
pub mod reference;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{JSON, JSONSchemaProps, JSONSchemaPropsOrArray};
use kube::CustomResourceExt as _;

pub use condition::Reason;
pub use duration::Duration;
pub use operation::{Operation, OperationSpec, OperationStatus};
pub use operation_queue::{OperationQueue, OperationQueueSpec, OperationQueueStatus};

/// The API group of every kind.
pub const GROUP: &str = "thermostat.dev";

/// The finalizer of an Operation whose steps may have touched the outside world.
pub const FINALIZER: &str = "thermostat.dev/operation";

/// Annotation: any new value asks for a reconcile now; acknowledged in `status.lastHandledReconcileAt`.
pub const RECONCILE_AT: &str = "thermostat.dev/reconcile-at";

/// Label of a ConfigMap that is a state document; only one that carries it is written.
pub const STATE_LABEL: &str = "thermostat.dev/state";

/// Annotation of a state document: its path, such as `infra/state/deployments.json`.
pub const STATE_PATH: &str = "thermostat.dev/path";

/// Label of an Operation's journal Secret: the uid of its Operation.
pub const JOURNAL_LABEL: &str = "thermostat.dev/journal";

/// The queue of an Operation that names none; created where it is first needed.
pub const DEFAULT_QUEUE: &str = "default";

/// The largest inline runbook, as JSON, in bytes.
pub const INLINE_LIMIT: usize = 200 * 1024;

/// The definitions of all kinds, as `crds/` holds them: file name and definition.
#[must_use]
pub fn definitions() -> Vec<(&'static str, CustomResourceDefinition)> {
    [("operations", Operation::crd()), ("operationqueues", OperationQueue::crd())]
        .map(|(name, crd)| (name, finished(crd)))
        .into()
}

/// `status` starts as `{observedGeneration: -1}`: kstatus calls an object without a status Current, so that whoever waits
/// for one would go on too early.
fn finished(mut crd: CustomResourceDefinition) -> CustomResourceDefinition {
    for version in &mut crd.spec.versions {
        let Some(root) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) else {
            continue;
        };
        if let Some(status) = root.properties.as_mut().and_then(|p| p.get_mut("status")) {
            *status = JSONSchemaProps {
                default: Some(JSON(serde_json::json!({"observedGeneration": -1}))),
                nullable: None,
                ..status.clone()
            };
        }
        join_lines(root);
    }
    crd
}

/// Makes one line of each description: `kubectl explain` breaks lines itself, and would keep those of the source as well.
fn join_lines(schema: &mut JSONSchemaProps) {
    if let Some(description) = &mut schema.description {
        *description = description.replace('\n', " ");
    }
    schema
        .properties
        .iter_mut()
        .flat_map(|properties| properties.values_mut())
        .for_each(join_lines);
    if let Some(JSONSchemaPropsOrArray::Schema(item)) = &mut schema.items {
        join_lines(item);
    }
}
