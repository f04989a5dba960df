#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]
//! The election against a Lease in memory that keeps resourceVersions as the API server does, under a clock that runs as fast as the tests allow.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures::FutureExt as _;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Client;
use serde_json::json;
use tokio::time::{Instant, advance, sleep, timeout};

use super::*;

/// What the server does instead of its duty.
#[derive(Clone, Copy, PartialEq)]
enum Fault {
    None,
    /// It does not answer.
    Stalls,
    /// It refuses.
    Fails,
    /// It does what it is asked to, and answers that it failed.
    LosesAnswers,
}

#[derive(Clone)]
struct Server(Arc<Mutex<(Option<Lease>, u64, Fault)>>);

impl Server {
    fn new() -> Self {
        Self(Arc::new(Mutex::new((None, 0, Fault::None))))
    }

    fn candidate(&self, identity: &str) -> Election {
        let one = "/apis/coordination.k8s.io/v1/namespaces/ns/leases/leader";
        let all = "/apis/coordination.k8s.io/v1/namespaces/ns/leases";
        let router = Router::new()
            .route(one, get(read).put(replace))
            .route(all, get(|| async { failure(StatusCode::FORBIDDEN, "Forbidden") }).post(create))
            .with_state(self.clone());
        Election::new(Client::new(router, "ns"), Config::new("ns", "leader", identity)).unwrap()
    }

    fn lease(&self) -> Option<Lease> {
        self.0.lock().unwrap().0.clone()
    }

    fn holder(&self) -> Option<String> {
        self.lease()?.spec?.holder_identity
    }

    /// Changes the Lease as kubectl would.
    fn edit(&self, change: impl FnOnce(&mut Option<Lease>)) {
        let mut state = self.0.lock().unwrap();
        state.1 += 1;
        let version = state.1.to_string();
        change(&mut state.0);
        if let Some(lease) = &mut state.0 {
            lease.metadata.resource_version = Some(version);
        }
    }

    fn set_fault(&self, fault: Fault) {
        self.0.lock().unwrap().2 = fault;
    }

    /// Writes `lease`, if the fault lets it.
    async fn write(&self, lease: Lease) -> Response {
        let fault = self.0.lock().unwrap().2;
        match fault {
            Fault::Stalls => std::future::pending().await,
            Fault::Fails => failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
            Fault::None | Fault::LosesAnswers => {
                self.edit(|stored| *stored = Some(lease));
                match fault {
                    Fault::LosesAnswers => failure(StatusCode::GATEWAY_TIMEOUT, "Timeout"),
                    _ => axum::Json(self.lease()).into_response(),
                }
            }
        }
    }
}

fn failure(status: StatusCode, reason: &str) -> Response {
    let body =
        json!({"kind": "Status", "apiVersion": "v1", "status": "Failure", "message": reason, "reason": reason, "code": status.as_u16()});
    (status, axum::Json(body)).into_response()
}

async fn read(State(server): State<Server>) -> Response {
    let fault = server.0.lock().unwrap().2;
    match (fault, server.lease()) {
        (Fault::Stalls, _) => std::future::pending().await,
        (Fault::Fails, _) => failure(StatusCode::INTERNAL_SERVER_ERROR, "InternalError"),
        (_, Some(lease)) => axum::Json(lease).into_response(),
        (_, None) => failure(StatusCode::NOT_FOUND, "NotFound"),
    }
}

async fn replace(State(server): State<Server>, axum::Json(lease): axum::Json<Lease>) -> Response {
    match server.lease() {
        None => failure(StatusCode::NOT_FOUND, "NotFound"),
        Some(stored) if stored.metadata.resource_version != lease.metadata.resource_version => failure(StatusCode::CONFLICT, "Conflict"),
        Some(_) => server.write(lease).await,
    }
}

async fn create(State(server): State<Server>, axum::Json(lease): axum::Json<Lease>) -> Response {
    if server.lease().is_some() {
        failure(StatusCode::CONFLICT, "AlreadyExists")
    } else {
        server.write(lease).await
    }
}

const MINUTE: Duration = Duration::from_mins(1);

#[tokio::test(start_paused = true)]
async fn the_first_candidate_leads_and_keeps_leading() {
    let server = Server::new();
    let leadership = server.candidate("a").acquire().await;
    assert_eq!(
        (leadership.epoch(), leadership.identity(), server.holder().as_deref()),
        (0, "a", Some("a"))
    );
    let mut second = server.candidate("b");
    assert!(
        timeout(10 * MINUTE, second.acquire()).await.is_err(),
        "nobody else leads while the first renews"
    );
    assert!(!leadership.lost().is_cancelled());
    assert_eq!(server.lease().unwrap().spec.unwrap().lease_duration_seconds, Some(15));
}

#[tokio::test(start_paused = true)]
async fn a_released_lease_is_taken_at_once_with_the_next_epoch() {
    let server = Server::new();
    let first = server.candidate("a").acquire().await;
    let mut second = server.candidate("b");
    let successor = tokio::spawn(async move { second.acquire().await });
    sleep(MINUTE).await;
    let lost = first.lost();
    let released = Instant::now();
    first.release().await.unwrap();
    assert!(!lost.is_cancelled(), "giving it away is not losing it");
    let successor = successor.await.unwrap();
    assert!(released.elapsed() <= Duration::from_millis(2500), "{:?}", released.elapsed());
    assert_eq!((successor.epoch(), server.holder().as_deref()), (1, Some("b")));
}

#[tokio::test(start_paused = true)]
async fn a_dead_leader_is_succeeded_at_the_instant_of_expiry_and_not_before() {
    let server = Server::new();
    let first = server.candidate("a").acquire().await;
    let died = Instant::now();
    drop(first);
    let second = server.candidate("b").acquire().await;
    let waited = died.elapsed();
    assert!(
        waited >= Duration::from_secs(15) && waited < Duration::from_millis(15_100),
        "{waited:?}"
    );
    assert_eq!(second.epoch(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_cannot_renew_stops_by_its_deadline_and_before_its_successor_begins() {
    for fault in [Fault::Stalls, Fault::Fails] {
        let server = Server::new();
        let first = server.candidate("a").acquire().await;
        sleep(MINUTE).await;
        server.set_fault(fault);
        let broken = Instant::now();
        first.lost().cancelled().await;
        let noticed = broken.elapsed();
        assert!(
            noticed <= Duration::from_secs(10) && noticed >= Duration::from_secs(7),
            "{noticed:?}"
        );
        server.set_fault(Fault::None);
        first.release().await.unwrap();
        assert_eq!(server.holder().as_deref(), Some("a"), "what is lost is not released");
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_that_hung_past_its_deadline_may_not_act_before_it_knows_that() {
    let server = Server::new();
    let first = server.candidate("a").acquire().await;
    let tenure = first.tenure();
    sleep(MINUTE).await;
    assert!(tenure.holds(), "it was renewed all along");
    // polled once, it moves the clock and lets no other task run
    let _ = advance(Duration::from_secs(11)).now_or_never();
    assert!(!first.lost().is_cancelled());
    assert!(!tenure.holds());
}

#[tokio::test(start_paused = true)]
async fn a_short_outage_costs_nothing() {
    let server = Server::new();
    let first = server.candidate("a").acquire().await;
    for fault in [Fault::Fails, Fault::Stalls, Fault::LosesAnswers] {
        sleep(MINUTE).await;
        server.set_fault(fault);
        sleep(Duration::from_secs(5)).await;
        server.set_fault(Fault::None);
        sleep(MINUTE).await;
        assert!(!first.lost().is_cancelled());
    }
}

#[tokio::test(start_paused = true)]
async fn a_leader_whose_lease_was_taken_notices_at_its_next_renewal() {
    let server = Server::new();
    let first = server.candidate("a").acquire().await;
    for thief in [Some("thief".to_owned()), None] {
        let server = Server::new();
        let first = server.candidate("a").acquire().await;
        server.edit(|lease| lease.as_mut().unwrap().spec.as_mut().unwrap().holder_identity.clone_from(&thief));
        timeout(Duration::from_millis(2500), first.lost().cancelled()).await.unwrap();
        first.release().await.unwrap();
        assert_eq!(server.holder(), thief);
    }
    assert!(!first.lost().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn a_leader_survives_edits_of_its_lease_and_its_deletion() {
    let server = Server::new();
    let first = server.candidate("a").acquire().await;
    let mine = ("mine".to_owned(), "1".to_owned());
    server.edit(|lease| lease.as_mut().unwrap().metadata.annotations.get_or_insert_default().extend([mine]));
    sleep(MINUTE).await;
    assert_eq!(
        server.lease().unwrap().metadata.annotations.unwrap()["mine"],
        "1",
        "what others wrote stays"
    );
    let mut second = server.candidate("b");
    let standby = tokio::spawn(async move { second.acquire().await });
    sleep(MINUTE).await;
    server.edit(|lease| *lease = None);
    sleep(MINUTE).await;
    assert!(
        !standby.is_finished() && !first.lost().is_cancelled(),
        "a standby respects a deleted lease until it would have expired"
    );
    assert_eq!(
        (server.holder().as_deref(), lease::epoch(&server.lease().unwrap())),
        (Some("a"), first.epoch())
    );
    standby.abort();
}

#[tokio::test(start_paused = true)]
async fn a_candidate_whose_success_was_not_acknowledged_leads_under_a_fresh_epoch() {
    let server = Server::new();
    server.set_fault(Fault::LosesAnswers);
    let mut first = server.candidate("a");
    assert!(timeout(MINUTE, first.acquire()).await.is_err());
    server.set_fault(Fault::None);
    let before = lease::epoch(&server.lease().unwrap());
    assert_eq!(first.acquire().await.epoch(), before + 1);
}

#[tokio::test(start_paused = true)]
async fn of_many_candidates_exactly_one_leads() {
    let server = Server::new();
    let mut tasks: Vec<_> = (0..10)
        .map(|number| {
            let mut candidate = server.candidate(&number.to_string());
            tokio::spawn(async move { candidate.acquire().await })
        })
        .collect();
    for epoch in 0..10 {
        sleep(MINUTE).await;
        let leading: Vec<usize> = (0..tasks.len()).filter(|place| tasks[*place].is_finished()).collect();
        assert_eq!(leading.len(), 1, "{leading:?}");
        let leadership = tasks.remove(leading[0]).await.unwrap();
        assert_eq!(leadership.epoch(), epoch);
        leadership.release().await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_candidate_waits_for_an_api_server_that_is_not_there_yet() {
    let server = Server::new();
    server.set_fault(Fault::Stalls);
    let mut first = server.candidate("a");
    let candidate = tokio::spawn(async move { first.acquire().await });
    sleep(MINUTE).await;
    server.set_fault(Fault::None);
    assert_eq!(timeout(Duration::from_secs(10), candidate).await.unwrap().unwrap().epoch(), 0);
}
