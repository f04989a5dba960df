//! How many writes an Operation costs and how fast many of them are, beside what the API server does with bare patches in the same run.

#[path = "../tests/harness/mod.rs"]
mod harness;
mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt as _, TryStreamExt as _, stream};
use harness::control_plane::ControlPlane;
use harness::controller::{Controller, Setup};
use harness::traffic::Requests;
use harness::{Failure, Result};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{ListParams, ObjectMeta, Patch, PatchParams, PostParams, WatchEvent, WatchParams};
use kube::{Api, Client, ResourceExt as _};
use serde_json::{Map, Value, json};
use support::{ANY, Report, median};
use thermostat::api::operation::{Phase, RunbookSource};
use thermostat::api::{Operation, OperationQueue, OperationQueueSpec, OperationSpec, OperationStatus};

/// How many Operations, and how many of them at once.
const OPERATIONS: usize = 5000;
const CONCURRENT: i32 = 200;
/// How many requests the generator, and the bare patches, have in flight.
const IN_FLIGHT: usize = 32;
/// How many bare patches are measured.
const BARE: usize = 4000;

#[tokio::main]
async fn main() {
    let mut report = Report::of("make bench-burst");
    if let Err(failure) = measure(&mut report).await {
        eprintln!("{failure}");
        std::process::exit(1);
    }
    report.finish();
}

async fn measure(report: &mut Report) -> Result<()> {
    let plane = ControlPlane::start()?;
    plane.install()?;
    let client = plane.client().await?;
    for namespace in ["burst", "alone", "bare"] {
        let metadata = ObjectMeta {
            name: Some(namespace.to_owned()),
            ..ObjectMeta::default()
        };
        Api::<Namespace>::all(client.clone())
            .create(
                &PostParams::default(),
                &Namespace {
                    metadata,
                    ..Namespace::default()
                },
            )
            .await?;
    }
    let flags = ["--namespace", "burst", "--namespace", "alone"];
    let mut controller = Setup::of(&plane, env!("CARGO_BIN_EXE_thermostat")).arguments(flags).start()?;
    controller.ready(Duration::from_secs(30)).await?;
    let idle = controller.resident_memory()?;

    alone(&client, report).await?;
    burst(&plane, &client, report, &controller).await?;
    report.add("memory of the controller at rest", megabytes(idle), "MB", 0.0..=30.0);
    report.add(
        "peak memory of the controller",
        megabytes(controller.resident_memory_peak()?),
        "MB",
        0.0..=150.0,
    );
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// An Operation of three repeatable steps that take no time of their own.
fn operation(name: &str) -> Operation {
    let document = json!({
        "operation": {"name": "burst", "type": "maintain"},
        "steps": [
            {"name": "first", "type": "delay", "seconds": 0},
            {"name": "second", "type": "delay", "seconds": 0},
            {"name": "third", "type": "delay", "seconds": 0},
        ],
    });
    let inline = match document {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    let spec = json!({"runbook": {"name": "x"}, "queue": "burst"});
    let spec: OperationSpec = serde_json::from_value(spec).unwrap_or_else(|error| unreachable!("{error}"));
    let spec = OperationSpec {
        runbook: RunbookSource {
            inline: Some(inline),
            ..RunbookSource::default()
        },
        ..spec
    };
    Operation::new(name, spec)
}

async fn queue(client: &Client, namespace: &str) -> Result<()> {
    let queue = OperationQueue::new(
        "burst",
        OperationQueueSpec {
            max_concurrent: CONCURRENT,
            suspend: false,
        },
    );
    Api::namespaced(client.clone(), namespace)
        .create(&PostParams::default(), &queue)
        .await?;
    Ok(())
}

/// One after the other: from create to Succeeded, in bare round trips.
async fn alone(client: &Client, report: &mut Report) -> Result<()> {
    queue(client, "alone").await?;
    let api: Api<Operation> = Api::namespaced(client.clone(), "alone");
    let mut took = Vec::new();
    let mut bare = Vec::new();
    for number in 0..60 {
        let name = format!("alone-{number}");
        let watch = WatchParams::default().fields(&format!("metadata.name={name}"));
        let mut events = api.watch(&watch, "0").await?.boxed();
        let started = Instant::now();
        api.create(&PostParams::default(), &operation(&name)).await?;
        let mut last = None;
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event
                && object.is_finished()
            {
                last = Some(object);
                break;
            }
        }
        let last = last.ok_or_else(|| Failure::new("the watch ended"))?;
        took.push(started.elapsed());
        let patch = bare_patch(&last)?;
        let started = Instant::now();
        api.patch_status(&name, &PatchParams::default(), &patch).await?;
        bare.push(started.elapsed());
    }
    // the first ones warm connections and caches
    let (took, bare) = (median(took.split_off(10)), median(bare.split_off(10)));
    report.add("one Operation alone, create to Succeeded", took.as_secs_f64() * 1e3, "ms", ANY);
    report.add("one bare patch", bare.as_secs_f64() * 1e3, "ms", ANY);
    report.add(
        "one Operation alone",
        took.as_secs_f64() / bare.as_secs_f64(),
        "bare round trips",
        0.0..=5.0,
    );
    Ok(())
}

/// The status that an Operation has, as a JSON Patch with a test.
fn bare_patch(operation: &Operation) -> Result<Patch<()>> {
    let status = operation.status.clone().unwrap_or_default();
    let patch = json!([
        {"op": "test", "path": "/metadata/uid", "value": operation.metadata.uid},
        {"op": "test", "path": "/status/runner", "value": status.runner},
        {"op": "add", "path": "/status", "value": OperationStatus { message: Some(format!("{:?}", Instant::now())), ..status }},
    ]);
    Ok(Patch::Json(serde_json::from_value(patch)?))
}

async fn burst(plane: &ControlPlane, client: &Client, report: &mut Report, controller: &Controller) -> Result<()> {
    queue(client, "burst").await?;
    let api: Api<Operation> = Api::namespaced(client.clone(), "burst");
    let ours = |requests: &Requests| requests.resource != "leases" && !(requests.resource == "operations" && requests.verb == "POST");
    let before = plane.mutating_requests(ours).await?;
    let events_before = plane.mutating_requests(|requests| requests.resource == "events").await?;
    let started = Instant::now();
    let ends = tokio::spawn(all_ended(api.clone()));
    let creating = stream::iter(0..OPERATIONS).map(|number| {
        let api = api.clone();
        async move { api.create(&PostParams::default(), &operation(&format!("burst-{number:05}"))).await }
    });
    creating.buffer_unordered(IN_FLIGHT).try_for_each(|_| async { Ok(()) }).await?;
    let created = started.elapsed();
    let example = ends.await??;
    let took = started.elapsed();
    let resident = controller.resident_memory()?;
    // the last slots are given back after the last end
    tokio::time::sleep(Duration::from_secs(1)).await;
    let writes = plane.mutating_requests(ours).await? - before;
    let events = plane.mutating_requests(|requests| requests.resource == "events").await? - events_before;
    let bare = bare_rate(client, &example).await?;

    let each = ratio(writes, OPERATIONS as u64);
    let rate = f64::from(u32::try_from(OPERATIONS).unwrap_or(u32::MAX)) / took.as_secs_f64();
    report.add("Operations created in", created.as_secs_f64(), "s", ANY);
    report.add("all Succeeded after", took.as_secs_f64(), "s", ANY);
    report.add("writes per Operation (goal 3)", each, "", 0.0..=4.0);
    report.add("Events", ratio(events, 1), "", 0.0..=0.0);
    report.add("Operations per second", rate, "/s", ANY);
    report.add("bare patches per second", bare, "/s", ANY);
    report.add(
        "rate, of bare rate / writes per Operation (goal 0.667)",
        rate / (bare / each),
        "",
        0.5..=f64::INFINITY,
    );
    report.add("memory of the controller after the burst", megabytes(resident), "MB", ANY);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a figure for people")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}

/// Waits until all have ended; yields one of them.
async fn all_ended(api: Api<Operation>) -> Result<Operation> {
    let mut ended = std::collections::HashSet::new();
    let mut version = api
        .list_metadata(&ListParams::default().limit(1))
        .await?
        .metadata
        .resource_version
        .unwrap_or_default();
    loop {
        let mut events = api.watch(&WatchParams::default(), &version).await?.boxed();
        while let Some(event) = events.try_next().await? {
            if let WatchEvent::Added(object) | WatchEvent::Modified(object) = event {
                version = object.resource_version().unwrap_or_default();
                match object.phase() {
                    Phase::Succeeded => drop(ended.insert(object.name_any())),
                    Phase::Failed | Phase::Cancelled => {
                        return Err(Failure::new(format!("{} failed: {:?}", object.name_any(), object.status)));
                    }
                    _ => {}
                }
                if ended.len() == OPERATIONS {
                    return Ok(object);
                }
            }
        }
    }
}

/// How many patches of the same size, on the same definition, the API server takes in a second.
async fn bare_rate(client: &Client, example: &Operation) -> Result<f64> {
    let api: Api<Operation> = Api::namespaced(client.clone(), "bare");
    let mut objects = Vec::new();
    for number in 0..200 {
        let created = api.create(&PostParams::default(), &operation(&format!("bare-{number}"))).await?;
        let status = example.status.clone().unwrap_or_default();
        let object = Operation {
            status: Some(OperationStatus { runner: None, ..status }),
            ..created
        };
        objects.push(Arc::new(object));
    }
    let started = Instant::now();
    let patching = stream::iter(0..BARE).map(|number| {
        let (api, object) = (api.clone(), objects[number % objects.len()].clone());
        async move {
            let patch = bare_patch(&object)?;
            api.patch_status(&object.name_any(), &PatchParams::default(), &patch).await?;
            Ok::<_, Failure>(())
        }
    });
    patching.buffer_unordered(IN_FLIGHT).try_for_each(|()| async { Ok(()) }).await?;
    Ok(f64::from(u32::try_from(BARE).unwrap_or(u32::MAX)) / started.elapsed().as_secs_f64())
}
