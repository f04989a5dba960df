//! What the program answers over HTTP: probes for the kubelet, metrics for Prometheus.
//!
//! Connections are bounded in number, the head of a request in size and time: whoever may reach the port may not exhaust the process.

pub mod metrics;
pub mod probes;

use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Connections at a time; more wait to be accepted.
const CONNECTIONS: usize = 256;

/// How long the head of a request may take to arrive, also the next one on the same connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(15);

/// Bytes that a connection may have sent without them being understood.
const HEAD_SIZE: usize = 16 << 10;

/// How long requests under way may take once the server is told to stop.
const GRACE: Duration = Duration::from_secs(5);

/// Serves `router` on `listener` until `shutdown`, then finishes what is under way, within 5 s.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()>) {
    let graceful = GracefulShutdown::new();
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut shutdown = pin!(shutdown);
    loop {
        // The semaphore is never closed, so there is always a permit in the end.
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = async { (Arc::clone(&connections).acquire_owned().await, listener.accept().await) } => accepted,
        };
        match accepted {
            (permit, Ok((stream, _))) => {
                let connection = graceful.watch(answer(stream, router.clone()));
                tokio::spawn(async move {
                    if let Err(error) = connection.await {
                        tracing::debug!(%error, "a connection to the probes or metrics broke");
                    }
                    drop(permit);
                });
            }
            (_, Err(error)) => wait_out(&error).await,
        }
    }
    drop(listener);
    if tokio::time::timeout(GRACE, graceful.shutdown()).await.is_err() {
        tracing::debug!("connections to the probes or metrics were cut");
    }
}

fn answer(stream: TcpStream, router: Router) -> http1::Connection<TokioIo<TcpStream>, TowerToHyperService<Router>> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_SIZE)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
}

/// A connection that broke before it was accepted says nothing about the next; running out of file descriptors does.
async fn wait_out(error: &io::Error) {
    if !matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused | io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset
    ) {
        tracing::warn!(%error, "failed to accept a connection to the probes or metrics");
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
    use super::*;
    use crate::telemetry::metrics::Metrics;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio_util::sync::CancellationToken;

    async fn start(router: Router) -> (std::net::SocketAddr, CancellationToken, tokio::task::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let server = tokio::spawn(serve(listener, router, stop.clone().cancelled_owned()));
        (address, stop, server)
    }

    async fn exchange(address: std::net::SocketAddr, request: &[u8]) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let _ = stream.write_all(request).await;
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        String::from_utf8(answer).unwrap()
    }

    #[tokio::test]
    async fn probes_answer_by_what_the_process_does() {
        let health = probes::Health::default();
        let (address, stop, server) = start(probes::router(health.clone())).await;
        let ask = async |path: &str| {
            exchange(
                address,
                format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes(),
            )
            .await
        };
        for (role, status, body) in [
            (probes::Role::Starting, "503", "starting"),
            (probes::Role::Standby, "200", "standby"),
            (probes::Role::Leader, "200", "leader"),
            (probes::Role::Stopping, "503", "stopping"),
        ] {
            health.set(role);
            assert_eq!(health.role(), role);
            let ready = ask("/readyz").await;
            assert!(
                ready.starts_with(&format!("HTTP/1.1 {status} ")) && ready.ends_with(&format!("\r\n\r\n{body}\n")),
                "{ready}"
            );
            assert!(ask("/healthz").await.starts_with("HTTP/1.1 200 "));
        }
        assert!(ask("/metrics").await.starts_with("HTTP/1.1 404 "));
        stop.cancel();
        server.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "a stopped server accepts nothing");
    }

    #[tokio::test]
    async fn metrics_are_told_as_prometheus_reads_them() {
        let metrics = Metrics::new();
        metrics.set_leader(true);
        let (address, _stop, _server) = start(metrics::router(metrics)).await;
        let answer = exchange(address, b"GET /metrics HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(
            answer.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8\r\n"),
            "{answer}"
        );
        assert!(
            answer.contains("\nthermostat_leader 1\n") && answer.ends_with("# EOF\n"),
            "{answer}"
        );
    }

    #[tokio::test]
    async fn an_oversized_or_malformed_request_is_refused() {
        let (address, _stop, _server) = start(probes::router(probes::Health::default())).await;
        let huge = format!("GET /healthz HTTP/1.1\r\nhost: {}\r\n\r\n", "x".repeat(2 * HEAD_SIZE));
        for (request, status) in [(huge.as_bytes(), "431"), (b"\x16\x03\x01\r\n\r\n", "400")] {
            let answer = exchange(address, request).await;
            assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        }
        let fine = exchange(address, b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
        assert!(fine.starts_with("HTTP/1.1 200 "), "{fine}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_that_never_comes_is_not_waited_for() {
        let (address, _stop, _server) = start(probes::router(probes::Health::default())).await;
        let started = tokio::time::Instant::now();
        let _ = exchange(address, b"GET /healthz HTT").await;
        assert!(started.elapsed() < 2 * HEAD_TIMEOUT, "{:?}", started.elapsed());
    }
}
