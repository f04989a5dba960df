//! How long nobody leads when the leader is gone, with the Lease as it is by default.

use std::time::{Duration, Instant};

use crate::{
    controller,
    harness::{Result, control_plane::ControlPlane, random::seeded, wait::eventually},
    history::History,
    lease::{Held, Leases},
    measured,
    workload::Workload,
};

/// The Lease's 15 s and what a take-over takes.
const AFTER_KILL: Duration = Duration::from_secs(16);
const AFTER_TERMINATION: Duration = Duration::from_secs(2);
const READY: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_successor_goes_on_within_16_s_of_a_kill_and_2_s_of_a_termination() -> Result<()> {
    let mut rng = seeded()?;
    let plane = ControlPlane::start()?;
    let workload = Workload::begin(&plane, 4).await?;
    let (history, leases) = (History::follow(&workload), Leases::of(&plane).await?);
    let mut first = controller(&plane).start()?;
    let led_by_first = leases.held_after(None, READY).await?;
    let mut second = controller(&plane).start()?;
    second.ready(READY).await?;
    let longer_than_the_test = Duration::from_mins(2)..Duration::from_mins(3);
    workload.create("lasting", 4, longer_than_the_test, &mut rng).await?;
    // Where no kill can interrupt them.
    eventually("all Operations wait", READY, async || {
        let waiting = history
            .lives()
            .values()
            .filter(|life| life.status.current_step.as_deref() == Some("wait"))
            .count();
        if waiting == 4 { Ok(()) } else { Err(format!("{waiting} do")) }
    })
    .await?;

    let killed = Instant::now();
    first.kill();
    let led_by_second = leases.held_after(Some(&led_by_first), AFTER_KILL * 2).await?;
    runs_under(&history, &led_by_second, AFTER_KILL).await?;
    let after_kill = killed.elapsed();

    first.start_again()?;
    first.ready(READY).await?;
    let terminated = Instant::now();
    second.terminate()?;
    let led_by_third = leases.held_after(Some(&led_by_second), AFTER_KILL * 2).await?;
    runs_under(&history, &led_by_third, AFTER_KILL).await?;
    let after_termination = terminated.elapsed();
    let status = second.wait_exit(READY).await?;

    measured::tell(
        "take-over",
        &format!(
            "with the default Lease (15 s, renewed every 2 s), 4 Operations running:\n\
             all of them are run by the successor {:.2} s after a SIGKILL of the leader, {:.2} s after a SIGTERM",
            after_kill.as_secs_f64(),
            after_termination.as_secs_f64(),
        ),
    )?;
    history.check()?;
    assert_eq!(status, 0, "a controller that was asked to end should end well");
    assert!(after_kill < AFTER_KILL, "{after_kill:?}");
    assert!(after_termination < AFTER_TERMINATION, "{after_termination:?}");
    Ok(())
}

/// Waits until all four Operations are run by this leadership.
async fn runs_under(history: &History, held: &Held, within: Duration) -> Result<()> {
    eventually("all Operations are run by the leader", within, async || {
        let running = history
            .lives()
            .values()
            .filter(|life| life.epochs.last() == Some(&held.epoch))
            .count();
        if running == 4 { Ok(()) } else { Err(format!("{running} are")) }
    })
    .await
}
