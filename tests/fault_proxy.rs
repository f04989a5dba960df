//! The fault proxy that the other tests rely on: that it passes everything through, and does each of its faults.

mod harness;

use std::{
    pin::pin,
    time::{Duration, Instant},
};

use futures::{Stream, StreamExt, TryStreamExt};
use harness::{
    Failure, Result,
    control_plane::ControlPlane,
    fault_proxy::{Fault, FaultProxy, Outcome, Rule},
    kubeconfig,
    wait::{eventually, eventually_object},
};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{
    Api,
    api::{DeleteParams, PostParams, WatchEvent, WatchParams},
    runtime::{WatchStreamExt, watcher},
};
use reqwest::{Method, Response};
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);

/// A namespace, an account that may do everything in it, and a proxy of its own.
struct Stage {
    plane: &'static ControlPlane,
    namespace: String,
    token: String,
    proxy: FaultProxy,
    http: reqwest::Client,
}

impl Stage {
    async fn set() -> Result<Self> {
        let plane = ControlPlane::shared()?;
        let namespace = plane.namespace().await?;
        let account = format!("{namespace}:editor");
        plane.kubectl(&["create", "serviceaccount", "editor", "--namespace", &namespace])?;
        plane.kubectl(&[
            "create",
            "rolebinding",
            "edit",
            "--clusterrole",
            "edit",
            "--serviceaccount",
            &account,
            "--namespace",
            &namespace,
        ])?;
        let stage = Self {
            token: plane.token(&namespace, "editor")?,
            proxy: FaultProxy::start(plane, 1)?,
            http: reqwest::Client::builder().no_proxy().timeout(SOON).build()?,
            plane,
            namespace,
        };
        let allowed = async || stage.ask(Method::GET, "", None).await?.error_for_status().map(|_| ());
        eventually("the account's rights take effect", SOON, allowed).await?;
        Ok(stage)
    }

    /// About a ConfigMap (or, without a name, all of them; by a query those it selects), through the proxy.
    async fn ask(&self, method: Method, name: &str, body: Option<Value>) -> reqwest::Result<Response> {
        let url = format!("{}/api/v1/namespaces/{}/configmaps/{name}", self.proxy.url(), self.namespace);
        let request = self.http.request(method, url.trim_end_matches('/')).bearer_auth(&self.token);
        match body {
            Some(body) => request.json(&body).send().await,
            None => request.send().await,
        }
    }

    async fn create(&self, name: &str) -> reqwest::Result<Response> {
        self.ask(Method::POST, "", Some(json!({ "metadata": { "name": name } }))).await
    }

    async fn status(&self) -> Result<u16> {
        Ok(self.ask(Method::GET, "", None).await?.status().as_u16())
    }

    /// Whether the API server has the ConfigMap, asked past the proxy.
    async fn exists(&self, name: &str) -> Result<bool> {
        let api: Api<ConfigMap> = Api::namespaced(self.plane.client().await?, &self.namespace);
        Ok(api.get_opt(name).await?.is_some())
    }

    /// What a controller uses: a kube client with the account's kubeconfig, through the proxy.
    async fn api(&self) -> Result<Api<ConfigMap>> {
        let kubeconfig = self.plane.kubeconfig_with_token(&self.token, &self.proxy.url())?;
        Ok(Api::namespaced(kubeconfig::client(&kubeconfig).await?, &self.namespace))
    }
}

#[tokio::test]
async fn without_rules_everything_passes_watches_too() -> Result<()> {
    let stage = Stage::set().await?;
    let api = stage.api().await?;
    let mut events = pin!(api.watch(&WatchParams::default().fields("metadata.name=seen"), "0").await?);
    api.create(
        &PostParams::default(),
        &serde_json::from_value(json!({ "metadata": { "name": "seen" } }))?,
    )
    .await?;
    let tells = async {
        while let Some(event) = events.try_next().await? {
            if matches!(&event, WatchEvent::Added(object) if object.metadata.name.as_deref() == Some("seen")) {
                return Ok(());
            }
        }
        Err(Failure::new("the watch ended before it told of it"))
    };
    within("the watch tells of the new object", tells).await??;
    api.delete("seen", &DeleteParams::default()).await?;
    assert!(!stage.exists("seen").await?);
    let not_found = stage.ask(Method::GET, "nobody", None).await?;
    assert_eq!(not_found.status().as_u16(), 404, "the server's own errors pass");
    assert_eq!(
        stage.proxy.count(|asked, outcome| asked.watch && outcome == Outcome::Passed(200)),
        1
    );
    assert_eq!(
        stage
            .proxy
            .count(|asked, outcome| asked.is_mutating() && outcome == Outcome::Passed(201)),
        1
    );
    Ok(())
}

#[tokio::test]
async fn the_next_requests_get_the_status_and_then_it_is_over() -> Result<()> {
    let stage = Stage::set().await?;
    for (status, reason) in [
        (401, "Unauthorized"),
        (409, "Conflict"),
        (500, "InternalError"),
        (503, "ServiceUnavailable"),
    ] {
        stage.proxy.inject(Rule::of(Fault::Status(status)).next(2));
        let answer = stage.ask(Method::GET, "", None).await?;
        assert_eq!(answer.status().as_u16(), status);
        let object: Value = answer.json().await?;
        assert_eq!(
            (&object["kind"], &object["reason"], &object["code"]),
            (&json!("Status"), &json!(reason), &json!(status))
        );
        assert_eq!((stage.status().await?, stage.status().await?), (status, 200));
        assert_eq!(stage.proxy.broken_by(Fault::Status(status)), 2);
    }
    Ok(())
}

#[tokio::test]
async fn too_many_requests_say_when_to_come_back() -> Result<()> {
    let stage = Stage::set().await?;
    stage.proxy.inject(Rule::of(Fault::TooManyRequests { retry_after: 3 }).next(1));
    let answer = stage.ask(Method::GET, "", None).await?;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].to_str()?), (429, "3"));
    Ok(())
}

#[tokio::test]
async fn only_requests_that_match_are_hit() -> Result<()> {
    let stage = Stage::set().await?;
    stage
        .proxy
        .inject(Rule::of(Fault::Status(503)).when(|asked| asked.method == "POST" && asked.path.ends_with("/configmaps")));
    assert_eq!(stage.status().await?, 200);
    assert_eq!(stage.create("refused").await?.status().as_u16(), 503);
    assert!(!stage.exists("refused").await?, "a refused request went through");
    stage.proxy.heal();
    assert_eq!(stage.create("refused").await?.status().as_u16(), 201);
    Ok(())
}

#[tokio::test]
async fn a_share_is_hit_and_the_same_seed_hits_the_same_ones() -> Result<()> {
    let stage = Stage::set().await?;
    let mut runs = Vec::new();
    for seed in [7, 7, 8] {
        let proxy = FaultProxy::start(stage.plane, seed)?;
        proxy.inject(Rule::of(Fault::Status(503)).share(0.3));
        let mut hits = Vec::new();
        for _ in 0..100 {
            hits.push(
                stage
                    .http
                    .get(format!("{}/version", proxy.url()))
                    .bearer_auth(&stage.token)
                    .send()
                    .await?
                    .status()
                    .as_u16(),
            );
        }
        runs.push(hits);
    }
    let hit = runs[0].iter().filter(|&&status| status == 503).count();
    assert!((15..=45).contains(&hit), "{hit} of 100");
    assert!(runs[0] == runs[1] && runs[0] != runs[2]);
    Ok(())
}

#[tokio::test]
async fn a_connection_dropped_before_leaves_no_trace_and_one_dropped_after_does() -> Result<()> {
    let stage = Stage::set().await?;
    stage.proxy.inject(Rule::of(Fault::HangUpBefore).next(1));
    assert!(stage.create("before").await.is_err());
    stage.proxy.inject(Rule::of(Fault::HangUpAfter).next(1));
    assert!(stage.create("after").await.is_err());
    assert_eq!((stage.exists("before").await?, stage.exists("after").await?), (false, true));
    assert_eq!(stage.status().await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_stalled_request_passes_after_its_time_or_when_the_proxy_is_healed() -> Result<()> {
    let stage = Stage::set().await?;
    stage.proxy.inject(Rule::of(Fault::Stall(Duration::from_millis(400))).next(1));
    let started = Instant::now();
    assert_eq!(stage.status().await?, 200);
    assert!(started.elapsed() >= Duration::from_millis(400));

    let long = Fault::Stall(Duration::from_mins(10));
    stage.proxy.inject(Rule::of(long).next(1));
    let stalled = async { stage.status().await };
    let healing = async {
        eventually("the request stalls", SOON, async || {
            if stage.proxy.broken_by(long) == 1 {
                Ok(())
            } else {
                Err("it does not")
            }
        })
        .await?;
        stage.proxy.heal();
        Ok::<_, Failure>(())
    };
    let (status, healed) = tokio::join!(stalled, healing);
    healed?;
    assert_eq!(status?, 200);
    Ok(())
}

#[tokio::test]
async fn open_watches_are_cut_in_the_middle_and_a_watcher_begins_anew() -> Result<()> {
    let stage = Stage::set().await?;
    let api = stage.api().await?;
    // Not by a kube client, which takes the end of a connection for the end of a watch.
    let mut raw = stage.ask(Method::GET, "?watch=true&resourceVersion=0", None).await?;
    within("the watch has begun", raw.chunk()).await??;
    stage.proxy.cut_watches();
    let ends = async {
        while raw.chunk().await?.is_some() {}
        Ok::<_, reqwest::Error>(())
    };
    assert!(within("the watch ends", ends).await?.is_err(), "it ended in order");

    let mut objects = pin!(watcher(api.clone(), watcher::Config::default()).default_backoff().touched_objects());
    until_named(&mut objects, "kube-root-ca.crt").await?;
    stage.create("now").await?.error_for_status()?;
    until_named(&mut objects, "now").await?;
    stage.proxy.cut_watches();
    stage.create("later").await?.error_for_status()?;
    until_named(&mut objects, "later").await?;
    let begun = stage.proxy.count(|asked, outcome| asked.watch && outcome == Outcome::Passed(200));
    assert!(begun >= 3, "the watcher did not begin anew");
    Ok(())
}

#[tokio::test]
async fn a_watch_can_be_told_that_it_is_too_old() -> Result<()> {
    let stage = Stage::set().await?;
    let api = stage.api().await?;
    stage.proxy.inject(Rule::of(Fault::TooOld).when(|asked| asked.watch).next(1));
    let mut events = pin!(api.watch(&WatchParams::default(), "1").await?);
    let event = within("the watch tells it", events.try_next()).await??;
    assert!(
        matches!(&event, Some(WatchEvent::Error(status)) if status.code == 410 && status.reason == "Expired"),
        "{event:?}"
    );
    assert!(within("the watch ends", events.try_next()).await??.is_none());

    stage.proxy.inject(Rule::of(Fault::TooOld).when(|asked| asked.watch).next(1));
    let mut objects = pin!(watcher(api.clone(), watcher::Config::default()).default_backoff().touched_objects());
    eventually_object(
        &stage.api().await?,
        "kube-root-ca.crt",
        "the namespace has its certificates",
        SOON,
        |object| object.is_some(),
    )
    .await?;
    until_named(&mut objects, "kube-root-ca.crt").await?;
    stage.create("anew").await?.error_for_status()?;
    until_named(&mut objects, "anew").await?;
    assert_eq!(stage.proxy.broken_by(Fault::TooOld), 2);
    Ok(())
}

#[tokio::test]
async fn garbage_is_an_answer_that_cannot_be_read_and_noise_is_none() -> Result<()> {
    let stage = Stage::set().await?;
    stage.proxy.inject(Rule::of(Fault::Garbage).next(1));
    let answer = stage.ask(Method::GET, "", None).await?;
    assert_eq!(answer.status().as_u16(), 200);
    assert!(answer.json::<Value>().await.is_err());
    stage.proxy.inject(Rule::of(Fault::Noise).next(1));
    assert!(stage.ask(Method::GET, "", None).await.is_err());
    assert_eq!(stage.status().await?, 200);
    Ok(())
}

#[tokio::test]
async fn a_server_that_cannot_be_reached_is_no_answer_either() -> Result<()> {
    let proxy = FaultProxy::before(&format!("http://127.0.0.1:{}", harness::port::free()?), None, 1)?;
    assert!(
        reqwest::Client::builder()
            .no_proxy()
            .build()?
            .get(proxy.url())
            .send()
            .await
            .is_err()
    );
    assert_eq!(proxy.count(|_, outcome| outcome == Outcome::Unreachable), 1);
    Ok(())
}

/// Waits for the object of this name among those that a watcher tells of; its errors are what the proxy provokes.
async fn until_named(objects: &mut (impl Stream<Item = watcher::Result<ConfigMap>> + Unpin), name: &str) -> Result<()> {
    let arrives = async {
        while let Some(object) = objects.next().await {
            if object.is_ok_and(|object| object.metadata.name.as_deref() == Some(name)) {
                return Ok(());
            }
        }
        Err(Failure::new(format!("the watcher ended before it told of {name}")))
    };
    within(&format!("the watcher tells of {name}"), arrives).await?
}

async fn within<T>(what: &str, future: impl Future<Output = T>) -> Result<T> {
    tokio::time::timeout(SOON, future)
        .await
        .map_err(|_| Failure::new(format!("{what}: not within {SOON:?}")))
}
