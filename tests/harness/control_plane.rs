//! etcd, kube-apiserver, kube-controller-manager and kubectl, as in a cluster without nodes.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::PostParams};
use serde_json::json;

use super::{
    Failure, Result,
    binaries::Binaries,
    directory::Directory,
    kubeconfig::{self, Endpoint},
    servers::{Server, Servers},
    wait::blocking,
};

/// The kubeconfig of a cluster to use instead of starting one, for those who cannot or will not have servers here.
const CLUSTER_OF_YOUR_OWN: &str = "THERMOSTAT_TEST_KUBECONFIG";
/// How often a start is tried: another process may take a port between our look and the server's start.
const ATTEMPTS: usize = 3;

/// A Kubernetes API that answers, and files to talk to it with. Its servers end when it is dropped or the process ends.
#[derive(Debug)]
pub struct ControlPlane {
    /// `None` for a cluster of your own.
    servers: Option<Servers>,
    kubectl: PathBuf,
    endpoint: Endpoint,
    kubeconfig: PathBuf,
    names: AtomicUsize,
    installed: Mutex<bool>,
    start_took: Duration,
    /// Last, so that it outlives the servers that write into it.
    directory: Directory,
}

impl ControlPlane {
    /// Starts one of its own, ready for use: what tests take that stop or break servers.
    ///
    /// # Errors
    /// When the programs cannot be had or do not become ready.
    pub fn start() -> Result<Self> {
        let binaries = Binaries::find_or_build()?;
        let mut attempt = 1;
        loop {
            match Self::start_once(&binaries) {
                Err(failure) if attempt < ATTEMPTS && failure.to_string().contains("address already in use") => attempt += 1,
                other => return other,
            }
        }
    }

    fn start_once(binaries: &Binaries) -> Result<Self> {
        let started = Instant::now();
        let directory = Directory::create()?;
        let servers = Servers::start(binaries, directory.path())?;
        let kubeconfig = directory.join("admin.kubeconfig");
        Ok(Self {
            kubectl: binaries.program("kubectl"),
            endpoint: servers.endpoint(),
            kubeconfig,
            servers: Some(servers),
            names: AtomicUsize::new(0),
            installed: Mutex::new(false),
            start_took: started.elapsed(),
            directory,
        })
    }

    /// A cluster that runs already, by its kubeconfig.
    fn existing(kubeconfig: PathBuf) -> Result<Self> {
        let started = Instant::now();
        let directory = Directory::create()?;
        let endpoint = kubeconfig::endpoint(&kubeconfig, directory.path())?;
        let assets = env::var_os("KUBEBUILDER_ASSETS").map(|folder| PathBuf::from(folder).join("kubectl"));
        Ok(Self {
            servers: None,
            kubectl: assets.filter(|path| path.is_file()).unwrap_or_else(|| PathBuf::from("kubectl")),
            endpoint,
            kubeconfig,
            names: AtomicUsize::new(0),
            installed: Mutex::new(false),
            start_took: started.elapsed(),
            directory,
        })
    }

    /// The one that all tests of this process share, each in its own [`ControlPlane::namespace`]. It ends with the
    /// process.
    ///
    /// # Errors
    /// When it did not start; every caller is told the same.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<ControlPlane>> = OnceLock::new();
        let shared = SHARED.get_or_init(|| match env::var_os(CLUSTER_OF_YOUR_OWN) {
            Some(kubeconfig) => Self::existing(PathBuf::from(kubeconfig)),
            None => Self::start(),
        });
        shared.as_ref().map_err(|failure| Failure::new(failure.to_string()))
    }

    /// From the start of the first server until all were ready.
    pub fn start_took(&self) -> Duration {
        self.start_took
    }

    /// The folder of everything that belongs to it; removed with it.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The administrator's kubeconfig.
    pub fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    pub fn url(&self) -> &str {
        &self.endpoint.url
    }

    /// The certificates to verify the API server (and the controller manager) by.
    ///
    /// # Errors
    /// When it is a cluster of your own whose kubeconfig names none.
    pub fn ca_file(&self) -> Result<&Path> {
        let file = self.endpoint.ca_file.as_deref();
        file.ok_or_else(|| Failure::new("the kubeconfig of your cluster names no certificate authority"))
    }

    /// The servers, to ask where they are.
    ///
    /// # Errors
    /// When it is a cluster of your own.
    pub fn servers(&self) -> Result<&Servers> {
        self.servers.as_ref().ok_or_else(not_ours)
    }

    /// Runs kubectl as the administrator and gives its standard output.
    ///
    /// # Errors
    /// When kubectl fails, with all that it said.
    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.kubectl_as(&self.kubeconfig, arguments)
    }

    /// Runs kubectl as whom a kubeconfig names.
    ///
    /// # Errors
    /// As [`ControlPlane::kubectl`].
    pub fn kubectl_as(&self, kubeconfig: &Path, arguments: &[&str]) -> Result<String> {
        run(&mut self.kubectl_command(kubeconfig, arguments), b"")
    }

    /// Runs kubectl as the administrator with this standard input, as in `["apply", "--filename", "-"]`.
    ///
    /// # Errors
    /// As [`ControlPlane::kubectl`].
    pub fn kubectl_input(&self, arguments: &[&str], input: &str) -> Result<String> {
        run(&mut self.kubectl_command(&self.kubeconfig, arguments), input.as_bytes())
    }

    /// kubectl as a command that has not started, for those who want to follow its output.
    pub fn kubectl_command(&self, kubeconfig: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.arg("--kubeconfig").arg(kubeconfig);
        // Not the user's cache: it is kept by address, and another control plane had this address before.
        command.arg("--cache-dir").arg(self.directory.join("kubectl-cache"));
        command.args(arguments).env_remove("KUBECONFIG");
        for name in ["HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"] {
            command.env_remove(name);
        }
        command
    }

    /// Where its kubectl lies; a bare name if it is the one on the PATH.
    pub fn kubectl_program(&self) -> &Path {
        &self.kubectl
    }

    /// A client with the administrator's rights, for the runtime that asks.
    ///
    /// # Errors
    /// When the kubeconfig cannot be used.
    pub async fn client(&self) -> Result<kube::Client> {
        kubeconfig::client(&self.kubeconfig).await
    }

    /// Makes a namespace that no other test has and gives its name.
    ///
    /// # Errors
    /// When the API server refuses.
    pub async fn namespace(&self) -> Result<String> {
        let namespace: Namespace = serde_json::from_value(json!({ "metadata": { "generateName": "test-" } }))?;
        let created = Api::all(self.client().await?).create(&PostParams::default(), &namespace).await?;
        created
            .metadata
            .name
            .ok_or_else(|| Failure::new("the API server made a namespace without a name"))
    }

    /// Writes a kubeconfig for the bearer of `token`, to the API server itself or to what stands before it at
    /// `server_url`, and gives its path.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kubeconfig_with_token(&self, token: &str, server_url: &str) -> Result<PathBuf> {
        let number = self.names.fetch_add(1, Ordering::Relaxed);
        let path = self.directory.join(format!("user-{number}.kubeconfig"));
        let ca_file = if server_url.starts_with("https:") {
            self.endpoint.ca_file.clone()
        } else {
            None
        };
        kubeconfig::write(
            &path,
            &Endpoint {
                url: server_url.to_owned(),
                ca_file,
            },
            token,
        )?;
        Ok(path)
    }

    /// A token of a ServiceAccount, good for a day.
    ///
    /// # Errors
    /// When there is no such account.
    pub fn token(&self, namespace: &str, account: &str) -> Result<String> {
        let token = self.kubectl(&["create", "token", account, "--namespace", namespace, "--duration", "24h"])?;
        Ok(token.trim().to_owned())
    }

    /// Applies `config/` as a user would, once, and waits until its kinds are served.
    ///
    /// # Errors
    /// When something of it is refused.
    pub fn install(&self) -> Result<()> {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        if !*installed {
            self.kubectl(&["apply", "--kustomize", concat!(env!("CARGO_MANIFEST_DIR"), "/config")])?;
            self.kubectl(&[
                "wait",
                "--for",
                "condition=Established",
                "--timeout",
                "30s",
                "customresourcedefinition",
                "--all",
            ])?;
            *installed = true;
        }
        Ok(())
    }

    /// Ends a server with SIGKILL. Its data stay.
    ///
    /// # Errors
    /// When it is a cluster of your own.
    pub fn stop_server(&mut self, server: Server) -> Result<()> {
        self.servers.as_mut().ok_or_else(not_ours)?.stop(server);
        Ok(())
    }

    /// Starts a server that was stopped, at its old address, and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn start_server(&mut self, server: Server) -> Result<()> {
        let servers = self.servers.as_mut().ok_or_else(not_ours)?;
        servers.spawn(server)?;
        blocking(|| servers.ready(server))
    }

    /// Stops the clock of a server (SIGSTOP): connections stay open and nothing is answered.
    ///
    /// # Errors
    /// When it does not run.
    pub fn pause_server(&mut self, server: Server) -> Result<()> {
        self.servers.as_mut().ok_or_else(not_ours)?.pause(server)
    }

    /// Lets a paused server go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn resume_server(&mut self, server: Server) -> Result<()> {
        self.servers.as_mut().ok_or_else(not_ours)?.resume(server)
    }
}

fn not_ours() -> Failure {
    Failure::new(format!(
        "this needs servers of its own, not the cluster that {CLUSTER_OF_YOUR_OWN} names"
    ))
}

fn run(command: &mut Command, input: &[u8]) -> Result<String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // kubectl that fails at once does not read; what it says is then the better error.
        let _ = stdin.write_all(input);
    }
    let output = child.wait_with_output()?;
    let [said, complained] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    if output.status.success() {
        return Ok(said);
    }
    let arguments: Vec<_> = command.get_args().skip(4).map(|argument| argument.to_string_lossy()).collect();
    Err(Failure::new(format!(
        "kubectl {}: {}\n{complained}{said}",
        arguments.join(" "),
        output.status
    )))
}
