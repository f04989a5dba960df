//! The four things that the demo shows, and what must have come of each.

use std::path::PathBuf;

use serde_json::{Value, json};

use crate::{
    harness::{Failure, Result, control_plane::ControlPlane, controller::Controller, servers::Server},
    screen::{Kubectl, say, title},
    table::Table,
};

/// What there is to be checked on this machine.
pub struct Endpoints {
    registry: PathBuf,
    text: String,
}

impl Endpoints {
    /// Writes the registry of this control plane and this controller.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn of(plane: &ControlPlane, controller: &Controller) -> Result<Self> {
        let servers = plane.servers()?;
        let services = [
            ("etcd", format!("{}/health", servers.url(Server::Etcd))),
            ("api-server", format!("{}/readyz", servers.url(Server::Api))),
            ("controller-manager", format!("{}/healthz", servers.url(Server::ControllerManager))),
            ("thermostat", format!("{}/readyz", controller.health_url())),
        ];
        let entry = |(name, url): &(&str, String)| format!("  {name}: {{health_check: {{method: http, url: \"{url}\"}}}}");
        let text = format!(
            "services:\n{}\ngroups:\n  control-plane: [{}]\n",
            services.each_ref().map(entry).join("\n"),
            services.map(|(name, _)| name).join(", ")
        );
        let registry = plane.directory().join("services.yml");
        std::fs::write(&registry, &text)?;
        Ok(Self { registry, text })
    }
}

/// Shows all four.
///
/// # Errors
/// When one does not end as it should.
pub async fn play(kubectl: &Kubectl<'_>, table: &Table, endpoints: &Endpoints) -> Result<()> {
    health(kubectl, table, endpoints).await?;
    rollback(kubectl, table).await?;
    priorities(kubectl, table).await?;
    cancel(kubectl, table).await
}

async fn health(kubectl: &Kubectl<'_>, table: &Table, endpoints: &Endpoints) -> Result<()> {
    title("1. A health check of this control plane, by a runbook of the library");
    say("The registry of services, with the addresses of this demo:");
    say(endpoints.text.trim_end());
    let file = format!("--from-file=services.yml={}", endpoints.registry.display());
    kubectl.run(&["create", "configmap", "infra.services.yml", &file]).await?;
    apply(kubectl, "check-control-plane.yaml").await?;
    ends(table, &["check-control-plane"], "Succeeded").await?;

    let operation = operation(kubectl, "check-control-plane").await?;
    expect(&operation, "/status/outputs/healthy", &json!(4))?;
    expect(&operation, "/status/outputs/unhealthy", &json!([]))?;
    let health = state(kubectl, "health").await?;
    for service in ["etcd", "api-server", "controller-manager", "thermostat"] {
        expect(&health, &format!("/services/{service}/status"), &json!("ok"))?;
    }
    kubectl
        .run(&["get", "operation", "check-control-plane", "-o", "jsonpath={.status.report}"])
        .await
}

async fn rollback(kubectl: &Kubectl<'_>, table: &Table) -> Result<()> {
    title("2. A release that fails, and is rolled back");
    let file = "--from-file=release.yml=examples/runbooks/release.yml";
    kubectl.run(&["create", "configmap", "release", file]).await?;
    let file = "--from-file=deployments.json=examples/state/deployments.json";
    kubectl.run(&["create", "configmap", "infra.state.deployments.json", file]).await?;
    kubectl
        .run(&["label", "configmap", "infra.state.deployments.json", "thermostat.dev/state=true"])
        .await?;
    apply(kubectl, "release.yaml").await?;
    ends(table, &["release-shop"], "Failed").await?;

    let operation = operation(kubectl, "release-shop").await?;
    expect(&operation, "/status/reason", &json!("StepFailed"))?;
    expect(&operation, "/status/failure/step", &json!("verify"))?;
    expect(&operation, "/status/rollback/0/name", &json!("restore_version"))?;
    expect(&operation, "/status/rollback/0/phase", &json!("Succeeded"))?;
    expect(&state(kubectl, "deployments").await?, "/shop/version", &json!("2.3.1"))?;
    kubectl
        .run(&["get", "operation", "release-shop", "-o", "jsonpath={.status.message}"])
        .await?;
    let undone = r#"jsonpath={range .status.rollback[*]}{.path}: {.phase}{"\n"}{end}"#;
    kubectl.run(&["get", "operation", "release-shop", "-o", undone]).await?;
    let data = r"jsonpath={.data.deployments\.json}";
    kubectl.run(&["get", "configmap", "infra.state.deployments.json", "-o", data]).await
}

async fn priorities(kubectl: &Kubectl<'_>, table: &Table) -> Result<()> {
    title("3. Five in a queue that runs one at a time: higher priority first");
    let order = [
        "renew-certificates",
        "back-up-orders",
        "compact-database",
        "prune-images",
        "rotate-logs",
    ];
    apply(kubectl, "priorities.yaml").await?;
    say("The queue is suspended, so that all five wait. Once they do, it is opened:");
    for name in order {
        let operation = format!("operation/{name}");
        let wait = ["wait", "--for=jsonpath={.status.phase}=Queued", &operation, "--timeout=60s"];
        kubectl.ask(&wait).await?;
    }
    let open = [
        "patch",
        "operationqueue",
        "nightly",
        "--type=merge",
        "--patch",
        r#"{"spec":{"suspend":false}}"#,
    ];
    kubectl.run(&open).await?;
    let ended = ends(table, &order, "Succeeded").await?;
    if ended != order {
        return Err(Failure::new(format!("they ran in the order {ended:?} instead of {order:?}")));
    }
    say(&format!("They ran in this order: {}.", ended.join(", ")));
    Ok(())
}

async fn cancel(kubectl: &Kubectl<'_>, table: &Table) -> Result<()> {
    title("4. A maintenance window that is cancelled while it runs");
    apply(kubectl, "maintenance-window.yaml").await?;
    let name = "maintenance-window";
    let holds = [
        "wait",
        "--for=jsonpath={.status.currentStep}=hold",
        "operation/maintenance-window",
        "--timeout=60s",
    ];
    kubectl.run(&holds).await?;
    expect(&state(kubectl, "maintenance").await?, "/shop/closed", &json!(true))?;
    let cancel = ["patch", "operation", name, "--type=merge", "--patch", r#"{"spec":{"cancel":true}}"#];
    kubectl.run(&cancel).await?;
    ends(table, &[name], "Cancelled").await?;

    let operation = operation(kubectl, name).await?;
    expect(&operation, "/status/reason", &json!("Cancelled"))?;
    expect(&operation, "/status/rollback/0/name", &json!("open_shop_again"))?;
    expect(&operation, "/status/rollback/0/phase", &json!("Succeeded"))?;
    expect(&state(kubectl, "maintenance").await?, "/shop/closed", &json!(false))?;
    say("Its delay was stopped, and its rollback opened the shop again.");
    Ok(())
}

async fn apply(kubectl: &Kubectl<'_>, file: &str) -> Result<()> {
    kubectl.run(&["apply", "-f", &format!("examples/operations/{file}")]).await
}

/// Waits for the ends of these and gives their names in the order of their ends.
async fn ends(table: &Table, names: &[&str], phase: &str) -> Result<Vec<String>> {
    let ended = table.ended(names).await?;
    if let Some((name, other)) = ended.iter().find(|(_, ended)| ended != phase) {
        return Err(Failure::new(format!("{name} is {other}, not {phase}")));
    }
    Ok(ended.into_iter().map(|(name, _)| name).collect())
}

async fn operation(kubectl: &Kubectl<'_>, name: &str) -> Result<Value> {
    let text = kubectl.ask(&["get", "operation", name, "-o", "json"]).await?;
    Ok(serde_json::from_str(&text)?)
}

/// The state document `infra/state/NAME.json`.
async fn state(kubectl: &Kubectl<'_>, name: &str) -> Result<Value> {
    let map = format!("infra.state.{name}.json");
    let data = format!(r"jsonpath={{.data.{name}\.json}}");
    let text = kubectl.ask(&["get", "configmap", &map, "-o", &data]).await?;
    Ok(serde_json::from_str(&text)?)
}

fn expect(object: &Value, pointer: &str, expected: &Value) -> Result<()> {
    match object.pointer(pointer) {
        Some(value) if value == expected => Ok(()),
        other => {
            let found = other.map_or_else(|| "nothing".to_owned(), Value::to_string);
            Err(Failure::new(format!("{pointer} is {found}, not {expected}, in {object:#}")))
        }
    }
}
