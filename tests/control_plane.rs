//! The control plane that the other tests rely on: that it starts, is a real one, and leaves nothing behind.

mod harness;

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::{Duration, Instant},
};

use harness::{
    Failure, Result,
    binaries::{Binaries, PROGRAMS},
    control_plane::ControlPlane,
    process::{Process, Program, Signal},
    servers::Server,
    wait::eventually,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::{
    Api,
    api::{DeleteParams, PostParams},
};
use serde_json::json;

const SOON: Duration = Duration::from_secs(30);
const SERVERS: [Server; 3] = [Server::Etcd, Server::Api, Server::ControllerManager];

#[test]
fn the_programs_are_found_or_built() -> Result<()> {
    let binaries = Binaries::find_or_build()?;
    for name in PROGRAMS {
        assert!(binaries.program(name).is_file(), "{name} is in {}", binaries.folder().display());
    }
    Ok(())
}

#[test]
fn programs_are_built_by_one_of_those_who_ask_at_once_and_only_when_missing() -> Result<()> {
    let (folder, builds) = (tempfile::tempdir()?, AtomicUsize::new(0));
    let place = folder.path().join("cache/key");
    let build = |partial: &Path| {
        builds.fetch_add(1, Ordering::SeqCst);
        thread::sleep(Duration::from_millis(50));
        PROGRAMS.iter().try_for_each(|name| fs::write(partial.join(name), ""))?;
        Ok(())
    };
    thread::scope(|scope| {
        let askers: Vec<_> = (0..4).map(|_| scope.spawn(|| Binaries::in_cache(place.clone(), build))).collect();
        askers
            .into_iter()
            .all(|asker| matches!(asker.join(), Ok(Ok(binaries)) if binaries.program("etcd").is_file()))
    })
    .then_some(())
    .ok_or_else(|| Failure::new("someone did not get the programs"))?;
    assert_eq!(builds.load(Ordering::SeqCst), 1);
    Ok(())
}

#[test]
fn a_build_that_fails_leaves_no_folder_that_looks_whole() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let place = folder.path().join("key");
    let failed = Binaries::in_cache(place.clone(), |partial| {
        fs::write(partial.join("etcd"), "")?;
        Err(Failure::new("the compiler ran out of memory"))
    });
    assert_eq!(
        failed.err().map(|failure| failure.to_string()).as_deref(),
        Some("the compiler ran out of memory")
    );
    assert!(!place.exists());
    Ok(())
}

#[test]
fn assets_that_are_not_complete_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    fs::write(folder.path().join("etcd"), "")?;
    let failure = Binaries::in_assets(folder.path().to_owned())
        .err()
        .map(|failure| failure.to_string())
        .unwrap_or_default();
    assert!(
        failure.contains("has no kube-apiserver, kube-controller-manager, kubectl"),
        "{failure}"
    );
    Ok(())
}

#[test]
fn without_go_the_error_names_the_three_ways_out() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let output = this_test("the_programs_are_found_or_built")?
        .env_remove("KUBEBUILDER_ASSETS")
        .env("XDG_CACHE_HOME", folder.path())
        .env("PATH", folder.path())
        .output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!output.status.success());
    for way in ["install Go", "KUBEBUILDER_ASSETS", "KUBECONFIG of a cluster of your own"] {
        assert!(said.contains(way), "{way} is missing in: {said}");
    }
    Ok(())
}

#[test]
fn the_control_plane_is_ready_in_seconds_and_kubectl_talks_to_it() -> Result<()> {
    let plane = ControlPlane::shared()?;
    eprintln!("the control plane was ready after {:?}", plane.start_took());
    assert!(plane.start_took() < SOON);
    assert!(plane.kubectl(&["version"])?.contains("Server Version: v1.36.3"));
    Ok(())
}

#[test]
fn kubectl_that_fails_is_told_with_its_arguments_and_words() -> Result<()> {
    let failure = ControlPlane::shared()?
        .kubectl(&["get", "configmap", "nobody"])
        .err()
        .map(|failure| failure.to_string());
    let failure = failure.ok_or_else(|| Failure::new("kubectl found what is not there"))?;
    assert!(failure.starts_with("kubectl get configmap nobody: exit status: 1"), "{failure}");
    assert!(failure.contains(r#"configmaps "nobody" not found"#), "{failure}");
    Ok(())
}

#[tokio::test]
async fn what_an_object_owns_is_collected_with_it() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let api: Api<ConfigMap> = Api::namespaced(plane.client().await?, &plane.namespace().await?);
    let owner = api
        .create(
            &PostParams::default(),
            &serde_json::from_value(json!({ "metadata": { "name": "owner" } }))?,
        )
        .await?;
    let reference = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid });
    let dependent = serde_json::from_value(json!({ "metadata": { "name": "owned", "ownerReferences": [reference] } }))?;
    api.create(&PostParams::default(), &dependent).await?;
    api.delete("owner", &DeleteParams::default()).await?;
    eventually("the owned object is collected", SOON, async || match api.get_opt("owned").await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
}

#[tokio::test]
async fn a_namespace_is_emptied_and_deleted() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let name = plane.namespace().await?;
    plane.kubectl(&["create", "configmap", "something", "--namespace", &name])?;
    let api: Api<Namespace> = Api::all(plane.client().await?);
    api.delete(&name, &DeleteParams::default()).await?;
    eventually("the namespace is gone", SOON, async || match api.get_opt(&name).await {
        Ok(None) => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .await
}

#[tokio::test]
async fn an_account_may_do_what_it_was_given_and_nothing_else() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let namespace = plane.namespace().await?;
    plane.kubectl(&["create", "serviceaccount", "reader", "--namespace", &namespace])?;
    let kubeconfig = plane.kubeconfig_with_token(&plane.token(&namespace, "reader")?, plane.url())?;
    let list = ["get", "configmaps", "--namespace", &namespace];

    let refusal = plane
        .kubectl_as(&kubeconfig, &list)
        .err()
        .map(|failure| failure.to_string())
        .unwrap_or_default();
    assert!(
        refusal.contains("Forbidden") && refusal.contains(&format!("system:serviceaccount:{namespace}:reader")),
        "{refusal}"
    );

    let account = format!("{namespace}:reader");
    plane.kubectl(&[
        "create",
        "rolebinding",
        "view",
        "--clusterrole",
        "view",
        "--serviceaccount",
        &account,
        "--namespace",
        &namespace,
    ])?;
    let allowed = eventually("the right takes effect", SOON, async || plane.kubectl_as(&kubeconfig, &list)).await?;
    assert!(allowed.contains("kube-root-ca.crt"), "{allowed}");
    assert!(
        plane
            .kubectl_as(&kubeconfig, &["create", "configmap", "mine", "--namespace", &namespace])
            .is_err()
    );
    Ok(())
}

#[test]
fn who_bears_no_valid_token_is_nobody() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let kubeconfig = plane.kubeconfig_with_token("made-up", plane.url())?;
    let refusal = plane
        .kubectl_as(&kubeconfig, &["get", "namespaces"])
        .err()
        .map(|failure| failure.to_string())
        .unwrap_or_default();
    assert!(
        refusal.contains("must be logged in") || refusal.contains("Unauthorized"),
        "{refusal}"
    );
    Ok(())
}

#[tokio::test]
async fn all_servers_prove_who_they_are_and_answer_probes() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let servers = plane.servers()?;
    let trusting = harness::servers::https(plane.ca_file()?)?;
    for url in [
        format!("{}/readyz", servers.url(Server::Etcd)),
        format!("{}/livez", servers.url(Server::Api)),
        format!("{}/healthz", servers.url(Server::ControllerManager)),
    ] {
        assert!(trusting.get(&url).send().await?.status().is_success(), "{url}");
    }
    let ignorant = reqwest::Client::builder().no_proxy().build()?;
    assert!(
        ignorant.get(format!("{}/livez", plane.url())).send().await.is_err(),
        "a certificate nobody vouches for was accepted"
    );
    Ok(())
}

#[tokio::test]
async fn requests_that_change_something_are_counted_by_verb_and_resource() -> Result<()> {
    let plane = ControlPlane::shared()?;
    let namespace = plane.namespace().await?;
    // Of a kind that nothing else here touches.
    let count = async |verb: &'static str| {
        plane
            .mutating_requests(move |requests| requests.resource == "limitranges" && (verb.is_empty() || requests.verb == verb))
            .await
    };
    let before = [
        count("").await?,
        count("POST").await?,
        count("PATCH").await?,
        count("DELETE").await?,
    ];
    for name in ["one", "two", "three"] {
        let range = json!({ "apiVersion": "v1", "kind": "LimitRange", "metadata": { "name": name, "namespace": namespace }, "spec": { "limits": [] } });
        plane.kubectl_input(&["create", "--filename", "-"], &range.to_string())?;
    }
    plane.kubectl(&["label", "limitrange", "one", "seen=yes", "--namespace", &namespace])?;
    plane.kubectl(&["delete", "limitrange", "two", "--wait=false", "--namespace", &namespace])?;
    plane.kubectl(&["get", "limitranges", "--namespace", &namespace])?;
    let after = [
        count("").await?,
        count("POST").await?,
        count("PATCH").await?,
        count("DELETE").await?,
    ];
    let grown: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(grown, [5, 3, 1, 1], "all, POST, PATCH, DELETE");
    Ok(())
}

#[tokio::test]
async fn servers_can_be_stopped_started_and_paused_and_end_with_the_plane() -> Result<()> {
    let mut plane = ControlPlane::start()?;
    plane.kubectl(&["create", "configmap", "kept"])?;

    plane.stop_server(Server::Api)?;
    assert!(
        plane.kubectl(&["get", "configmap", "kept"]).is_err(),
        "a stopped API server answered"
    );
    plane.start_server(Server::Api)?;
    plane.kubectl(&["get", "configmap", "kept"])?;

    plane.pause_server(Server::Etcd)?;
    let paused = plane.kubectl(&["create", "configmap", "late", "--request-timeout", "1s"]);
    assert!(paused.is_err(), "the API server wrote without etcd: {paused:?}");
    plane.resume_server(Server::Etcd)?;
    eventually("etcd goes on", SOON, async || plane.kubectl(&["create", "configmap", "after"])).await?;

    let (pids, directory) = (pids(&plane)?, plane.directory().to_owned());
    drop(plane);
    assert!(!pids.iter().any(|&pid| runs(pid)), "servers outlived their plane");
    assert!(!directory.exists(), "{} was left behind", directory.display());
    Ok(())
}

/// Names the file into which the other half of the next test writes what it started.
const HOLD: &str = "THERMOSTAT_TEST_HOLD";

#[test]
#[ignore = "the other half of servers_end_when_the_process_that_started_them_is_killed, which runs it"]
fn holds_a_control_plane_until_it_is_killed() -> Result<()> {
    let file = env::var_os(HOLD)
        .map(PathBuf::from)
        .ok_or_else(|| Failure::new(format!("{HOLD} names no file")))?;
    let plane = ControlPlane::start()?;
    let started = json!({ "pids": pids(&plane)?, "directory": plane.directory() });
    fs::write(file.with_extension("new"), started.to_string())?;
    fs::rename(file.with_extension("new"), &file)?;
    thread::sleep(Duration::from_mins(10));
    Ok(())
}

#[tokio::test]
async fn servers_end_when_the_process_that_started_them_is_killed() -> Result<()> {
    // So that the other process has nothing to build.
    Binaries::find_or_build()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("started");
    let mut holder = this_test("holds_a_control_plane_until_it_is_killed")?
        .arg("--ignored")
        .env(HOLD, &file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    let started = eventually("the other process has a control plane", 2 * SOON, async || fs::read(&file)).await;
    holder.kill()?;
    holder.wait()?;
    let started: serde_json::Value = serde_json::from_slice(&started?)?;
    let pids: Vec<u32> = serde_json::from_value(started["pids"].clone())?;
    let directory: PathBuf = serde_json::from_value(started["directory"].clone())?;
    assert_eq!(pids.len(), SERVERS.len());
    eventually("nothing of it is left", SOON, async || {
        let left: Vec<_> = pids.iter().filter(|&&pid| runs(pid)).collect();
        if left.is_empty() && !directory.exists() {
            Ok(())
        } else {
            Err(format!("servers {left:?}, {}", directory.display()))
        }
    })
    .await
}

#[tokio::test]
async fn a_program_tells_how_it_ended_and_what_it_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let start = |name: &str, script: &str| -> Result<Process> {
        let arguments = vec!["-c".to_owned(), script.to_owned()];
        let environment = vec![("GREETING".to_owned(), "hello".to_owned())];
        Program {
            name: name.to_owned(),
            path: "sh".into(),
            arguments,
            environment,
            log: folder.path().join(name),
        }
        .start()
    };
    let mut greeter = start("greeter", "echo $GREETING; echo world >&2; exit 7")?;
    assert_eq!(greeter.wait_exit(SOON).await?, 7);
    assert_eq!(fs::read_to_string(greeter.log())?, "hello\nworld\n");
    assert!(
        greeter.signal(Signal::TERM).is_err(),
        "a signal was sent to a program that has ended"
    );

    let mut polite = start("polite", "trap 'exit 3' TERM; while :; do sleep 0.02; done")?;
    assert!(polite.exit_status()?.is_none() && runs(polite.pid()) && polite.resident_memory_peak()? > 0);
    // Until its trap is set the signal ends it like any other.
    tokio::time::sleep(Duration::from_millis(300)).await;
    polite.signal(Signal::TERM)?;
    assert_eq!(polite.wait_exit(SOON).await?, 3);

    let mut deaf = start("deaf", "exec sleep 600")?;
    deaf.signal(Signal::STOP)?;
    deaf.kill();
    assert_eq!((deaf.exit_status()?, runs(deaf.pid())), (Some(128 + 9), false));
    Ok(())
}

#[tokio::test]
async fn waiting_in_vain_tells_for_what_and_what_was_seen_last() {
    let (started, mut looks) = (Instant::now(), 0);
    let vain = eventually("the moon is full", Duration::from_millis(300), async || {
        looks += 1;
        Err::<(), _>(format!("a crescent, look {looks}"))
    })
    .await;
    let failure = vain.err().map(|failure| failure.to_string()).unwrap_or_default();
    assert!(
        failure.starts_with("the moon is full: not within 300ms; last seen: a crescent, look "),
        "{failure}"
    );
    let hanging = eventually("an answer", Duration::from_millis(100), async || {
        std::future::pending::<Result<()>>().await
    })
    .await;
    assert!(hanging.is_err() && started.elapsed() < Duration::from_secs(5));
}

/// This test binary once more, for one test in a process of its own.
fn this_test(name: &str) -> Result<Command> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["--exact", name, "--nocapture"]);
    Ok(command)
}

fn pids(plane: &ControlPlane) -> Result<Vec<u32>> {
    SERVERS.into_iter().map(|server| plane.servers()?.pid(server)).collect()
}

fn runs(pid: u32) -> bool {
    Path::new("/proc").join(pid.to_string()).exists()
}
