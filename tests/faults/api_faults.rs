//! The API server fails, and so does the way to it, in every way that we know of.

use std::time::{Duration, Instant};

use rand::{SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use crate::{
    controller,
    harness::{
        Failure, Result,
        control_plane::ControlPlane,
        controller::Controller,
        fault_proxy::{Asked, Fault, FaultProxy, Outcome, Rule},
        random::seed,
        servers::Server,
    },
    history::History,
    lease::Leases,
    measured, restart_if_lease_was_lost,
    verdict::Verdict,
    workload::{STEPS, Workload},
};

const MAX_CONCURRENT: usize = 8;
/// Operations that meet each trouble.
const OPERATIONS: usize = 8;
const PAUSE: std::ops::Range<Duration> = Duration::from_millis(100)..Duration::from_millis(900);
/// How long each trouble lasts.
const LASTS: Duration = Duration::from_secs(4);
const PATIENCE: Duration = Duration::from_mins(1);
const SOON: Duration = Duration::from_secs(30);
/// More requests than that in a second, by one controller with 8 Operations that cannot write, would be a busy loop.
const BUSY: f64 = 100.0;

/// What goes wrong.
enum Trouble {
    Requests(Vec<Rule>),
    /// All watches, every 200 ms.
    WatchesCut,
    /// The open ones are cut, and no new one comes to anything.
    WatchesTooOld,
    ApiServerRestarts,
    EtcdPauses,
}

struct Stage {
    plane: ControlPlane,
    proxy: FaultProxy,
    controller: Controller,
    workload: Workload,
    history: History,
    rng: StdRng,
    created: usize,
    /// How often the controller ended because it could not renew its Lease.
    restarts: usize,
    lines: Vec<String>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_happens_to_the_api_server_every_operation_succeeds_once_and_nothing_is_asked_in_a_loop() -> Result<()> {
    let seed = seed()?;
    let plane = ControlPlane::start()?;
    let proxy = FaultProxy::start(&plane, seed)?;
    let workload = Workload::begin(&plane, MAX_CONCURRENT).await?;
    let controller = controller(&plane).through(&proxy).start()?;
    Leases::of(&plane).await?.held_after(None, SOON).await?;
    let history = History::follow(&workload);
    let rng = StdRng::seed_from_u64(seed);
    let mut stage = Stage {
        plane,
        proxy,
        controller,
        workload,
        history,
        rng,
        created: 0,
        restarts: 0,
        lines: Vec::new(),
    };
    for (name, trouble) in troubles() {
        stage.endure(name, &trouble).await?;
    }
    let verdict = Verdict::of(&stage.workload, &stage.history.lives()).await?;
    let measured = format!(
        "seed {seed}, one controller with the default Lease\n{}\n{verdict}",
        stage.lines.join("\n")
    );
    measured::tell("api-faults", &measured)?;
    stage.history.check()?;
    let all = verdict.succeeded == stage.created;
    assert!(
        all || stage.restarts > 0,
        "no controller ended, so every Operation should have succeeded"
    );

    stage.lose_etcd_past_the_deadline().await
}

fn troubles() -> Vec<(&'static str, Trouble)> {
    let half = |fault: Fault| Trouble::Requests(vec![Rule::of(fault).when(is_write).share(0.5)]);
    vec![
        ("nothing", Trouble::Requests(Vec::new())),
        ("half of all writes answered 409", half(Fault::Status(409))),
        (
            "half of all writes answered 429, Retry-After 1",
            half(Fault::TooManyRequests { retry_after: 1 }),
        ),
        ("half of all writes answered 500", half(Fault::Status(500))),
        ("half of all writes answered 503", half(Fault::Status(503))),
        ("half of all writes done, the answer lost", half(Fault::HangUpAfter)),
        ("half of all writes lost", half(Fault::HangUpBefore)),
        ("half of all writes stalled for 2 s", half(Fault::Stall(Duration::from_secs(2)))),
        ("half of all writes answered with garbage", half(Fault::Garbage)),
        ("half of all writes answered with noise", half(Fault::Noise)),
        (
            "409, 422, 500, lost answers, 15% of all writes each",
            Trouble::Requests(
                [Fault::Status(409), Fault::Status(422), Fault::Status(500), Fault::HangUpAfter]
                    .map(|fault| Rule::of(fault).when(is_write).share(0.15))
                    .to_vec(),
            ),
        ),
        ("watches cut every 200 ms", Trouble::WatchesCut),
        ("watches cut, every new one too old (410)", Trouble::WatchesTooOld),
        ("everything answered 503", Trouble::Requests(vec![Rule::of(Fault::Status(503))])),
        ("every connection closed", Trouble::Requests(vec![Rule::of(Fault::HangUpBefore)])),
        ("the API server killed and started again", Trouble::ApiServerRestarts),
        ("etcd paused", Trouble::EtcdPauses),
    ]
}

/// A write of ours, the Lease's not counted.
fn is_write(asked: &Asked) -> bool {
    asked.is_mutating() && asked.path.contains("thermostat.dev")
}

impl Stage {
    /// Creates Operations, lets the trouble come over them, and waits until they have ended.
    async fn endure(&mut self, name: &str, trouble: &Trouble) -> Result<()> {
        self.workload
            .create(&format!("counted-{}", self.created), OPERATIONS, PAUSE, &mut self.rng)
            .await?;
        self.created += OPERATIONS;
        self.history
            .progress((self.created - OPERATIONS) * STEPS + 4, PATIENCE, || Ok(()))
            .await?;
        let (before, began) = (self.proxy.seen().len(), Instant::now());
        self.suffer(trouble).await?;
        let lasted = began.elapsed().as_secs_f64();
        let seen = self.proxy.seen().split_off(before);
        let broken = seen.iter().filter(|(_, outcome)| !matches!(outcome, Outcome::Passed(_))).count();
        let healed = Instant::now();
        if matches!(trouble, Trouble::ApiServerRestarts | Trouble::EtcdPauses) && restart_if_lease_was_lost(&mut self.controller)? {
            self.lines.push(format!(
                "{name}: for longer than the renew deadline, the leader ended and was started again"
            ));
            self.restarts += 1;
        }
        let (controller, ended) = (&mut self.controller, |status| {
            Err(Failure::new(format!("{name}: the controller ended with status {status}")))
        });
        let runs = || controller.exit_status()?.map_or(Ok(()), ended);
        self.history.progress(self.created * STEPS, PATIENCE, runs).await?;
        let rate = f64::from(u32::try_from(seen.len())?) / lasted;
        self.lines.push(format!(
            "{name:52} {rate:5.1} requests/s for {lasted:4.1} s, {broken:4} broken; all ended {:4.1} s later",
            healed.elapsed().as_secs_f64()
        ));
        if let Some(status) = self.controller.exit_status()? {
            return Err(Failure::new(format!(
                "{name}: the controller ended with status {status}\n{}",
                self.controller.log()?
            )));
        }
        if rate > BUSY {
            return Err(Failure::new(format!("{name}: {rate:.0} requests in a second")));
        }
        Ok(())
    }

    async fn suffer(&mut self, trouble: &Trouble) -> Result<()> {
        match trouble {
            Trouble::Requests(rules) => {
                rules.iter().cloned().for_each(|rule| self.proxy.inject(rule));
                sleep(LASTS).await;
                self.proxy.heal();
            }
            Trouble::WatchesCut => {
                let began = Instant::now();
                while began.elapsed() < LASTS {
                    self.proxy.cut_watches();
                    sleep(Duration::from_millis(200)).await;
                }
            }
            Trouble::WatchesTooOld => {
                self.proxy.inject(Rule::of(Fault::TooOld).when(|asked| asked.watch));
                self.proxy.cut_watches();
                sleep(LASTS).await;
                self.proxy.heal();
            }
            Trouble::ApiServerRestarts => {
                self.plane.stop_server(Server::Api)?;
                sleep(Duration::from_secs(1)).await;
                self.plane.start_server(Server::Api)?;
            }
            Trouble::EtcdPauses => {
                self.plane.pause_server(Server::Etcd)?;
                sleep(LASTS).await;
                self.plane.resume_server(Server::Etcd)?;
            }
        }
        Ok(())
    }

    /// Without etcd for longer than the renew deadline, the leader must end by itself. Started again, as its Deployment
    /// would, it ends everything as it should.
    async fn lose_etcd_past_the_deadline(mut self) -> Result<()> {
        let before = self.created;
        self.workload.create("late", OPERATIONS, PAUSE, &mut self.rng).await?;
        self.created += OPERATIONS;
        self.history.progress(before * STEPS + 4, PATIENCE, || Ok(())).await?;
        let paused = Instant::now();
        self.plane.pause_server(Server::Etcd)?;
        let status = self.controller.wait_exit(SOON).await?;
        let ended = paused.elapsed();
        self.plane.resume_server(Server::Etcd)?;
        let restarted = restart_if_lease_was_lost(&mut self.controller)?;
        self.history.progress(self.created * STEPS, PATIENCE, || Ok(())).await?;
        let verdict = Verdict::of(&self.workload, &self.history.lives()).await?;
        measured::tell(
            "etcd-lost",
            &format!(
                "etcd paused: the leader ended by itself after {:.1} s, having lost its Lease; etcd goes on, the controller is started again\n{verdict}",
                ended.as_secs_f64()
            ),
        )?;
        self.history.check()?;
        assert!(restarted, "it ended with status {status}");
        assert!(ended < Duration::from_secs(15), "it acted longer than its Lease: {ended:?}");
        Ok(())
    }
}
