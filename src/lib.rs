//! Thermostat holds a thing where you set it.

pub mod remote;
pub mod runbook;
