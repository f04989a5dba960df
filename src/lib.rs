//! Thermostat holds a thing where you set it.

pub mod api;
pub mod runbook;
