//! The three servers of a control plane: their flags, and when they are ready.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use aws_lc_rs::{
    encoding::{AsDer, Pkcs8V1Der},
    rsa::{KeyPair, KeySize},
};
use pem::Pem;

use super::{
    Failure, Result,
    binaries::Binaries,
    kubeconfig::{self, Endpoint},
    port,
    process::{Process, Program, Signal},
    wait::{blocking, eventually},
};

const READY_WITHIN: Duration = Duration::from_mins(1);
/// The administrator's bearer token. No secret: the servers listen on 127.0.0.1 and hold nothing of worth.
const ADMIN_TOKEN: &str = "admin";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    Etcd,
    Api,
    ControllerManager,
}

/// Running servers, ended when dropped.
#[derive(Debug)]
pub struct Servers {
    directory: PathBuf,
    programs: Binaries,
    etcd_port: u16,
    etcd_peer_port: u16,
    api_server_port: u16,
    controller_manager_port: u16,
    controller_manager: Option<Process>,
    api_server: Option<Process>,
    etcd: Option<Process>,
}

impl Servers {
    /// Starts all three in `directory` and returns when they are ready.
    ///
    /// # Errors
    /// When one ends or is not ready within a minute, with the end of its log.
    pub fn start(programs: &Binaries, directory: &Path) -> Result<Self> {
        let mut servers = Self {
            directory: directory.to_owned(),
            programs: programs.clone(),
            etcd_port: port::free()?,
            etcd_peer_port: port::free()?,
            api_server_port: port::free()?,
            controller_manager_port: port::free()?,
            controller_manager: None,
            api_server: None,
            etcd: None,
        };
        servers.write_files()?;
        // The API server waits for etcd by itself; the controller manager ends when there is no API server.
        servers.spawn(Server::Etcd)?;
        servers.spawn(Server::Api)?;
        blocking(|| servers.ready(Server::Api))?;
        servers.spawn(Server::ControllerManager)?;
        blocking(|| servers.ready(Server::ControllerManager))?;
        Ok(servers)
    }

    pub fn endpoint(&self) -> Endpoint {
        Endpoint {
            url: self.url(Server::Api),
            ca_file: Some(self.ca_file()),
        }
    }

    /// Plain HTTP for etcd, HTTPS for the others; all answer probes: etcd `/readyz` and `/health`, the API server
    /// `/readyz` and `/livez`, the controller manager `/healthz`.
    pub fn url(&self, server: Server) -> String {
        match server {
            Server::Etcd => format!("http://127.0.0.1:{}", self.etcd_port),
            Server::Api => format!("https://127.0.0.1:{}", self.api_server_port),
            Server::ControllerManager => format!("https://127.0.0.1:{}", self.controller_manager_port),
        }
    }

    /// # Errors
    /// When it does not run.
    pub fn pid(&self, server: Server) -> Result<u32> {
        let process = match server {
            Server::Etcd => &self.etcd,
            Server::Api => &self.api_server,
            Server::ControllerManager => &self.controller_manager,
        };
        process.as_ref().map(Process::pid).ok_or_else(|| stopped(server))
    }

    pub fn stop(&mut self, server: Server) {
        *self.slot(server) = None;
    }

    /// # Errors
    /// When it does not run.
    pub fn pause(&mut self, server: Server) -> Result<()> {
        self.signal(server, Signal::STOP)
    }

    /// # Errors
    /// When it does not run.
    pub fn resume(&mut self, server: Server) -> Result<()> {
        self.signal(server, Signal::CONT)
    }

    /// Starts a server and does not wait; ends the one that runs.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(&mut self, server: Server) -> Result<()> {
        let (name, arguments) = match server {
            Server::Etcd => ("etcd", self.etcd_arguments()),
            Server::Api => ("kube-apiserver", self.api_server_arguments()),
            Server::ControllerManager => ("kube-controller-manager", self.controller_manager_arguments()),
        };
        self.stop(server);
        let program = Program {
            name: name.to_owned(),
            path: self.programs.program(name),
            arguments,
            environment: Vec::new(),
            log: self.directory.join(format!("{name}.log")),
        };
        *self.slot(server) = Some(program.start()?);
        Ok(())
    }

    /// Waits until a server says that it is ready.
    ///
    /// # Errors
    /// When it ends, or is not ready within a minute.
    pub async fn ready(&mut self, server: Server) -> Result<()> {
        let url = match server {
            Server::Etcd | Server::Api => format!("{}/readyz", self.url(server)),
            Server::ControllerManager => format!("{}/healthz", self.url(server)),
        };
        let ca_file = self.ca_file();
        // A server that has ended will never be ready: that is an answer too.
        let answer = eventually(&url, READY_WITHIN, async || match self.ended(server) {
            Some(failure) => Ok(Err(failure)),
            None => probe(&url, &ca_file).await.map(Ok),
        });
        match answer.await {
            Ok(outcome) => outcome,
            Err(failure) => Err(Failure::new(format!("{failure}\n{}", self.log_tail(server)))),
        }
    }

    fn ended(&mut self, server: Server) -> Option<Failure> {
        let status = match self.slot(server) {
            None => return Some(stopped(server)),
            Some(process) => process.exit_status().transpose()?,
        };
        let status = status.map_or_else(|error| error.to_string(), |status| status.to_string());
        Some(Failure::new(format!(
            "{server:?} ended with status {status}\n{}",
            self.log_tail(server)
        )))
    }

    fn log_tail(&mut self, server: Server) -> String {
        self.slot(server).as_ref().map(Process::log_tail).unwrap_or_default()
    }

    fn signal(&mut self, server: Server, signal: Signal) -> Result<()> {
        self.slot(server).as_mut().ok_or_else(|| stopped(server))?.signal(signal)
    }

    fn slot(&mut self, server: Server) -> &mut Option<Process> {
        match server {
            Server::Etcd => &mut self.etcd,
            Server::Api => &mut self.api_server,
            Server::ControllerManager => &mut self.controller_manager,
        }
    }

    fn file(&self, name: &str) -> String {
        self.directory.join(name).display().to_string()
    }

    /// The API server makes it when it starts for the first time.
    fn ca_file(&self) -> PathBuf {
        self.directory.join("certificates/apiserver.crt")
    }

    fn write_files(&self) -> Result<()> {
        fs::create_dir_all(self.directory.join("certificates"))?;
        fs::write(
            self.directory.join("tokens.csv"),
            format!("{ADMIN_TOKEN},admin,admin,system:masters\n"),
        )?;
        fs::write(self.directory.join("service-account.key"), private_key()?)?;
        kubeconfig::write(&self.directory.join("admin.kubeconfig"), &self.endpoint(), ADMIN_TOKEN)
    }

    fn etcd_arguments(&self) -> Vec<String> {
        let client = self.url(Server::Etcd);
        let peer = format!("http://127.0.0.1:{}", self.etcd_peer_port);
        vec![
            format!("--data-dir={}", self.file("etcd")),
            "--unsafe-no-fsync".to_owned(),
            format!("--listen-client-urls={client}"),
            format!("--advertise-client-urls={client}"),
            format!("--listen-peer-urls={peer}"),
            format!("--initial-advertise-peer-urls={peer}"),
            format!("--initial-cluster=default={peer}"),
            "--log-level=warn".to_owned(),
        ]
    }

    fn api_server_arguments(&self) -> Vec<String> {
        vec![
            format!("--etcd-servers={}", self.url(Server::Etcd)),
            format!("--secure-port={}", self.api_server_port),
            "--bind-address=127.0.0.1".to_owned(),
            format!("--cert-dir={}", self.file("certificates")),
            "--authorization-mode=RBAC".to_owned(),
            format!("--token-auth-file={}", self.file("tokens.csv")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            // The public key is part of the private one.
            format!("--service-account-key-file={}", self.file("service-account.key")),
            format!("--service-account-signing-key-file={}", self.file("service-account.key")),
            "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        ]
    }

    fn controller_manager_arguments(&self) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", self.file("admin.kubeconfig")),
            "--controllers=*,-nodeipam,-nodelifecycle,-cloud-node-lifecycle".to_owned(),
            format!("--service-account-private-key-file={}", self.file("service-account.key")),
            "--leader-elect=false".to_owned(),
            format!("--secure-port={}", self.controller_manager_port),
            "--bind-address=127.0.0.1".to_owned(),
            // The API server's certificate is for 127.0.0.1 too, so that one authority vouches for both.
            format!("--tls-cert-file={}", self.file("certificates/apiserver.crt")),
            format!("--tls-private-key-file={}", self.file("certificates/apiserver.key")),
        ]
    }
}

/// What ServiceAccount tokens are signed with.
fn private_key() -> Result<String> {
    let key = KeyPair::generate(KeySize::Rsa2048)?;
    let der: Pkcs8V1Der<'_> = key.as_der()?;
    Ok(pem::encode(&Pem::new("PRIVATE KEY", der.as_ref())))
}

async fn probe(url: &str, ca_file: &Path) -> Result<()> {
    let answer = https(ca_file)?.get(url).bearer_auth(ADMIN_TOKEN).send().await?;
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    Err(Failure::new(format!("{status}: {}", answer.text().await?)))
}

/// An HTTP client that trusts exactly the authorities of `ca_file` and uses no proxy.
///
/// # Errors
/// When the file is not there (yet) or holds no certificate.
pub fn https(ca_file: &Path) -> Result<reqwest::Client> {
    let certificates = reqwest::Certificate::from_pem_bundle(&fs::read(ca_file)?)?;
    let client = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none());
    Ok(client.tls_certs_only(certificates).timeout(Duration::from_secs(5)).build()?)
}

fn stopped(server: Server) -> Failure {
    Failure::new(format!("{server:?} does not run"))
}
