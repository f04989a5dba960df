//! What became of Operations and their queue, followed by a watch from begin to end: not only how they end, but that no
//! record of them ever went back.

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures::StreamExt;
use kube::{
    Api, Resource,
    runtime::{WatchStreamExt, watcher},
};
use serde::de::DeserializeOwned;
use thermostat::api::{Operation, OperationQueue, OperationStatus, operation::Phase};
use tokio::{task::AbortHandle, time::sleep};

use crate::{
    harness::{Failure, Result},
    workload::{STEPS, Workload},
};

/// Follows a workload until dropped.
pub struct History {
    books: Arc<Mutex<Books>>,
    followers: Vec<AbortHandle>,
}

#[derive(Default)]
struct Books {
    lives: BTreeMap<String, Life>,
    /// What must never happen and did.
    violations: Vec<String>,
    running_peak: usize,
}

/// What was seen of one Operation.
#[derive(Debug, Clone, Default)]
pub struct Life {
    /// The leaderships under which it ran.
    pub epochs: BTreeSet<i64>,
    pub status: OperationStatus,
}

impl History {
    pub fn follow(workload: &Workload) -> Self {
        let books = Arc::<Mutex<Books>>::default();
        let max_concurrent = workload.max_concurrent;
        let of_operations = follow(workload.operations().clone(), Arc::clone(&books), Books::see);
        let of_queues = follow(workload.queues().clone(), Arc::clone(&books), move |books, queue| {
            books.see_queue(&queue, max_concurrent);
        });
        let followers = vec![tokio::spawn(of_operations).abort_handle(), tokio::spawn(of_queues).abort_handle()];
        Self { books, followers }
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lives(&self) -> BTreeMap<String, Life> {
        self.books().lives.clone()
    }

    /// How many came to their end.
    pub fn ended(&self) -> usize {
        let ended = |life: &&Life| life.status.phase.is_some_and(Phase::is_final);
        self.books().lives.values().filter(ended).count()
    }

    /// The number of the last leadership that ran an Operation.
    pub fn epoch(&self) -> i64 {
        self.books()
            .lives
            .values()
            .filter_map(|life| life.epochs.last())
            .max()
            .copied()
            .unwrap_or(-1)
    }

    /// The most Operations that the queue ever listed as running.
    pub fn running_peak(&self) -> usize {
        self.books().running_peak
    }

    /// How many steps have ended; of an Operation that has ended, all.
    fn steps_ended(&self) -> usize {
        let of = |life: &Life| {
            if life.status.phase.is_some_and(Phase::is_final) {
                STEPS
            } else {
                life.status.steps.iter().filter(|step| step.phase.is_final()).count()
            }
        };
        self.books().lives.values().map(of).sum()
    }

    /// Waits until so many steps have ended, those of ended Operations all counted, and calls `meanwhile` again and again.
    ///
    /// # Errors
    /// When for as long as `patience` no other step ended, with the Operations that have not; or those of `meanwhile`.
    pub async fn progress(&self, steps: usize, patience: Duration, mut meanwhile: impl FnMut() -> Result<()>) -> Result<()> {
        let mut progress = (self.steps_ended(), Instant::now());
        while progress.0 < steps {
            sleep(Duration::from_millis(50)).await;
            meanwhile()?;
            let ended = self.steps_ended();
            if ended > progress.0 {
                progress = (ended, Instant::now());
            } else if progress.1.elapsed() > patience {
                let open = self.open().join("\n");
                return Err(Failure::new(format!(
                    "{ended} of {steps} steps ended, and no other for {patience:?}; open:\n{open}"
                )));
            }
        }
        Ok(())
    }

    /// Those that have not ended, and how they stand.
    fn open(&self) -> Vec<String> {
        let lives = self.lives();
        let open = lives.iter().filter(|(_, life)| !life.status.phase.is_some_and(Phase::is_final));
        open.map(|(name, life)| {
            format!(
                "{name}: {:?}, {}",
                life.status.phase,
                life.status.message.as_deref().unwrap_or_default()
            )
        })
        .collect()
    }

    /// # Errors
    /// Everything that must never happen and did.
    pub fn check(&self) -> Result<()> {
        let violations = &self.books().violations;
        if violations.is_empty() {
            return Ok(());
        }
        Err(Failure::new(format!("{} violations:\n{}", violations.len(), violations.join("\n"))))
    }
}

impl Drop for History {
    fn drop(&mut self) {
        self.followers.iter().for_each(AbortHandle::abort);
    }
}

fn follow<K>(api: Api<K>, books: Arc<Mutex<Books>>, see: impl Fn(&mut Books, K) + Send + Sync + 'static) -> impl Future<Output = ()> + Send
where
    K: Resource + Clone + std::fmt::Debug + DeserializeOwned + Send + 'static,
{
    let objects = watcher(api, watcher::Config::default()).default_backoff().applied_objects();
    async move {
        let mut objects = objects.boxed();
        while let Some(object) = objects.next().await {
            if let Ok(object) = object {
                see(&mut books.lock().unwrap_or_else(PoisonError::into_inner), object);
            }
        }
    }
}

impl Books {
    fn see_queue(&mut self, queue: &OperationQueue, max_concurrent: usize) {
        let running = queue.status.as_ref().map_or(0, |status| status.running.len());
        self.running_peak = self.running_peak.max(running);
        if running > max_concurrent {
            self.violations
                .push(format!("the queue lists {running} as running, of at most {max_concurrent}"));
        }
    }

    fn see(&mut self, operation: Operation) {
        let name = operation.metadata.name.unwrap_or_default();
        let status = operation.status.unwrap_or_default();
        let life = self.lives.entry(name.clone()).or_default();
        let violations = violations(&life.status, &status);
        self.violations.extend(violations.into_iter().map(|what| format!("{name}: {what}")));
        life.epochs.extend(status.runner.as_ref().map(|runner| runner.epoch));
        life.status = status;
    }
}

/// What must not become of a record: an end that is taken back, a leader that acts after its successor.
fn violations(before: &OperationStatus, after: &OperationStatus) -> Vec<String> {
    let mut found = Vec::new();
    if before.phase.is_some_and(Phase::is_final) && before.phase != after.phase {
        found.push(format!("was {:?} and is {:?}", before.phase, after.phase));
    }
    let epoch = |status: &OperationStatus| status.runner.as_ref().map(|runner| runner.epoch);
    if epoch(after) < epoch(before) {
        found.push(format!("was run by {:?} and is by {:?}", before.runner, after.runner));
    }
    for (then, now) in [(&before.steps, &after.steps), (&before.rollback, &after.rollback)] {
        for step in then.iter().filter(|step| step.phase.is_final()) {
            let kept = now.iter().find(|later| later.path == step.path);
            if kept.map(|later| (later.phase, later.attempt)) != Some((step.phase, step.attempt)) {
                found.push(format!(
                    "the step {} was {:?} and is {:?}",
                    step.path,
                    step.phase,
                    kept.map(|later| later.phase)
                ));
            }
        }
    }
    found
}
