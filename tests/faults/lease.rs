//! Who leads, by the Lease itself.

use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;

use crate::harness::{
    Failure, Result,
    control_plane::ControlPlane,
    controller::{Controller, NAMESPACE},
    wait::eventually,
};

/// A leadership: who, and its number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    pub identity: String,
    pub epoch: i64,
}

impl Held {
    /// Whether it is this controller, whose log tells its identity at each start.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn is_by(&self, controller: &Controller) -> Result<bool> {
        Ok(controller.log()?.contains(&format!("started identity=\"{}\"", self.identity)))
    }
}

pub struct Leases(Api<Lease>);

impl Leases {
    /// # Errors
    /// When the control plane cannot be reached.
    pub async fn of(plane: &ControlPlane) -> Result<Self> {
        Ok(Self(Api::namespaced(plane.client().await?, NAMESPACE)))
    }

    /// Who leads now.
    ///
    /// # Errors
    /// When nobody does.
    pub async fn held(&self) -> Result<Held> {
        let spec = self.0.get("thermostat").await?.spec.unwrap_or_default();
        let identity = spec.holder_identity.filter(|holder| !holder.is_empty());
        Ok(Held {
            identity: identity.ok_or_else(|| Failure::new("the Lease was released"))?,
            epoch: spec.lease_transitions.unwrap_or_default().into(),
        })
    }

    /// Waits until somebody leads after the leadership `before`.
    ///
    /// # Errors
    /// When nobody does within `within`.
    pub async fn held_after(&self, before: Option<&Held>, within: std::time::Duration) -> Result<Held> {
        eventually("somebody else leads", within, async || match self.held().await {
            Ok(held) if before.is_none_or(|before| held.epoch > before.epoch) => Ok(held),
            Ok(held) => Err(Failure::new(format!("{held:?}"))),
            Err(failure) => Err(failure),
        })
        .await
    }
}
