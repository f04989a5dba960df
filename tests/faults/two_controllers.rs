//! Several controllers at once, of which one hangs now and then and comes back when another leads.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use thermostat::api::operation::Phase;
use tokio::time::sleep;

use crate::{
    SHORT_LEASE, controller,
    harness::{
        Failure, Result,
        control_plane::ControlPlane,
        controller::Controller,
        fault_proxy::{Asked, Fault, FaultProxy, Outcome, Rule},
        random::seed,
        wait::eventually,
    },
    history::History,
    lease::{Held, Leases},
    measured, restart_if_lease_was_lost,
    verdict::Verdict,
    workload::{STEPS, Workload},
};

const MAX_CONCURRENT: usize = 6;
const OPERATIONS: usize = 60;
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(300)..Duration::from_millis(1500);
const SOON: Duration = Duration::from_secs(30);
const PATIENCE: Duration = Duration::from_mins(2);
/// Longer than anything that it holds back.
const STALL: Fault = Fault::Stall(Duration::from_mins(5));
/// How often a controller chosen at random is killed or paused.
const DISTURBANCES: usize = 6;

/// When status writes that were on their way as the leader stopped reach the API server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Delivered {
    /// While it still leads: the leader finds them acknowledged when it comes back.
    BeforeTakeOver,
    AfterTakeOver,
}

/// A controller with a way to the API server of its own.
struct Candidate {
    controller: Controller,
    proxy: FaultProxy,
}

struct Stage<'plane> {
    leases: Leases,
    history: History,
    workload: Workload,
    candidates: Vec<Candidate>,
    plane: &'plane ControlPlane,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn several_controllers_never_run_more_than_the_queue_allows_and_one_that_hung_does_nothing_more() -> Result<()> {
    let seed = seed()?;
    let mut rng = StdRng::seed_from_u64(seed);
    let plane = ControlPlane::start()?;
    let workload = Workload::begin(&plane, MAX_CONCURRENT).await?;
    let mut stage = Stage {
        leases: Leases::of(&plane).await?,
        history: History::follow(&workload),
        workload,
        candidates: Vec::new(),
        plane: &plane,
    };
    stage.add(seed)?;
    stage.leases.held_after(None, SOON).await?;
    stage.add(seed + 1)?;
    stage.workload.create("counted", OPERATIONS, PAUSE, &mut rng).await?;

    let refused = stage.hang(20, Delivered::AfterTakeOver).await?;
    stage.hang(80, Delivered::BeforeTakeOver).await?;
    stage.add(seed + 2)?;
    let mut disturbed = [0, 0];
    for number in 0..DISTURBANCES {
        let instant = 100 + number * (OPERATIONS * STEPS - 150) / DISTURBANCES;
        stage.progress(instant).await?;
        sleep(rng.random_range(Duration::ZERO..Duration::from_secs(1))).await;
        let candidate = rng.random_range(0..stage.candidates.len());
        let kill = rng.random_bool(0.5);
        disturbed[usize::from(kill)] += 1;
        stage.disturb(candidate, kill).await?;
    }
    stage.progress(OPERATIONS * STEPS).await?;

    let verdict = Verdict::of(&stage.workload, &stage.history.lives()).await?;
    let (peak, listed) = (stage.workload.target.operations_in_flight_peak(), stage.history.running_peak());
    let [paused, killed] = disturbed;
    measured::tell(
        "controllers",
        &format!(
            "seed {seed}: the leader of two was paused past its Lease while {refused} of its status writes were on their way:\n\
             all {refused} were refused by the fence; come back, it sent nothing more to the target and ended as having lost its Lease\n\
             again, with its writes acknowledged before the take-over: the same\n\
             then three controllers, of which one at random was paused ({paused} times) or killed ({killed} times); {} leaderships in all\n\
             {verdict}\n\
             at most {peak} Operations had requests at the target at one time, and {listed} were listed as running, of {MAX_CONCURRENT} that the queue allows",
            stage.history.epoch() + 1,
        ),
    )?;
    stage.history.check()?;
    assert!(peak <= MAX_CONCURRENT, "{peak} Operations at one time");
    assert!(refused > 0, "no write was on its way: nothing was proven");
    Ok(())
}

impl Stage<'_> {
    fn add(&mut self, seed: u64) -> Result<()> {
        let proxy = FaultProxy::start(self.plane, seed)?;
        let controller = controller(self.plane).arguments(SHORT_LEASE).through(&proxy).start()?;
        self.candidates.push(Candidate { controller, proxy });
        Ok(())
    }

    async fn progress(&mut self, steps: usize) -> Result<()> {
        let candidates = &mut self.candidates;
        let restarting = || {
            candidates
                .iter_mut()
                .try_for_each(|one| restart_if_lease_was_lost(&mut one.controller).map(drop))
        };
        self.history.progress(steps, PATIENCE, restarting).await
    }

    /// The leader, as its place among the candidates.
    async fn leader(&self) -> Result<(usize, Held)> {
        let held = self.leases.held_after(None, SOON).await?;
        for (place, candidate) in self.candidates.iter().enumerate() {
            if held.is_by(&candidate.controller)? {
                return Ok((place, held));
            }
        }
        Err(Failure::new(format!("{held:?} is none of ours")))
    }

    /// Pauses the leader past its Lease, with status writes on their way, and lets it go on when another leads. Gives how
    /// many of its writes were refused.
    async fn hang(&mut self, after_steps: usize, delivered: Delivered) -> Result<usize> {
        self.progress(after_steps).await?;
        let (place, held) = self.leader().await?;
        let paused = &mut self.candidates[place];
        paused.proxy.inject(Rule::of(STALL).when(is_status_write));
        eventually("status writes are on their way", SOON, async || {
            match paused.proxy.broken_by(STALL) {
                0..3 => Err("too few"),
                _ => Ok(()),
            }
        })
        .await?;
        paused.controller.pause()?;
        // Writes from before the stall may still be on their way through.
        sleep(Duration::from_millis(500)).await;
        let (on_their_way, mut fates) = (stalled(&paused.proxy), Vec::new());
        if delivered == Delivered::BeforeTakeOver {
            fates = self.deliver(place, on_their_way.len()).await?;
        }
        let successor = self.leases.held_after(Some(&held), SOON).await?;
        eventually("the successor took over", SOON, async || {
            let lives = self.history.lives();
            let behind = |name: &&String| {
                let life = lives.get(*name);
                let ended = life.is_some_and(|life| life.status.phase.is_some_and(Phase::is_final));
                !ended && life.and_then(|life| life.epochs.last()) < Some(&successor.epoch)
            };
            match on_their_way.iter().filter(behind).count() {
                0 => Ok(()),
                count => Err(format!("{count} are still the old leader's")),
            }
        })
        .await?;
        let expected = match delivered {
            Delivered::BeforeTakeOver => Outcome::Passed(200),
            Delivered::AfterTakeOver => {
                fates = self.deliver(place, on_their_way.len()).await?;
                Outcome::Passed(422)
            }
        };
        if fates.iter().any(|fate| *fate != expected) {
            return Err(Failure::new(format!("status writes delivered {delivered:?}: {fates:?}")));
        }
        self.wake(place).await?;
        Ok(fates.len())
    }

    /// Lets status writes through that were held back, and tells what became of them.
    async fn deliver(&self, place: usize, count: usize) -> Result<Vec<Outcome>> {
        let proxy = &self.candidates[place].proxy;
        let before = proxy.seen().len();
        proxy.heal();
        eventually("held back writes are answered", SOON, async || {
            let answered = proxy
                .seen()
                .split_off(before)
                .into_iter()
                .filter(|(asked, _)| is_status_write(asked));
            let fates: Vec<_> = answered.map(|(_, outcome)| outcome).collect();
            if fates.len() == count {
                Ok(fates)
            } else {
                Err(format!("{fates:?}"))
            }
        })
        .await
    }

    /// Lets a paused controller go on that is no longer the leader. Everybody else stands still meanwhile, so that whatever
    /// reaches the target is its doing.
    async fn wake(&mut self, place: usize) -> Result<()> {
        for (_, other) in self.candidates.iter_mut().enumerate().filter(|(other, _)| *other != place) {
            other.controller.pause()?;
        }
        // What was on its way has arrived by then.
        sleep(Duration::from_millis(200)).await;
        let arrived = self.workload.target.received_count();
        let woken = Instant::now();
        self.candidates[place].controller.resume()?;
        let status = self.candidates[place].controller.wait_exit(SOON).await?;
        let took = woken.elapsed();
        let since: Vec<_> = self
            .workload
            .target
            .received()
            .split_off(arrived)
            .into_iter()
            .map(|request| request.key)
            .collect();
        for (_, other) in self.candidates.iter_mut().enumerate().filter(|(other, _)| *other != place) {
            other.controller.resume()?;
        }
        eprintln!("the leader that hung ended with status {status} after {took:?}; requests that it sent: {since:?}");
        if since.is_empty() && restart_if_lease_was_lost(&mut self.candidates[place].controller)? {
            return Ok(());
        }
        Err(Failure::new(format!(
            "a leader that hung past its Lease ended with status {status} and sent {since:?}"
        )))
    }

    /// Kills a controller and starts it again, or pauses it for longer than the Lease.
    async fn disturb(&mut self, candidate: usize, kill: bool) -> Result<()> {
        let controller = &mut self.candidates[candidate].controller;
        if restart_if_lease_was_lost(controller)? || kill {
            return controller.start_again();
        }
        controller.pause()?;
        sleep(Duration::from_secs(4)).await;
        controller.resume()
    }
}

fn is_status_write(asked: &Asked) -> bool {
    asked.method == "PATCH" && asked.path.ends_with("/status") && asked.path.contains("/operations/")
}

/// The names of the Operations whose status writes are held back.
fn stalled(proxy: &FaultProxy) -> Vec<String> {
    let held_back = proxy.seen().into_iter().filter(|(_, outcome)| *outcome == Outcome::Broken(STALL));
    held_back
        .filter_map(|(asked, _)| asked.path.rsplit('/').nth(1).map(str::to_owned))
        .collect()
}
