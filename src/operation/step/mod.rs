//! What each step type does, one file per type. A step is given its [`Input`] and the [`World`], and yields an [`End`].

mod aggregate_results;
mod delay;
mod health_check;
mod http_request;
mod lookup;
mod notification;
mod operation_log;
mod state;

use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::{self, Documents};
use super::prepare::Input;
use super::scope::Identity;
use super::walk::{Answer, End, Fault, Start};
use crate::remote::http::HttpClient;
use crate::runbook::StepType;

/// What steps act upon.
pub struct World {
    pub http: HttpClient,
    pub documents: Arc<dyn Documents>,
    pub identity: Identity,
    /// Where the channel `log` writes.
    pub log: Arc<dyn Fn(&notification::Notice) + Send + Sync>,
}

pub use notification::Notice;

impl From<document::Error> for Fault {
    fn from(error: document::Error) -> Self {
        Self { message: error.to_string(), output: Value::Null, permanent: error.is_permanent() }
    }
}

impl Fault {
    /// A fault that another attempt may not have.
    #[must_use]
    pub fn passing(message: String) -> Self {
        Self { message, ..Self::default() }
    }

    /// A fault that every attempt has.
    #[must_use]
    pub fn permanent(message: String) -> Self {
        Self { message, permanent: true, ..Self::default() }
    }
}

/// Runs one attempt to its end or its timeout.
pub async fn run(start: Start, world: Arc<World>) -> End {
    let attempt = act(start.kind, start.input, &world);
    let result = match start.timeout {
        None => attempt.await,
        Some(limit) => tokio::time::timeout(limit, attempt)
            .await
            .unwrap_or_else(|_| Err(Fault::passing(format!("did not end within its timeout of {}", crate::api::Duration(limit))))),
    };
    result.map_or_else(End::Failed, End::Done)
}

async fn act(kind: StepType, input: Input, world: &World) -> Result<Answer, Fault> {
    match kind {
        StepType::Delay => delay::run(input).await,
        StepType::HttpRequest => http_request::run(fields(input.fields)?, world).await,
        StepType::HealthCheck => health_check::run(input.fields, world).await,
        StepType::StateCheck => state::check(fields(input.fields)?, world).await,
        StepType::StateUpdate => state::update(fields(input.fields)?, world).await,
        StepType::OperationLog => operation_log::run(input, world).await,
        StepType::Notification => notification::run(fields(input.fields)?, world),
        StepType::ServiceLookup => lookup::service(fields(input.fields)?, world).await,
        StepType::ServiceGroupLookup => lookup::group(fields(input.fields)?, world).await,
        StepType::AggregateResults => aggregate_results::run(&fields(input.fields)?),
        // chosen while it was prepared
        StepType::Filter => Ok(Answer { output: input.fields.get("items").cloned().unwrap_or_default(), ..Answer::default() }),
        StepType::Conditional
        | StepType::Foreach
        | StepType::Lock
        | StepType::Unlock
        | StepType::Git
        | StepType::Script
        | StepType::SshCommand
        | StepType::LoadOperation
        | StepType::LogAnalysis
        | StepType::ExternalApi
        | StepType::HeatStack
        | StepType::Approval
        | StepType::Operation => Err(Fault::permanent(format!("{} cannot run as a step of its own in this version", kind.name()))),
    }
}

/// The fields as a step type knows them.
fn fields<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Fault> {
    serde_path(Value::Object(fields)).map_err(Fault::permanent)
}

fn serde_path<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| error.to_string())
}

/// A whole number that may have been given as text, as substitution in a longer text yields it.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
