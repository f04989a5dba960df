//! Thermostat holds a thing where you set it.
//!
//! | module | what it is for |
//! |---|---|
//! | [`api`] | what users write: the kinds. Types only |
//! | [`runbook`] | the runbook language, pure |
//! | [`remote`] | the other outside worlds, one file each |
//! | [`telemetry`] | logging, metrics, redaction |
//! | [`controller`] | what the controllers share |
//! | [`operation`] | the life of an Operation |
//! | [`queue`] | the life of an `OperationQueue` |
//! | [`server`] | probes and metrics |
//! | [`cli`] | one file per command |
//!
//! `main -> cli -> { server, operation, queue } -> controller -> { api, telemetry }`; `operation -> runbook, remote`;
//! `server -> runbook`; `cli -> runbook, remote, api`. An arrow allows everything further to the right. The kinds never import each
//! other: they meet in the Kubernetes API. `tests/architecture.rs` proves these sentences.

pub mod api;
pub mod cli;
pub mod controller;
pub mod operation;
pub mod queue;
pub mod remote;
pub mod runbook;
pub mod server;
pub mod telemetry;
