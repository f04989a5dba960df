//! `notification`: tells somebody. The channel `log` always exists.

use serde::Deserialize;
use serde_json::Value;

use super::super::walk::{Answer, Fault};
use super::World;
use crate::runbook::substitute::text;

/// What is told.
#[derive(Debug, Clone, Deserialize)]
pub struct Notice {
    pub channel: String,
    pub message: Value,
    #[serde(default)]
    pub title: Value,
    #[serde(default)]
    pub priority: Value,
}

impl Notice {
    /// The message in one line, its title before it.
    #[must_use]
    pub fn line(&self) -> String {
        match &self.title {
            Value::Null => text(&self.message),
            title => format!("{}: {}", text(title), text(&self.message)),
        }
    }
}

pub fn run(notice: &Notice, world: &World) -> Result<Answer, Fault> {
    if notice.channel != "log" {
        return Err(Fault::permanent(format!(
            "channel {:?} is not available in this version; use the channel log",
            notice.channel
        )));
    }
    (world.log)(notice);
    Ok(Answer {
        message: Some(notice.line()),
        ..Answer::default()
    })
}
