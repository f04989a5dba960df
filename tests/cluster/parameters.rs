//! Where runbooks and their parameters come from, that a run is frozen, and that secrets stay secret.

use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use serde_json::{Value, json};
use thermostat::api::Operation;

use crate::{
    harness::{Failure, Result, target::Answer},
    scene::{Scene, controller, inline, outputs, ready, step},
};

/// No test says this for any other reason.
const TOKEN: &str = "correct-horse-battery-staple";

#[tokio::test]
async fn later_sources_win_and_parameters_win_over_all() -> Result<()> {
    let scene = Scene::open().await?;
    scene
        .config_map("first", json!({"a": "map", "b": "map", "c": "map", "count": "3"}))
        .await?;
    scene.secret("second", json!({"b": "secret", "c": "secret"})).await?;
    scene
        .submit(
            "run",
            "
            parameters: {c: given}
            parametersFrom: [{configMapRef: {name: first}}, {secretRef: {name: second}}]
            runbook:
              inline:
                operation: {name: t, type: maintain}
                parameters: {a: default, b: default, c: default, d: default, count: 1}
                steps:
                - {name: ask, type: http_request, url: 'TARGET/ask?b=${b}'}
                outputs: {a: a, c: c, d: d, more: count + 1}
            ",
        )
        .await?;
    let done = scene.succeeds("run").await?;
    assert_eq!(outputs(&done), json!({"a": "map", "c": "given", "d": "default", "more": 4}));
    assert_eq!(
        scene.target.received().first().map(|request| request.query.clone()).as_deref(),
        Some("b=secret")
    );
    Ok(())
}

#[tokio::test]
async fn a_runbook_comes_from_a_config_map() -> Result<()> {
    let scene = Scene::open().await?;
    let text = "operation: {name: from_map, type: maintain}\nsteps:\n  - {name: wait, type: delay, seconds: 0}\n";
    scene.config_map("books", json!({"wait.yml": text})).await?;
    scene
        .submit("run", "{runbook: {configMapKeyRef: {name: books, key: wait.yml}}}")
        .await?;
    let done = scene.succeeds("run").await?;
    assert_eq!(
        done.status.and_then(|status| status.runbook).map(|runbook| runbook.name).as_deref(),
        Some("from_map")
    );
    Ok(())
}

#[tokio::test]
async fn the_health_check_of_the_library_reads_a_registry_made_by_kubectl() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/sick", Answer::status(500));
    let registry = format!(
        "services:\n  web: {{health_check: {{method: http, url: '{}'}}}}\n  socket: {{health_check: {{method: tcp, host: 127.0.0.1, port: {}}}}}\n  sick: {{health_check: {{method: http, url: '{}'}}}}\ngroups:\n  all: [web, socket]\n  everything: {{services: [web, sick]}}\n",
        scene.target.url("/web"),
        scene.target.port(),
        scene.target.url("/sick"),
    );
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("services.yml");
    std::fs::write(&file, registry)?;
    let from_file = format!("--from-file={}", file.display());
    scene.kubectl(&["create", "configmap", "infra.services.yml", &from_file])?;
    scene.submit("well", "{runbook: {name: maintain/health-check}}").await?;
    let done = scene.succeeds("well").await?;
    assert_eq!(outputs(&done), json!({"total": 2, "healthy": 2, "unhealthy": []}));
    let state = scene.document("infra.state.health.json", "health.json").await?;
    assert_eq!(state.pointer("/services/web/status"), Some(&json!("ok")));
    assert_eq!(state.pointer("/services/socket/status"), Some(&json!("ok")));
    let report = done.status.and_then(|status| status.report).unwrap_or_default();
    assert!(report.contains("web") && report.contains("socket"), "{report}");
    let saved = scene.kubectl(&["get", "configmaps", "-o", "jsonpath={.items[*].data}"])?;
    assert!(saved.contains("Health check well"), "{saved}");

    scene
        .submit("unwell", "{runbook: {name: health_check}, parameters: {group: everything}}")
        .await?;
    let failed = scene.fails("unwell").await?;
    assert!(ready(&failed).2.contains("judge"), "{}", ready(&failed).2);
    let state = scene.document("infra.state.health.json", "health.json").await?;
    assert_eq!(state.pointer("/services/sick/status"), Some(&json!("failed")));
    assert_eq!(state.pointer("/summary/unhealthy"), Some(&json!(["sick"])));
    Ok(())
}

/// Everything that a reader without the right to read Secrets can see of a namespace.
fn all_that_is_shown(scene: &Scene) -> Result<String> {
    let mut shown = String::new();
    for kind in ["operations", "operationqueues", "events", "events.events.k8s.io", "configmaps"] {
        shown += &scene.kubectl(&["get", kind, "-o", "json"])?;
    }
    shown += &scene.kubectl(&["describe", "operations"])?;
    Ok(shown)
}

#[tokio::test]
async fn a_secret_is_used_and_never_shown() -> Result<()> {
    let scene = Scene::open().await?;
    scene.secret("keys", json!({"token": TOKEN})).await?;
    let encoded = k8s_openapi::ByteString(TOKEN.as_bytes().to_vec());
    let encoded = serde_json::to_value(&encoded)?.as_str().unwrap_or_default().to_owned();
    let echo = format!("token={TOKEN}&base64={encoded}&quoted=\"{TOKEN}\"");
    scene.target.answer(
        "/echo",
        Answer::json(&json!({"said": echo, TOKEN: 1, "list": [TOKEN]})).header("x-echo", TOKEN),
    );
    scene.target.answer("/fail", Answer::status(500).with_body(TOKEN));
    scene
        .submit(
            "run",
            "
            parametersFrom: [{secretRef: {name: keys}}]
            runbook:
              inline:
                operation: {name: t, type: deploy}
                parameters: {token: none}
                steps:
                - {name: echo, type: http_request, method: POST, url: 'TARGET/echo', headers: {Authorization: 'Bearer ${token}'}, output: answer}
                - {name: pass_on, type: http_request, method: POST, url: TARGET/pass-on, body: '${answer.body.list[0]}'}
                - {name: tell, type: notification, channel: log, message: 'the token is ${token}'}
                - {name: each, type: foreach, items: ['${token}'], steps: [{name: again, type: http_request, url: 'TARGET/again?key=${item}', output: twice}]}
                - {name: fail, type: http_request, url: 'TARGET/fail?token=${token}', retries: 2, retry_delay: 0}
                rollback: {on_failure: [{name: undo, type: http_request, method: POST, url: TARGET/undo, body: '${error_message} ${token}'}]}
                notifications: {on_failure: [{channel: log, message: '${error_message} ${token}'}]}
                results: {report_format: 'report ${token}'}
            ",
        )
        .await?;
    let failed = scene.fails("run").await?;
    let sent = |path: &str| {
        let requests = scene.target.received().into_iter().filter(|request| request.path == path);
        requests
            .map(|request| String::from_utf8_lossy(&request.body).into_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(sent("/pass-on"), [TOKEN], "a later step receives the real value");
    assert_eq!(scene.target.count(TOKEN), 1);
    assert!(sent("/undo").iter().any(|body| body.contains(TOKEN)));
    let authorization = scene
        .target
        .received()
        .first()
        .and_then(|request| request.headers.get("authorization").cloned());
    assert_eq!(authorization, Some(format!("Bearer {TOKEN}")));

    assert!(
        step(&failed, "echo")?
            .output
            .is_some_and(|output| output.to_string().contains("***"))
    );
    let controller = controller()?;
    let places = [
        ("the API", all_that_is_shown(&scene)?),
        ("the log", controller.log()?),
        ("the metrics", controller.metrics().await?),
    ];
    for (place, shown) in places {
        for form in [TOKEN, &encoded] {
            let around = shown.find(form).and_then(|at| shown.get(at.saturating_sub(200)..at + 50));
            assert_eq!(around, None, "{place} shows a secret");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_parameter_that_the_runbook_calls_secret_is_masked_too() -> Result<()> {
    let scene = Scene::open().await?;
    scene.config_map("values", json!({"password": "open-sesame-open"})).await?;
    scene.target.answer("/echo", Answer::body("you said open-sesame-open"));
    scene
        .submit(
            "run",
            "
            parametersFrom: [{configMapRef: {name: values}}]
            runbook:
              inline:
                operation: {name: t, type: maintain}
                parameters: {password: {type: string, secret: true}}
                steps: [{name: echo, type: http_request, url: TARGET/echo, output: answer}]
                outputs: {said: answer.body}
            ",
        )
        .await?;
    let done = scene.succeeds("run").await?;
    let status = serde_json::to_string(&done.status)?;
    assert!(!status.contains("open-sesame") && status.contains("you said ***"), "{status}");
    Ok(())
}

#[tokio::test]
async fn what_is_not_inline_is_frozen_when_it_is_checked() -> Result<()> {
    let scene = Scene::open().await?;
    let text = |path: &str| {
        format!("operation: {{name: t, type: maintain}}\nparameters: {{key: none, word: none}}\nsteps: [{{name: ask, type: http_request, url: 'TARGET/{path}?key=${{key}}&word=${{word}}'}}]")
            .replace("TARGET", &scene.target.url(""))
    };
    scene.config_map("books", json!({"a": text("before")})).await?;
    scene.config_map("values", json!({"word": "before"})).await?;
    scene.secret("keys", json!({"key": "key-before"})).await?;
    scene.queue("held", json!({"suspend": true})).await?;
    let from =
        "runbook: {configMapKeyRef: {name: books, key: a}}\nparametersFrom: [{configMapRef: {name: values}}, {secretRef: {name: keys}}]";
    scene.submit("queued", &format!("{from}\nqueue: held")).await?;
    scene.submit("suspended", &format!("{from}\nsuspend: true")).await?;
    scene.waits_for("queued", "Queued").await?;
    let suspended = scene.waits_for("suspended", "Suspended").await;
    suspended?;

    scene.patch::<ConfigMap>("books", json!({"data": {"a": text("after")}})).await?;
    scene.kubectl(&["delete", "configmap", "values"])?;
    scene.patch::<Secret>("keys", json!({"stringData": {"key": "key-after"}})).await?;
    scene
        .patch::<thermostat::api::OperationQueue>("held", json!({"spec": {"suspend": false}}))
        .await?;
    scene.set("suspended", json!({"suspend": false})).await?;
    scene.succeeds("queued").await?;
    scene.succeeds("suspended").await?;
    let asked: Vec<_> = scene
        .target
        .received()
        .into_iter()
        .map(|request| (request.path, request.query))
        .collect();
    let expected = ("/before".to_owned(), "key=key-before&word=before".to_owned());
    assert_eq!(asked, [expected.clone(), expected]);
    Ok(())
}

#[tokio::test]
async fn the_journal_goes_with_its_operation() -> Result<()> {
    let scene = Scene::open().await?;
    scene.config_map("values", json!({})).await?;
    let spec = format!(
        "{}parametersFrom: [{{configMapRef: {{name: values}}}}]",
        inline("- {name: wait, type: delay, seconds: 0}")
    );
    scene.submit("run", &spec).await?;
    let done = scene.succeeds("run").await?;
    let journal = done
        .status
        .and_then(|status| status.journal)
        .ok_or_else(|| Failure::new("nothing was frozen"))?;
    let secret = scene.api::<Secret>().get(&journal).await?;
    let owners: Vec<_> = secret
        .metadata
        .owner_references
        .unwrap_or_default()
        .into_iter()
        .map(|owner| owner.name)
        .collect();
    assert_eq!(owners, ["run"]);
    scene.kubectl(&["delete", "operation", "run", "--timeout=60s"])?;
    scene.gone::<Secret>(&journal).await
}

#[tokio::test]
async fn without_secrets_an_inline_run_needs_no_journal() -> Result<()> {
    let scene = Scene::open().await?;
    scene.submit_steps("run", "- {name: wait, type: delay, seconds: 0}").await?;
    let done: Operation = scene.succeeds("run").await?;
    assert_eq!(done.status.and_then(|status| status.journal), None);
    let secrets: Value = serde_json::from_str(&scene.kubectl(&["get", "secrets", "-o", "json"])?)?;
    assert_eq!(secrets.get("items"), Some(&json!([])));
    Ok(())
}
