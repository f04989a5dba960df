//! `state_check` and `state_update`: places in state documents.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::document::Change;
use super::super::walk::{Answer, Fault};
use super::World;
use crate::runbook::Scope;
use crate::runbook::path::{ResolvedPath, StatePath};
use crate::runbook::substitute::text;

#[derive(Deserialize)]
pub struct CheckFields {
    file: String,
    #[serde(default)]
    path: Option<String>,
    #[serde(default)]
    service: Option<Value>,
    #[serde(default)]
    equals: Option<Value>,
}

#[derive(Deserialize)]
pub struct UpdateFields {
    file: String,
    updates: Map<String, Value>,
}

pub async fn check(fields: CheckFields, world: &World) -> Result<Answer, Fault> {
    let place = match (&fields.path, &fields.service) {
        (Some(path), _) => Some(resolved(path)?),
        (None, Some(service)) => Some(ResolvedPath::service(&text(service))),
        (None, None) => None,
    };
    let document = world.documents.read(&fields.file).await?;
    let value = document
        .as_deref()
        .and_then(|document| place.as_ref().map_or(Some(document), |place| place.get(document)));
    let value = value.cloned().unwrap_or(Value::Null);
    match &fields.equals {
        Some(wanted) if *wanted != value => {
            let at = place.map(|place| place.to_string()).unwrap_or_default();
            Err(Fault {
                message: format!("{}{at} is {value}, expected {wanted}", fields.file),
                output: value,
                permanent: false,
            })
        }
        _ => Ok(Answer {
            output: value,
            ..Answer::default()
        }),
    }
}

pub async fn update(fields: UpdateFields, world: &World) -> Result<Answer, Fault> {
    let updates = fields.updates.into_iter().map(|(path, value)| Ok((resolved(&path)?, value)));
    let updates: Vec<_> = updates.collect::<Result<_, Fault>>()?;
    let changed = world.documents.change(&fields.file, Change::Set(updates)).await?;
    let message = if changed == 0 {
        format!("{}: no such place, nothing was changed", fields.file)
    } else {
        format!("{changed} {} set", if changed == 1 { "place" } else { "places" })
    };
    Ok(Answer {
        output: json!(changed),
        message: Some(message),
        ..Answer::default()
    })
}

fn resolved(path: &str) -> Result<ResolvedPath, Fault> {
    let wrong = |error: String| Fault::permanent(format!("{path}: {error}"));
    StatePath::parse(path)
        .map_err(|error| wrong(error.to_string()))?
        .resolve(&Nothing)
        .map_err(|error| wrong(error.to_string()))
}

/// Everything is substituted already.
struct Nothing;

impl Scope for Nothing {
    fn lookup(&self, _: &str) -> Option<Cow<'_, Value>> {
        None
    }
}
