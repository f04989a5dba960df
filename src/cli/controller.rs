//! `thermostat controller`: leads, watches, and carries out.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use kube::Client;
use tokio_util::sync::CancellationToken;

use super::Exit;
use crate::api::Duration;
use crate::api::operation::Runner;
use crate::controller::leader::{self, Election, lease_client, new_identity};
use crate::controller::slots::Slots;
use crate::controller::{Context, Unreadable};
use crate::operation::library::Library;
use crate::remote::egress::{Egress, EgressAllow};
use crate::remote::http::HttpClient;
use crate::server::probes::{self, Health, Role};
use crate::telemetry::logging;
use crate::telemetry::metrics::Metrics;
use crate::{operation, queue, server};

/// How the controller runs.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// Look after this namespace only; may be given several times
    #[arg(long = "namespace", env = "THERMOSTAT_NAMESPACE", value_delimiter = ',', value_name = "NAME")]
    namespaces: Vec<String>,
    /// A directory of runbooks, over those that come with the program
    #[arg(long, env = "THERMOSTAT_LIBRARY", value_name = "DIR")]
    library: Option<PathBuf>,
    /// How many Operations run at once, over all queues
    #[arg(long, env = "THERMOSTAT_MAX_RUNNING", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    max_running: u32,
    /// Let steps connect to this network or host although it is loopback, link-local or a metadata service; may be given several times
    #[arg(
        long = "egress-allow",
        env = "THERMOSTAT_EGRESS_ALLOW",
        value_delimiter = ',',
        value_name = "CIDR|HOST"
    )]
    egress_allow: Vec<EgressAllow>,
    /// More certificate authorities that steps trust, as PEM
    #[arg(long, env = "THERMOSTAT_CA_FILE", value_name = "FILE")]
    ca_file: Option<PathBuf>,
    /// Where /metrics is served
    #[arg(long, env = "THERMOSTAT_METRICS_ADDR", default_value = "0.0.0.0:8080", value_name = "ADDRESS")]
    metrics_addr: SocketAddr,
    /// Where /healthz and /readyz are served
    #[arg(long, env = "THERMOSTAT_HEALTH_ADDR", default_value = "0.0.0.0:8081", value_name = "ADDRESS")]
    health_addr: SocketAddr,
    /// The namespace of the Lease by which the leader is chosen
    #[arg(long, env = "THERMOSTAT_LEASE_NAMESPACE", default_value = "thermostat-system", value_name = "NAME")]
    lease_namespace: String,
    /// How long the others wait after the leader's last renewal
    #[arg(long, env = "THERMOSTAT_LEASE_DURATION", default_value = "15s")]
    lease_duration: Duration,
    /// How long after its last renewal a leader stops all work and exits
    #[arg(long, env = "THERMOSTAT_RENEW_DEADLINE", default_value = "10s")]
    renew_deadline: Duration,
    /// How often the leader renews, and the others try
    #[arg(long, env = "THERMOSTAT_RETRY_PERIOD", default_value = "2s")]
    retry_period: Duration,
    /// Log as JSON
    #[arg(long, env = "THERMOSTAT_LOG_JSON")]
    log_json: bool,
}

pub async fn run(arguments: Arguments) -> Exit {
    let format = if arguments.log_json {
        logging::Format::Json
    } else {
        logging::Format::Text
    };
    if let Err(error) = logging::init(format, std::env::var(logging::VARIABLE).ok().as_deref()) {
        return Exit::usage(&error.to_string());
    }
    match control(arguments).await {
        Ok(()) => Exit::Succeeded,
        Err(Broken::Usage(message)) => Exit::usage(&message),
        Err(Broken::Down(message)) => Exit::failed(&message),
    }
}

/// Why the controller ended.
enum Broken {
    Usage(String),
    Down(String),
}

fn usage(flag: &'static str) -> impl Fn(String) -> Broken {
    move |message| Broken::Usage(format!("{flag}: {message}"))
}

async fn control(arguments: Arguments) -> Result<(), Broken> {
    let library = Library::load(arguments.library.as_deref()).map_err(|error| usage("--library")(error.to_string()))?;
    let pem = arguments
        .ca_file
        .as_ref()
        .map(std::fs::read)
        .transpose()
        .map_err(|error| usage("--ca-file")(error.to_string()))?;
    let egress = Egress::guarded(arguments.egress_allow.clone());
    let http = HttpClient::new(egress, pem.as_deref()).map_err(|error| usage("--ca-file")(error.to_string()))?;
    let mut config = kube::Config::infer()
        .await
        .map_err(|error| Broken::Usage(format!("found no cluster, set KUBECONFIG: {error}")))?;
    // our own writers say what is tried again, and for how long
    config.default_retry = false;
    let down = |error: kube::Error| Broken::Down(format!("failed to talk to the cluster: {error}"));
    let election_client = lease_client(config.clone()).map_err(down)?;
    let client = Client::try_from(config).map_err(down)?;
    let identity = new_identity();
    let settings = leader::Config {
        lease_duration: arguments.lease_duration.0,
        renew_deadline: arguments.renew_deadline.0,
        retry_period: arguments.retry_period.0,
        ..leader::Config::new(arguments.lease_namespace.clone(), "thermostat", identity.clone())
    };
    let mut election = Election::new(election_client, settings).map_err(|error| Broken::Usage(error.to_string()))?;

    let metrics = Metrics::new();
    let health = Health::default();
    let stopping = CancellationToken::new();
    serve(arguments.health_addr, probes::router(health.clone()), &stopping)
        .await
        .map_err(usage("--health-addr"))?;
    serve(arguments.metrics_addr, server::metrics::router(metrics.clone()), &stopping)
        .await
        .map_err(usage("--metrics-addr"))?;
    let mut signals = Signals::new().map_err(Broken::Down)?;

    tracing::info!(identity, version = env!("CARGO_PKG_VERSION"), "started");
    health.set(Role::Standby);
    let leadership = tokio::select! {
        leadership = election.acquire() => leadership,
        () = signals.received() => return Ok(()),
    };
    tracing::info!(identity, epoch = leadership.epoch(), "leads");
    health.set(Role::Leader);
    metrics.set_leader(true);

    let context = Context {
        namespaces: arguments.namespaces.into(),
        max_running: usize::try_from(arguments.max_running).unwrap_or(usize::MAX),
        tenure: leadership.tenure(),
        runner: Runner {
            identity: identity.clone(),
            epoch: leadership.epoch(),
        },
        metrics: metrics.clone(),
        events: Context::recorder(&client, &identity),
        unreadable: Unreadable::default(),
        client,
    };
    let (slots, news) = Slots::new();
    let unfinished = slots.unfinished().clone();
    let shared = operation::Shared::new(context.clone(), library, http, slots);
    let lost = leadership.lost();
    let work = async {
        tokio::select! {
            () = operation::run(Arc::clone(&shared)) => {}
            () = queue::run(context, news, unfinished) => {}
        }
    };
    tokio::select! {
        () = work => Err(Broken::Down("the watches ended".to_owned())),
        // whatever still runs ends with the process, before the lease is over
        () = lost.cancelled() => Err(Broken::Down("lost the lease: another may lead now".to_owned())),
        () = signals.received() => {
            tracing::info!("stops");
            drop(shared);
            // the successor need not wait for the lease to run out, but it would
            if let Err(error) = leadership.release().await {
                tracing::warn!("{error}");
            }
            Ok(())
        }
    }
}

/// Answers on an address until `stopping`.
async fn serve(address: SocketAddr, router: axum::Router, stopping: &CancellationToken) -> Result<(), String> {
    let listener = tokio::net::TcpListener::bind(address)
        .await
        .map_err(|error| format!("failed to listen on {address}: {error}"))?;
    tokio::spawn(server::serve(listener, router, stopping.clone().cancelled_owned()));
    Ok(())
}

/// SIGTERM and Ctrl-C.
struct Signals {
    terminate: tokio::signal::unix::Signal,
    interrupt: tokio::signal::unix::Signal,
}

impl Signals {
    fn new() -> Result<Self, String> {
        use tokio::signal::unix::{SignalKind, signal};
        let listen = |kind| signal(kind).map_err(|error| format!("failed to listen for signals: {error}"));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
        })
    }

    async fn received(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
