//! `/healthz` and `/readyz`, for the kubelet.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;

/// What a controller does at the moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Role {
    /// It does not know the cluster yet.
    Starting,
    /// It would lead if the leader went away.
    Standby,
    /// It runs Operations.
    Leader,
    /// It was told to stop.
    Stopping,
}

impl Role {
    const ALL: [Self; 4] = [Self::Starting, Self::Standby, Self::Leader, Self::Stopping];

    /// Ready is who leads, and who could at once.
    fn answer(self) -> (StatusCode, &'static str) {
        match self {
            Self::Starting => (StatusCode::SERVICE_UNAVAILABLE, "starting\n"),
            Self::Standby => (StatusCode::OK, "standby\n"),
            Self::Leader => (StatusCode::OK, "leader\n"),
            Self::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n"),
        }
    }
}

/// What the probes tell; at first [`Role::Starting`]. Cheap to clone, all clones tell the same.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<AtomicU8>);

impl Health {
    /// From now on the process does this.
    pub fn set(&self, role: Role) {
        self.0.store(role as u8, Ordering::Relaxed);
    }

    /// What the process does.
    #[must_use]
    pub fn role(&self) -> Role {
        let stored = self.0.load(Ordering::Relaxed);
        Role::ALL.into_iter().find(|role| *role as u8 == stored).unwrap_or(Role::Starting)
    }
}

/// Answers `/healthz` (200 while the process can answer at all) and `/readyz` (200 for a leader and a standby whose caches are filled, else 503; the body names the role).
pub fn router(health: Health) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "ok\n" }))
        .route("/readyz", get(ready))
        .with_state(health)
}

async fn ready(State(health): State<Health>) -> (StatusCode, &'static str) {
    health.role().answer()
}
