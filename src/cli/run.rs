//! `thermostat run`: one runbook here and now, without a cluster, through the same decide and step code.

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::FutureExt as _;
use futures::future::BoxFuture;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Map, Value, json};
use tokio::sync::watch;

use super::{Exit, lint, output};
use crate::api::operation::{OperationStatus, Phase, StepPhase, StepStatus};
use crate::operation::decide::{Beginning, Record, Run};
use crate::operation::document::Files;
use crate::operation::execute::{Control, Execution};
use crate::operation::journal::{Fenced, Journal, Sink, Snapshot};
use crate::operation::library::Library;
use crate::operation::report;
use crate::operation::scope::Identity;
use crate::operation::step::{Notice, World};
use crate::operation::validate;
use crate::remote::egress::Egress;
use crate::remote::http::HttpClient;
use crate::runbook::{Runbook, parameter};
use crate::telemetry::redaction::Redactor;

/// What to run.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A runbook file, - for standard input, or the name of a runbook of the library
    runbook: PathBuf,
    /// Values for the runbook's parameters
    #[arg(value_name = "NAME=VALUE")]
    parameters: Vec<String>,
    /// How to print what happened
    #[arg(short, long, value_enum, default_value_t = Format::Text)]
    output: Format,
    /// A directory of runbooks, over those that come with the program
    #[arg(long, env = "THERMOSTAT_LIBRARY", value_name = "DIR")]
    library: Option<PathBuf>,
    /// More certificate authorities to trust, as PEM
    #[arg(long, env = "THERMOSTAT_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// How long it may run
    #[arg(long, default_value = "1h")]
    timeout: crate::api::Duration,
    /// Show what each step would do, and do nothing
    #[arg(long)]
    dry_run: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
}

pub async fn run(arguments: Arguments) -> Exit {
    let beginning = match prepare(&arguments) {
        Ok(beginning) => beginning,
        Err(message) => return Exit::usage(&message),
    };
    if arguments.dry_run {
        return dry_run(&beginning, arguments.output);
    }
    let http = match client(arguments.ca_file.as_deref()) {
        Ok(http) => http,
        Err(message) => return Exit::usage(&message),
    };
    match carry_out(beginning, http, arguments.output).await {
        Ok(status) => finish(&status, arguments.output),
        Err(fenced) => Exit::failed(&fenced.to_string()),
    }
}

fn prepare(arguments: &Arguments) -> Result<Beginning, String> {
    let name = arguments.runbook.display().to_string();
    let text = text(arguments)?;
    let runbook =
        Runbook::parse(&text).map_err(|diagnostics| format!("the runbook is invalid\n{}", diagnostics.render(&name).trim_end()))?;
    let given = given(&arguments.parameters)?;
    let parameters = parameter::bind(&runbook.parameters, &given).map_err(|diagnostics| diagnostics.to_string())?;
    let secrets = validate::secrets(&runbook, &parameters, &BTreeMap::new());
    let identity = Identity {
        operation_name: runbook.name.clone(),
        operation_namespace: "local".to_owned(),
        operation_id: format!("local-{:016x}", rand::random::<u64>()),
        runbook_name: runbook.name.clone(),
    };
    let redactor = Redactor::new(secrets).map_err(|error| error.to_string())?;
    Ok(Beginning {
        runbook: Arc::new(runbook),
        identity,
        parameters,
        timeout: arguments.timeout.0,
        redactor,
        // nothing but memory bounds the record of a run without a cluster
        room: usize::MAX,
    })
}

/// The file if there is one, else the runbook of that name in the library.
fn text(arguments: &Arguments) -> Result<String, String> {
    let path = &arguments.runbook;
    if path == Path::new("-") || path.is_file() {
        return lint::read(path);
    }
    let library = Library::load(arguments.library.as_deref()).map_err(|error| error.to_string())?;
    let name = path.display().to_string();
    library.find(&name).map(|text| text.to_string()).map_err(|nearest| {
        let hint = nearest.map(|nearest| format!("; did you mean {nearest}?")).unwrap_or_default();
        format!("{name} is neither a file nor a runbook of the library{hint}")
    })
}

fn given(parameters: &[String]) -> Result<Map<String, Value>, String> {
    let pair = |text: &String| {
        let (name, value) = text
            .split_once('=')
            .ok_or_else(|| format!("{text:?} is not of the form name=value"))?;
        Ok((name.to_owned(), json!(value)))
    };
    parameters.iter().map(pair).collect()
}

fn client(ca_file: Option<&Path>) -> Result<HttpClient, String> {
    let pem = ca_file.map(|path| std::fs::read(path).map_err(|error| format!("--ca-file: failed to read {}: {error}", path.display())));
    HttpClient::new(Egress::open(), pem.transpose()?.as_deref()).map_err(|error| format!("--ca-file: {error}"))
}

fn dry_run(beginning: &Beginning, format: Format) -> Exit {
    let steps = report::dry_run(&beginning.runbook);
    match format {
        Format::Json => {
            output::line(&serde_json::to_string_pretty(&json!({"phase": "Succeeded", "dryRun": true, "steps": steps})).unwrap_or_default());
        }
        Format::Text => steps
            .iter()
            .for_each(|step| output::line(&format!("{}  {}", step.path, step.message.as_deref().unwrap_or_default()))),
    }
    Exit::Succeeded
}

async fn carry_out(beginning: Beginning, http: HttpClient, format: Format) -> Result<OperationStatus, Fenced> {
    let redactor = beginning.redactor.clone();
    let identity = beginning.identity.clone();
    let screen = Arc::new(Screen::new(format));
    let log = screen.clone();
    let world = World {
        http,
        documents: Arc::new(Files::under(PathBuf::from("."))),
        identity,
        log: Arc::new(move |notice: &Notice| log.say(&format!("log: {}", redactor.mask(&notice.line())))),
    };
    let (control, steering) = watch::channel(Control::default());
    let execution = Execution {
        run: Run::new(beginning, Record::default()),
        base: OperationStatus {
            started_at: Some(Time(Timestamp::now())),
            ..OperationStatus::default()
        },
        world: Arc::new(world),
        journal: Journal::new(screen, Duration::ZERO),
        control: steering,
        before_effect: None,
        may_act: Box::new(|| true),
        on_step: Box::new(|_, _, _| {}),
    };
    let interrupts = async {
        while tokio::signal::ctrl_c().await.is_ok() {
            let first = control.send_if_modified(|control| !std::mem::replace(&mut control.cancel, true));
            output::progress(if first {
                "cancelling: stops and rolls back"
            } else {
                "already rolling back"
            });
        }
        std::future::pending().await
    };
    tokio::select! {
        result = execution.carry_out() => result.map(|finished| {
            for (path, message) in &finished.failed_notifications {
                output::progress(&format!("{path} was not sent: {message}"));
            }
            finished.status
        }),
        never = interrupts => never,
    }
}

fn finish(status: &OperationStatus, format: Format) -> Exit {
    let phase = status.phase.unwrap_or(Phase::Failed);
    match format {
        Format::Json => output::line(&serde_json::to_string_pretty(status).unwrap_or_default()),
        Format::Text => {
            if let Some(report) = &status.report {
                output::line(report);
            }
            for (name, value) in &status.outputs {
                output::line(&format!("{name} = {}", crate::runbook::substitute::text(value)));
            }
            let duration = status.duration.map(|duration| format!(" in {duration}")).unwrap_or_default();
            output::line(&format!(
                "{}{duration}: {}",
                phase.as_str(),
                status.message.as_deref().unwrap_or_default()
            ));
        }
    }
    match phase {
        Phase::Succeeded => Exit::Succeeded,
        Phase::Cancelled => Exit::Cancelled,
        _ => Exit::Failed,
    }
}

/// Shows progress: where a write would go to the API server, changes go to whoever watches.
struct Screen {
    quiet: bool,
    colors: bool,
    shown: Mutex<Vec<(String, StepPhase, Option<i32>)>>,
}

impl Screen {
    fn new(format: Format) -> Self {
        Self {
            quiet: format == Format::Json,
            colors: std::io::stderr().is_terminal(),
            shown: Mutex::default(),
        }
    }

    fn say(&self, text: &str) {
        if !self.quiet {
            output::progress(text);
        }
    }

    /// Every step whose phase or attempt is not what was shown last.
    fn show(&self, status: &OperationStatus) {
        let mut shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        let both = status
            .steps
            .iter()
            .map(|step| ("", step))
            .chain(status.rollback.iter().map(|step| ("", step)));
        for (prefix, step) in both {
            let now = (step.path.clone(), step.phase, step.attempt);
            match shown.iter_mut().find(|known| known.0 == step.path) {
                Some(known) if *known == now => continue,
                Some(known) => *known = now,
                None => shown.push(now),
            }
            self.say(&self.line(prefix, step));
        }
    }

    fn line(&self, prefix: &str, step: &StepStatus) -> String {
        let (mark, color) = match step.phase {
            StepPhase::Running => ("...", "36"),
            StepPhase::Retrying => ("retry", "33"),
            StepPhase::Succeeded => ("ok", "32"),
            StepPhase::Skipped => ("skip", "90"),
            StepPhase::Failed | StepPhase::Interrupted => ("FAIL", "31"),
            StepPhase::Cancelled => ("stop", "33"),
        };
        let mark = if self.colors {
            format!("\x1b[{color}m{mark:>5}\x1b[0m")
        } else {
            format!("{mark:>5}")
        };
        let message = step
            .message
            .as_deref()
            .map(|message| format!("  {}", message.lines().next().unwrap_or_default()))
            .unwrap_or_default();
        format!("{mark}  {prefix}{}{message}", step.path)
    }
}

impl Sink for Screen {
    fn write(self: Arc<Self>, snapshot: Snapshot) -> BoxFuture<'static, Result<(), Fenced>> {
        self.show(&snapshot.status);
        async { Ok(()) }.boxed()
    }
}
