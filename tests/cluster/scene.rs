//! What every test stands on: a control plane, a controller that is ready, a namespace and an HTTP target of its own.

use std::{fmt::Debug, path::Path, sync::OnceLock, time::Duration};

use k8s_openapi::{
    NamespaceResourceScope,
    api::core::v1::{ConfigMap, Secret},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams, PostParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use thermostat::api::{
    Operation, OperationQueue,
    operation::{Phase, StepStatus},
};

use crate::harness::{
    Failure, Result,
    control_plane::ControlPlane,
    controller::{Controller, Setup},
    target::Target,
    wait::{blocking, eventually, eventually_object},
};

/// Long enough for a loaded machine; nothing waits that long when all is well.
pub const SOON: Duration = Duration::from_mins(1);

/// Where a test plays.
pub struct Scene {
    pub plane: &'static ControlPlane,
    pub client: Client,
    pub namespace: String,
    /// The word TARGET in specs stands for its URL.
    pub target: Target,
}

/// The controller that looks after the shared control plane.
pub fn controller() -> Result<&'static Controller> {
    static CONTROLLER: OnceLock<Result<Controller>> = OnceLock::new();
    let started = CONTROLLER.get_or_init(|| {
        let mut controller = Setup::of(ControlPlane::shared()?, binary()).start()?;
        blocking(|| controller.ready(SOON))?;
        Ok(controller)
    });
    started.as_ref().map_err(|failure| Failure::new(failure.to_string()))
}

pub fn binary() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_thermostat"))
}

impl Scene {
    /// A namespace that the shared controller looks after.
    pub async fn open() -> Result<Self> {
        controller()?;
        Self::on(ControlPlane::shared()?).await
    }

    /// A namespace that nobody looks after yet, on a control plane where controllers look after one namespace each.
    pub async fn without_controller() -> Result<Self> {
        static PLANE: OnceLock<Result<ControlPlane>> = OnceLock::new();
        let plane = PLANE.get_or_init(ControlPlane::start);
        let plane = plane.as_ref().map_err(|failure| Failure::new(failure.to_string()))?;
        plane.install()?;
        Self::on(plane).await
    }

    async fn on(plane: &'static ControlPlane) -> Result<Self> {
        Ok(Self {
            client: plane.client().await?,
            namespace: plane.namespace().await?,
            target: Target::start()?,
            plane,
        })
    }

    /// A controller for this namespace alone, with a Lease of its own.
    pub fn controller(&self) -> Result<Setup<'static>> {
        let role = "
            apiVersion: rbac.authorization.k8s.io/v1
            kind: RoleBinding
            metadata: {name: leader}
            roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: leader}
            subjects: [{kind: ServiceAccount, name: thermostat, namespace: thermostat-system}]";
        self.kubectl(&[
            "create",
            "role",
            "leader",
            "--verb=get,list,watch,create,update",
            "--resource=leases.coordination.k8s.io",
        ])?;
        self.apply(role)?;
        let short_lease = ["--lease-duration", "3s", "--renew-deadline", "2s", "--retry-period", "500ms"];
        Ok(Setup::of(self.plane, binary())
            .arguments(["--namespace", &self.namespace, "--lease-namespace", &self.namespace])
            .arguments(short_lease))
    }

    pub fn api<K>(&self) -> Api<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
    {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    pub fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.plane.kubectl(&[&["--namespace", &self.namespace], arguments].concat())
    }

    /// What kubectl says when it refuses.
    pub fn refused(&self, manifest: &str) -> Result<String> {
        match self.apply(manifest) {
            Err(failure) => Ok(failure.to_string()),
            Ok(said) => Err(Failure::new(format!(
                "kubectl apply took what it should refuse: {said}\n{manifest}"
            ))),
        }
    }

    pub fn apply(&self, manifest: &str) -> Result<String> {
        let input = manifest.replace("TARGET", &self.target.url(""));
        self.plane
            .kubectl_input(&["--namespace", &self.namespace, "apply", "--filename", "-"], &input)
    }

    /// An object from its fields besides `apiVersion` and `kind`.
    pub async fn create<K>(&self, object: Value) -> Result<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned,
    {
        Ok(self.api().create(&PostParams::default(), &serde_json::from_value(object)?).await?)
    }

    pub async fn config_map(&self, name: &str, data: Value) -> Result<ConfigMap> {
        self.create(json!({ "metadata": { "name": name }, "data": data })).await
    }

    pub async fn secret(&self, name: &str, data: Value) -> Result<Secret> {
        self.create(json!({ "metadata": { "name": name }, "stringData": data })).await
    }

    pub async fn queue(&self, name: &str, spec: Value) -> Result<OperationQueue> {
        self.create(json!({ "metadata": { "name": name }, "spec": spec })).await
    }

    /// Creates an Operation from the YAML of its spec.
    pub async fn submit(&self, name: &str, spec: &str) -> Result<Operation> {
        let spec: Value = serde_yaml::from_str(&spec.replace("TARGET", &self.target.url("")))?;
        self.create(json!({ "metadata": { "name": name }, "spec": spec })).await
    }

    /// Creates an Operation whose runbook is inline and has these steps.
    pub async fn submit_steps(&self, name: &str, steps: &str) -> Result<Operation> {
        self.submit(name, &inline(steps)).await
    }

    pub async fn patch<K>(&self, name: &str, patch: Value) -> Result<K>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned,
    {
        Ok(self.api().patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?)
    }

    /// Changes the spec of an Operation.
    pub async fn set(&self, name: &str, spec: Value) -> Result<Operation> {
        self.patch(name, json!({ "spec": spec })).await
    }

    /// Waits until this holds for an Operation and gives it as it is then.
    pub async fn until(&self, name: &str, what: &str, holds: impl Fn(&Operation) -> bool + Send + Sync) -> Result<Operation> {
        let what = format!("Operation {name} {what}");
        let found = eventually_object(&self.api::<Operation>(), name, &what, SOON, |operation| {
            operation.is_some_and(&holds)
        })
        .await?;
        found.ok_or_else(|| Failure::new(format!("{what}: it is gone")))
    }

    pub async fn in_phase(&self, name: &str, phase: Phase) -> Result<Operation> {
        let what = format!("is {}", phase.as_str());
        let operation = self
            .until(name, &what, |operation| operation.phase() == phase || operation.is_finished())
            .await?;
        if operation.phase() == phase {
            return Ok(operation);
        }
        let status = serde_json::to_string_pretty(&operation.status)?;
        Err(Failure::new(format!(
            "Operation {name} ended otherwise than {}: {status}",
            phase.as_str()
        )))
    }

    pub async fn succeeds(&self, name: &str) -> Result<Operation> {
        self.in_phase(name, Phase::Succeeded).await
    }

    pub async fn fails(&self, name: &str) -> Result<Operation> {
        self.in_phase(name, Phase::Failed).await
    }

    /// Waits until the condition Ready has this reason; gives its message.
    pub async fn waits_for(&self, name: &str, reason: &str) -> Result<String> {
        let found = self
            .until(name, &format!("has the reason {reason}"), |operation| ready(operation).0 == reason)
            .await?;
        Ok(ready(&found).2)
    }

    pub async fn gone<K>(&self, name: &str) -> Result<()>
    where
        K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + Serialize + DeserializeOwned + Send + 'static,
    {
        let what = format!("{name} is gone");
        eventually_object(&self.api::<K>(), name, &what, SOON, |object| object.is_none())
            .await
            .map(drop)
    }

    /// Waits until so many requests for a path are unanswered.
    pub async fn asked(&self, path: &str, count: usize) -> Result<()> {
        eventually(&format!("{path} was asked"), SOON, async || match self.target.in_flight(path) {
            now if now == count => Ok(()),
            now => Err(format!("{now} requests in flight")),
        })
        .await
    }

    /// A state document.
    pub async fn document(&self, config_map: &str, key: &str) -> Result<Value> {
        let map = self.api::<ConfigMap>().get(config_map).await?;
        let text = map.data.unwrap_or_default().remove(key);
        Ok(serde_json::from_str(
            &text.ok_or_else(|| Failure::new(format!("{config_map} has no {key}")))?,
        )?)
    }
}

/// The spec of an Operation whose runbook is inline and has these steps.
pub fn inline(steps: &str) -> String {
    let steps = indented(steps);
    format!("runbook:\n  inline:\n    operation: {{name: test, type: maintain}}\n    steps:\n{steps}\n")
}

fn indented(steps: &str) -> String {
    steps.lines().map(|line| format!("      {line}\n")).collect()
}

/// Reason, status and message of the condition Ready.
pub fn ready(operation: &Operation) -> (String, String, String) {
    condition(operation, "Ready").unwrap_or_default()
}

pub fn condition(operation: &Operation, kind: &str) -> Option<(String, String, String)> {
    let conditions = &operation.status.as_ref()?.conditions;
    let found = conditions.iter().find(|condition| condition.type_ == kind)?.clone();
    Some((found.reason, found.status, found.message))
}

/// The message of an Operation's status.
pub fn message(operation: &Operation) -> String {
    operation
        .status
        .as_ref()
        .and_then(|status| status.message.clone())
        .unwrap_or_default()
}

/// A step on record.
pub fn step(operation: &Operation, path: &str) -> Result<StepStatus> {
    let status = operation.status.clone().unwrap_or_default();
    let found = status.steps.iter().chain(&status.rollback).find(|step| step.path == path);
    found
        .cloned()
        .ok_or_else(|| Failure::new(format!("{path} is not on record: {:?}", paths(operation))))
}

/// The paths of all steps on record.
pub fn paths(operation: &Operation) -> Vec<String> {
    let status = operation.status.clone().unwrap_or_default();
    status.steps.into_iter().map(|step| step.path).collect()
}

pub fn outputs(operation: &Operation) -> Value {
    Value::Object(operation.status.clone().unwrap_or_default().outputs)
}
