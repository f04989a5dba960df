//! A controller that is killed, and another that goes on.

use serde_json::json;
use thermostat::api::operation::{Phase, StepPhase};

use crate::{
    harness::{Failure, Result, target::Answer, wait::eventually},
    scene::{SOON, Scene, message, ready, step},
};

#[tokio::test]
async fn a_controller_that_is_killed_in_a_delay_goes_on_and_repeats_nothing() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    let steps = "
- {name: before, type: http_request, method: POST, url: TARGET/before}
- {name: wait, type: delay, duration: 8s}
- {name: after, type: http_request, method: POST, url: TARGET/after}";
    scene.submit_steps("run", steps).await?;
    let waits = |operation: &thermostat::api::Operation| step(operation, "wait").is_ok_and(|step| step.phase == StepPhase::Running);
    let first = scene.until("run", "waits", waits).await?;
    controller.start_again()?;
    let done = scene.succeeds("run").await?;
    assert_eq!((scene.target.count("/before"), scene.target.count("/after")), (1, 1));
    assert_eq!(step(&done, "wait")?.started_at, step(&first, "wait")?.started_at);
    let wait = step(&done, "wait")?;
    let took = wait
        .finished_at
        .zip(wait.started_at)
        .map(|(end, start)| end.0.duration_since(start.0).as_secs());
    assert!(took.is_some_and(|seconds| (7..60).contains(&seconds)), "the delay took {took:?} s");
    let runners = [first, done].map(|operation| operation.status.and_then(|status| status.runner));
    assert!(runners[0].is_some() && runners[0] != runners[1], "{runners:?}");
    assert!(
        runners[0].as_ref().map(|runner| runner.epoch) < runners[1].as_ref().map(|runner| runner.epoch),
        "{runners:?}"
    );
    Ok(())
}

#[tokio::test]
async fn an_unrepeatable_step_that_was_interrupted_is_never_repeated() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    scene.target.hold("/change");
    scene
        .submit(
            "run",
            "
            runbook:
              inline:
                operation: {name: t, type: deploy}
                steps: [{name: change, type: http_request, method: POST, url: TARGET/change, timeout: 10m}]
                rollback: {on_failure: [{name: undo, type: http_request, method: POST, url: TARGET/undo}]}
            ",
        )
        .await?;
    scene.asked("/change", 1).await?;
    controller.kill();
    scene.target.release("/change");
    controller.start_again()?;
    let failed = scene.fails("run").await?;
    assert_eq!(ready(&failed).0, "Interrupted", "{}", message(&failed));
    assert_eq!(step(&failed, "change")?.phase, StepPhase::Interrupted);
    assert_eq!((scene.target.count("/change"), scene.target.count("/undo")), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_step_that_calls_itself_idempotent_is_repeated() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    scene.target.hold("/change");
    scene
        .submit_steps(
            "run",
            "- {name: change, type: http_request, method: POST, url: TARGET/change, timeout: 10m, idempotent: true}",
        )
        .await?;
    scene.asked("/change", 1).await?;
    controller.kill();
    scene.target.release("/change");
    controller.start_again()?;
    scene.succeeds("run").await?;
    assert_eq!(scene.target.count("/change"), 2);
    Ok(())
}

#[tokio::test]
async fn secrets_queue_and_rollback_survive_a_kill() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    scene.secret("keys", json!({"token": "tell-nobody-of-this"})).await?;
    scene.target.answer("/echo", Answer::json(&json!({"token": "tell-nobody-of-this"})));
    scene.target.hold("/slow");
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene
        .submit(
            "run",
            "
            queue: one
            parametersFrom: [{secretRef: {name: keys}}]
            runbook:
              inline:
                operation: {name: t, type: deploy}
                parameters: {token: none}
                steps:
                - {name: echo, type: http_request, method: POST, url: TARGET/echo, output: answer}
                - {name: slow, type: http_request, url: TARGET/slow, timeout: 10m}
                - {name: pass_on, type: http_request, method: POST, url: TARGET/pass-on, body: '${answer.body.token}'}
                - {name: stop, type: state_check, file: none.json, path: .a, equals: 1}
                rollback: {on_failure: [{name: undo, type: http_request, method: POST, url: TARGET/undo}]}
            ",
        )
        .await?;
    scene.asked("/slow", 1).await?;
    scene
        .submit(
            "next",
            "{queue: one, runbook: {inline: {operation: {name: t, type: maintain}, steps: [{type: delay, seconds: 0}]}}}",
        )
        .await?;
    scene.in_phase("next", Phase::Queued).await?;
    controller.kill();
    scene.kubectl(&["delete", "secret", "keys"])?;
    scene.target.release("/slow");
    controller.start_again()?;
    let failed = scene.fails("run").await?;
    assert!(message(&failed).starts_with("stop: "), "{}", message(&failed));
    let body = scene
        .target
        .received()
        .into_iter()
        .find(|request| request.path == "/pass-on")
        .map(|request| request.body);
    assert_eq!(body.as_deref(), Some(&b"tell-nobody-of-this"[..]));
    assert_eq!((scene.target.count("/echo"), scene.target.count("/undo")), (1, 1));
    scene.succeeds("next").await?;
    assert!(!serde_json::to_string(&failed)?.contains("tell-nobody"));
    assert!(!controller.log()?.contains("tell-nobody"));
    Ok(())
}

#[tokio::test]
async fn what_was_deleted_or_cancelled_while_nobody_looked_is_rolled_back() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    scene.target.hold("/slow");
    for name in ["deleted", "cancelled"] {
        scene
            .submit(
                name,
                "
                runbook:
                  inline:
                    operation: {name: t, type: deploy}
                    steps:
                    - {name: change, type: http_request, method: POST, url: TARGET/change}
                    - {name: slow, type: http_request, url: TARGET/slow, timeout: 10m}
                    rollback: {on_failure: [{name: undo, type: http_request, method: POST, url: 'TARGET/undo?key=${operation_name}'}]}
                ",
            )
            .await?;
    }
    scene.asked("/slow", 2).await?;
    controller.kill();
    scene.kubectl(&["delete", "operation", "deleted", "--wait=false"])?;
    scene.set("cancelled", json!({"cancel": true})).await?;
    controller.start_again()?;
    scene.gone::<thermostat::api::Operation>("deleted").await?;
    scene.in_phase("cancelled", Phase::Cancelled).await?;
    assert_eq!((scene.target.count("deleted"), scene.target.count("cancelled")), (1, 1));
    Ok(())
}

#[tokio::test]
async fn a_controller_looks_after_its_own_namespaces_only() -> Result<()> {
    let (ours, theirs) = (Scene::without_controller().await?, Scene::without_controller().await?);
    let mut controller = ours.controller()?.start()?;
    controller.ready(SOON).await?;
    let steps = "- {name: wait, type: delay, seconds: 0}";
    theirs.submit_steps("run", steps).await?;
    ours.submit_steps("run", steps).await?;
    ours.succeeds("run").await?;
    let untouched = theirs.api::<thermostat::api::Operation>().get("run").await?;
    assert_eq!(untouched.status.and_then(|status| status.observed_generation), Some(-1));
    Ok(())
}

#[tokio::test]
async fn what_a_newer_controller_wrote_is_left_alone_and_told() -> Result<()> {
    let scene = Scene::without_controller().await?;
    scene.submit_steps("newer", "- {name: wait, type: delay, seconds: 0}").await?;
    let status = r#"{"status": {"phase": "Running", "journalVersion": 99, "runner": {"identity": "other", "epoch": 1}}}"#;
    scene.kubectl(&[
        "patch",
        "operation",
        "newer",
        "--subresource=status",
        "--type=merge",
        "--patch",
        status,
    ])?;
    let before = scene.api::<thermostat::api::Operation>().get("newer").await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    scene.submit_steps("ours", "- {name: wait, type: delay, seconds: 0}").await?;
    scene.succeeds("ours").await?;
    eventually("an Event tells of it", SOON, async || {
        let events = scene.kubectl(&[
            "get",
            "events.events.k8s.io",
            "-o",
            "jsonpath={.items[*]['regarding.name', 'reason', 'note']}",
        ])?;
        let told = ["newer", "NewerJournal", "upgrade"].iter().all(|word| events.contains(word));
        if told { Ok(()) } else { Err(Failure::new(events)) }
    })
    .await?;
    let after = scene.api::<thermostat::api::Operation>().get("newer").await?;
    assert_eq!(before.metadata.resource_version, after.metadata.resource_version);
    Ok(())
}
