//! Thermostat holds a thing where you set it.

pub mod controller;
pub mod remote;
pub mod runbook;
pub mod server;
pub mod telemetry;
