//! The controller is killed at random instants, again and again, while it runs Operations that must not run a step twice.

use std::{
    env,
    ops::Range,
    time::{Duration, Instant},
};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    harness::{Failure, Result, control_plane::ControlPlane, random::seed},
    history::History,
    measured, restart_if_lease_was_lost, short_lease_controller,
    verdict::Verdict,
    workload::{STEPS, Workload},
};

const OPERATIONS: usize = 200;
const KILLS: &str = "THERMOSTAT_KILLS";
/// How long the repeatable steps take. At the end of a take-over many are over, and many are not.
const PAUSE: Range<Duration> = Duration::from_secs(1)..Duration::from_secs(4);
/// Between the progress at which a kill is due and the kill.
const JITTER: Range<Duration> = Duration::ZERO..Duration::from_secs(1);
/// For so long no Operation may end. Long, for the machine may be busy.
const PATIENCE: Duration = Duration::from_mins(2);

fn kills() -> Result<usize> {
    match env::var(KILLS) {
        Ok(text) => text
            .parse()
            .map_err(|error| Failure::during(error, format_args!("read {KILLS}={text} as a number"))),
        Err(_) => Ok(20),
    }
}

/// Instants at random, as how many steps have ended by then: so they spread over all Operations however fast the machine is.
fn instants(kills: usize, rng: &mut StdRng) -> Vec<usize> {
    let mut instants: Vec<_> = (0..kills).map(|_| rng.random_range(0..OPERATIONS * STEPS)).collect();
    instants.sort_unstable();
    instants
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_instants_it_runs_no_step_twice_and_ends_every_operation() -> Result<()> {
    let (kills, seed) = (kills()?, seed()?);
    let mut rng = StdRng::seed_from_u64(seed);
    // Such that an Operation meets two kills on average, however many there are.
    let max_concurrent = (2 * OPERATIONS / kills.max(1)).clamp(4, 20);
    let plane = ControlPlane::start()?;
    let workload = Workload::begin(&plane, max_concurrent).await?;
    let history = History::follow(&workload);
    let started = Instant::now();
    workload.create("counted", OPERATIONS, PAUSE, &mut rng).await?;
    let mut controller = short_lease_controller(&plane)?;
    let mut lost = 0;
    for instant in instants(kills, &mut rng) {
        let mut restarting = || restart_if_lease_was_lost(&mut controller).map(|restarted| lost += u32::from(restarted));
        history.progress(instant, PATIENCE, &mut restarting).await?;
        sleep(rng.random_range(JITTER)).await;
        restarting()?;
        controller.start_again()?;
    }
    let (ended_before, epoch) = (history.ended(), history.epoch());
    let restarting = || restart_if_lease_was_lost(&mut controller).map(|restarted| lost += u32::from(restarted));
    history.progress(OPERATIONS * STEPS, PATIENCE, restarting).await?;
    let took = started.elapsed();
    let verdict = Verdict::of(&workload, &history.lives()).await?;
    let peak = workload.target.operations_in_flight_peak();
    measured::tell(
        "kills",
        &format!(
            "seed {seed}: {kills} kills by SIGKILL at random instants, which ended {epoch} leaderships; {ended_before} Operations had ended at the last\n\
             {verdict}\n\
             at most {peak} Operations had requests at the target at one time, of {max_concurrent} that the queue allows\n\
             {:.0} s in all; {lost} times a controller was too slow to renew its Lease and ended by itself",
            took.as_secs_f64(),
        ),
    )?;
    history.check()?;
    assert_eq!(verdict.operations, OPERATIONS);
    assert!(peak <= max_concurrent, "{peak} Operations at one time");
    assert!(verdict.succeeded * 4 >= OPERATIONS, "a quarter should have succeeded");
    assert!(
        verdict.succeeded_over_epochs * 2 >= verdict.succeeded,
        "half of those that succeeded should have run under two or more runner epochs"
    );
    assert!(verdict.posts_interrupted > 0, "no kill hit a POST: nothing was proven");
    Ok(())
}
