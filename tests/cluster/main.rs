//! Operations from `kubectl apply` to their end, on a real API server, by a controller under its own `ServiceAccount`.
//!
//! One control plane and one controller serve all tests; each has its own namespace. Tests that need a controller of
//! their own (other flags, a crash) share a second control plane, where every controller looks after one namespace.

#[path = "../harness/mod.rs"]
mod harness;

mod admission;
mod documents;
mod egress;
mod failures;
mod invalid;
mod parameters;
mod pending;
mod queue;
mod restart;
mod runs;
mod scene;
