//! What the program tells about itself.
//!
//! | module | what it settles |
//! |---|---|
//! | [`logging`] | where log lines go, which, and how they look |
//! | [`metrics`] | every figure that Prometheus can scrape |
//! | [`redaction`] | secrets in text and values, masked; pure |

pub mod logging;
pub mod metrics;
pub mod redaction;
