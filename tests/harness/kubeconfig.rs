//! Who talks to which API server: the files that clients read.

use std::{
    fs,
    path::{Path, PathBuf},
};

use kube::config::{KubeConfigOptions, Kubeconfig};
use serde_json::{Value, json};

use super::{Failure, Result};

/// Where an API server is and how it is known to be the one.
#[derive(Debug, Clone)]
pub struct Endpoint {
    pub url: String,
    /// PEM certificates of the authorities that may vouch for it; `None` for plain HTTP.
    pub ca_file: Option<PathBuf>,
}

/// Writes a kubeconfig (JSON, which is YAML) for the bearer of `token`.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, endpoint: &Endpoint, token: &str) -> Result<()> {
    let mut cluster = json!({ "server": endpoint.url });
    if let Some(ca_file) = &endpoint.ca_file {
        cluster["certificate-authority"] = Value::String(ca_file.display().to_string());
    }
    let document = json!({
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{ "name": "cluster", "cluster": cluster }],
        "users": [{ "name": "user", "user": { "token": token } }],
        "contexts": [{ "name": "context", "context": { "cluster": "cluster", "user": "user" } }],
        "current-context": "context",
    });
    fs::write(path, serde_json::to_vec_pretty(&document)?).map_err(|error| Failure::during(error, format_args!("write {}", path.display())))
}

/// The endpoint that a kubeconfig's current context names. Inline certificates are written into `folder`.
///
/// # Errors
/// When the file cannot be read or its current context is not complete.
pub fn endpoint(path: &Path, folder: &Path) -> Result<Endpoint> {
    let incomplete = || Failure::new(format!("{} names no cluster by its current context", path.display()));
    let config = Kubeconfig::read_from(path)?;
    let current = config.current_context.as_ref().ok_or_else(incomplete)?;
    let context = config
        .contexts
        .iter()
        .find(|context| &context.name == current)
        .and_then(|named| named.context.as_ref());
    let name = &context.ok_or_else(incomplete)?.cluster;
    let cluster = config
        .clusters
        .iter()
        .find(|cluster| &cluster.name == name)
        .and_then(|named| named.cluster.as_ref());
    let cluster = cluster.ok_or_else(incomplete)?;
    let url = cluster.server.clone().ok_or_else(incomplete)?;
    let ca_file = match (&cluster.certificate_authority_data, &cluster.certificate_authority) {
        (Some(data), _) => {
            let file = folder.join("ca.crt");
            fs::write(&file, decode(data)?)?;
            Some(file)
        }
        (None, file) => file.as_ref().map(PathBuf::from),
    };
    Ok(Endpoint { url, ca_file })
}

/// # Errors
/// When the kubeconfig cannot be read or used.
pub async fn client(path: &Path) -> Result<kube::Client> {
    let kubeconfig = Kubeconfig::read_from(path)?;
    let mut config = kube::Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await?;
    // A proxy of the environment cannot reach a server of this machine.
    config.proxy_url = None;
    Ok(kube::Client::try_from(config)?)
}

fn decode(data: &str) -> Result<Vec<u8>> {
    let bytes: k8s_openapi::ByteString = serde_json::from_value(Value::String(data.to_owned()))?;
    Ok(bytes.0)
}
