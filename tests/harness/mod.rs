//! The real things that tests, the demo and the benchmarks run against: a control plane, controllers, HTTP targets
//! and a proxy that breaks what passes through it.
//!
//! | module | what it is |
//! |---|---|
//! | [`binaries`] | finds the control plane's programs, or builds them once |
//! | [`process`] | a program that ends with the one that started it, however that ends |
//! | [`directory`] | a folder that is removed in the same way |
//! | [`port`] | TCP ports that nobody uses |
//! | [`control_plane`] | etcd, API server, controller manager, kubectl |
//! | [`servers`] | the servers' flags, and when they are ready |
//! | [`kubeconfig`] | who talks to which API server |
//! | [`traffic`] | what the API server says it was asked |
//! | [`controller`] | `thermostat controller` as a process, under its own ServiceAccount |
//! | [`wire`] | an HTTP server that may also hang up or speak nonsense |
//! | [`target`] | the HTTP service that runbooks call: counts, and answers as told |
//! | [`fault_proxy`] | stands before the API server and breaks things as told |
//! | [`wait`] | waiting for something that must come true |
//! | [`random`] | randomness that can be repeated, and kills at random instants |
//!
//! Nothing here panics: what goes wrong is a [`Failure`] that says what was tried and what was seen.

#![expect(dead_code, reason = "each test binary uses its own part of the harness")]

pub mod binaries;
pub mod control_plane;
pub mod controller;
pub mod directory;
pub mod fault_proxy;
pub mod kubeconfig;
pub mod port;
pub mod process;
pub mod random;
pub mod servers;
pub mod target;
pub mod traffic;
pub mod wait;
pub mod wire;

use std::fmt;

/// Why the harness could not do what it was asked, told to the person who reads the test's output.
///
/// Deliberately no `std::error::Error`: that lets `?` turn every error into one.
pub struct Failure(String);

pub type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }

    /// Says what was being done when it happened.
    pub fn during(error: impl fmt::Display, what: impl fmt::Display) -> Self {
        Self(format!("failed to {what}: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The same as `Display`: it is what a test that returns an error prints.
impl fmt::Debug for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<E: std::error::Error> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut message = error.to_string();
        let mut source = error.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self(message)
    }
}
