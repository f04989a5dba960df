#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
//! The guard and the bounds, against real sockets.

mod tls;

use std::future::Future;
use std::io::{self, Write};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::remote::egress::Names;

const AUTHORITY: &[u8] = include_bytes!("../../../tests/tls/authority.pem");

/// A server that answers the nth connection with the nth of `answers` (the last one again and again), byte for byte, and keeps what it was sent.
struct Server {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Server {
    async fn answering(answers: Vec<Vec<u8>>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        tokio::spawn(async move {
            for number in 0.. {
                let (mut socket, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 64 << 10];
                let length = socket.read(&mut buffer).await.unwrap_or(0);
                seen.lock().unwrap().push(String::from_utf8_lossy(&buffer[..length]).into_owned());
                let answer: &Vec<u8> = answers.get(number).or(answers.last()).unwrap();
                let _ = socket.write_all(answer).await;
            }
        });
        Self { port, requests }
    }

    /// Sends `head` and then `chunk` every few milliseconds for as long as anybody reads.
    async fn endless(head: &'static str, chunk: Vec<u8>, pause: Duration) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.unwrap();
            let _ = socket.read(&mut [0; 4096]).await;
            socket.write_all(head.as_bytes()).await.unwrap();
            while socket.write_all(&chunk).await.is_ok() {
                tokio::time::sleep(pause).await;
            }
        });
        Self {
            port,
            requests: Arc::default(),
        }
    }

    fn url(&self, path: &str) -> Url {
        format!("http://127.0.0.1:{}{path}", self.port).parse().unwrap()
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

fn ok(body: &str) -> Vec<u8> {
    format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{body}", body.len()).into_bytes()
}

fn redirect_to(status: u16, location: &str) -> Vec<u8> {
    format!("HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n").into_bytes()
}

fn gzipped(body: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(body).unwrap();
    let body = encoder.finish().unwrap();
    let mut answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    )
    .into_bytes();
    answer.extend(body);
    answer
}

fn client(egress: Egress) -> HttpClient {
    HttpClient::new(egress, Some(AUTHORITY)).unwrap()
}

fn open() -> HttpClient {
    client(Egress::open())
}

fn guarded(allow: &[&str]) -> HttpClient {
    client(Egress::guarded(allow.iter().map(|value| value.parse().unwrap())))
}

fn get(url: Url) -> Request {
    Request {
        timeout: Duration::from_secs(20),
        ..Request::new(Method::GET, url)
    }
}

async fn failure(client: &HttpClient, request: Request) -> HttpError {
    client.send(request).await.map(|response| response.status).unwrap_err()
}

#[tokio::test]
async fn an_answer_arrives_with_status_headers_and_body() {
    let server = Server::answering(vec![
        b"HTTP/1.1 503 Busy\r\nretry-after: 5\r\ncontent-length: 4\r\n\r\nwait".to_vec(),
    ])
    .await;
    let mut request = get(server.url("/x?y=1"));
    request.method = Method::POST;
    request.headers.insert("x-mine", "1".parse().unwrap());
    request.body = Some(b"hello".to_vec());
    let response = open().send(request).await.unwrap();
    assert_eq!(
        (
            response.status.as_u16(),
            response.headers["retry-after"].to_str().unwrap(),
            &response.body[..],
            response.truncated
        ),
        (503, "5", &b"wait"[..], false)
    );
    let sent = &server.requests()[0];
    assert!(
        sent.starts_with("POST /x?y=1 HTTP/1.1\r\n") && sent.contains("x-mine: 1\r\n") && sent.ends_with("\r\n\r\nhello"),
        "{sent}"
    );
    assert!(
        sent.contains(concat!("user-agent: thermostat/", env!("CARGO_PKG_VERSION"))),
        "{sent}"
    );
}

#[tokio::test]
async fn loopback_is_refused_in_every_spelling_and_nothing_is_sent() {
    let server = Server::answering(vec![ok("secret")]).await;
    for host in [
        "127.0.0.1",
        "localhost",
        "LOCALHOST",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "0.0.0.0",
        "0x7f.1",
        "2130706433",
        "127.1",
        "017700000001",
        "127.0.0.1.",
    ] {
        let url = parse_url(&format!("http://{host}:{}/", server.port)).unwrap();
        let error = failure(&guarded(&[]), get(url)).await;
        assert!(matches!(&error, HttpError::Refused { .. }), "{host}: {error}");
        assert!(error.to_string().contains("--egress-allow"), "{host}: {error}");
    }
    assert_eq!(server.requests(), Vec::<String>::new());
}

#[tokio::test]
async fn what_the_flag_opens_is_reached() {
    let server = Server::answering(vec![ok("hello")]).await;
    for (allow, host) in [
        ("127.0.0.0/8", "127.0.0.1"),
        ("localhost", "localhost"),
        ("127.0.0.0/8", "localhost"),
    ] {
        let url = format!("http://{host}:{}/", server.port).parse().unwrap();
        assert_eq!(guarded(&[allow]).send(get(url)).await.unwrap().body, b"hello", "{allow} {host}");
    }
}

#[tokio::test]
async fn a_redirect_to_a_refused_address_is_refused() {
    let server = Server::answering(vec![
        redirect_to(302, "http://127.0.0.2:1/"),
        redirect_to(302, "http://169.254.169.254/"),
        redirect_to(307, "http://[::ffff:169.254.169.254]/"),
    ])
    .await;
    let client = guarded(&["127.0.0.1"]);
    for address in ["127.0.0.2", "169.254.169.254", "::ffff:169.254.169.254"] {
        let error = failure(&client, get(server.url("/"))).await;
        assert!(
            matches!(&error, HttpError::Refused { refusal, .. } if refusal.address == address.parse::<IpAddr>().unwrap()),
            "{address}: {error}"
        );
    }
}

/// Answers with one address after the other.
struct Rebinding {
    answers: Vec<&'static str>,
    asked: Arc<AtomicUsize>,
}

impl Names for Rebinding {
    fn addresses(&self, _host: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send + '_>> {
        let number = self.asked.fetch_add(1, Ordering::SeqCst);
        let address = self.answers[number.min(self.answers.len() - 1)].parse().unwrap();
        Box::pin(async move { Ok(vec![address]) })
    }
}

#[tokio::test]
async fn the_address_that_was_checked_is_the_one_connected_to() {
    let server = Server::answering(vec![ok("hello")]).await;
    let asked = Arc::new(AtomicUsize::new(0));
    let egress = Egress::guarded(["127.0.0.1".parse().unwrap()]).with_names(Rebinding {
        answers: vec!["127.0.0.1", "127.0.0.2"],
        asked: Arc::clone(&asked),
    });
    let client = client(egress);
    let url: Url = format!("http://changing.example:{}/", server.port).parse().unwrap();
    assert_eq!(client.send(get(url.clone())).await.unwrap().body, b"hello");
    assert_eq!(
        asked.load(Ordering::SeqCst),
        1,
        "one query gives the address that is checked and connected to"
    );
    let error = failure(&client, get(url)).await;
    assert!(matches!(&error, HttpError::Refused { .. }), "the next request asks again: {error}");
}

#[tokio::test]
async fn a_health_check_by_tcp_obeys_the_same_guard() {
    let server = Server::answering(vec![ok("")]).await;
    let timeout = Duration::from_secs(5);
    for host in ["127.0.0.1", "localhost", "::1", "[::1]", "::ffff:127.0.0.1"] {
        let error = guarded(&[]).tcp_connect(host, server.port, timeout).await.unwrap_err();
        assert!(matches!(error, HttpError::Refused { .. }), "{host}: {error}");
    }
    guarded(&["127.0.0.1"])
        .tcp_connect("127.0.0.1", server.port, timeout)
        .await
        .unwrap();
}

#[tokio::test]
async fn redirects_are_followed_ten_times_and_no_more() {
    let hops = |count: usize| (0..count).map(|_| redirect_to(302, "/again")).chain([ok("there")]).collect();
    let server = Server::answering(hops(MAX_REDIRECTS)).await;
    assert_eq!(open().send(get(server.url("/"))).await.unwrap().body, b"there");
    let server = Server::answering(hops(MAX_REDIRECTS + 1)).await;
    assert!(matches!(
        failure(&open(), get(server.url("/"))).await,
        HttpError::TooManyRedirects { limit: 10, .. }
    ));
    let server = Server::answering(hops(1)).await;
    let answer = open()
        .send(Request {
            follow_redirects: false,
            ..get(server.url("/"))
        })
        .await
        .unwrap();
    assert_eq!(answer.status, StatusCode::FOUND);
}

#[tokio::test]
async fn what_the_runbook_put_into_headers_and_url_stays_with_the_first_origin() {
    let other = Server::answering(vec![ok("there")]).await;
    let server = Server::answering(vec![redirect_to(307, "/same"), redirect_to(307, other.url("/other").as_str())]).await;
    let mut url = server.url("/");
    url.set_username("user").unwrap();
    url.set_password(Some("pass")).unwrap();
    let mut request = Request {
        method: Method::POST,
        body: Some(b"{}".to_vec()),
        ..get(url)
    };
    for (name, value) in [
        ("x-auth-token", "t0ken"),
        ("cookie", "c=1"),
        ("x-mine", "m1ne"),
        ("content-type", "application/json"),
    ] {
        request.headers.insert(name, value.parse().unwrap());
    }
    open().send(request).await.unwrap();
    for sent in server.requests() {
        assert!(
            sent.contains("authorization: Basic ") && sent.contains("t0ken") && sent.contains("m1ne"),
            "{sent}"
        );
    }
    let sent = &other.requests()[0];
    assert!(
        sent.starts_with("POST /other HTTP/1.1\r\n") && sent.contains("content-type: application/json") && sent.ends_with("\r\n\r\n{}"),
        "{sent}"
    );
    assert!(
        !sent.contains("authorization") && !sent.contains("t0ken") && !sent.contains("cookie") && !sent.contains("m1ne"),
        "{sent}"
    );
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_or_cut() {
    let server = Server::answering(vec![ok(&"x".repeat(1001))]).await;
    let request = Request {
        max_body: 1000,
        ..get(server.url("/"))
    };
    let error = failure(&open(), request.clone()).await;
    assert!(matches!(error, HttpError::TooLarge { limit: 1000, .. }), "{error}");
    let cut = open()
        .send(Request {
            overflow: Overflow::Truncate,
            ..request.clone()
        })
        .await
        .unwrap();
    assert_eq!((cut.body.len(), cut.truncated), (1000, true));
    let whole = open().send(Request { max_body: 1001, ..request }).await.unwrap();
    assert_eq!((whole.body.len(), whole.truncated), (1001, false));
}

#[tokio::test]
async fn an_endless_body_ends_at_the_limit() {
    for head in ["HTTP/1.1 200 OK\r\n\r\n", "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"] {
        let chunk = if head.contains("chunked") {
            [b"4000\r\n".to_vec(), vec![b'x'; 0x4000], b"\r\n".to_vec()].concat()
        } else {
            vec![b'x'; 0x4000]
        };
        let server = Server::endless(head, chunk, Duration::ZERO).await;
        let error = failure(&open(), get(server.url("/"))).await;
        assert!(
            matches!(
                error,
                HttpError::TooLarge {
                    limit: DEFAULT_MAX_BODY,
                    ..
                }
            ),
            "{error}"
        );
    }
}

#[tokio::test]
async fn an_endless_head_ends_at_a_limit() {
    for (head, chunk) in [
        ("HTTP/1.1 200 OK\r\n", "a: b\r\n"),
        ("HTTP/1.1 200 OK\r\na: ", "bbbbbbbb"),
        ("", "HTTP/1.1 100 Continue\r\n\r\n"),
    ] {
        let server = Server::endless(head, chunk.repeat(1000).into_bytes(), Duration::ZERO).await;
        let error = failure(
            &open(),
            Request {
                timeout: Duration::from_millis(500),
                ..get(server.url("/"))
            },
        )
        .await;
        assert!(
            matches!(error, HttpError::Malformed { .. } | HttpError::TimedOut { .. }),
            "{chunk:?}: {error}"
        );
    }
}

#[tokio::test]
async fn a_body_that_trickles_ends_at_the_deadline() {
    let server = Server::endless("HTTP/1.1 200 OK\r\n\r\n", b"x".to_vec(), Duration::from_millis(5)).await;
    let started = std::time::Instant::now();
    let error = failure(
        &open(),
        Request {
            timeout: Duration::from_millis(100),
            ..get(server.url("/slow?token=s3cret"))
        },
    )
    .await;
    assert!(started.elapsed() < Duration::from_secs(5));
    assert_eq!(
        error.to_string(),
        format!("{} began to answer but did not finish within 100ms", server.url("/slow"))
    );
}

#[tokio::test]
async fn a_server_that_never_answers_ends_at_the_deadline() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/", listener.local_addr().unwrap()).parse().unwrap();
    let error = failure(
        &open(),
        Request {
            timeout: Duration::from_millis(50),
            ..get(url.clone())
        },
    )
    .await;
    assert_eq!(error.to_string(), format!("{url} did not answer within 50ms"));
}

#[tokio::test]
async fn a_gzip_bomb_is_bounded_by_what_it_unpacks_to() {
    let bomb = gzipped(&vec![0; 64 << 20]);
    assert!(bomb.len() < DEFAULT_MAX_BODY, "the bomb itself is small");
    let server = Server::answering(vec![bomb, gzipped(b"hello")]).await;
    let error = failure(&open(), get(server.url("/"))).await;
    assert!(matches!(error, HttpError::TooLarge { .. }), "{error}");
    assert_eq!(open().send(get(server.url("/"))).await.unwrap().body, b"hello");
}

#[tokio::test]
async fn an_answer_that_is_not_http_is_malformed_or_interrupted() {
    for (answer, malformed) in [
        (&b"HTTP/9.9 lots OK\r\n\r\n"[..], true),
        (b"SSH-2.0-OpenSSH_9.2\r\n", true),
        (b"\x15\x03\x01\x00\x02\x02\x46\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\ncontent-length: x\r\n\r\n", true),
        (b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzzz\r\n", true),
        (b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\n\r\nnot gzip at all", true),
        (b"", false),
        (b"HTTP/1.1 200 OK\r\ncontent-le", false),
        (b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nshort", false),
    ] {
        let server = Server::answering(vec![answer.to_vec()]).await;
        let error = failure(&open(), get(server.url("/"))).await;
        let expected = if malformed {
            matches!(error, HttpError::Malformed { .. })
        } else {
            matches!(error, HttpError::Interrupted { .. })
        };
        assert!(expected, "{:?}: {error:?}", String::from_utf8_lossy(answer));
    }
}

#[tokio::test]
async fn a_closed_port_and_an_unknown_name_are_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url: Url = format!("http://{}/health?key=s3cret", listener.local_addr().unwrap())
        .parse()
        .unwrap();
    drop(listener);
    let error = failure(&open(), get(url)).await;
    assert!(
        matches!(error, HttpError::ConnectionRefused { .. }) && !error.to_string().contains("s3cret"),
        "{error}"
    );
    let error = failure(&open(), get("http://nothing.invalid/".parse().unwrap())).await;
    assert!(matches!(error, HttpError::Dns { .. }), "{error}");
    assert!(
        error
            .to_string()
            .starts_with("failed to resolve the host of http://nothing.invalid/: "),
        "{error}"
    );
}

#[tokio::test]
async fn headers_of_the_connection_are_not_the_runbooks_to_set() {
    let mut request = get("http://127.0.0.1:1/".parse().unwrap());
    request.headers.insert("content-length", "5".parse().unwrap());
    assert_eq!(
        failure(&open(), request).await.to_string(),
        "header content-length belongs to the connection and is set by it; remove it from the request"
    );
}

#[test]
fn a_url_that_cannot_be_requested_is_refused_without_being_repeated() {
    for (text, hint) in [
        ("", "http://"),
        ("/healthz", "http://"),
        ("ftp://s3cret@host/", "not ftp:"),
        ("http://", "host"),
        ("http://s3cret@[::g]/", "address"),
        ("http://host:99999/", "port"),
        ("localhost:80", "not localhost:"),
    ] {
        let message = parse_url(text).unwrap_err().to_string();
        assert!(message.contains(hint) && !message.contains("s3cret"), "{text}: {message}");
    }
    assert_eq!(
        error::shown(&parse_url(" https://u:p@host:8443/a/b?q=1#f ").unwrap()),
        "https://host:8443/a/b"
    );
    assert!(error::shown(&parse_url(&format!("http://host/{}", "a".repeat(5000))).unwrap()).len() <= 203);
}
