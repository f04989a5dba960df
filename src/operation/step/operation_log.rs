//! `operation_log`: one entry in the operation log, written once however often the step runs.

use serde_json::Value;

use super::super::document::{Change, OPERATIONS};
use super::super::prepare::Input;
use super::super::walk::{Answer, Fault};
use super::World;

pub async fn run(input: Input, world: &World) -> Result<Answer, Fault> {
    let file = input.fields.get("file").and_then(Value::as_str).unwrap_or(OPERATIONS);
    let entry = input.fields.get("entry").cloned().unwrap_or(Value::Null);
    let id = format!("{}/{}", world.identity.operation_id, input.path);
    world.documents.change(file, Change::Append { id, entry }).await?;
    Ok(Answer::default())
}
