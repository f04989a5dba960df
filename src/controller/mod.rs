//! What the controllers share.

pub mod leader;
