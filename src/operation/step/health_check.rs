//! `health_check`: whether a service answers, over HTTP or TCP.

use std::time::Duration;

use http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::document::SERVICES;
use super::super::walk::{Answer, Fault};
use super::http_request::unexpected;
use super::lookup::registry_entry;
use super::{World, fields, whole_number};
use crate::remote::http::{Overflow, Request, parse_url, shown};

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    method: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    host: Option<String>,
    #[serde(default)]
    port: Option<Value>,
    #[serde(default)]
    expected_status: Option<Value>,
    #[serde(default)]
    expected_body_contains: Option<String>,
    #[serde(default)]
    optional: Value,
}

/// The fields that a registry entry, or its `health_check`, may bring.
const FROM_REGISTRY: [&str; 7] = [
    "method",
    "url",
    "host",
    "port",
    "expected_status",
    "expected_body_contains",
    "optional",
];

pub async fn run(given: Map<String, Value>, limit: Duration, world: &World) -> Result<Answer, Fault> {
    let given = with_registry(given, world).await?;
    let check: Fields = fields(given)?;
    let optional = check.optional == json!(true) || check.optional == json!("true");
    let tcp = check.method.as_deref() == Some("tcp") || (check.method.is_none() && check.url.is_none() && check.port.is_some());
    if optional && check.url.is_none() && check.host.is_none() {
        return Ok(answer("skipped", "there is nothing to check".to_owned()));
    }
    let result = match check.method.as_deref() {
        Some(other) if !matches!(other, "http" | "tcp") => {
            return Err(Fault::permanent(format!(
                "method {other:?} is not available in this version; write http or tcp"
            )));
        }
        _ if tcp => connect(&check, limit, world).await,
        _ => request(&check, limit, world).await,
    };
    match result {
        Ok(message) => Ok(answer("ok", message)),
        Err(fault) if optional => Ok(answer("failed", fault.message)),
        Err(fault) => Err(Fault {
            message: format!("health check of {} failed: {}", target(&check), fault.message),
            ..fault
        }),
    }
}

fn answer(word: &str, message: String) -> Answer {
    Answer {
        output: json!(word),
        message: Some(message),
        ..Answer::default()
    }
}

/// What is checked, without what may be secret in a URL.
fn target(check: &Fields) -> String {
    match (&check.url, &check.host) {
        (Some(url), _) => parse_url(url).map_or_else(|error| error.to_string(), |url| shown(&url)),
        (None, Some(host)) => host.clone(),
        _ => "nothing".to_owned(),
    }
}

/// The step's own fields, and below them those of the registry's entry.
async fn with_registry(mut given: Map<String, Value>, world: &World) -> Result<Map<String, Value>, Fault> {
    let Some(Value::String(service)) = given.remove("service") else {
        return Ok(given);
    };
    let file = given.remove("file");
    let file = file.as_ref().and_then(Value::as_str).unwrap_or(SERVICES);
    let entry = registry_entry(file, &service, world).await?;
    for source in [entry.get("health_check"), Some(&entry)].into_iter().flatten() {
        for name in FROM_REGISTRY {
            if let (false, Some(value)) = (given.contains_key(name), source.get(name)) {
                given.insert(name.to_owned(), value.clone());
            }
        }
    }
    Ok(given)
}

async fn request(check: &Fields, limit: Duration, world: &World) -> Result<String, Fault> {
    let url = check
        .url
        .as_deref()
        .ok_or_else(|| Fault::permanent("url: a value is needed".to_owned()))?;
    let request = Request {
        timeout: limit,
        overflow: Overflow::Truncate,
        ..Request::new(Method::GET, parse_url(url)?)
    };
    let response = world.http.send(request).await?;
    if let Some(message) = unexpected(response.status.as_u16(), check.expected_status.as_ref()) {
        return Err(Fault::passing(message));
    }
    if let Some(wanted) = &check.expected_body_contains
        && !String::from_utf8_lossy(&response.body).contains(wanted)
    {
        return Err(Fault::passing(format!("the body does not contain {wanted:?}")));
    }
    Ok(format!("status {}", response.status.as_u16()))
}

async fn connect(check: &Fields, limit: Duration, world: &World) -> Result<String, Fault> {
    let host = check
        .host
        .as_deref()
        .ok_or_else(|| Fault::permanent("host: a value is needed".to_owned()))?;
    let port = check
        .port
        .as_ref()
        .and_then(whole_number)
        .and_then(|port| u16::try_from(port).ok())
        .filter(|port| *port > 0);
    let port = port.ok_or_else(|| Fault::permanent("port: a number from 1 to 65535 is needed".to_owned()))?;
    world.http.tcp_connect(host, port, limit).await?;
    Ok(format!("{host}:{port} accepts connections"))
}
