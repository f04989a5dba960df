//! What `kubectl` shows and refuses.

use crate::{
    harness::Result,
    scene::{Scene, controller},
};

const RUNBOOK: &str = "{operation: {name: t, type: maintain}, steps: [{name: wait, type: delay, seconds: 0}]}";

/// An Operation that nobody will run: it is held from the start.
fn operation(name: &str, spec: &str) -> String {
    format!("{{apiVersion: thermostat.dev/v1alpha1, kind: Operation, metadata: {{name: {name}}}, spec: {{suspend: true, {spec}}}}}")
}

#[tokio::test]
async fn a_mistake_that_a_schema_can_hold_is_refused_with_a_sentence() -> Result<()> {
    let scene = Scene::open().await?;
    let exactly_one = "give exactly one of name, inline, configMapKeyRef and url";
    for (spec, sentence) in [
        (format!("runbook: {{name: a, inline: {RUNBOOK}}}"), exactly_one),
        ("runbook: {}".to_owned(), exactly_one),
        ("priority: 5".to_owned(), "spec.runbook: Required value"),
        ("runbook: {name: a}, priority: -1".to_owned(), "spec.priority"),
        (
            "runbook: {name: a}, priority: 1001".to_owned(),
            "should be less than or equal to 1000",
        ),
        ("runbook: {name: a}, timeout: 5 minutes".to_owned(), "spec.timeout"),
        ("runbook: {name: a}, timeout: \"90\"".to_owned(), "spec.timeout"),
        ("runbook: {name: a}, queue: \"\"".to_owned(), "spec.queue"),
        (
            "runbook: {name: a}, parametersFrom: [{}]".to_owned(),
            "give exactly one of secretRef, configMapRef and heatStackRef",
        ),
        (
            "runbook: {name: a}, parametersFrom: [{secretRef: {name: a}, configMapRef: {name: a}}]".to_owned(),
            "give exactly one of secretRef, configMapRef and heatStackRef",
        ),
        (
            "runbook: {url: {location: \"http://example.com/a\", sha256: \"00\"}}".to_owned(),
            "spec.runbook.url.location",
        ),
        ("runbook: {name: a}, runbok: {}".to_owned(), "unknown field \"spec.runbok\""),
    ] {
        let said = scene.refused(&operation("refused", &spec))?;
        assert!(said.contains(sentence), "{spec}: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_queue_without_room_is_refused() -> Result<()> {
    let scene = Scene::open().await?;
    for most in ["0", "1001"] {
        let queue = format!(
            "{{apiVersion: thermostat.dev/v1alpha1, kind: OperationQueue, metadata: {{name: q}}, spec: {{maxConcurrent: {most}}}}}"
        );
        assert!(scene.refused(&queue)?.contains("spec.maxConcurrent"));
    }
    Ok(())
}

#[tokio::test]
async fn what_a_run_is_made_from_cannot_be_changed() -> Result<()> {
    let scene = Scene::open().await?;
    let given = format!("runbook: {{inline: {RUNBOOK}}}");
    scene.apply(&operation("fixed", &given))?;
    for (spec, field) in [
        ("runbook: {name: other}".to_owned(), "runbook"),
        (format!("{given}, parameters: {{a: 1}}"), "parameters"),
        (format!("{given}, parametersFrom: [{{secretRef: {{name: a}}}}]"), "parametersFrom"),
        (format!("{given}, queue: other"), "queue"),
        (format!("{given}, dependsOn: [{{kind: Operation, name: a}}]"), "dependsOn"),
        (format!("{given}, concurrency: {{group: a}}"), "concurrency"),
        (format!("{given}, dryRun: true"), "dryRun"),
        (format!("{given}, retryOf: {{name: a}}"), "retryOf"),
        (format!("{given}, timeout: 2h"), "timeout"),
        (format!("{given}, serviceAccountName: other"), "serviceAccountName"),
    ] {
        let said = scene.refused(&operation("fixed", &spec))?;
        let sentence = format!("{field} cannot be changed: an Operation is one run; create a new Operation");
        assert!(said.contains(&sentence), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn priority_suspend_and_cancel_may_change_but_cancel_not_back() -> Result<()> {
    let scene = Scene::open().await?;
    let given = format!("runbook: {{inline: {RUNBOOK}}}");
    scene.apply(&operation("open", &format!("{given}, priority: 7")))?;
    scene.apply(&operation("open", &format!("{given}, priority: 900, ttlSecondsAfterFinished: 60")))?;
    scene.apply(&operation("open", &format!("{given}, priority: 0, cancel: true")))?;
    let said = scene.refused(&operation("open", &format!("{given}, priority: 0, cancel: false")))?;
    assert!(said.contains("cancel cannot be taken back"), "{said}");
    Ok(())
}

#[tokio::test]
async fn kubectl_explains_every_field() -> Result<()> {
    let scene = Scene::open().await?;
    let said = scene.kubectl(&["explain", "operation.spec.runbook"])?;
    for words in [
        "exactly one of",
        "configMapKeyRef",
        "inline",
        "at most 200 KiB",
        "controller's library",
    ] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    let said = scene.kubectl(&["explain", "operations", "--recursive"])?;
    for field in [
        "cancelRequestedAt",
        "lastHandledReconcileAt",
        "parametersFrom",
        "serviceAccountName",
    ] {
        assert!(said.contains(field), "{field} is missing in: {said}");
    }
    assert!(scene.kubectl(&["explain", "opq.spec.maxConcurrent"])?.contains("at once"));
    Ok(())
}

#[tokio::test]
async fn short_names_the_category_and_the_columns_work() -> Result<()> {
    let scene = Scene::open().await?;
    scene.apply(&operation("shown", &format!("runbook: {{inline: {RUNBOOK}}}, priority: 42")))?;
    scene.waits_for("shown", "Suspended").await?;
    scene.apply("{apiVersion: thermostat.dev/v1alpha1, kind: OperationQueue, metadata: {name: slow}, spec: {maxConcurrent: 7}}")?;
    let heads = |said: String| {
        said.lines()
            .next()
            .unwrap_or_default()
            .split("  ")
            .filter(|head| !head.is_empty())
            .map(|head| head.trim().to_owned())
            .collect::<Vec<_>>()
    };
    let narrow = scene.kubectl(&["get", "op"])?;
    assert!(narrow.contains("42"), "{narrow}");
    let expected = ["NAME", "PHASE", "PROGRESS", "STEP", "QUEUE POSITION", "PRIORITY", "READY", "AGE"];
    assert_eq!(heads(narrow), expected);
    let wide = scene.kubectl(&["get", "op", "-o", "wide"])?;
    assert!(wide.contains("is suspended; set spec.suspend to false"), "{wide}");
    assert_eq!(heads(wide), [&expected[..], &["RUNBOOK", "QUEUE", "DURATION", "MESSAGE"]].concat());
    let queues = scene.kubectl(&["get", "opq"])?;
    assert!(queues.contains("slow") && queues.contains('7'), "{queues}");
    assert_eq!(heads(queues), ["NAME", "MAX", "RUNNING", "QUEUED", "SUSPENDED", "AGE"]);
    let all = scene.kubectl(&["get", "thermostat", "-o", "name"])?;
    assert!(
        all.contains("operation.thermostat.dev/shown") && all.contains("operationqueue.thermostat.dev/slow"),
        "{all}"
    );
    Ok(())
}

#[tokio::test]
async fn a_status_that_nobody_wrote_yet_says_that_nobody_looked() -> Result<()> {
    let scene = Scene::without_controller().await?;
    scene.apply(&operation("new", "runbook: {name: a}"))?;
    let status = scene.kubectl(&["get", "op", "new", "-o", "jsonpath={.status}"])?;
    assert_eq!(status, r#"{"observedGeneration":-1}"#);
    Ok(())
}

#[tokio::test]
async fn the_controller_says_that_it_lives_and_leads() -> Result<()> {
    let metrics = {
        Scene::open().await?;
        controller()?.metrics().await?
    };
    assert!(metrics.contains("thermostat_leader 1"), "{metrics}");
    Ok(())
}
