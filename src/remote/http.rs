//! HTTP for steps: through the egress guard, and bounded in size and time whatever the other side does.
//!
//! Deliberately absent: connection reuse (a health check that rides on yesterday's connection checks neither DNS nor the
//! port, and a POST must not meet a connection that the server is just closing), retries (the runbook's), proxies (a proxy
//! defeats the guard: the address that was checked would not be the one connected to), cookies.

mod error;
mod redirect;
#[cfg(test)]
mod tests;
mod trust;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use ::http::header::{self, HeaderMap, HeaderName};
use ::http::{Method, StatusCode};
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::net::TcpStream;
use tokio::time::Instant;
use url::{Host, Url};

use super::egress::Egress;
pub use error::{HttpError, Waiting, shown};
use redirect::Hop;
pub use trust::CaFileError;

/// How much of an answer's body is read unless the request says otherwise: 1 MiB.
pub const DEFAULT_MAX_BODY: usize = 1 << 20;

/// How many redirects are followed.
pub const MAX_REDIRECTS: usize = 10;

/// Headers that belong to the connection, which only the client can set right.
const CONNECTION_HEADERS: [HeaderName; 8] = [
    header::CONNECTION,
    header::CONTENT_LENGTH,
    header::EXPECT,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// What happens to an answer whose body is longer than the request allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overflow {
    /// It is an error.
    Refuse,
    /// The body is cut and the answer marked as truncated.
    Truncate,
}

/// One request of a step.
#[derive(Clone)]
pub struct Request {
    pub method: Method,
    /// `http` or `https`; user and password in it become basic authentication.
    pub url: Url,
    /// Dropped when a redirect leads to another origin, except `Accept` and `Content-Type`.
    pub headers: HeaderMap,
    pub body: Option<Vec<u8>>,
    /// From the first DNS query to the last byte of the answer, redirects included.
    pub timeout: Duration,
    /// In bytes, after decompression.
    pub max_body: usize,
    pub overflow: Overflow,
    /// Whether a redirect is followed or is itself the answer.
    pub follow_redirects: bool,
}

impl Request {
    /// A request without headers and body: 10 s, 1 MiB, a longer answer refused, redirects followed.
    #[must_use]
    pub fn new(method: Method, url: Url) -> Self {
        Self {
            method,
            url,
            headers: HeaderMap::new(),
            body: None,
            timeout: Duration::from_secs(10),
            max_body: DEFAULT_MAX_BODY,
            overflow: Overflow::Refuse,
            follow_redirects: true,
        }
    }
}

/// The answer to a [`Request`], whatever its status.
#[derive(Debug, Clone)]
pub struct Response {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// Decompressed.
    pub body: Vec<u8>,
    /// The body was longer and [`Overflow::Truncate`] cut it.
    pub truncated: bool,
}

/// Reads the URL of a step.
///
/// # Errors
/// If it is no absolute `http` or `https` URL; the error does not repeat it, for it may hold a secret.
pub fn parse_url(text: &str) -> Result<Url, HttpError> {
    let invalid = |reason: String| HttpError::InvalidUrl { reason };
    let url = Url::parse(text.trim()).map_err(|error| match error {
        url::ParseError::RelativeUrlWithoutBase => invalid("it must begin with http:// or https://".to_owned()),
        other => invalid(other.to_string()),
    })?;
    match (url.scheme(), url.host()) {
        ("http" | "https", Some(_)) => Ok(url),
        ("http" | "https", None) => Err(invalid("it names no host".to_owned())),
        (scheme, _) => Err(invalid(format!(
            "it must begin with http:// or https://, not {}:",
            scheme.chars().take(20).collect::<String>()
        ))),
    }
}

/// The one HTTP client of all steps. Cheap to clone.
#[derive(Debug, Clone)]
pub struct HttpClient {
    client: reqwest::Client,
    egress: Egress,
}

impl HttpClient {
    /// A client that trusts the machine's certificate authorities and those in `ca_pem`, the content of `--ca-file`.
    ///
    /// # Errors
    /// If `ca_pem` holds no certificate or one that cannot be read. A machine without certificate authorities is no error.
    pub fn new(egress: Egress, ca_pem: Option<&[u8]>) -> Result<Self, CaFileError> {
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(trust::client_config(ca_pem)?)
            .dns_resolver(Guard(egress.clone()))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("thermostat/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| CaFileError::Client(error::innermost(&error)))?;
        Ok(Self { client, egress })
    }

    /// Sends a request and reads the answer, following redirects as a browser does, each checked as the first.
    ///
    /// # Errors
    /// If there was no complete answer within the bounds; the message is for the person on call and holds no user, password, query or header value.
    pub async fn send(&self, request: Request) -> Result<Response, HttpError> {
        if let Some(name) = CONNECTION_HEADERS.into_iter().find(|name| request.headers.contains_key(name)) {
            return Err(HttpError::ConnectionHeader { name });
        }
        let bounds = Bounds::of(&request);
        let follow_redirects = request.follow_redirects;
        let mut hop = Hop {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: request.body,
        };
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.exchange(&hop, &bounds).await?;
            let next = if follow_redirects {
                redirect::follow(&hop, answer.status(), answer.headers())?
            } else {
                None
            };
            match next {
                Some(next) => hop = next,
                None => return read(answer, &hop.url, &bounds).await,
            }
        }
        Err(HttpError::TooManyRedirects {
            url: error::shown(&hop.url),
            limit: MAX_REDIRECTS,
        })
    }

    /// Opens a TCP connection through the same guard, as a health check by `tcp` does.
    ///
    /// # Errors
    /// If the host does not resolve, is refused, or does not answer within `timeout`.
    pub async fn tcp_connect(&self, host: &str, port: u16, timeout: Duration) -> Result<TcpStream, HttpError> {
        let name = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let stream = self.egress.tcp_connect(name, port, timeout).await;
        stream.map_err(|error| HttpError::from_connect(&error, format!("{host}:{port}")))
    }

    /// Sends one request and awaits the head of its answer.
    async fn exchange(&self, hop: &Hop, bounds: &Bounds) -> Result<reqwest::Response, HttpError> {
        self.check_literal(&hop.url)?;
        let mut request = self
            .client
            .request(hop.method.clone(), hop.url.clone())
            .headers(hop.headers.clone());
        if let Some(body) = &hop.body {
            request = request.body(body.clone());
        }
        match tokio::time::timeout_at(bounds.deadline, request.send()).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => Err(HttpError::from_exchange(&error, &hop.url)),
            Err(_) => Err(bounds.timed_out(&hop.url, Waiting::ForAnswer)),
        }
    }

    /// An address in a URL is connected to without asking the resolver, so it is checked here.
    fn check_literal(&self, url: &Url) -> Result<(), HttpError> {
        let address: IpAddr = match url.host() {
            Some(Host::Ipv4(address)) => address.into(),
            Some(Host::Ipv6(address)) => address.into(),
            Some(Host::Domain(_)) | None => return Ok(()),
        };
        self.egress
            .check(&address.to_string(), address)
            .map_err(|refusal| HttpError::Refused {
                url: error::shown(url),
                refusal,
            })
    }
}

/// What a request may take, redirects included.
struct Bounds {
    deadline: Instant,
    timeout: Duration,
    max_body: usize,
    overflow: Overflow,
}

impl Bounds {
    fn of(request: &Request) -> Self {
        let now = Instant::now();
        let deadline = now
            .checked_add(request.timeout)
            .or_else(|| now.checked_add(Duration::from_hours(24 * 365)))
            .unwrap_or(now);
        Self {
            deadline,
            timeout: request.timeout,
            max_body: request.max_body,
            overflow: request.overflow,
        }
    }

    fn timed_out(&self, url: &Url, waiting: Waiting) -> HttpError {
        HttpError::TimedOut {
            url: error::shown(url),
            after: self.timeout,
            waiting,
        }
    }

    fn too_large(&self, url: &Url) -> HttpError {
        HttpError::TooLarge {
            url: error::shown(url),
            limit: self.max_body,
        }
    }
}

/// Reads the body of an answer, chunk by chunk, counting after decompression.
async fn read(mut answer: reqwest::Response, url: &Url, bounds: &Bounds) -> Result<Response, HttpError> {
    let declared = answer.content_length().and_then(|length| usize::try_from(length).ok()).unwrap_or(0);
    if bounds.overflow == Overflow::Refuse && declared > bounds.max_body {
        return Err(bounds.too_large(url));
    }
    let mut body = Vec::new();
    let mut truncated = false;
    loop {
        let chunk = match tokio::time::timeout_at(bounds.deadline, answer.chunk()).await {
            Ok(Ok(Some(chunk))) => chunk,
            Ok(Ok(None)) => break,
            Ok(Err(error)) => return Err(HttpError::from_answer(&error, error::shown(url))),
            Err(_) => return Err(bounds.timed_out(url, Waiting::ForBody)),
        };
        let room = bounds.max_body - body.len();
        if chunk.len() > room {
            if bounds.overflow == Overflow::Refuse {
                return Err(bounds.too_large(url));
            }
            body.extend_from_slice(&chunk[..room]);
            truncated = true;
            break;
        }
        body.extend_from_slice(&chunk);
    }
    Ok(Response {
        status: answer.status(),
        headers: answer.headers().clone(),
        body,
        truncated,
    })
}

/// The guard as reqwest asks for it: what it returns is what reqwest connects to.
struct Guard(Egress);

impl Resolve for Guard {
    fn resolve(&self, name: Name) -> Resolving {
        let egress = self.0.clone();
        Box::pin(async move {
            let addresses = egress.resolve(name.as_str()).await?;
            Ok(Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0))) as Addrs)
        })
    }
}
