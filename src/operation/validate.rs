//! Everything about an Operation that can be known before it acts. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::decide::Beginning;
use super::observe::{Document, Inputs};
use super::record::ROOM_OF_AN_OBJECT;
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
    let mut problems = unavailable(operation);
    let runbook = match &inputs.document {
        Document::Text(text) => Runbook::parse(text).map_err(|problems| problems.to_string()),
        Document::Inline(value) => inline(value),
    };
    let bound = runbook.and_then(|runbook| match parameter::bind(&runbook.parameters, &inputs.parameters) {
        Ok(parameters) => Ok((runbook, parameters)),
        Err(problems) => Err(problems.to_string()),
    });
    let (runbook, parameters) = match bound {
        Ok(bound) if problems.is_empty() => bound,
        Ok(_) => return Err(Refusal(problems.join("\n"))),
        Err(problem) => {
            problems.push(problem);
            return Err(Refusal(problems.join("\n")));
        }
    };
    let metadata = &operation.metadata;
    let identity = Identity {
        operation_name: metadata.name.clone().unwrap_or_default(),
        operation_namespace: metadata.namespace.clone().unwrap_or_default(),
        operation_id: metadata.uid.clone().unwrap_or_default(),
        runbook_name: runbook.name.clone(),
    };
    let secrets = secrets(&runbook, &parameters, &inputs.secrets);
    let redactor = Redactor::new(secrets).map_err(|error| Refusal(error.to_string()))?;
    Ok(Beginning {
        runbook: Arc::new(runbook),
        identity,
        parameters,
        timeout: operation.spec.timeout.0,
        redactor,
        room: ROOM_OF_AN_OBJECT,
    })
}

/// The names and texts by which secret values would be recognised: of the parameters that the runbook declares secret, and of
/// those that come from Secrets, as they were given and as they were converted. What a list or map holds is secret one by one.
#[must_use]
pub fn secrets(runbook: &Runbook, parameters: &Map<String, Value>, given: &BTreeMap<String, String>) -> Vec<(String, String)> {
    let mut secrets: Vec<(String, String)> = given.iter().map(|(name, text)| (name.clone(), text.clone())).collect();
    for (name, value) in parameters {
        let declared = runbook.parameters.get(name).is_some_and(|parameter| parameter.secret);
        if declared || given.contains_key(name) {
            secrets.extend(texts(value).into_iter().map(|text| (name.clone(), text)));
        }
    }
    secrets.sort_unstable();
    secrets.dedup();
    secrets
}

/// Every text and number of a value.
fn texts(value: &Value) -> Vec<String> {
    let mut texts = Vec::new();
    let mut rest = vec![value];
    while let Some(value) = rest.pop() {
        match value {
            Value::Null | Value::Bool(_) => {}
            Value::Number(number) => texts.push(number.to_string()),
            Value::String(text) => texts.push(text.clone()),
            Value::Array(items) => rest.extend(items),
            Value::Object(fields) => rest.extend(fields.values()),
        }
    }
    texts
}

fn inline(value: &Value) -> Result<Runbook, String> {
    let length = serde_json::to_string(value).map_or(0, |text| text.len());
    if length > INLINE_LIMIT {
        return Err(format!(
            "spec.runbook.inline: {length} bytes are more than {INLINE_LIMIT}; put the document into a ConfigMap and name it in configMapKeyRef"
        ));
    }
    Runbook::from_json(value).map_err(|problems| problems.to_string())
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

#[cfg(test)]
mod tests;
