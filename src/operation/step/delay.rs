//! `delay`: waits, counted from when the step first started, so that a new controller does not wait anew.

use jiff::Timestamp;

use super::super::decide::elapsed;
use super::super::prepare::Input;
use super::super::walk::{Answer, Fault};
use crate::runbook::step::duration;

pub async fn run(input: Input) -> Result<Answer, Fault> {
    let given = input.fields.get("duration").or_else(|| input.fields.get("seconds"));
    let span = given
        .ok_or_else(|| "seconds or duration is needed".to_owned())
        .and_then(duration)
        .map_err(Fault::permanent)?;
    let passed = elapsed(input.started, Timestamp::now());
    tokio::time::sleep(span.saturating_sub(passed)).await;
    Ok(Answer::default())
}
