//! What the API server says it was asked.

use http::Request;

use super::{Result, control_plane::ControlPlane};

const METRIC: &str = "apiserver_request_total{";
const MUTATING: [&str; 6] = ["POST", "PUT", "PATCH", "APPLY", "DELETE", "DELETECOLLECTION"];

/// Requests of one sort since the API server started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Requests {
    /// In capitals; `LIST`, `WATCH`, `APPLY` and `DELETECOLLECTION` are told from `GET`, `PATCH` and `DELETE`.
    pub verb: String,
    pub group: String,
    /// The plural, as in `operations`.
    pub resource: String,
    /// As in `status`; empty for the object itself.
    pub subresource: String,
    /// The HTTP status they got.
    pub code: String,
    pub count: u64,
}

impl Requests {
    pub fn is_mutating(&self) -> bool {
        MUTATING.contains(&self.verb.as_str())
    }
}

impl ControlPlane {
    /// All requests that the API server has answered since it started, by sort. Measure twice and subtract.
    ///
    /// # Errors
    /// When its metrics cannot be read.
    pub async fn requests(&self) -> Result<Vec<Requests>> {
        let metrics = self
            .client()
            .await?
            .request_text(Request::get("/metrics").body(Vec::new())?)
            .await?;
        Ok(parse(&metrics))
    }

    /// How many requests that change something the API server has answered, of those that are `counted`.
    ///
    /// # Errors
    /// As [`ControlPlane::requests`].
    pub async fn mutating_requests(&self, counted: impl Fn(&Requests) -> bool) -> Result<u64> {
        let requests = self.requests().await?;
        Ok(requests
            .iter()
            .filter(|requests| requests.is_mutating() && counted(requests))
            .map(|requests| requests.count)
            .sum())
    }
}

/// Reads the lines of one metric. No label of it has a value with a comma, a quote or a brace.
fn parse(metrics: &str) -> Vec<Requests> {
    metrics
        .lines()
        .filter_map(|line| line.strip_prefix(METRIC))
        .filter_map(sort)
        .collect()
}

fn sort(line: &str) -> Option<Requests> {
    let (labels, count) = line.rsplit_once('}')?;
    // Written as a decimal fraction or with an exponent once it is large.
    let count: f64 = count.trim().parse().ok()?;
    let mut requests = Requests {
        count: format!("{count:.0}").parse().ok()?,
        ..Requests::default()
    };
    for label in labels.split(',') {
        let (name, value) = label.split_once('=')?;
        let value = value.trim_matches('"').to_owned();
        match name {
            "verb" => requests.verb = value,
            "group" => requests.group = value,
            "resource" => requests.resource = value,
            "subresource" => requests.subresource = value,
            "code" => requests.code = value,
            _ => {}
        }
    }
    Some(requests)
}
