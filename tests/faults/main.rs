//! What the controller promises when things break: no step runs twice, no queue runs more than its own, and every
//! Operation comes to its end.
//!
//! | module | what breaks |
//! |---|---|
//! | [`kills`] | the controller, by SIGKILL at random instants |
//! | [`two_controllers`] | nothing, but there are two of them, of which one hangs for a while |
//! | [`take_over`] | the leader, and how long its successor takes |
//! | [`api_faults`] | the API server, or the way to it |
//!
//! Every test prints what it measured. With `THERMOSTAT_RELIABILITY=FILE` it also writes that into its section of the file.

#[path = "../harness/mod.rs"]
mod harness;

mod api_faults;
mod history;
mod kills;
mod lease;
mod measured;
mod take_over;
mod two_controllers;
mod verdict;
mod workload;

use harness::{
    Failure, Result,
    control_plane::ControlPlane,
    controller::{Controller, Setup},
};

/// A lease so short that a dead leader is followed soon, as the flags of the controller.
const SHORT_LEASE: [&str; 6] = ["--lease-duration", "3s", "--renew-deadline", "2s", "--retry-period", "500ms"];

/// Why a controller ended that lost its Lease, in its own words.
const LEASE_LOST: &str = "error: lost the lease: another may lead now";

/// A controller of this build.
fn controller(plane: &ControlPlane) -> Setup<'_> {
    Setup::of(plane, env!("CARGO_BIN_EXE_thermostat"))
}

/// A controller with [`SHORT_LEASE`], started.
fn short_lease_controller(plane: &ControlPlane) -> Result<Controller> {
    controller(plane).arguments(SHORT_LEASE).start()
}

/// Starts a controller again that ended because it could not renew its Lease in time, as its Deployment would. Whether it
/// did so: on a busy machine that happens under [`SHORT_LEASE`], and is what the controller promises.
///
/// # Errors
/// When it ended for another reason.
fn restart_if_lease_was_lost(controller: &mut Controller) -> Result<bool> {
    let Some(status) = controller.exit_status()? else {
        return Ok(false);
    };
    let log = controller.log()?;
    // Tasks that it stops may have a word after that.
    let since_its_start = log.rsplit("started identity=").next().unwrap_or_default();
    if status != 1 || !since_its_start.contains(LEASE_LOST) {
        return Err(Failure::new(format!("the controller ended by itself with status {status}\n{log}")));
    }
    controller.start_again()?;
    Ok(true)
}
