//! Runs that do not go well, and runs that somebody steers.

use serde_json::json;
use thermostat::api::{
    Operation,
    operation::{Phase, StepPhase},
};

use crate::{
    harness::{Result, target::Answer},
    scene::{Scene, condition, inline, message, paths, ready, step},
};

/// A runbook that changes something, then does `what`, and knows how to undo.
fn undoable(what: &str) -> String {
    format!(
        "
runbook:
  inline:
    operation: {{name: t, type: deploy}}
    steps:
    - {{name: change, type: http_request, method: POST, url: TARGET/change}}
    - {what}
    - {{name: never, type: http_request, url: TARGET/never}}
    rollback:
      on_failure:
      - {{name: undo, type: http_request, method: POST, url: TARGET/undo, body: '${{failed_step}}: ${{error_message}}'}}
      - {{name: broken, type: http_request, method: POST, url: TARGET/broken}}
      - {{name: last, type: http_request, method: POST, url: TARGET/last}}
"
    )
}

#[tokio::test]
async fn a_failing_step_says_why_and_is_rolled_back() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/check", Answer::status(503));
    scene.target.answer("/broken", Answer::status(500));
    scene
        .submit(
            "run",
            &undoable("{name: check, type: health_check, method: http, url: TARGET/check}"),
        )
        .await?;
    let failed = scene.fails("run").await?;
    let url = scene.target.url("/check");
    assert_eq!(
        message(&failed),
        format!(
            "check: health check of {url} failed: status 503, expected 2xx; the rollback failed in rollback/broken: see status.rollback"
        )
    );
    assert_eq!(ready(&failed), ("StepFailed".to_owned(), "False".to_owned(), message(&failed)));
    assert_eq!(condition(&failed, "Stalled").map(|found| found.1).as_deref(), Some("True"));
    assert_eq!(condition(&failed, "Reconciling"), None);
    assert_eq!(paths(&failed), ["change", "check"]);
    assert_eq!(step(&failed, "check")?.phase, StepPhase::Failed);
    let status = failed.status.clone().unwrap_or_default();
    let undone: Vec<_> = status.rollback.iter().map(|step| (step.path.as_str(), step.phase)).collect();
    let expected = [
        ("rollback/undo", StepPhase::Succeeded),
        ("rollback/broken", StepPhase::Failed),
        ("rollback/last", StepPhase::Succeeded),
    ];
    assert_eq!(undone, expected);
    let undo = scene.target.received().into_iter().find(|request| request.path == "/undo");
    let told = undo
        .map(|request| String::from_utf8_lossy(&request.body).into_owned())
        .unwrap_or_default();
    assert!(told.starts_with("check: health check of"), "{told}");
    assert_eq!(scene.target.count("/never"), 0);
    let finalizers = failed.metadata.finalizers.unwrap_or_default();
    scene
        .until("run", "is let go", |operation| {
            operation.metadata.finalizers.as_ref().is_none_or(Vec::is_empty)
        })
        .await?;
    assert!(finalizers.len() <= 1);
    Ok(())
}

#[tokio::test]
async fn without_an_effect_there_is_nothing_to_undo() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/check", Answer::status(404));
    let spec = undoable("{name: second, type: delay, seconds: 0}").replace(
        "{name: change, type: http_request, method: POST, url: TARGET/change}",
        "{name: check, type: http_request, url: TARGET/check}",
    );
    scene.submit("run", &spec).await?;
    let failed = scene.fails("run").await?;
    assert!(message(&failed).contains("status 404, expected 2xx"), "{}", message(&failed));
    assert_eq!(failed.status.map(|status| status.rollback), Some(Vec::new()));
    assert_eq!(scene.target.counts().keys().collect::<Vec<_>>(), ["/check"]);
    Ok(())
}

#[tokio::test]
async fn a_cancel_stops_the_step_that_runs_and_rolls_back() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.hold("/slow");
    scene
        .submit("run", &undoable("{name: slow, type: http_request, url: TARGET/slow, timeout: 10m}"))
        .await?;
    scene.asked("/slow", 1).await?;
    scene.set("run", json!({"cancel": true})).await?;
    let ended = scene.in_phase("run", Phase::Cancelled).await?;
    assert_eq!(ready(&ended).0, "Cancelled");
    assert_eq!(step(&ended, "slow")?.phase, StepPhase::Cancelled);
    assert_eq!(step(&ended, "rollback/undo")?.phase, StepPhase::Succeeded);
    assert!(
        ended
            .status
            .is_some_and(|status| status.cancel_requested_at.is_some() && status.failure.is_some())
    );
    scene.asked("/slow", 0).await?;
    assert_eq!(scene.target.count("/never"), 0);
    Ok(())
}

#[tokio::test]
async fn a_cancel_ends_a_long_delay_at_once() -> Result<()> {
    let scene = Scene::open().await?;
    scene.submit_steps("run", "- {name: wait, type: delay, duration: 1h}").await?;
    scene
        .until("run", "waits", |operation| {
            operation
                .status
                .as_ref()
                .is_some_and(|status| status.current_step.as_deref() == Some("wait"))
        })
        .await?;
    scene.set("run", json!({"cancel": true})).await?;
    scene.in_phase("run", Phase::Cancelled).await.map(drop)
}

#[tokio::test]
async fn a_run_that_takes_too_long_is_stopped_and_rolled_back() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.hold("/slow");
    let spec = undoable("{name: slow, type: http_request, url: TARGET/slow, timeout: 10m}") + "timeout: 2s\n";
    scene.submit("run", &spec).await?;
    let failed = scene.fails("run").await?;
    assert_eq!(ready(&failed).0, "TimedOut");
    assert!(message(&failed).contains("spec.timeout of 2s is over"), "{}", message(&failed));
    assert_eq!(scene.target.count("/undo"), 1);
    Ok(())
}

#[tokio::test]
async fn a_suspended_run_holds_between_two_steps_and_keeps_its_slot() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/first");
    let steps = "- {name: first, type: http_request, url: TARGET/first}\n- {name: second, type: http_request, url: TARGET/second}";
    scene.submit("run", &format!("{}queue: one\ntimeout: 1h", inline(steps))).await?;
    scene.asked("/first", 1).await?;
    scene.set("run", json!({"suspend": true})).await?;
    scene
        .submit("next", &format!("{}queue: one", inline("- {name: wait, type: delay, seconds: 0}")))
        .await?;
    scene.in_phase("next", Phase::Queued).await?;
    scene.target.release("/first");
    let held = |operation: &Operation| {
        ready(operation).0 == "Suspended" && step(operation, "first").is_ok_and(|step| step.phase == StepPhase::Succeeded)
    };
    let holding = scene.until("run", "holds", held).await?;
    assert_eq!((holding.phase(), scene.target.count("/second")), (Phase::Running, 0));
    assert!(holding.status.is_some_and(|status| status.suspended_at.is_some()));
    assert_eq!(scene.api::<Operation>().get("next").await?.phase(), Phase::Queued);
    scene.set("run", json!({"suspend": false})).await?;
    let done = scene.succeeds("run").await?;
    assert!(
        done.status
            .is_some_and(|status| status.suspended_for.is_some() && status.suspended_at.is_none())
    );
    scene.succeeds("next").await.map(drop)
}

#[tokio::test]
async fn what_is_suspended_while_it_runs_can_be_cancelled() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.hold("/first");
    scene
        .submit_steps(
            "run",
            "- {name: first, type: http_request, url: TARGET/first}\n- {name: second, type: http_request, url: TARGET/second}",
        )
        .await?;
    scene.asked("/first", 1).await?;
    scene.set("run", json!({"suspend": true})).await?;
    scene.waits_for("run", "Suspended").await?;
    scene.target.release("/first");
    scene.set("run", json!({"cancel": true})).await?;
    scene.in_phase("run", Phase::Cancelled).await?;
    assert_eq!(scene.target.count("/second"), 0);
    Ok(())
}

#[tokio::test]
async fn a_dry_run_lists_what_would_be_done_and_does_nothing() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .submit(
            "run",
            &format!("{}dryRun: true\nqueue: nowhere", undoable("{name: pause, type: delay, seconds: 5}")),
        )
        .await?;
    let done = scene.succeeds("run").await?;
    assert_eq!(paths(&done), ["change", "pause", "never"]);
    for path in paths(&done) {
        assert_eq!(step(&done, &path)?.phase, StepPhase::Skipped);
    }
    assert!(step(&done, "change")?.message.unwrap_or_default().contains("/change"));
    assert_eq!(scene.target.received_count(), 0);
    assert_eq!(done.status.and_then(|status| status.journal), None);
    Ok(())
}

#[tokio::test]
async fn a_step_is_tried_as_often_as_it_says() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .target
        .answer_in_turn("/flaky", [Answer::status(503), Answer::hang_up(), Answer::body("fine")]);
    scene.target.answer("/down", Answer::status(503));
    scene
        .submit_steps(
            "run",
            "- {name: flaky, type: http_request, url: TARGET/flaky, retries: 5, retry_delay: 0}\n- {name: down, type: http_request, url: TARGET/down, retries: 3, retry_delay: 0}",
        )
        .await?;
    let failed = scene.fails("run").await?;
    assert_eq!((scene.target.count("/flaky"), scene.target.count("/down")), (3, 3));
    assert_eq!(step(&failed, "flaky")?.attempt, Some(3));
    assert!(message(&failed).contains("attempt 3 of 3"), "{}", message(&failed));
    Ok(())
}

#[tokio::test]
async fn what_waits_for_its_next_attempt_says_so() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/down", Answer::status(503));
    scene
        .submit_steps(
            "run",
            "- {name: down, type: http_request, url: TARGET/down, retries: 2, retry_delay: 1h}",
        )
        .await?;
    let seen = scene
        .until("run", "waits for its second attempt", |operation| {
            message(operation).contains("will be tried again")
        })
        .await?;
    assert!(
        message(&seen).contains("down: ") && message(&seen).contains("status 503"),
        "{}",
        message(&seen)
    );
    assert_eq!(step(&seen, "down")?.phase, StepPhase::Retrying);
    scene.set("run", json!({"cancel": true})).await?;
    scene.in_phase("run", Phase::Cancelled).await.map(drop)
}

#[tokio::test]
async fn a_step_whose_time_is_over_fails_by_itself() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.hold("/slow");
    scene
        .submit_steps("run", "- {name: slow, type: http_request, url: TARGET/slow, timeout: 1s}")
        .await?;
    let failed = scene.fails("run").await?;
    assert_eq!(ready(&failed).0, "StepFailed");
    assert!(message(&failed).contains("1s"), "{}", message(&failed));
    Ok(())
}
