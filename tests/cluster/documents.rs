//! State documents are `ConfigMap`s, and nobody's change is lost.

use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

use crate::{
    harness::{Result, wait::eventually_object},
    scene::{SOON, Scene, inline, message, outputs, step},
};

#[tokio::test]
async fn a_document_is_made_read_and_changed() -> Result<()> {
    let scene = Scene::open().await?;
    let steps = "
- {name: before, type: state_check, file: deployments.json, path: .web.version, output: before}
- {name: write, type: state_update, file: deployments.json, updates: {.web.version: '2', .web.replicas: 3}, output: places}
- {name: after, type: state_check, file: infra/state/deployments.json, path: .web, output: after}
- {name: exact, type: state_check, file: deployments.json, path: .web.replicas, equals: 3}
- {name: log, type: operation_log, entry: {what: deployed web}}";
    let spec = inline(steps) + "    outputs: {before: before, places: places, after: after}\n";
    scene.submit("run", &spec).await?;
    let done = scene.succeeds("run").await?;
    assert_eq!(
        outputs(&done),
        json!({"before": null, "places": 2, "after": {"version": "2", "replicas": 3}})
    );
    let map = scene.api::<ConfigMap>().get("infra.state.deployments.json").await?;
    assert!(
        map.metadata
            .labels
            .is_some_and(|labels| labels.contains_key("thermostat.dev/state"))
    );
    let path = map
        .metadata
        .annotations
        .and_then(|annotations| annotations.get("thermostat.dev/path").cloned());
    assert_eq!(path.as_deref(), Some("infra/state/deployments.json"));
    let log = scene.document("infra.state.operations.json", "operations.json").await?;
    let entries = log.get("operations").and_then(Value::as_array).cloned().unwrap_or_default();
    assert!(entries.iter().any(|entry| entry.to_string().contains("deployed web")), "{log}");
    Ok(())
}

#[tokio::test]
async fn nothing_is_lost_where_many_write_one_document() -> Result<()> {
    const EACH: usize = 10;
    let scene = Scene::open().await?;
    scene.queue("wide", json!({"maxConcurrent": 10})).await?;
    for name in ["a", "b", "c"] {
        let items: Vec<_> = (0..EACH).map(|number| format!("{name}{number}")).collect();
        let steps = format!(
            "- {{name: all, type: foreach, items: {items:?}, parallel: true, steps: [{{name: note, type: state_update, file: all.json, updates: {{'.${{item}}': '${{operation_name}}'}}}}]}}"
        );
        scene.submit(name, &format!("{}queue: wide", inline(&steps))).await?;
    }
    // somebody else writes into the same document meanwhile
    let mut theirs = 0;
    while theirs < EACH {
        let api = scene.api::<ConfigMap>();
        let Some(mut map) = api.get_opt("infra.state.all.json").await? else {
            continue;
        };
        let data = map.data.get_or_insert_default();
        let mut document: Value = serde_json::from_str(data.get("all.json").map_or("{}", String::as_str))?;
        document[format!("theirs{theirs}")] = json!("kubectl");
        data.insert("all.json".to_owned(), document.to_string());
        match api.replace("infra.state.all.json", &kube::api::PostParams::default(), &map).await {
            Ok(_) => theirs += 1,
            Err(kube::Error::Api(status)) if status.code == 409 => {}
            Err(error) => return Err(error.into()),
        }
    }
    for name in ["a", "b", "c"] {
        scene.succeeds(name).await?;
    }
    let document = scene.document("infra.state.all.json", "all.json").await?;
    let missing: Vec<_> = (0..EACH)
        .flat_map(|number| ["a", "b", "c", "theirs"].map(|who| format!("{who}{number}")))
        .filter(|key| document.get(key).is_none())
        .collect();
    assert_eq!(missing, Vec::<String>::new());
    Ok(())
}

#[tokio::test]
async fn a_config_map_that_is_not_ours_is_read_but_never_written() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .config_map("infra.state.theirs.json", json!({"theirs.json": r#"{"a": 1}"#}))
        .await?;
    let steps = "
- {name: read, type: state_check, file: theirs.json, path: .a, equals: 1}
- {name: write, type: state_update, file: theirs.json, updates: {.a: 2}}";
    scene.submit_steps("run", steps).await?;
    let failed = scene.fails("run").await?;
    assert_eq!(step(&failed, "read")?.output, Some(json!(1)));
    let said = message(&failed);
    assert!(
        said.contains("infra.state.theirs.json") && said.contains("label it thermostat.dev/state"),
        "{said}"
    );
    assert_eq!(scene.document("infra.state.theirs.json", "theirs.json").await?, json!({"a": 1}));
    scene.kubectl(&["label", "configmap", "infra.state.theirs.json", "thermostat.dev/state=true"])?;
    scene.submit_steps("again", steps).await?;
    scene.succeeds("again").await?;
    assert_eq!(scene.document("infra.state.theirs.json", "theirs.json").await?, json!({"a": 2}));
    Ok(())
}

#[tokio::test]
async fn a_document_that_is_no_json_is_named_and_left_alone() -> Result<()> {
    let scene = Scene::open().await?;
    let labels = json!({"thermostat.dev/state": "true"});
    let map = json!({"metadata": {"name": "infra.state.broken.json", "labels": labels}, "data": {"broken.json": "{oops"}});
    scene.create::<ConfigMap>(map).await?;
    scene
        .submit_steps("run", "- {name: write, type: state_update, file: broken.json, updates: {.a: 2}}")
        .await?;
    let said = message(&scene.fails("run").await?);
    assert!(said.contains("infra/state/broken.json"), "{said}");
    let map = scene.api::<ConfigMap>().get("infra.state.broken.json").await?;
    assert_eq!(map.data.unwrap_or_default().get("broken.json").map(String::as_str), Some("{oops"));
    Ok(())
}

#[tokio::test]
async fn every_operation_that_ended_stands_in_the_operation_log() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.hold("/slow");
    scene.submit_steps("well", "- {name: wait, type: delay, seconds: 0}").await?;
    scene
        .submit_steps("unwell", "- {name: check, type: state_check, file: a.json, path: .a, equals: 1}")
        .await?;
    scene
        .submit_steps("deleted", "- {name: slow, type: http_request, url: TARGET/slow}")
        .await?;
    scene
        .submit("tried", &(inline("- {name: wait, type: delay, seconds: 0}") + "dryRun: true"))
        .await?;
    scene.asked("/slow", 1).await?;
    scene.kubectl(&["delete", "operation", "deleted", "--timeout=60s"])?;
    for name in ["well", "tried"] {
        scene.succeeds(name).await?;
    }
    let unwell = scene.fails("unwell").await?;
    let log = logged(&scene, 3).await?;
    let of = |name: &str| {
        log.iter()
            .find(|entry| entry.get("name") == Some(&json!(name)))
            .cloned()
            .unwrap_or_default()
    };
    assert_eq!(of("well").get("phase"), Some(&json!("Succeeded")));
    assert_eq!(of("deleted").get("phase"), Some(&json!("Cancelled")));
    assert_eq!(of("tried"), json!(null));
    let status = unwell.status.clone().unwrap_or_default();
    let expected = json!({
        "name": "unwell", "runbook": "test", "type": "maintain", "phase": "Failed", "error": message(&unwell),
        "startedAt": status.started_at, "finishedAt": status.finished_at, "id": unwell.metadata.uid,
    });
    assert_eq!(of("unwell"), expected);
    Ok(())
}

/// The operation log, once it has so many entries.
async fn logged(scene: &Scene, count: usize) -> Result<Vec<Value>> {
    let entries = |map: Option<&ConfigMap>| {
        let text = map
            .and_then(|map| map.data.as_ref()?.get("operations.json").cloned())
            .unwrap_or_default();
        let log: Value = serde_json::from_str(&text).unwrap_or_default();
        log.get("operations").and_then(Value::as_array).cloned().unwrap_or_default()
    };
    let what = format!("{count} Operations are logged");
    let complete = |map: Option<&ConfigMap>| entries(map).len() >= count;
    let map = eventually_object(&scene.api::<ConfigMap>(), "infra.state.operations.json", &what, SOON, complete).await?;
    Ok(entries(map.as_ref()))
}

#[tokio::test]
async fn an_end_that_was_not_logged_is_logged_by_the_next_controller_and_none_twice() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene.controller()?.start()?;
    controller.ready(SOON).await?;
    let steps = "- {name: wait, type: delay, seconds: 0}";
    scene.submit_steps("first", steps).await?;
    logged(&scene, 1).await?;
    scene.submit_steps("second", steps).await?;
    scene.succeeds("second").await?;
    controller.start_again()?;
    logged(&scene, 2).await?;
    scene.submit_steps("third", steps).await?;
    let log = logged(&scene, 3).await?;
    let names: Vec<_> = log.iter().filter_map(|entry| entry.get("name")?.as_str()).collect();
    assert_eq!(names, ["first", "second", "third"]);
    Ok(())
}
