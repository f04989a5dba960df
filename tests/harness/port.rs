//! TCP ports that nobody uses.

use std::{
    collections::HashSet,
    net::{Ipv4Addr, TcpListener},
    ops::Range,
    sync::{LazyLock, Mutex, PoisonError},
};

use rand::RngExt as _;

use super::{Failure, Result};

/// Below the range from which the kernel takes ports for outgoing connections, so that none of those takes a port
/// between our look and the server's start.
const RANGE: Range<u16> = 12_000..32_000;

/// What this process has handed out, used or not.
static TAKEN: LazyLock<Mutex<HashSet<u16>>> = LazyLock::new(Mutex::default);

/// A port of 127.0.0.1 that was free a moment ago and that this process will not hand out again.
///
/// # Errors
/// When a thousand random ports are all in use.
pub fn free() -> Result<u16> {
    let mut taken = TAKEN.lock().unwrap_or_else(PoisonError::into_inner);
    for _ in 0..1000 {
        let port = rand::rng().random_range(RANGE);
        if !taken.contains(&port) && TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            taken.insert(port);
            return Ok(port);
        }
    }
    Err(Failure::new(format!(
        "found no free TCP port between {} and {}",
        RANGE.start, RANGE.end
    )))
}
