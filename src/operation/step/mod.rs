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
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::document::{self, Documents};
use super::prepare::Input;
use super::scope::Identity;
use super::walk::{Answer, End, Fault, Start};
use crate::remote::http::{HttpClient, HttpError};
use crate::runbook::StepType;

/// How much longer than its timeout an attempt is given to say itself that it is over.
const GRACE: Duration = Duration::from_millis(50);

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
        Self {
            message: error.to_string(),
            output: Value::Null,
            permanent: error.is_permanent(),
        }
    }
}

impl From<HttpError> for Fault {
    fn from(error: HttpError) -> Self {
        let permanent = matches!(
            error,
            HttpError::InvalidUrl { .. } | HttpError::ConnectionHeader { .. } | HttpError::Refused { .. }
        );
        Self {
            message: error.to_string(),
            output: Value::Null,
            permanent,
        }
    }
}

impl Fault {
    /// A fault that another attempt may not have.
    #[must_use]
    pub fn passing(message: String) -> Self {
        Self {
            message,
            ..Self::default()
        }
    }

    /// A fault that every attempt has.
    #[must_use]
    pub fn permanent(message: String) -> Self {
        Self {
            message,
            permanent: true,
            ..Self::default()
        }
    }
}

/// Runs one attempt to its end or its timeout.
pub async fn run(start: Start, world: Arc<World>) -> End {
    let limit = start.timeout.unwrap_or(Duration::MAX);
    // a step that bounds itself says better what it waited for
    let attempt = act(start.kind, start.input, limit, &world);
    let result = tokio::time::timeout(limit.saturating_add(GRACE), attempt)
        .await
        .unwrap_or_else(|_| {
            Err(Fault::passing(format!(
                "did not end within its timeout of {}",
                crate::api::Duration(limit)
            )))
        });
    result.map_or_else(End::Failed, End::Done)
}

async fn act(kind: StepType, input: Input, limit: Duration, world: &World) -> Result<Answer, Fault> {
    match kind {
        StepType::Delay => delay::run(input).await,
        StepType::HttpRequest => http_request::run(fields(input.fields)?, limit, world).await,
        StepType::HealthCheck => health_check::run(input.fields, limit, world).await,
        StepType::StateCheck => state::check(fields(input.fields)?, world).await,
        StepType::StateUpdate => state::update(fields(input.fields)?, world).await,
        StepType::OperationLog => operation_log::run(input, world).await,
        StepType::Notification => notification::run(&fields(input.fields)?, world),
        StepType::ServiceLookup => lookup::service(fields(input.fields)?, world).await,
        StepType::ServiceGroupLookup => lookup::group(fields(input.fields)?, world).await,
        StepType::AggregateResults => aggregate_results::run(&fields(input.fields)?),
        // chosen while it was prepared
        StepType::Filter => Ok(Answer {
            output: input.fields.get("items").cloned().unwrap_or_default(),
            ..Answer::default()
        }),
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
        | StepType::Operation => Err(Fault::permanent(format!(
            "{} cannot run as a step of its own in this version",
            kind.name()
        ))),
    }
}

/// The fields as a step type knows them.
fn fields<T: DeserializeOwned>(fields: Map<String, Value>) -> Result<T, Fault> {
    serde_json::from_value(Value::Object(fields)).map_err(|error| Fault::permanent(error.to_string()))
}

/// A whole number that may have been given as text, as substitution in a longer text yields it.
pub(super) fn whole_number(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}
