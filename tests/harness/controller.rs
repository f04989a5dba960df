//! `thermostat controller` as a process of its own, under its own `ServiceAccount`.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use super::{
    Failure, Result,
    control_plane::ControlPlane,
    fault_proxy::FaultProxy,
    port,
    process::{Process, Program, Signal},
    wait::eventually,
};

/// The `ServiceAccount` that `config/` gives the controller.
pub const NAMESPACE: &str = "thermostat-system";
pub const ACCOUNT: &str = "thermostat";

/// What is to be started. The program is the caller's to name: only a test knows `CARGO_BIN_EXE_thermostat`.
pub struct Setup<'plane> {
    plane: &'plane ControlPlane,
    binary: PathBuf,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    server_url: String,
    loopback: bool,
}

/// A running or ended controller. Several may run at once. Killed when dropped.
pub struct Controller {
    process: Process,
    metrics_url: String,
    health_url: String,
}

impl<'plane> Setup<'plane> {
    pub fn of(plane: &'plane ControlPlane, binary: impl Into<PathBuf>) -> Self {
        let binary = binary.into();
        Self {
            plane,
            binary,
            arguments: Vec::new(),
            environment: Vec::new(),
            server_url: plane.url().to_owned(),
            loopback: true,
        }
    }

    /// Its steps may not connect to this machine, as in a cluster.
    #[must_use]
    pub fn without_egress(self) -> Self {
        Self { loopback: false, ..self }
    }

    /// Further flags.
    #[must_use]
    pub fn arguments<Argument: Into<String>>(mut self, arguments: impl IntoIterator<Item = Argument>) -> Self {
        self.arguments.extend(arguments.into_iter().map(Into::into));
        self
    }

    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// It sees the API server through this proxy.
    #[must_use]
    pub fn through(mut self, proxy: &FaultProxy) -> Self {
        self.server_url = proxy.url();
        self
    }

    /// Installs `config/` if that is still to be done and starts the controller. It may not be ready yet.
    ///
    /// # Errors
    /// When `config/` is refused or the program cannot be started.
    pub fn start(self) -> Result<Controller> {
        static NUMBER: AtomicUsize = AtomicUsize::new(0);
        self.plane.install()?;
        let token = self.plane.token(NAMESPACE, ACCOUNT)?;
        let kubeconfig = self.plane.kubeconfig_with_token(&token, &self.server_url)?;
        let [metrics, health] = [port::free()?, port::free()?].map(|port| format!("127.0.0.1:{port}"));
        let flags = ["controller", "--metrics-addr", &metrics, "--health-addr", &health];
        let egress: &[&str] = if self.loopback { &["--egress-allow", "127.0.0.0/8"] } else { &[] };
        let name = format!("controller-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut environment = self.environment;
        environment.push(("KUBECONFIG".to_owned(), kubeconfig.display().to_string()));
        let program = Program {
            log: self.plane.directory().join(format!("{name}.log")),
            name,
            path: self.binary,
            arguments: flags.iter().chain(egress).map(ToString::to_string).chain(self.arguments).collect(),
            environment,
        };
        Ok(Controller {
            process: program.start()?,
            metrics_url: format!("http://{metrics}/metrics"),
            health_url: format!("http://{health}"),
        })
    }
}

impl Controller {
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// SIGKILL, and waits until it is gone.
    pub fn kill(&mut self) {
        self.process.kill();
    }

    /// SIGTERM; see [`Controller::wait_exit`].
    ///
    /// # Errors
    /// When it has ended.
    pub fn terminate(&mut self) -> Result<()> {
        self.process.signal(Signal::TERM)
    }

    /// SIGSTOP: it keeps its connections and does nothing, as if its machine hung.
    ///
    /// # Errors
    /// When it has ended.
    pub fn pause(&mut self) -> Result<()> {
        self.process.signal(Signal::STOP)
    }

    /// # Errors
    /// When it has ended.
    pub fn resume(&mut self) -> Result<()> {
        self.process.signal(Signal::CONT)
    }

    /// Kills it if it runs, and starts it with the same flags, ports and log.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_again(&mut self) -> Result<()> {
        self.process.kill();
        self.process = self.process.program().clone().start()?;
        Ok(())
    }

    /// The exit status as a shell tells it, or `None` while it runs.
    ///
    /// # Errors
    /// When the operating system cannot be asked.
    pub fn exit_status(&mut self) -> Result<Option<i32>> {
        self.process.exit_status()
    }

    /// Waits until it ends by itself; the status is the shell's: 128 + the signal's number when one ended it.
    ///
    /// # Errors
    /// When it still runs after `within`.
    pub async fn wait_exit(&mut self, within: Duration) -> Result<i32> {
        self.process.wait_exit(within).await
    }

    /// All that it has written, over all its starts.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn log(&self) -> Result<String> {
        let bytes = fs::read(self.process.log()).map_err(|error| Failure::during(error, "read the controller's log"))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    pub fn log_file(&self) -> &Path {
        self.process.log()
    }

    /// `http://127.0.0.1:PORT` of `/livez` and `/readyz`.
    pub fn health_url(&self) -> &str {
        &self.health_url
    }

    pub fn metrics_url(&self) -> &str {
        &self.metrics_url
    }

    /// What Prometheus would read.
    ///
    /// # Errors
    /// When it does not answer 200.
    pub async fn metrics(&self) -> Result<String> {
        get(&self.metrics_url).await
    }

    /// Waits until `/readyz` says yes.
    ///
    /// # Errors
    /// When it ends or is not ready in time, with the end of its log.
    pub async fn ready(&mut self, within: Duration) -> Result<()> {
        let url = format!("{}/readyz", self.health_url);
        let process = &mut self.process;
        let answer = eventually("the controller is ready", within, async || match process.exit_status() {
            Ok(Some(status)) => Ok(Err(Failure::new(format!("the controller ended with status {status}")))),
            Ok(None) => get(&url).await.map(|_| Ok(())),
            Err(failure) => Ok(Err(failure)),
        });
        answer
            .await
            .and_then(|outcome| outcome)
            .map_err(|failure| Failure::new(format!("{failure}\n{}", self.process.log_tail())))
    }

    /// Resident memory now, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_memory(&self) -> Result<u64> {
        self.process.resident_memory()
    }

    /// The most resident memory it had since it was last started, in bytes.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resident_memory_peak(&self) -> Result<u64> {
        self.process.resident_memory_peak()
    }
}

async fn get(url: &str) -> Result<String> {
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(5)).build()?;
    let answer = client.get(url).send().await?;
    let status = answer.status();
    let text = answer.text().await?;
    if status.is_success() {
        Ok(text)
    } else {
        Err(Failure::new(format!("{url} answered {status}: {text}")))
    }
}
