//! What waits for something that is not there, says what to do, and goes on by itself.

use serde_json::json;
use thermostat::api::operation::Phase;

use crate::{
    harness::Result,
    scene::{Scene, condition, ready},
};

const NOTHING: &str = "{operation: {name: t, type: maintain}, steps: [{name: wait, type: delay, seconds: 0}]}";

/// Asks for a look now and waits until it was taken.
async fn look_again(scene: &Scene, name: &str) -> Result<()> {
    scene.kubectl(&["annotate", "operation", name, "--overwrite", "thermostat.dev/reconcile-at=now"])?;
    let seen = |operation: &thermostat::api::Operation| {
        let status = operation.status.as_ref();
        operation.is_finished() || status.is_some_and(|status| status.last_handled_reconcile_at.as_deref() == Some("now"))
    };
    scene.until(name, "was looked at again", seen).await.map(drop)
}

#[tokio::test]
async fn a_missing_secret_is_named_and_waited_for() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .submit(
            "run",
            &format!("{{runbook: {{inline: {NOTHING}}}, parametersFrom: [{{secretRef: {{name: keys}}}}]}}"),
        )
        .await?;
    let said = scene.waits_for("run", "SecretNotFound").await?;
    assert_eq!(
        said,
        format!("there is no Secret keys in the namespace {}; create it", scene.namespace)
    );
    let waiting = scene.in_phase("run", Phase::Pending).await?;
    assert_eq!(ready(&waiting).1, "False");
    assert_eq!(condition(&waiting, "Reconciling").map(|found| found.1).as_deref(), Some("True"));
    assert_eq!(condition(&waiting, "Stalled"), None);
    assert_eq!(waiting.status.and_then(|status| status.observed_generation), Some(1));
    scene.secret("keys", json!({})).await?;
    look_again(&scene, "run").await?;
    scene.succeeds("run").await.map(drop)
}

#[tokio::test]
async fn a_missing_config_map_is_looked_for_again_without_being_asked() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .submit(
            "run",
            &format!("{{runbook: {{inline: {NOTHING}}}, parametersFrom: [{{configMapRef: {{name: values}}}}]}}"),
        )
        .await?;
    let said = scene.waits_for("run", "ConfigMapNotFound").await?;
    assert!(
        said.contains("there is no ConfigMap values") && said.contains("create it"),
        "{said}"
    );
    scene.config_map("values", json!({})).await?;
    scene.succeeds("run").await.map(drop)
}

#[tokio::test]
async fn a_runbook_that_the_library_does_not_have_comes_with_the_nearest_name() -> Result<()> {
    let scene = Scene::open().await?;
    scene.submit("run", "{runbook: {name: maintain/helth-check}}").await?;
    let said = scene.waits_for("run", "RunbookNotFound").await?;
    assert!(
        said.contains(r#"no runbook "maintain/helth-check"; did you mean "maintain/health-check"?"#),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn a_config_map_without_the_key_is_told_with_the_keys_it_has() -> Result<()> {
    let scene = Scene::open().await?;
    scene.config_map("books", json!({"a.yml": NOTHING, "b.yml": NOTHING})).await?;
    scene
        .submit("run", "{runbook: {configMapKeyRef: {name: books, key: c.yml}}}")
        .await?;
    let said = scene.waits_for("run", "ConfigMapNotFound").await?;
    assert!(said.contains(r#"has no key "c.yml"; it has a.yml, b.yml"#), "{said}");
    scene
        .patch::<k8s_openapi::api::core::v1::ConfigMap>("books", json!({"data": {"c.yml": NOTHING}}))
        .await?;
    look_again(&scene, "run").await?;
    scene.succeeds("run").await.map(drop)
}

#[tokio::test]
async fn a_missing_queue_is_waited_for_and_goes_on_at_once_when_it_is_made() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .submit("run", &format!("{{runbook: {{inline: {NOTHING}}}, queue: nightly}}"))
        .await?;
    let said = scene.waits_for("run", "QueueNotFound").await?;
    assert!(
        said.contains(r#"there is no OperationQueue "nightly" in this namespace; create it"#),
        "{said}"
    );
    scene.in_phase("run", Phase::Pending).await?;
    scene.queue("nightly", json!({"maxConcurrent": 1})).await?;
    scene.succeeds("run").await.map(drop)
}

#[tokio::test]
async fn a_cancel_ends_what_is_pending_at_once() -> Result<()> {
    let scene = Scene::open().await?;
    scene.submit("run", "{runbook: {configMapKeyRef: {name: books, key: a}}}").await?;
    scene.waits_for("run", "ConfigMapNotFound").await?;
    scene.set("run", json!({"cancel": true})).await?;
    let ended = scene.in_phase("run", Phase::Cancelled).await?;
    assert_eq!(ready(&ended).0, "Cancelled");
    assert_eq!(condition(&ended, "Stalled").map(|found| found.1).as_deref(), Some("True"));
    Ok(())
}

#[tokio::test]
async fn what_is_pending_can_be_deleted() -> Result<()> {
    let scene = Scene::open().await?;
    scene.submit("run", "{runbook: {name: nothing/there}}").await?;
    scene.waits_for("run", "RunbookNotFound").await?;
    scene.kubectl(&["delete", "operation", "run", "--timeout=60s"])?;
    scene.gone::<thermostat::api::Operation>("run").await
}

#[tokio::test]
async fn a_request_to_look_is_acknowledged_while_it_waits_in_a_queue() -> Result<()> {
    let scene = Scene::open().await?;
    scene.queue("held", json!({"suspend": true})).await?;
    scene
        .submit("run", &format!("{{runbook: {{inline: {NOTHING}}}, queue: held}}"))
        .await?;
    scene.waits_for("run", "Queued").await?;
    look_again(&scene, "run").await
}
