//! Everything about an Operation that can be known before it acts. Pure.

use std::sync::Arc;

use serde_json::Value;

use super::decide::Beginning;
use super::observe::{Document, Inputs};
use super::scope::Identity;
use crate::api::{INLINE_LIMIT, Operation};
use crate::runbook::{Runbook, parameter};
use crate::telemetry::redaction::Redactor;

/// Why an Operation can never run as written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Refusal(pub String);

/// Checks the Operation, its document and its parameters; yields what its run is made from.
///
/// # Errors
/// Every problem that was found, with the place and the fix.
pub fn operation(operation: &Operation, inputs: &Inputs) -> Result<Beginning, Refusal> {
    let unavailable = unavailable(operation);
    if !unavailable.is_empty() {
        return Err(Refusal(unavailable.join("; ")));
    }
    let runbook = match &inputs.document {
        Document::Text(text) => Runbook::parse(text),
        Document::Inline(value) => inline(value)?,
    };
    let runbook = runbook.map_err(|problems| Refusal(problems.to_string()))?;
    let parameters = parameter::bind(&runbook.parameters, &inputs.parameters).map_err(|problems| Refusal(problems.to_string()))?;
    let declared = runbook
        .parameters
        .iter()
        .filter(|(_, parameter)| parameter.secret)
        .filter_map(|(name, _)| Some((name, parameters.get(name)?)));
    let secrets = declared
        .filter_map(|(name, value)| Some((name.clone(), secret_text(value)?)))
        .chain(inputs.secrets.clone());
    let metadata = &operation.metadata;
    let identity = Identity {
        operation_name: metadata.name.clone().unwrap_or_default(),
        operation_namespace: metadata.namespace.clone().unwrap_or_default(),
        operation_id: metadata.uid.clone().unwrap_or_default(),
        runbook_name: runbook.name.clone(),
    };
    let redactor = Redactor::new(secrets).map_err(|error| Refusal(error.to_string()))?;
    Ok(Beginning {
        runbook: Arc::new(runbook),
        identity,
        parameters,
        timeout: operation.spec.timeout.0,
        redactor,
    })
}

/// The text by which a secret value would be recognised.
fn secret_text(value: &Value) -> Option<String> {
    match value {
        Value::Null | Value::Bool(_) => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn inline(value: &Value) -> Result<Result<Runbook, crate::runbook::Diagnostics>, Refusal> {
    let length = serde_json::to_string(value).map_or(0, |text| text.len());
    if length > INLINE_LIMIT {
        let message = format!(
            "spec.runbook.inline: {length} bytes are more than {INLINE_LIMIT}; put the document into a ConfigMap and name it in configMapKeyRef"
        );
        return Err(Refusal(message));
    }
    Ok(Runbook::from_json(value))
}

/// The fields whose behaviour this version does not have: named, never ignored.
fn unavailable(operation: &Operation) -> Vec<String> {
    let spec = &operation.spec;
    let from_stack = spec.parameters_from.iter().any(|source| source.heat_stack_ref.is_some());
    [
        ("spec.runbook.url", spec.runbook.url.is_some()),
        ("spec.parametersFrom[].heatStackRef", from_stack),
        ("spec.dependsOn", !spec.depends_on.is_empty()),
        ("spec.concurrency", spec.concurrency.is_some()),
        ("spec.retryOf", spec.retry_of.is_some()),
        ("spec.ttlSecondsAfterFinished", spec.ttl_seconds_after_finished.is_some()),
        (
            "spec.serviceAccountName",
            spec.service_account_name.as_ref().is_some_and(|name| !name.is_empty()),
        ),
    ]
    .into_iter()
    .filter(|(_, used)| *used)
    .map(|(field, _)| format!("{field}: not available in this version; leave it out"))
    .collect()
}
