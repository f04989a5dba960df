//! Who runs, who waits, and in which order.

use serde_json::json;
use thermostat::api::{Operation, OperationQueue, operation::Phase};

use crate::{
    harness::{Result, wait::eventually_object},
    scene::{SOON, Scene, condition, inline, message, paths},
};

/// A spec whose one step asks the target under this Operation's name, in a queue.
fn asks(path: &str, queue: &str, priority: i32) -> String {
    let steps = format!("- {{name: ask, type: http_request, url: 'TARGET{path}?op=${{operation_name}}&key=${{operation_name}}'}}");
    format!("{}\nqueue: {queue}\npriority: {priority}", inline(&steps))
}

/// Who asked the target, in order.
fn order(scene: &Scene) -> Vec<String> {
    scene.target.received().into_iter().map(|request| request.key).collect()
}

async fn until_queue(scene: &Scene, name: &str, what: &str, holds: impl Fn(&OperationQueue) -> bool + Send + Sync) -> Result<()> {
    eventually_object(&scene.api::<OperationQueue>(), name, what, SOON, |queue| queue.is_some_and(&holds))
        .await
        .map(drop)
}

fn position(operation: &Operation) -> Option<i32> {
    operation.status.as_ref()?.queue.as_ref()?.position
}

#[tokio::test]
async fn never_more_run_at_once_than_the_queue_allows() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("pair", json!({"maxConcurrent": 2})).await?;
    scene.target.hold("/work");
    for number in 0..8 {
        scene.submit(&format!("run-{number}"), &asks("/work", "pair", 5)).await?;
    }
    scene.asked("/work", 2).await?;
    until_queue(&scene, "pair", "six wait", |queue| {
        queue
            .status
            .as_ref()
            .is_some_and(|status| status.queued == 6 && status.running.len() == 2 && status.running_count == 2)
    })
    .await?;
    scene.target.release("/work");
    for number in 0..8 {
        scene.succeeds(&format!("run-{number}")).await?;
    }
    assert_eq!(scene.target.operations_in_flight_peak(), 2);
    until_queue(&scene, "pair", "every slot is free", |queue| {
        queue
            .status
            .as_ref()
            .is_some_and(|status| status.queued == 0 && status.running.is_empty())
    })
    .await
}

#[tokio::test]
async fn higher_priority_goes_first_and_among_equals_the_older() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1, "suspend": true})).await?;
    for (name, priority) in [("b-low", 1), ("a-middle", 5), ("c-high", 900), ("d-low", 1), ("e-high", 900)] {
        scene.submit(name, &asks("/work", "one", priority)).await?;
        scene.in_phase(name, Phase::Queued).await?;
    }
    scene.patch::<OperationQueue>("one", json!({"spec": {"suspend": false}})).await?;
    for name in ["b-low", "d-low"] {
        scene.succeeds(name).await?;
    }
    assert_eq!(order(&scene), ["c-high", "e-high", "a-middle", "b-low", "d-low"]);
    Ok(())
}

#[tokio::test]
async fn a_priority_that_is_changed_while_queued_counts() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/work");
    scene.submit("first", &asks("/work", "one", 5)).await?;
    scene.asked("/work", 1).await?;
    for name in ["second", "third"] {
        scene.submit(name, &asks("/work", "one", 5)).await?;
        scene.in_phase(name, Phase::Queued).await?;
    }
    scene.set("third", json!({"priority": 6})).await?;
    scene
        .until("third", "waits with its new priority", |operation| {
            operation
                .status
                .as_ref()
                .and_then(|status| status.queue.as_ref())
                .is_some_and(|place| place.priority == 6)
        })
        .await?;
    scene.target.release("/work");
    scene.succeeds("second").await?;
    assert_eq!(order(&scene), ["first", "third", "second"]);
    Ok(())
}

#[tokio::test]
async fn those_who_wait_are_told_their_position() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("held", json!({"maxConcurrent": 1, "suspend": true})).await?;
    for name in ["a", "b", "c"] {
        scene.submit(name, &asks("/work", "held", 5)).await?;
        scene.in_phase(name, Phase::Queued).await?;
    }
    for (name, place) in [("a", 1), ("b", 2), ("c", 3)] {
        scene
            .until(name, &format!("is number {place}"), |operation| position(operation) == Some(place))
            .await?;
    }
    scene.set("c", json!({"priority": 9})).await?;
    for (name, place) in [("c", 1), ("a", 2), ("b", 3)] {
        scene
            .until(name, &format!("is number {place}"), |operation| position(operation) == Some(place))
            .await?;
    }
    until_queue(&scene, "held", "its head is shown", |queue| {
        queue.status.as_ref().is_some_and(|status| status.head == ["c", "a", "b"])
    })
    .await
}

#[tokio::test]
async fn a_suspended_queue_admits_nothing_and_lets_go_on_what_runs() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("q", json!({"maxConcurrent": 2})).await?;
    scene.target.hold("/work");
    scene.submit("running", &asks("/work", "q", 5)).await?;
    scene.asked("/work", 1).await?;
    scene.patch::<OperationQueue>("q", json!({"spec": {"suspend": true}})).await?;
    until_queue(&scene, "q", "says that it is suspended", |queue| {
        queue
            .status
            .as_ref()
            .is_some_and(|status| status.conditions.iter().any(|condition| condition.reason == "Suspended"))
    })
    .await?;
    scene.submit("waiting", &asks("/work", "q", 5)).await?;
    scene.in_phase("waiting", Phase::Queued).await?;
    scene.target.release("/work");
    scene.succeeds("running").await?;
    assert_eq!(scene.api::<Operation>().get("waiting").await?.phase(), Phase::Queued);
    scene.patch::<OperationQueue>("q", json!({"spec": {"suspend": false}})).await?;
    scene.succeeds("waiting").await.map(drop)
}

#[tokio::test]
async fn a_suspended_operation_lets_others_pass() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene
        .submit("held", &format!("{}\nsuspend: true", asks("/work", "one", 900)))
        .await?;
    let said = scene.waits_for("held", "Suspended").await?;
    assert!(said.contains("set spec.suspend to false"), "{said}");
    scene.submit("other", &asks("/work", "one", 5)).await?;
    scene.succeeds("other").await?;
    scene.set("held", json!({"suspend": false})).await?;
    scene.succeeds("held").await?;
    assert_eq!(order(&scene), ["other", "held"]);
    Ok(())
}

#[tokio::test]
async fn what_is_queued_is_cancelled_at_once() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("held", json!({"suspend": true})).await?;
    scene.submit("run", &asks("/work", "held", 5)).await?;
    scene.in_phase("run", Phase::Queued).await?;
    scene.set("run", json!({"cancel": true})).await?;
    let ended = scene.in_phase("run", Phase::Cancelled).await?;
    assert_eq!(message(&ended), "was cancelled before it started; nothing was done");
    assert!(
        ended
            .status
            .as_ref()
            .is_some_and(|status| status.cancel_requested_at.is_some() && status.started_at.is_none())
    );
    assert_eq!((paths(&ended), scene.target.received_count()), (Vec::new(), 0));
    assert!(condition(&ended, "Stalled").is_some());
    until_queue(&scene, "held", "nobody waits", |queue| {
        queue.status.as_ref().is_some_and(|status| status.queued == 0)
    })
    .await
}

#[tokio::test]
async fn the_default_queue_is_made_where_it_is_first_needed() -> Result<()> {
    let scene = Scene::open().await?;
    assert!(scene.api::<OperationQueue>().get_opt("default").await?.is_none());
    scene.submit_steps("run", "- {name: wait, type: delay, seconds: 0}").await?;
    scene.succeeds("run").await?;
    assert_eq!(scene.api::<OperationQueue>().get("default").await?.spec.max_concurrent, 3);
    Ok(())
}

#[tokio::test]
async fn a_limit_that_is_raised_admits_more_at_once() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("q", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/work");
    for name in ["a", "b", "c"] {
        scene.submit(name, &asks("/work", "q", 5)).await?;
    }
    scene.asked("/work", 1).await?;
    scene.patch::<OperationQueue>("q", json!({"spec": {"maxConcurrent": 3}})).await?;
    scene.asked("/work", 3).await
}

#[tokio::test]
async fn a_queued_operation_that_is_deleted_leaves_its_queue() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/work");
    scene.submit("running", &asks("/work", "one", 5)).await?;
    scene.asked("/work", 1).await?;
    for name in ["unwanted", "wanted"] {
        scene.submit(name, &asks("/work", "one", 5)).await?;
        scene.in_phase(name, Phase::Queued).await?;
    }
    scene.kubectl(&["delete", "operation", "unwanted", "--timeout=60s"])?;
    scene.target.release("/work");
    scene.succeeds("wanted").await?;
    assert_eq!(order(&scene), ["running", "wanted"]);
    Ok(())
}

#[tokio::test]
async fn a_running_operation_that_is_deleted_rolls_back_and_frees_its_slot() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/slow");
    scene
        .submit(
            "run",
            "
            queue: one
            runbook:
              inline:
                operation: {name: t, type: deploy}
                steps:
                - {name: change, type: http_request, method: POST, url: TARGET/change}
                - {name: slow, type: http_request, url: TARGET/slow}
                rollback:
                  on_failure: [{name: undo, type: http_request, method: POST, url: TARGET/undo}]
            ",
        )
        .await?;
    scene.asked("/slow", 1).await?;
    let running = scene.api::<Operation>().get("run").await?;
    assert_eq!(
        running.metadata.finalizers.as_deref(),
        Some(&["thermostat.dev/operation".to_owned()][..])
    );
    scene.submit("next", &asks("/work", "one", 5)).await?;
    scene.in_phase("next", Phase::Queued).await?;
    scene.kubectl(&["delete", "operation", "run", "--timeout=60s"])?;
    assert_eq!(scene.target.count("/undo"), 1);
    assert_eq!(scene.target.in_flight("/slow"), 0);
    scene.succeeds("next").await.map(drop)
}

#[tokio::test]
async fn an_operation_without_effects_that_is_deleted_while_it_runs_frees_its_slot() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/slow");
    scene.submit("run", &asks("/slow", "one", 5)).await?;
    scene.asked("/slow", 1).await?;
    scene.kubectl(&["delete", "operation", "run", "--timeout=60s"])?;
    scene.submit("next", &asks("/work", "one", 5)).await?;
    scene.succeeds("next").await?;
    scene.asked("/slow", 0).await
}

#[tokio::test]
async fn a_queue_that_is_deleted_and_made_anew_still_counts_who_runs() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    scene.target.hold("/work");
    scene.submit("running", &asks("/work", "one", 5)).await?;
    scene.asked("/work", 1).await?;
    scene.kubectl(&["delete", "operationqueue", "one"])?;
    scene.submit("waiting", &asks("/work", "one", 5)).await?;
    scene.waits_for("waiting", "QueueNotFound").await?;
    scene.queue("one", json!({"maxConcurrent": 1})).await?;
    until_queue(&scene, "one", "knows who runs", |queue| {
        queue
            .status
            .as_ref()
            .is_some_and(|status| status.running.iter().map(|slot| slot.name.as_str()).eq(["running"]))
    })
    .await?;
    scene.in_phase("waiting", Phase::Queued).await?;
    scene.target.release("/work");
    scene.succeeds("running").await?;
    scene.succeeds("waiting").await?;
    assert_eq!(scene.target.operations_in_flight_peak(), 1);
    Ok(())
}

#[tokio::test]
async fn one_cap_holds_over_all_queues_and_their_heads_compete() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.arguments(["--max-running", "1"]).start()?;
    controller.ready(SOON).await?;
    for queue in ["left", "right"] {
        scene.queue(queue, json!({"maxConcurrent": 5})).await?;
    }
    scene.target.hold("/work");
    scene.submit("first", &asks("/work", "left", 5)).await?;
    scene.asked("/work", 1).await?;
    for (name, queue, priority) in [("d", "left", 1), ("c", "right", 2), ("b", "left", 3), ("a", "right", 4)] {
        scene.submit(name, &asks("/work", queue, priority)).await?;
        scene.in_phase(name, Phase::Queued).await?;
    }
    scene.target.release("/work");
    scene.succeeds("d").await?;
    assert_eq!(order(&scene), ["first", "a", "b", "c", "d"]);
    assert_eq!(scene.target.operations_in_flight_peak(), 1);
    Ok(())
}
