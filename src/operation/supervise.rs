//! The task that looks after one unfinished Operation, from its first sight to its end.

use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt as _;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::{Api, Resource as _};
use tokio::sync::watch;

use super::apply::{Frozen, StatusSink, set_finalizer, thaw};
use super::decide::{Beginning, Outcome, Record, Run};
use super::execute::{Control, Execution, Finished};
use super::journal::{Fenced, Journal};
use super::observe::{self, Missing};
use super::step::{Notice, World};
use super::validate::{self, Refusal};
use super::{Latest, Left, Shared, has_finalizer, report};
use crate::api::operation::{JOURNAL_VERSION, Phase, QueuePlace};
use crate::api::{Operation, OperationStatus, RECONCILE_AT, Reason};
use crate::controller::backoff::Backoff;
use crate::controller::slots::{Applicant, Ticket};
use crate::controller::watch::Key;

/// How long a change of a run's status that nobody waits for may wait for others to join it.
const PAUSE: Duration = Duration::from_millis(200);
/// An Operation that is admitted within this time is never written as Queued.
const SOON: Duration = Duration::from_millis(100);

/// One Operation and all it takes to look after it.
struct Supervisor {
    shared: Arc<Shared>,
    latest: watch::Receiver<Latest>,
    sink: Arc<StatusSink>,
    /// The last status that was written or read.
    status: OperationStatus,
}

/// How looking after an Operation ends early.
enum Stop {
    /// Somebody else has it, or it is gone.
    Fenced(Fenced),
    /// It came to its end before it ran.
    Ended(Outcome),
}

impl From<Fenced> for Stop {
    fn from(fenced: Fenced) -> Self {
        Self::Fenced(fenced)
    }
}

/// Looks after an Operation until its end.
pub async fn supervise(shared: Arc<Shared>, latest: watch::Receiver<Latest>) -> Left {
    let operation = latest.borrow().operation.clone();
    let status = operation.status.clone().unwrap_or_default();
    let sink = StatusSink::new(
        shared.context.client.clone(),
        &operation,
        status.runner.clone(),
        shared.context.metrics.clone(),
    );
    let mut supervisor = Supervisor {
        shared,
        latest,
        sink,
        status,
    };
    match supervisor.look_after().await {
        Ok(()) => Left::Ended,
        Err(fenced) => {
            tracing::info!(operation = %Key::of(&operation.metadata), "stopped looking after it: {fenced}");
            Left::Released
        }
    }
}

/// Lets an Operation go that ended before its controller could take its finalizer away.
pub async fn release(shared: Arc<Shared>, operation: Arc<Operation>) -> Left {
    let key = Key::of(&operation.metadata);
    let api = Api::namespaced(shared.context.client.clone(), &key.namespace);
    // an Operation that is gone needs no release
    let _ = set_finalizer(&api, &key.name, operation.metadata.uid.as_deref().unwrap_or_default(), false).await;
    Left::Released
}

impl Supervisor {
    fn operation(&self) -> Arc<Operation> {
        self.latest.borrow().operation.clone()
    }

    fn generation(&self) -> Option<i64> {
        self.operation().metadata.generation
    }

    async fn look_after(&mut self) -> Result<(), Fenced> {
        let outcome = match self.until_running().await {
            Ok(ticket) => self.run(ticket).boxed().await?,
            Err(Stop::Ended(outcome)) => {
                let status = report::ended(&self.status, &outcome, self.generation(), Timestamp::now());
                self.write(status).await?;
                outcome
            }
            Err(Stop::Fenced(fenced)) => return Err(fenced),
        };
        self.shared.context.metrics.operation_ended(outcome.phase.as_str());
        Ok(())
    }

    /// Until it holds a slot: what it is made from is there and valid, and its turn has come.
    async fn until_running(&mut self) -> Result<Ticket, Stop> {
        if self.status.journal_version.is_some_and(|version| version > JOURNAL_VERSION) {
            let message = "was written by a newer controller; upgrade this one to let it go on";
            let object = self.operation().object_ref(&());
            self.shared.context.warn(object, Reason::NewerJournal, message);
            return Err(Fenced(message.to_owned()).into());
        }
        if self.status.runner.is_none() {
            self.prepare().await?;
        }
        self.wait_for_slot().await
    }

    /// Checks it, and freezes what is not its own.
    async fn prepare(&mut self) -> Result<(), Stop> {
        let mut backoff = Backoff::of_missing();
        loop {
            let operation = self.operation();
            self.ended_by_people()?;
            match self.check(&operation).await {
                Ok(beginning) if operation.spec.dry_run => {
                    self.status.steps = report::dry_run(&beginning.runbook);
                    self.status.runbook = Some(report::identity(&beginning.runbook));
                    let message = "dry run: the steps say what they would do; nothing was done".to_owned();
                    return Err(Stop::Ended(Outcome {
                        phase: Phase::Succeeded,
                        reason: Reason::Succeeded,
                        message,
                    }));
                }
                Ok(beginning) => {
                    self.warn_of_short_secrets(&beginning, &operation);
                    self.status.runbook = Some(report::identity(&beginning.runbook));
                    self.status.progress = Some(format!("0/{}", beginning.runbook.steps.len()));
                    return Ok(());
                }
                Err(Problem::Refused(Refusal(message))) => {
                    return Err(Stop::Ended(Outcome {
                        phase: Phase::Failed,
                        reason: Reason::InvalidRunbook,
                        message,
                    }));
                }
                Err(Problem::Missing(Missing { reason, message })) => {
                    let mut status = report::in_phase(&self.status, Phase::Pending, reason, &message, self.generation(), Timestamp::now());
                    status.last_handled_reconcile_at = reconcile_at(&operation);
                    self.write(status).await?;
                    let asked = reconcile_at(&operation);
                    let pause = tokio::time::sleep(backoff.pause());
                    tokio::pin!(pause);
                    loop {
                        tokio::select! {
                            () = &mut pause => break,
                            changed = self.changed() => {
                                changed?;
                                let now = self.operation();
                                if now.spec != operation.spec || reconcile_at(&now) != asked || now.metadata.deletion_timestamp.is_some() {
                                    backoff.reset();
                                    break;
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Every value that is too short to be masked is named, once.
    fn warn_of_short_secrets(&self, beginning: &Beginning, operation: &Operation) {
        let names = beginning.redactor.unmaskable();
        if !names.is_empty() {
            let message = format!(
                "the secret values of {} are too short to be masked: they may show up in status and log; use longer ones",
                names.join(", ")
            );
            self.shared
                .context
                .warn(operation.object_ref(&()), Reason::SecretTooShort, &message);
        }
    }

    /// What its run is made from, frozen where it is not its own.
    async fn check(&mut self, operation: &Operation) -> Result<Beginning, Problem> {
        if let Some(beginning) = self.frozen(operation).await?.0 {
            return Ok(beginning);
        }
        let inputs = observe::inputs(operation, &self.shared.library, &self.shared.context.client).await?;
        let beginning = validate::operation(operation, &inputs)?;
        let is_its_own = operation.spec.runbook.inline.is_some() && operation.spec.parameters_from.is_empty();
        if !is_its_own && !operation.spec.dry_run {
            let journal = self.sink.freeze(&inputs).await.map_err(|error| unfrozen(&error))?;
            self.status.journal = Some(journal);
        }
        Ok(beginning)
    }

    /// What a run is made from where it was frozen, and what its status masks.
    async fn frozen(&self, operation: &Operation) -> Result<(Option<Beginning>, Frozen), Problem> {
        let Some(journal) = &self.status.journal else {
            return Ok((None, Frozen::default()));
        };
        let namespace = operation.metadata.namespace.as_deref().unwrap_or_default();
        let frozen = thaw(&self.shared.context.client, namespace, journal)
            .await
            .map_err(|error| unfrozen(&error))?;
        let beginning = frozen
            .inputs
            .as_ref()
            .map(|inputs| validate::operation(operation, inputs))
            .transpose()?;
        Ok((beginning, frozen))
    }

    /// Waits in its queue. While it is suspended it does not wait there.
    async fn wait_for_slot(&mut self) -> Result<Ticket, Stop> {
        let soon = tokio::time::Instant::now() + SOON;
        let mut ticket: Option<Ticket> = None;
        loop {
            let operation = self.operation();
            let runs_already = self.status.runner.is_some();
            if !runs_already {
                self.ended_by_people()?;
            }
            if operation.spec.suspend && !runs_already {
                ticket = None;
            } else if ticket.is_none() {
                ticket = Some(self.shared.slots.want(applicant(&operation)));
            }
            if let Some(held) = ticket.take_if(|ticket| ticket.place.borrow().admitted) {
                return Ok(held);
            }
            if soon.elapsed() > Duration::ZERO || operation.spec.suspend {
                self.show_waiting(&operation, ticket.as_ref()).await?;
            }
            tokio::select! {
                changed = self.changed() => {
                    changed?;
                    let priority = self.operation().spec.priority;
                    if let Some(ticket) = ticket.as_ref().filter(|_| priority != operation.spec.priority) {
                        ticket.reprioritize(priority);
                    }
                }
                () = place_changed(ticket.as_mut()) => {}
                () = tokio::time::sleep_until(soon), if soon.elapsed() == Duration::ZERO => {}
            }
        }
    }

    /// Writes how it waits, where that changed.
    async fn show_waiting(&mut self, operation: &Operation, ticket: Option<&Ticket>) -> Result<(), Fenced> {
        let place = ticket.map(|ticket| *ticket.place.borrow()).unwrap_or_default();
        let now = Timestamp::now();
        let generation = operation.metadata.generation;
        let status = if self.status.runner.is_some() {
            return Ok(());
        } else if place.missing {
            let message = format!("there is no OperationQueue {:?} in this namespace; create it", operation.spec.queue);
            report::in_phase(&self.status, Phase::Pending, Reason::QueueNotFound, &message, generation, now)
        } else {
            let place = QueuePlace {
                position: place.position,
                priority: operation.spec.priority,
            };
            report::queued(&self.status, place, operation.spec.suspend, generation, now)
        };
        let status = OperationStatus {
            last_handled_reconcile_at: reconcile_at(operation),
            ..status
        };
        if status == self.status { Ok(()) } else { self.write(status).await }
    }

    /// The next change of the object; an error once it is gone.
    async fn changed(&mut self) -> Result<(), Fenced> {
        let changed = self.latest.changed().await;
        if changed.is_err() || self.latest.borrow().deleted {
            Err(Fenced("it is gone".to_owned()))
        } else {
            Ok(())
        }
    }

    /// A cancel or a deletion ends at once what does not run yet.
    fn ended_by_people(&mut self) -> Result<(), Stop> {
        let latest = self.latest.borrow_and_update().clone();
        if latest.deleted {
            return Err(Fenced("it is gone".to_owned()).into());
        }
        if latest.operation.spec.cancel || latest.operation.metadata.deletion_timestamp.is_some() {
            self.status.cancel_requested_at.get_or_insert_with(|| Time(Timestamp::now()));
            let message = "was cancelled before it started; nothing was done".to_owned();
            return Err(Stop::Ended(Outcome {
                phase: Phase::Cancelled,
                reason: Reason::Cancelled,
                message,
            }));
        }
        Ok(())
    }

    async fn write(&mut self, status: OperationStatus) -> Result<(), Fenced> {
        self.sink.write_status(&status).await?;
        self.status = status;
        Ok(())
    }

    /// Runs it, or goes on with what another controller began.
    async fn run(&mut self, ticket: Ticket) -> Result<Outcome, Fenced> {
        let operation = self.operation();
        let key = Key::of(&operation.metadata);
        let api: Api<Operation> = Api::namespaced(self.shared.context.client.clone(), &key.namespace);
        let uid = operation.metadata.uid.clone().unwrap_or_default();
        let result = self.carry_out(&operation, &api, &uid).await;
        match result {
            Ok(outcome) => {
                drop(ticket);
                if has_finalizer(&self.operation()) || outcome.touched {
                    // one that is gone needs no release
                    let _ = set_finalizer(&api, &key.name, &uid, false).await;
                }
                Ok(outcome.outcome)
            }
            Err(fenced) => {
                if !self.latest.borrow().deleted {
                    // somebody else runs it: the slot is theirs
                    ticket.leave();
                }
                Err(fenced)
            }
        }
    }

    async fn carry_out(&mut self, operation: &Operation, api: &Api<Operation>, uid: &str) -> Result<Carried, Fenced> {
        let taken_over = self.status.runner.is_some();
        if taken_over {
            // read once, live: the watch may be behind what the last runner wrote
            self.status = self.live(api, uid).await?;
            if self.status.phase.is_some_and(Phase::is_final) {
                return Err(Fenced("it ended meanwhile".to_owned()));
            }
        }
        let (beginning, frozen) = match self.beginning(operation).await? {
            Ok(beginning) => beginning,
            Err(Refusal(message)) => {
                let outcome = Outcome {
                    phase: Phase::Failed,
                    reason: Reason::InvalidRunbook,
                    message,
                };
                let status = report::ended(&self.status, &outcome, self.generation(), Timestamp::now());
                self.write(status).await?;
                return Ok(Carried { outcome, touched: false });
            }
        };
        let world = self.world(&beginning);
        let run = Run::new(beginning, Record::of(&self.status, frozen.originals));
        let mut base = std::mem::take(&mut self.status);
        base.runner = Some(self.shared.context.runner.clone());
        base.started_at.get_or_insert_with(|| Time(Timestamp::now()));
        let (control, steering) = watch::channel(steered(operation));
        let metrics = self.shared.context.metrics.clone();
        let (finalizer_api, name, finalizer_uid) = (api.clone(), operation.metadata.name.clone().unwrap_or_default(), uid.to_owned());
        let (touched, was_touched) = (Arc::new(std::sync::atomic::AtomicBool::new(false)), has_finalizer(operation));
        let touching = touched.clone();
        let tenure = self.shared.context.tenure.clone();
        let execution = Execution {
            run,
            base,
            world: Arc::new(world),
            journal: Journal::new(self.sink.clone(), PAUSE),
            control: steering,
            before_effect: (!was_touched).then(|| {
                Box::new(move || {
                    touching.store(true, std::sync::atomic::Ordering::Relaxed);
                    async move { set_finalizer(&finalizer_api, &name, &finalizer_uid, true).await }.boxed()
                }) as super::execute::BeforeEffect
            }),
            may_act: Box::new(move || tenure.holds()),
            on_step: Box::new(move |kind, succeeded, took| {
                metrics.step_ended(kind.name(), if succeeded { "Succeeded" } else { "Failed" }, took);
            }),
        };
        let steer = async {
            loop {
                if let Err(fenced) = self.changed().await {
                    break fenced;
                }
                let wanted = steered(&self.operation());
                control.send_if_modified(|control| std::mem::replace(control, wanted) != wanted);
            }
        };
        let Finished {
            outcome,
            failed_notifications,
            ..
        } = tokio::select! {
            result = execution.carry_out().boxed() => result?,
            fenced = steer => return Err(fenced),
        };
        for (path, message) in failed_notifications {
            self.shared.context.metrics.notification_failed(&path);
            let message = format!("{path} was not sent: {message}");
            self.shared
                .context
                .warn(operation.object_ref(&()), Reason::NotificationFailed, &message);
        }
        Ok(Carried {
            outcome,
            touched: touched.load(std::sync::atomic::Ordering::Relaxed),
        })
    }

    async fn live(&self, api: &Api<Operation>, uid: &str) -> Result<OperationStatus, Fenced> {
        let name = self.operation().metadata.name.clone().unwrap_or_default();
        let mut backoff = Backoff::of_writes();
        loop {
            match api.get_opt(&name).await {
                Ok(Some(live)) if live.metadata.uid.as_deref() == Some(uid) => {
                    let status = live.status.unwrap_or_default();
                    return if status.runner == self.status.runner {
                        Ok(status)
                    } else {
                        Err(Fenced("somebody else took it over".to_owned()))
                    };
                }
                Ok(_) => return Err(Fenced("it is gone".to_owned())),
                Err(error) => tracing::warn!(name, "failed to read it at take-over, trying again: {error}"),
            }
            tokio::time::sleep(backoff.pause()).await;
        }
    }

    /// What its run is made from, read again; waits while that cannot be read.
    async fn beginning(&mut self, operation: &Operation) -> Result<Result<(Beginning, Frozen), Refusal>, Fenced> {
        let mut backoff = Backoff::of_writes();
        loop {
            let problem = match self.frozen(operation).await {
                Ok((Some(beginning), frozen)) => return Ok(Ok((beginning, frozen))),
                Ok((None, frozen)) => {
                    let result = async {
                        let inputs = observe::inputs(operation, &self.shared.library, &self.shared.context.client).await?;
                        Ok::<_, Problem>(validate::operation(operation, &inputs)?)
                    };
                    match result.await {
                        Ok(beginning) => return Ok(Ok((beginning, frozen))),
                        Err(problem) => problem,
                    }
                }
                Err(problem) => problem,
            };
            match problem {
                Problem::Refused(refusal) => return Ok(Err(refusal)),
                Problem::Missing(missing) => tracing::warn!(operation = %Key::of(&operation.metadata), "cannot go on yet: {missing}"),
            }
            tokio::time::sleep(backoff.pause()).await;
            if self.latest.borrow().deleted {
                return Err(Fenced("it is gone".to_owned()));
            }
        }
    }

    fn world(&self, beginning: &Beginning) -> World {
        let identity = beginning.identity.clone();
        let redactor = beginning.redactor.clone();
        let (namespace, name) = (identity.operation_namespace.clone(), identity.operation_name.clone());
        World {
            http: self.shared.http.clone(),
            documents: self.shared.documents(&identity.operation_namespace),
            identity,
            log: Arc::new(move |notice: &Notice| {
                tracing::info!(target: "thermostat::notification", namespace, operation = name, "{}", redactor.mask(&notice.line()));
            }),
        }
    }
}

/// How a run ended, and whether it carries our finalizer since.
struct Carried {
    outcome: Outcome,
    touched: bool,
}

/// Why an Operation cannot run, now or ever.
enum Problem {
    Missing(Missing),
    Refused(Refusal),
}

impl From<Missing> for Problem {
    fn from(missing: Missing) -> Self {
        Self::Missing(missing)
    }
}

impl From<Refusal> for Problem {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

fn unfrozen(error: &kube::Error) -> Missing {
    Missing {
        reason: Reason::Pending,
        message: format!("failed to reach the journal of this run: {error}"),
    }
}

fn reconcile_at(operation: &Operation) -> Option<String> {
    operation.metadata.annotations.as_ref()?.get(RECONCILE_AT).cloned()
}

fn applicant(operation: &Operation) -> Applicant {
    let metadata = &operation.metadata;
    Applicant {
        queue: Key {
            namespace: metadata.namespace.clone().unwrap_or_default(),
            name: operation.spec.queue.clone(),
        },
        name: metadata.name.clone().unwrap_or_default(),
        uid: metadata.uid.clone().unwrap_or_default(),
        priority: operation.spec.priority,
        created: metadata.creation_timestamp.as_ref().map_or(Timestamp::UNIX_EPOCH, |time| time.0),
    }
}

fn steered(operation: &Operation) -> Control {
    Control {
        cancel: operation.spec.cancel || operation.metadata.deletion_timestamp.is_some(),
        suspend: operation.spec.suspend,
        generation: operation.metadata.generation,
    }
}

async fn place_changed(ticket: Option<&mut Ticket>) {
    match ticket {
        // the queues end only with the process
        Some(ticket) => {
            if ticket.place.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
        None => std::future::pending().await,
    }
}
