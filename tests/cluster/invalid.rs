//! What can never run: refused with every mistake, its place and the fix; and nothing ran.

use serde_json::json;
use thermostat::api::operation::Phase;

use crate::{
    harness::{Failure, Result, wait::eventually},
    scene::{SOON, Scene, condition, inline, message, paths, ready},
};

const NOTHING: &str = "{operation: {name: t, type: maintain}, steps: [{name: wait, type: delay, seconds: 0}]}";

/// Why an Operation is refused.
async fn refusal(scene: &Scene, spec: &str) -> Result<String> {
    scene.submit("refused", spec).await?;
    let failed = scene.fails("refused").await?;
    assert_eq!(ready(&failed).0, "InvalidRunbook", "{}", message(&failed));
    assert_eq!(condition(&failed, "Stalled").map(|found| found.1).as_deref(), Some("True"));
    assert_eq!((paths(&failed), scene.target.received_count()), (Vec::new(), 0));
    Ok(message(&failed))
}

#[tokio::test]
async fn several_mistakes_are_all_reported_with_place_and_fix() -> Result<()> {
    let scene = Scene::open().await?;
    let said = refusal(
        &scene,
        &inline(
            "- {name: a, type: http_request, url: 'TARGET/${nobody}'}
- {name: b, type: helth_check, url: TARGET}
- {name: c, type: delay, secnds: 5}
- {name: d, type: conditional, condition: '1 +', steps: [{type: delay, seconds: 1}]}",
        ),
    )
    .await?;
    for words in ["nobody", "helth_check", "health_check", "secnds", "seconds", "steps[0]", "steps[3]"] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn a_mistake_in_a_config_map_is_reported_with_line_and_column() -> Result<()> {
    let scene = Scene::open().await?;
    let text = "operation:\n  name: t\n  type: maintain\nsteps:\n  - name: a\n    type: delay\n    secs: 1\n";
    scene.config_map("books", json!({"a.yml": text})).await?;
    let said = refusal(&scene, "runbook: {configMapKeyRef: {name: books, key: a.yml}}").await?;
    assert!(said.contains("line 7, column 5") && said.contains("secs"), "{said}");
    Ok(())
}

#[tokio::test]
async fn wrong_parameters_are_all_reported() -> Result<()> {
    let scene = Scene::open().await?;
    let said = refusal(
        &scene,
        "
        parameters: {coun: 1, size: many}
        runbook:
          inline:
            operation: {name: t, type: maintain}
            parameters: {count: {type: integer, required: true}, size: {type: integer, default: 1}}
            steps: [{name: wait, type: delay, seconds: '${count + size}'}]
        ",
    )
    .await?;
    for words in ["coun", "count", "size", "many"] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    Ok(())
}

#[tokio::test]
async fn fields_that_this_version_does_not_have_are_refused_by_name() -> Result<()> {
    for (field, spec) in [
        (
            "spec.dependsOn",
            format!("{{runbook: {{inline: {NOTHING}}}, dependsOn: [{{kind: Operation, name: a}}]}}"),
        ),
        (
            "spec.concurrency",
            format!("{{runbook: {{inline: {NOTHING}}}, concurrency: {{group: a}}}}"),
        ),
        ("spec.retryOf", format!("{{runbook: {{inline: {NOTHING}}}, retryOf: {{name: a}}}}")),
        (
            "spec.ttlSecondsAfterFinished",
            format!("{{runbook: {{inline: {NOTHING}}}, ttlSecondsAfterFinished: 5}}"),
        ),
        (
            "spec.serviceAccountName",
            format!("{{runbook: {{inline: {NOTHING}}}, serviceAccountName: a}}"),
        ),
        (
            "spec.parametersFrom[].heatStackRef",
            format!("{{runbook: {{inline: {NOTHING}}}, parametersFrom: [{{heatStackRef: {{name: a}}}}]}}"),
        ),
        (
            "spec.runbook.url",
            format!(
                "{{runbook: {{url: {{location: 'https://example.com/a', sha256: '{}'}}}}}}",
                "0".repeat(64)
            ),
        ),
    ] {
        let scene = Scene::open().await?;
        let said = refusal(&scene, &spec).await?;
        assert!(said.contains(field) && said.contains("not available in this version"), "{said}");
    }
    Ok(())
}

#[tokio::test]
async fn steps_that_this_version_does_not_have_are_refused_by_name() -> Result<()> {
    let scene = Scene::open().await?;
    let said = refusal(
        &scene,
        &inline(
            "- {name: claim, type: lock, resource: a}
- {name: push, type: git, command: git push}
- {name: login, type: ssh_command, host: a, command: uptime}
- {name: child, type: load_operation, template: deploy/a}
- {name: tell, type: notification, channel: log, message: a, rollback: [{type: delay, seconds: 1}]}",
        ),
    )
    .await?;
    for words in ["lock", "git", "ssh_command", "load_operation", "rollback"] {
        assert!(said.contains(words), "{words} is missing in: {said}");
    }
    assert!(said.matches("not available in this version").count() >= 5, "{said}");
    Ok(())
}

#[tokio::test]
async fn an_inline_runbook_that_is_too_large_is_refused_with_the_way_out() -> Result<()> {
    let scene = Scene::open().await?;
    let text = "x".repeat(210 * 1024);
    let said = refusal(
        &scene,
        &inline(&format!("- {{name: tell, type: notification, channel: log, message: {text}}}")),
    )
    .await?;
    assert!(
        said.contains("spec.runbook.inline") && said.contains("204800") && said.contains("configMapKeyRef"),
        "{said}"
    );
    Ok(())
}

#[tokio::test]
async fn what_is_no_document_at_all_is_refused() -> Result<()> {
    let scene = Scene::open().await?;
    scene.config_map("books", json!({"a": "- [", "b": ""})).await?;
    for key in ["a", "b"] {
        let name = format!("run-{key}");
        scene
            .submit(&name, &format!("runbook: {{configMapKeyRef: {{name: books, key: {key}}}}}"))
            .await?;
        assert_eq!(ready(&scene.fails(&name).await?).0, "InvalidRunbook");
    }
    Ok(())
}

/// Lets objects through that the types cannot read, as another version of the definition might.
fn loosen(scene: &Scene) -> Result<()> {
    let open = json!([
        {"op": "replace", "path": "/spec/versions/0/schema/openAPIV3Schema", "value": {
            "type": "object",
            "properties": {
                "spec": {"type": "object", "x-kubernetes-preserve-unknown-fields": true},
                "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": true, "default": {"observedGeneration": -1}},
            },
        }}
    ]);
    let patch = open.to_string();
    scene
        .plane
        .kubectl(&[
            "patch",
            "customresourcedefinition",
            "operations.thermostat.dev",
            "--type=json",
            "--patch",
            &patch,
        ])
        .map(drop)
}

#[tokio::test]
async fn an_object_that_the_types_cannot_read_stops_no_other_and_is_counted() -> Result<()> {
    use crate::harness::{control_plane::ControlPlane, controller::Setup, target::Target};
    // a control plane of its own: its definition is another version's
    let plane = Box::leak(Box::new(ControlPlane::start()?));
    plane.install()?;
    let scene = Scene {
        client: plane.client().await?,
        namespace: plane.namespace().await?,
        target: Target::start()?,
        plane,
    };
    loosen(&scene)?;
    let foreign = "{apiVersion: thermostat.dev/v1alpha1, kind: Operation, metadata: {name: foreign}, spec: {runbook: 5, priority: urgent}}";
    // it takes a moment until the API server serves the new definition
    eventually("an object of another version is let through", SOON, async || scene.apply(foreign)).await?;
    let mut controller = Setup::of(scene.plane, crate::scene::binary()).start()?;
    controller.ready(SOON).await?;
    scene.submit("ours", &format!("{{runbook: {{inline: {NOTHING}}}}}")).await?;
    scene.succeeds("ours").await?;
    let metric = r#"thermostat_unreadable_objects{kind="Operation"} 1"#;
    eventually("the unreadable object is counted", SOON, async || {
        match controller.metrics().await {
            Ok(metrics) if metrics.contains(metric) => Ok(()),
            Ok(metrics) => Err(Failure::new(metrics)),
            Err(failure) => Err(failure),
        }
    })
    .await?;
    eventually("an Event tells of it", SOON, async || {
        let events = scene.kubectl(&["get", "events.events.k8s.io", "-o", "jsonpath={.items[*].regarding.name}"])?;
        if events.contains("foreign") {
            Ok(())
        } else {
            Err(Failure::new(events))
        }
    })
    .await?;
    let log = controller.log()?;
    assert!(log.contains("foreign"), "{log}");
    scene.kubectl(&["delete", "operation", "foreign"])?;
    scene.submit("another", &format!("{{runbook: {{inline: {NOTHING}}}}}")).await?;
    scene.in_phase("another", Phase::Succeeded).await?;
    eventually("it is not counted any more", SOON, async || match controller.metrics().await {
        Ok(metrics) if metrics.contains(metric) => Err(Failure::new(metrics)),
        Ok(_) => Ok(()),
        Err(failure) => Err(failure),
    })
    .await
}
