//! Randomness that can be repeated, and kills at random instants.

use std::{env, ops::Range, time::Duration};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use super::{Failure, Result, controller::Controller};

const SEED: &str = "THERMOSTAT_TEST_SEED";

/// A new seed, or the one to repeat; printed with the output of the test that asks.
///
/// # Errors
/// When the environment has a seed that is no number.
pub fn seed() -> Result<u64> {
    let seed = match env::var(SEED) {
        Ok(text) => text
            .parse()
            .map_err(|error| Failure::during(error, format_args!("read {SEED}={text} as a number")))?,
        Err(_) => rand::random(),
    };
    eprintln!("seed {seed}: {SEED}={seed} repeats it");
    Ok(seed)
}

/// # Errors
/// As [`seed`].
pub fn seeded() -> Result<StdRng> {
    Ok(StdRng::seed_from_u64(seed()?))
}

/// Lets the controller run for a random time of `lifetimes`, ends it by SIGKILL and starts it again. Gives the time.
///
/// # Errors
/// When it ended by itself before that, which a crash test must never take for a kill, or does not start again.
pub async fn kill_at_random(controller: &mut Controller, rng: &mut StdRng, lifetimes: Range<Duration>) -> Result<Duration> {
    let lifetime = rng.random_range(lifetimes);
    sleep(lifetime).await;
    if let Some(status) = controller.exit_status()? {
        return Err(Failure::new(format!(
            "the controller ended by itself with status {status}\n{}",
            controller.log()?
        )));
    }
    controller.start_again()?;
    Ok(lifetime)
}
