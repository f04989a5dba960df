//! Where steps may connect to, and that no answer can harm the controller.

use std::time::Duration;

use thermostat::api::operation::Phase;

use crate::{
    harness::{Result, controller::Controller, target::Answer},
    scene::{SOON, Scene, message, ready, step},
};

/// A controller whose steps may connect to nothing of this machine.
async fn guarded(scene: &Scene) -> Result<Controller> {
    let mut controller = scene.controller()?.without_egress().start()?;
    controller.ready(SOON).await?;
    Ok(controller)
}

#[tokio::test]
async fn loopback_and_metadata_addresses_are_refused_by_default() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let _controller = guarded(&scene).await?;
    let steps = [
        ("by-address", "{name: ask, type: http_request, url: TARGET/a}".to_owned()),
        (
            "by-name",
            format!(
                "{{name: ask, type: http_request, url: 'http://localhost:{}/a'}}",
                scene.target.port()
            ),
        ),
        (
            "mapped",
            format!(
                "{{name: ask, type: http_request, url: 'http://[::ffff:127.0.0.1]:{}/a'}}",
                scene.target.port()
            ),
        ),
        (
            "decimal",
            format!(
                "{{name: ask, type: http_request, url: 'http://2130706433:{}/a'}}",
                scene.target.port()
            ),
        ),
        (
            "metadata",
            "{name: ask, type: http_request, url: 'http://169.254.169.254/latest'}".to_owned(),
        ),
        ("check", "{name: ask, type: health_check, method: http, url: TARGET/a}".to_owned()),
        (
            "tcp",
            format!(
                "{{name: ask, type: health_check, method: tcp, host: 127.0.0.1, port: {}}}",
                scene.target.port()
            ),
        ),
    ];
    for (name, step) in &steps {
        scene.submit_steps(name, &format!("- {step}")).await?;
    }
    for (name, _) in &steps {
        let said = message(&scene.fails(name).await?);
        assert!(said.contains("--egress-allow"), "{name}: {said}");
    }
    assert_eq!(scene.target.received_count(), 0);
    Ok(())
}

#[tokio::test]
async fn a_redirect_leads_nowhere_that_is_refused() -> Result<()> {
    let scene = Scene::without_controller().await?;
    let mut controller = scene
        .controller()?
        .without_egress()
        .arguments(["--egress-allow", "127.0.0.1/32"])
        .start()?;
    controller.ready(SOON).await?;
    let elsewhere = format!("http://127.0.0.2:{}/inner", scene.target.port());
    scene.target.answer("/out", Answer::redirect(elsewhere));
    scene.target.answer("/metadata", Answer::redirect("http://169.254.169.254/latest"));
    scene.target.answer("/fine", Answer::redirect(scene.target.url("/end")));
    for path in ["out", "metadata", "fine"] {
        scene
            .submit_steps(path, &format!("- {{name: ask, type: http_request, url: TARGET/{path}}}"))
            .await?;
    }
    for path in ["out", "metadata"] {
        let said = message(&scene.fails(path).await?);
        assert!(said.contains("--egress-allow"), "{path}: {said}");
    }
    scene.succeeds("fine").await?;
    assert_eq!((scene.target.count("/inner"), scene.target.count("/end")), (0, 1));
    Ok(())
}

#[tokio::test]
async fn a_redirect_that_never_ends_is_given_up() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/around", Answer::redirect(scene.target.url("/around")));
    scene
        .submit_steps("run", "- {name: ask, type: http_request, url: TARGET/around}")
        .await?;
    let said = message(&scene.fails("run").await?);
    assert!(said.contains("redirect"), "{said}");
    assert!(scene.target.count("/around") <= 20);
    Ok(())
}

#[tokio::test]
async fn answers_that_are_too_large_endless_slow_or_nonsense_fail_their_step() -> Result<()> {
    let scene = Scene::open().await?;
    scene.target.answer("/large", Answer::sized(64 << 20));
    scene.target.answer("/endless", Answer::endless());
    scene.target.answer("/slow", Answer::trickle(None, Duration::from_millis(100)));
    scene.target.answer("/nonsense", Answer::malformed("220 smtp ready\r\n"));
    scene
        .target
        .answer("/half", Answer::malformed("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nshort"));
    scene.target.answer("/silent", Answer::hang_up());
    scene
        .target
        .answer("/json", Answer::body("{not json").header("content-type", "application/json"));
    for path in ["large", "endless", "slow", "nonsense", "half", "silent", "json"] {
        let step = format!("- {{name: ask, type: http_request, url: TARGET/{path}, timeout: 3s, output: answer}}");
        scene.submit_steps(path, &step).await?;
    }
    for path in ["large", "endless", "slow", "nonsense", "half", "silent"] {
        let failed = scene.fails(path).await?;
        assert!(message(&failed).starts_with("ask: "), "{path}: {}", message(&failed));
        assert!(serde_json::to_string(&failed)?.len() < 16 << 10, "{path}");
    }
    let answer = step(&scene.succeeds("json").await?, "ask")?.output.unwrap_or_default();
    assert_eq!(answer.get("body"), Some(&serde_json::json!("{not json")));
    Ok(())
}

#[tokio::test]
async fn answers_that_together_are_larger_than_an_object_may_be_end_the_run_in_order() -> Result<()> {
    let scene = Scene::open().await?;
    let long: Vec<_> = (0..40_000).map(|number| format!("line {number}")).collect();
    scene.target.answer("/long", Answer::json(&serde_json::json!(long)));
    let steps: String = (0..6)
        .map(|number| format!("- {{name: ask{number}, type: http_request, url: TARGET/long, output: answer}}\n"))
        .collect();
    scene.submit_steps("run", &steps).await?;
    let operation = scene.until("run", "ends", thermostat::api::Operation::is_finished).await?;
    let size = serde_json::to_string(&operation)?.len();
    assert!(size < 1 << 20, "the object has {size} bytes");
    if operation.phase() == Phase::Failed {
        assert_eq!(ready(&operation).0, "OutputTooLarge", "{}", message(&operation));
    }
    Ok(())
}
