//! What each step would do, in the runbook's own words.

use crate::api::operation::{StepPhase, StepStatus};
use crate::operation::record::cut;
use crate::operation::walk;
use crate::runbook::step::{Body, Step};
use crate::runbook::substitute::text;
use crate::runbook::{Runbook, StepType};

/// The longest description of what a step would do, in bytes.
const LONGEST: usize = 512;

/// The steps of a dry run: every step that could run, and what it would do. The two branches of a conditional stand beside each
/// other, the second under `else`, and the steps of a foreach stand there once.
#[must_use]
pub fn dry_run(runbook: &Runbook) -> Vec<StepStatus> {
    let mut out = Vec::new();
    list("", &runbook.steps, &mut out);
    out
}

fn list(prefix: &str, steps: &[Step], out: &mut Vec<StepStatus>) {
    for (index, step) in steps.iter().enumerate() {
        let path = walk::path(prefix, index, step);
        out.push(StepStatus {
            path: path.clone(),
            name: step.name.clone(),
            kind: step.kind.name().to_owned(),
            phase: StepPhase::Skipped,
            message: Some(cut(&would(step), LONGEST)),
            ..StepStatus::default()
        });
        match &step.body {
            Body::None => {}
            Body::Branches { then, otherwise, .. } => {
                list(&path, then, out);
                list(&format!("{path}/else"), otherwise, out);
            }
            Body::Each { steps, .. } => list(&format!("{path}[#]"), steps, out),
        }
    }
}

fn would(step: &Step) -> String {
    let when = step.when.as_ref().map(|when| format!("if {}: ", when.source())).unwrap_or_default();
    let tries = step
        .retries
        .as_ref()
        .map(|retries| format!(", at most {} times", text(&retries.source())))
        .unwrap_or_default();
    let until = step
        .until
        .as_ref()
        .map(|until| format!(", until {}", until.source()))
        .unwrap_or_default();
    format!("{when}would {}{tries}{until}", action(step))
}

fn action(step: &Step) -> String {
    let field = |name: &str| step.fields.get(name).map(|template| text(&template.source()));
    let given = |name: &str| field(name).unwrap_or_default();
    let or = |name: &str, default: &str| field(name).unwrap_or_else(|| default.to_owned());
    match (&step.body, step.kind) {
        (Body::Branches { condition, otherwise, .. }, _) if otherwise.is_empty() => format!("run its steps if {}", condition.source()),
        (Body::Branches { condition, .. }, _) => format!("run its steps if {}, else the others", condition.source()),
        (
            Body::Each {
                items, variable, parallel, ..
            },
            _,
        ) => {
            let side_by_side = parallel
                .as_ref()
                .map(|parallel| format!(", parallel: {}", text(&parallel.source())))
                .unwrap_or_default();
            format!("run its steps for each {variable} of {}{side_by_side}", text(&items.source()))
        }
        (Body::None, StepType::Delay) => format!("wait {}", field("duration").unwrap_or_else(|| format!("{}s", given("seconds")))),
        (Body::None, StepType::HttpRequest) => format!("send {} {}", or("method", "GET").to_uppercase(), given("url")),
        (Body::None, StepType::HealthCheck) => format!("check {}", checked(step)),
        (Body::None, StepType::StateCheck) => {
            format!(
                "read {} of {}",
                field("path").unwrap_or_else(|| format!("the service {}", given("service"))),
                given("file")
            )
        }
        (Body::None, StepType::StateUpdate) => format!("set {} in {}", given("updates"), given("file")),
        (Body::None, StepType::Notification) => format!("tell the channel {}: {}", given("channel"), given("message")),
        (Body::None, StepType::OperationLog) => format!("log {}", given("entry")),
        (Body::None, StepType::ServiceLookup) => format!("look up {} of the service {}", or("get", "the entry"), given("service")),
        (Body::None, StepType::ServiceGroupLookup) => format!("look up the services of {}", given("group")),
        (Body::None, StepType::AggregateResults) => "make a report of the last foreach".to_owned(),
        (Body::None, StepType::Filter) => format!(
            "keep the items of {} for which {}",
            or("items", "the last foreach"),
            given("condition")
        ),
        _ => format!("run with {}", fields(step)),
    }
}

fn checked(step: &Step) -> String {
    let field = |name: &str| step.fields.get(name).map(|template| text(&template.source()));
    match (field("url"), field("host"), field("service")) {
        (Some(url), ..) => url,
        (None, Some(host), _) => format!("{host}:{}", field("port").unwrap_or_default()),
        (None, None, Some(service)) => format!("the service {service}"),
        _ => fields(step),
    }
}

fn fields(step: &Step) -> String {
    let fields: Vec<_> = step
        .fields
        .iter()
        .map(|(name, template)| format!("{name}: {}", text(&template.source())))
        .collect();
    fields.join(", ")
}
