//! Runs that go well.

use serde_json::json;
use thermostat::api::operation::StepPhase;

use crate::{
    harness::{Failure, Result, target::Answer},
    scene::{Scene, condition, outputs, paths, ready, step},
};

#[tokio::test]
async fn an_inline_runbook_goes_from_apply_to_succeeded() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/version", Answer::json(&json!({"version": "1.2.3"})));
    scene.apply(
        r#"
        apiVersion: thermostat.dev/v1alpha1
        kind: Operation
        metadata: {name: greet}
        spec:
          parameters: {name: world}
          runbook:
            inline:
              operation: {name: greet_world, type: deploy}
              parameters: {name: nobody, greeting: hello}
              steps:
                - {name: ask, type: http_request, url: TARGET/version, output: answer}
                - {name: wait, type: delay, seconds: 0}
                - name: choose
                  type: conditional
                  condition: answer.body.version == '1.2.3' AND ${name} == 'world'
                  steps: [{name: note, type: state_update, file: greetings.json, updates: {'.${name}': '${greeting}'}}]
              outputs: {version: answer.body.version, said: 'greeting + ", " + name'}
        "#,
    )?;
    let done = scene.succeeds("greet").await?;
    scene.kubectl(&["wait", "--for=condition=Ready", "--timeout=60s", "operation/greet"])?;
    let status = done.status.clone().unwrap_or_default();
    assert_eq!(ready(&done).0, "Succeeded");
    assert_eq!(ready(&done).1, "True");
    assert_eq!((condition(&done, "Reconciling"), condition(&done, "Stalled")), (None, None));
    assert_eq!(status.observed_generation, done.metadata.generation);
    assert_eq!(outputs(&done), json!({"version": "1.2.3", "said": "hello, world"}));
    assert_eq!(paths(&done), ["ask", "wait", "choose", "choose/note"]);
    assert_eq!(step(&done, "ask")?.phase, StepPhase::Succeeded);
    assert_eq!(status.progress.as_deref(), Some("3/3"));
    assert_eq!((status.current_step, status.queue), (None, None));
    let runbook = status.runbook.ok_or_else(|| Failure::new("no runbook"))?;
    assert_eq!(
        (runbook.name.as_str(), runbook.kind.as_str(), runbook.digest.len()),
        ("greet_world", "deploy", 64)
    );
    assert!(status.started_at.is_some() && status.finished_at >= status.started_at && status.duration.is_some());
    assert_eq!(
        scene.document("infra.state.greetings.json", "greetings.json").await?,
        json!({"world": "hello"})
    );
    Ok(())
}
