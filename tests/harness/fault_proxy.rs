//! Stands before an API server, passes everything through and breaks what it is told to break.
//!
//! Plain HTTP towards the client (a kubeconfig with the proxy's URL needs no certificate), verified TLS towards the
//! server. A request that no [`Rule`] matches passes unchanged.

use std::{
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderValue, StatusCode, header};
use http_body_util::{BodyExt, StreamBody};
use hyper::{
    Request, Response,
    body::{Frame, Incoming},
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::json;
use tokio::{sync::watch, time::timeout};

use super::{
    Result,
    control_plane::ControlPlane,
    wire::{self, HttpServer, Reply},
};

/// What happens to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Is not passed on; answered with this status and a Kubernetes `Status` object, as an API server would.
    Status(u16),
    /// As `Status(429)`, asking to come back after so many seconds.
    TooManyRequests { retry_after: u32 },
    /// The connection is closed; the server never saw the request.
    HangUpBefore,
    /// The server does what was asked, and the connection is closed instead of telling so.
    HangUpAfter,
    /// Passes after this time, or when the proxy is healed.
    Stall(Duration),
    /// A watch begins, and all that it says is that its resource version is too old (410).
    TooOld,
    /// 200 with a body that is not what was asked for.
    Garbage,
    /// Bytes that are not HTTP.
    Noise,
}

/// What a client asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// In capitals.
    pub method: String,
    pub path: String,
    pub query: String,
    pub watch: bool,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The server's own status, passed on.
    Passed(u16),
    Broken(Fault),
    /// The server could not be reached, or hung up itself.
    Unreachable,
}

/// Which requests a fault hits: all, until refined.
#[derive(Clone)]
pub struct Rule {
    fault: Fault,
    matching: Arc<dyn Fn(&Asked) -> bool + Send + Sync>,
    left: Option<usize>,
    share: f64,
}

/// Runs until dropped.
pub struct FaultProxy {
    server: HttpServer,
    state: Arc<State>,
}

struct State {
    upstream: reqwest::Client,
    url: String,
    books: Mutex<Books>,
    /// Counted up: watches that began before end now.
    cuts: watch::Sender<u64>,
    /// Counted up: stalled requests go on.
    heals: watch::Sender<u64>,
}

struct Books {
    rules: Vec<Rule>,
    seen: Vec<(Asked, Outcome)>,
    rng: StdRng,
}

impl Rule {
    pub fn of(fault: Fault) -> Self {
        Self {
            fault,
            matching: Arc::new(|_| true),
            left: None,
            share: 1.0,
        }
    }

    /// Only requests for which this holds.
    #[must_use]
    pub fn when(self, matching: impl Fn(&Asked) -> bool + Send + Sync + 'static) -> Self {
        Self {
            matching: Arc::new(matching),
            ..self
        }
    }

    /// Only the next `count` of them.
    #[must_use]
    pub fn next(self, count: usize) -> Self {
        Self { left: Some(count), ..self }
    }

    /// Only this share of them (0 to 1), by the proxy's seeded randomness.
    #[must_use]
    pub fn share(self, share: f64) -> Self {
        Self {
            share: share.clamp(0.0, 1.0),
            ..self
        }
    }
}

impl FaultProxy {
    /// Before the API server of a control plane; `seed` decides which requests a share hits.
    ///
    /// # Errors
    /// When the server's certificates cannot be read or there is no free port.
    pub fn start(plane: &ControlPlane, seed: u64) -> Result<Self> {
        Self::before(plane.url(), Some(plane.ca_file()?), seed)
    }

    /// Before any HTTP server; HTTPS only with the certificates of `ca_file`.
    ///
    /// # Errors
    /// As [`FaultProxy::start`].
    pub fn before(url: &str, ca_file: Option<&Path>, seed: u64) -> Result<Self> {
        let mut upstream = reqwest::Client::builder()
            .no_proxy()
            .no_gzip()
            .redirect(reqwest::redirect::Policy::none());
        if let Some(ca_file) = ca_file {
            upstream = upstream.tls_certs_only(reqwest::Certificate::from_pem_bundle(&std::fs::read(ca_file)?)?);
        }
        let books = Books {
            rules: Vec::new(),
            seen: Vec::new(),
            rng: StdRng::seed_from_u64(seed),
        };
        let state = Arc::new(State {
            upstream: upstream.build()?,
            url: url.trim_end_matches('/').to_owned(),
            books: Mutex::new(books),
            cuts: watch::Sender::default(),
            heals: watch::Sender::default(),
        });
        let handler_state = Arc::clone(&state);
        let server = HttpServer::start(move |request| serve(Arc::clone(&handler_state), request))?;
        Ok(Self { server, state })
    }

    pub fn url(&self) -> String {
        self.server.url()
    }

    /// From now on; of several rules that match a request the first hits.
    pub fn inject(&self, rule: Rule) {
        self.state.books().rules.push(rule);
    }

    /// Forgets all rules and lets stalled requests go on.
    pub fn heal(&self) {
        self.state.books().rules.clear();
        self.state.heals.send_modify(|count| *count += 1);
    }

    /// Breaks every watch that is open, in the middle of its stream. Clients may begin new ones.
    pub fn cut_watches(&self) {
        self.state.cuts.send_modify(|count| *count += 1);
    }

    /// Every request that has been answered or broken, in that order. A watch counts when it begins.
    pub fn seen(&self) -> Vec<(Asked, Outcome)> {
        self.state.books().seen.clone()
    }

    pub fn count(&self, counted: impl Fn(&Asked, Outcome) -> bool) -> usize {
        self.state
            .books()
            .seen
            .iter()
            .filter(|(asked, outcome)| counted(asked, *outcome))
            .count()
    }

    /// How many requests were broken by this fault.
    pub fn broken_by(&self, fault: Fault) -> usize {
        self.count(|_, outcome| outcome == Outcome::Broken(fault))
    }
}

impl Books {
    /// The fault that hits this request, taken off its rule.
    fn choose(&mut self, asked: &Asked) -> Option<Fault> {
        for rule in &mut self.rules {
            let applies = rule.left != Some(0) && (rule.matching)(asked);
            if applies && self.rng.random_bool(rule.share) {
                rule.left = rule.left.map(|left| left - 1);
                return Some(rule.fault);
            }
        }
        None
    }
}

impl State {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, asked: Asked, outcome: Outcome) {
        self.books().seen.push((asked, outcome));
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Reply {
    let asked = Asked::of(&request);
    let chosen = state.books().choose(&asked);
    let Some(fault) = chosen else {
        return pass(&state, asked, request).await;
    };
    let reply = match fault {
        Fault::Status(status) => refuse(status),
        Fault::TooManyRequests { retry_after } => refuse_for_now(retry_after),
        Fault::TooOld => too_old(),
        Fault::Garbage => Reply::Answer(wire::answer(StatusCode::OK, "<html>a page of someone else's\u{0}")),
        Fault::Noise => Reply::Raw(Bytes::from_static(b"\x16\x03\x01 not HTTP\r\n\r\n")),
        Fault::HangUpBefore => Reply::HangUp,
        Fault::HangUpAfter => {
            if let Ok(response) = forward(&state, request).await {
                // To its end: only then the server has certainly done it.
                let _ = timeout(Duration::from_secs(5), response.bytes()).await;
            }
            Reply::HangUp
        }
        Fault::Stall(duration) => {
            let mut heals = state.heals.subscribe();
            state.note(asked.clone(), Outcome::Broken(fault));
            let _ = timeout(duration, heals.changed()).await;
            return pass(&state, asked, request).await;
        }
    };
    state.note(asked, Outcome::Broken(fault));
    reply
}

async fn pass(state: &Arc<State>, asked: Asked, request: Request<Incoming>) -> Reply {
    // Before the request goes out, so that no cut is missed.
    let cuts = state.cuts.subscribe();
    let watch = asked.watch;
    let Ok(response) = forward(state, request).await else {
        state.note(asked, Outcome::Unreachable);
        return Reply::HangUp;
    };
    let status = response.status();
    state.note(asked, Outcome::Passed(status.as_u16()));
    let headers = end_to_end(response.headers());
    let pieces = response
        .bytes_stream()
        .map(|piece| piece.map(Frame::data).map_err(io::Error::other));
    let body = if watch {
        StreamBody::new(until_cut(pieces, cuts)).boxed_unsync()
    } else {
        StreamBody::new(pieces).boxed_unsync()
    };
    let mut answer = Response::new(body);
    *answer.status_mut() = status;
    *answer.headers_mut() = headers;
    Reply::Answer(answer)
}

async fn forward(state: &State, request: Request<Incoming>) -> Result<reqwest::Response> {
    let (head, body) = request.into_parts();
    let path = head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let body = body.collect().await?.to_bytes();
    let asked = state
        .upstream
        .request(head.method, format!("{}{path}", state.url))
        .headers(end_to_end(&head.headers));
    Ok(asked.body(body).send().await?)
}

/// Without what concerns one connection only, and without the length, which each side finds by itself.
fn end_to_end(headers: &HeaderMap) -> HeaderMap {
    let mut kept = headers.clone();
    for name in [
        header::HOST,
        header::CONNECTION,
        header::TRANSFER_ENCODING,
        header::CONTENT_LENGTH,
        header::UPGRADE,
        header::TE,
    ] {
        kept.remove(name);
    }
    kept
}

/// The stream, until the watches are cut: then an error, which closes the connection in the middle of the answer.
fn until_cut<Piece>(
    pieces: impl Stream<Item = io::Result<Piece>> + Send + 'static,
    cuts: watch::Receiver<u64>,
) -> impl Stream<Item = io::Result<Piece>> + Send
where
    Piece: Send + 'static,
{
    stream::unfold(Some((Box::pin(pieces), cuts)), |open| async {
        let (mut pieces, mut cuts) = open?;
        tokio::select! {
            piece = pieces.next() => piece.map(|piece| (piece, Some((pieces, cuts)))),
            _ = cuts.changed() => Some((Err(io::Error::other("the watch was cut")), None)),
        }
    })
}

fn refuse(status: u16) -> Reply {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let reason = match status.as_u16() {
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "NotFound",
        409 => "Conflict",
        410 => "Expired",
        429 => "TooManyRequests",
        500 => "InternalError",
        503 => "ServiceUnavailable",
        504 => "Timeout",
        _ => "Unknown",
    };
    Reply::Answer(of_json(
        status,
        &status_object(status.as_u16(), reason, "refused by the fault proxy"),
    ))
}

fn refuse_for_now(retry_after: u32) -> Reply {
    let mut reply = refuse(429);
    if let Reply::Answer(response) = &mut reply {
        response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after));
    }
    reply
}

fn too_old() -> Reply {
    let event = json!({ "type": "ERROR", "object": status_object(410, "Expired", "too old resource version: 1 (2)") });
    Reply::Answer(of_json(StatusCode::OK, &event))
}

fn status_object(code: u16, reason: &str, message: &str) -> serde_json::Value {
    json!({ "apiVersion": "v1", "kind": "Status", "metadata": {}, "status": "Failure", "code": code, "reason": reason, "message": message })
}

fn of_json(status: StatusCode, value: &serde_json::Value) -> Response<wire::Body> {
    let mut response = wire::answer(status, format!("{value}\n"));
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

impl Asked {
    fn of<B>(request: &Request<B>) -> Self {
        let query = request.uri().query().unwrap_or_default().to_owned();
        let watch = url::form_urlencoded::parse(query.as_bytes()).any(|(name, value)| name == "watch" && matches!(&*value, "true" | "1"));
        Self {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            query,
            watch,
        }
    }

    /// Creates, changes or deletes something.
    pub fn is_mutating(&self) -> bool {
        !matches!(self.method.as_str(), "GET" | "HEAD" | "OPTIONS")
    }
}
