//! The HTTP service that runbooks call: counts what it is asked, and answers as it is told.
//!
//! A request names itself by the header or query parameter `key` (else its path) and the Operation it comes from by
//! the header or query parameter `op`.

use std::{
    collections::{BTreeMap, HashMap, HashSet, VecDeque},
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{Response, StatusCode};
use http_body_util::{BodyExt, Limited, StreamBody};
use hyper::{
    Request,
    body::{Frame, Incoming},
};
use tokio::{sync::watch, time::sleep};

use super::{
    Result,
    wire::{self, Body, HttpServer, Reply},
};

/// More than any runbook sends; what is longer is kept as an empty body.
const LONGEST_REQUEST: usize = 16 << 20;
const ENDLESS_PIECE: usize = 64 << 10;

/// How a request is answered. Made by one of the constructors and refined by the rest.
#[derive(Debug, Clone)]
pub struct Answer {
    status: StatusCode,
    headers: Vec<(String, String)>,
    delay: Duration,
    content: Content,
}

#[derive(Debug, Clone)]
enum Content {
    Whole(Bytes),
    /// Piece by piece, with a pause before each.
    Pieces {
        piece: Bytes,
        count: Option<usize>,
        pause: Duration,
    },
    /// Not HTTP.
    Malformed(Bytes),
    HangUp,
}

/// A request as it arrived.
#[derive(Debug, Clone)]
pub struct Received {
    pub method: String,
    pub path: String,
    pub query: String,
    pub key: String,
    pub operation: Option<String>,
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

/// Runs until dropped.
pub struct Target {
    server: HttpServer,
    state: Arc<State>,
}

struct State {
    books: Mutex<Books>,
    /// Paths whose requests wait.
    held: watch::Sender<HashSet<String>>,
}

#[derive(Default)]
struct Books {
    /// By path; the last answer of a queue stays.
    answers: HashMap<String, VecDeque<Answer>>,
    received: Vec<Received>,
    by_path: HashMap<String, usize>,
    by_operation: HashMap<String, usize>,
    operations_peak: usize,
}

/// A request that has arrived and is not answered to its last byte. The client's hanging up ends it too.
struct InFlight {
    state: Arc<State>,
    path: String,
    operation: Option<String>,
}

impl Answer {
    pub fn status(status: u16) -> Self {
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self {
            status,
            headers: Vec::new(),
            delay: Duration::ZERO,
            content: Content::Whole(Bytes::new()),
        }
    }

    /// 200 with this body.
    pub fn body(body: impl Into<Bytes>) -> Self {
        Self::status(200).with_body(body)
    }

    /// 200 with a body of `size` bytes.
    pub fn sized(size: usize) -> Self {
        Self::body(vec![b'x'; size])
    }

    pub fn json(value: &serde_json::Value) -> Self {
        Self::body(value.to_string()).header("content-type", "application/json")
    }

    /// 302 to `location`.
    pub fn redirect(location: impl Into<String>) -> Self {
        Self::status(302).header("location", location)
    }

    /// 200 with a body that does not end.
    pub fn endless() -> Self {
        Self::pieces(Bytes::from(vec![b'x'; ENDLESS_PIECE]), None, Duration::ZERO)
    }

    /// 200 with `count` bytes, one after each `pause`; without a count they do not end.
    pub fn trickle(count: Option<usize>, pause: Duration) -> Self {
        Self::pieces(Bytes::from_static(b"x"), count, pause)
    }

    /// These bytes instead of HTTP, then the connection is closed.
    pub fn malformed(bytes: impl Into<Bytes>) -> Self {
        Self {
            content: Content::Malformed(bytes.into()),
            ..Self::status(200)
        }
    }

    /// The connection is closed without a word.
    pub fn hang_up() -> Self {
        Self {
            content: Content::HangUp,
            ..Self::status(200)
        }
    }

    #[must_use]
    pub fn with_body(self, body: impl Into<Bytes>) -> Self {
        Self {
            content: Content::Whole(body.into()),
            ..self
        }
    }

    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Waits before it answers.
    #[must_use]
    pub fn after(self, delay: Duration) -> Self {
        Self { delay, ..self }
    }

    fn pieces(piece: Bytes, count: Option<usize>, pause: Duration) -> Self {
        Self {
            content: Content::Pieces { piece, count, pause },
            ..Self::status(200)
        }
    }
}

impl Target {
    /// A server that answers 200 `ok` until it is told otherwise.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn start() -> Result<Self> {
        let state = Arc::new(State {
            books: Mutex::default(),
            held: watch::Sender::default(),
        });
        let handler_state = Arc::clone(&state);
        let server = HttpServer::start(move |request| serve(Arc::clone(&handler_state), request))?;
        Ok(Self { server, state })
    }

    /// `path` begins with a slash and may have a query.
    pub fn url(&self, path: &str) -> String {
        format!("{}{path}", self.server.url())
    }

    pub fn port(&self) -> u16 {
        self.server.address().port()
    }

    /// From now on requests for `path` (without query) get this answer.
    pub fn answer(&self, path: &str, answer: Answer) {
        self.answer_in_turn(path, [answer]);
    }

    /// The next requests for `path` get one answer each, in this order; the last answer stays.
    pub fn answer_in_turn(&self, path: &str, answers: impl IntoIterator<Item = Answer>) {
        self.state.books().answers.insert(path.to_owned(), answers.into_iter().collect());
    }

    /// Requests for `path` wait unanswered until it is released.
    pub fn hold(&self, path: &str) {
        self.state.held.send_modify(|held| {
            held.insert(path.to_owned());
        });
    }

    pub fn release(&self, path: &str) {
        self.state.held.send_modify(|held| {
            held.remove(path);
        });
    }

    /// Everything that arrived, in order of arrival, answered or not.
    pub fn received(&self) -> Vec<Received> {
        self.state.books().received.clone()
    }

    pub fn received_count(&self) -> usize {
        self.state.books().received.len()
    }

    /// How often a request with this key (or path) arrived.
    pub fn count(&self, key: &str) -> usize {
        self.state.books().received.iter().filter(|received| received.key == key).count()
    }

    pub fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for received in &self.state.books().received {
            *counts.entry(received.key.clone()).or_default() += 1;
        }
        counts
    }

    /// Requests for `path` that are not answered yet.
    pub fn in_flight(&self, path: &str) -> usize {
        self.state.books().by_path.get(path).copied().unwrap_or_default()
    }

    /// Distinct Operations with requests in flight now.
    pub fn operations_in_flight(&self) -> usize {
        self.state.books().by_operation.len()
    }

    /// The most distinct Operations that ever had requests in flight at one time.
    pub fn operations_in_flight_peak(&self) -> usize {
        self.state.books().operations_peak
    }

    /// Forgets what arrived and the peak; answers and holds stay.
    pub fn forget(&self) {
        let mut books = self.state.books();
        books.received.clear();
        books.operations_peak = books.by_operation.len();
    }
}

impl State {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arrive(self: Arc<Self>, received: Received) -> InFlight {
        let (path, operation) = (received.path.clone(), received.operation.clone());
        let mut books = self.books();
        *books.by_path.entry(path.clone()).or_default() += 1;
        if let Some(operation) = &operation {
            *books.by_operation.entry(operation.clone()).or_default() += 1;
            books.operations_peak = books.operations_peak.max(books.by_operation.len());
        }
        books.received.push(received);
        drop(books);
        InFlight {
            state: self,
            path,
            operation,
        }
    }

    fn next_answer(&self, path: &str) -> Answer {
        let mut books = self.books();
        let planned = books.answers.get_mut(path).and_then(|queue| {
            if queue.len() > 1 {
                queue.pop_front()
            } else {
                queue.front().cloned()
            }
        });
        planned.unwrap_or_else(|| Answer::body("ok"))
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        let mut books = self.state.books();
        leave(&mut books.by_path, &self.path);
        if let Some(operation) = &self.operation {
            leave(&mut books.by_operation, operation);
        }
    }
}

fn leave(counts: &mut HashMap<String, usize>, name: &str) {
    if let Some(count) = counts.get_mut(name) {
        *count = count.saturating_sub(1);
        if *count == 0 {
            counts.remove(name);
        }
    }
}

async fn serve(state: Arc<State>, request: Request<Incoming>) -> Reply {
    let (head, body) = request.into_parts();
    let parameters: HashMap<String, String> = url::form_urlencoded::parse(head.uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect();
    let named = |name: &str| {
        let header = head.headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
        header.or_else(|| parameters.get(name).cloned())
    };
    let path = head.uri.path().to_owned();
    let text = |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let received = Received {
        method: head.method.to_string(),
        query: head.uri.query().unwrap_or_default().to_owned(),
        key: named("key").unwrap_or_else(|| path.clone()),
        operation: named("op"),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: Limited::new(body, LONGEST_REQUEST)
            .collect()
            .await
            .map(http_body_util::Collected::to_bytes)
            .unwrap_or_default(),
        path: path.clone(),
    };
    let in_flight = Arc::clone(&state).arrive(received);
    // Fails only when the target is gone, and then so is this task.
    let _ = state.held.subscribe().wait_for(|held| !held.contains(&path)).await;
    let answer = state.next_answer(&path);
    sleep(answer.delay).await;
    reply(answer, in_flight)
}

fn reply(answer: Answer, in_flight: InFlight) -> Reply {
    let mut response = match answer.content {
        Content::HangUp => return Reply::HangUp,
        Content::Malformed(bytes) => return Reply::Raw(bytes),
        Content::Whole(bytes) => wire::answer(answer.status, bytes),
        Content::Pieces { piece, count, pause } => Response::new(in_pieces(piece, count, pause, in_flight)),
    };
    *response.status_mut() = answer.status;
    for (name, value) in answer.headers {
        let pair = (name.parse::<http::HeaderName>(), value.parse::<http::HeaderValue>());
        if let (Ok(name), Ok(value)) = pair {
            response.headers_mut().append(name, value);
        }
    }
    Reply::Answer(response)
}

fn in_pieces(piece: Bytes, count: Option<usize>, pause: Duration, in_flight: InFlight) -> Body {
    let pieces = stream::unfold((count, in_flight), move |(left, in_flight)| {
        let piece = piece.clone();
        async move {
            let next = match left {
                Some(left) => Some(left.checked_sub(1)?),
                None => None,
            };
            sleep(pause).await;
            Some((Ok::<_, io::Error>(Frame::data(piece)), (next, in_flight)))
        }
    });
    StreamBody::new(pieces).boxed_unsync()
}
