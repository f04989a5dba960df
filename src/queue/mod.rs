//! The life of an `OperationQueue`: who runs, who waits.
//!
//! `OperationQueue.status.running` is the arbiter: an Operation runs only once it is listed there, and that list changes only by a
//! replace with the resourceVersion that was read. So neither a stale cache nor a second leader can break the limit.

pub mod apply;
pub mod decide;
pub mod report;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use futures::stream::{FuturesUnordered, StreamExt as _};
use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::api::operation_queue::{OperationQueue, Slot};
use crate::api::{DEFAULT_QUEUE, OperationQueueStatus};
use crate::controller::Context;
use crate::controller::backoff::Backoff;
use crate::controller::slots::{Applicant, News, Place, Unfinished};
use crate::controller::watch::{Change, Key, Watched, watching};
use apply::Written;
use decide::{Index, Observed, admissions};

/// Under load a write waits this long, so that many arrivals and departures join it.
const JOIN: Duration = Duration::from_millis(20);
/// What only informs (how many wait, who is next) is written at most this often.
const INFORM: Duration = Duration::from_secs(5);

/// One queue as this process knows it.
#[derive(Default)]
struct Queue {
    /// The newest object that was seen; none where there is no such queue.
    object: Option<Arc<OperationQueue>>,
    index: Index,
    tickets: HashMap<String, (Applicant, watch::Sender<Place>)>,
    /// Who holds a slot, as the arbiter says.
    running: Vec<Slot>,
    /// Who gives a slot back with the next write.
    returned: HashSet<String>,
    /// Who is admitted by the write in flight.
    admitting: usize,
    in_flight: bool,
    /// No write before this.
    not_before: Option<Instant>,
    /// The last write told of several at once, so that more are likely to come: the next one waits so long for them.
    joins_until: Option<Instant>,
    last_inform: Option<Instant>,
    /// When those who wait were last told their positions.
    last_told: Option<Instant>,
    backoff: Option<Backoff>,
    /// An empty record was filled from a live list.
    filled: bool,
}

/// All queues.
struct Queues {
    context: Context,
    by_key: HashMap<Key, Queue>,
    unfinished: Unfinished,
    writes: FuturesUnordered<BoxFuture<'static, (Key, Written)>>,
}

/// Runs all queues until the news end.
pub async fn run(context: Context, mut news: mpsc::UnboundedReceiver<News>, unfinished: Unfinished) {
    let mut events = watching::<OperationQueue>(&context);
    let mut queues = Queues {
        context,
        by_key: HashMap::new(),
        unfinished,
        writes: FuturesUnordered::new(),
    };
    loop {
        let wake = queues.pump();
        tokio::select! {
            event = events.recv() => match event {
                Some(event) => queues.observe(event),
                None => return,
            },
            first = news.recv() => match first {
                Some(first) => {
                    queues.hear(first);
                    while let Ok(next) = news.try_recv() {
                        queues.hear(next);
                    }
                }
                None => return,
            },
            Some((key, written)) = queues.writes.next(), if !queues.writes.is_empty() => queues.written(&key, written),
            () = tokio::time::sleep_until(wake) => {}
        }
    }
}

impl Queues {
    fn observe(&mut self, change: Change<OperationQueue>) {
        match change {
            Change::Applied(object) => {
                let queue = self.by_key.entry(key_of(&object)).or_default();
                queue.see(Arc::new(object));
            }
            Change::Deleted(Key { namespace, name }) => {
                if let Some(queue) = self.by_key.get_mut(&Key { namespace, name }) {
                    queue.vanish();
                }
            }
            Change::Unreadable { metadata, message } => self.context.unreadable::<OperationQueue>(&metadata, &message),
            Change::Synced => {}
        }
    }

    fn hear(&mut self, news: News) {
        match news {
            News::Wanted(applicant, ticket) => {
                let queue = self.by_key.entry(applicant.queue.clone()).or_default();
                queue.want(applicant, ticket);
            }
            News::Reprioritized { queue, uid, priority } => {
                if let Some(queue) = self.by_key.get_mut(&queue) {
                    queue.index.reprioritize(&uid, priority);
                }
            }
            News::Returned { queue, uid } => {
                if let Some(queue) = self.by_key.get_mut(&queue) {
                    queue.give_back(uid);
                }
            }
        }
    }

    /// Starts every write that is due; yields when to look again.
    fn pump(&mut self) -> Instant {
        let now = Instant::now();
        let mut wake = now + Duration::from_secs(30);
        for queue in self.by_key.values_mut() {
            queue.forget_the_finished(&self.unfinished);
        }
        let admitted = self.admissions();
        for (key, queue) in &mut self.by_key {
            let admit = admitted.get(key).copied().unwrap_or(0);
            if let Some(at) = queue.due(admit, now) {
                if at <= now {
                    self.writes.push(queue.write(key, admit, &self.context, now));
                } else {
                    wake = wake.min(at);
                }
            }
            queue.show_positions(now);
        }
        self.by_key.retain(|_, queue| !queue.is_idle());
        self.report_metrics();
        wake
    }

    fn admissions(&self) -> HashMap<Key, usize> {
        let observed: Vec<Observed<'_, &Key>> = self
            .by_key
            .iter()
            .filter_map(|(key, queue)| {
                let object = queue.object.as_ref()?;
                let leaving = queue.running.iter().filter(|slot| queue.returned.contains(&slot.uid)).count();
                Some(Observed {
                    key,
                    index: &queue.index,
                    running: queue.running.len() + queue.admitting - if queue.in_flight { 0 } else { leaving },
                    max_concurrent: usize::try_from(object.spec.max_concurrent).unwrap_or(0),
                    suspended: object.spec.suspend || queue.in_flight || !queue.filled,
                })
            })
            .collect();
        admissions(&observed, self.context.max_running)
            .into_iter()
            .map(|(key, count)| (key.clone(), count))
            .collect()
    }

    fn written(&mut self, key: &Key, written: Written) {
        let now = Instant::now();
        let Some(queue) = self.by_key.get_mut(key) else { return };
        queue.in_flight = false;
        queue.admitting = 0;
        match written {
            Written::Replaced(object) => {
                self.context.metrics.queue_written();
                queue.backoff = None;
                queue.see(object);
            }
            Written::Filled(running) => {
                queue.running = running;
                queue.filled = true;
            }
            Written::Stale(object) => queue.see(object),
            Written::Gone => queue.vanish(),
            Written::Failed(message) => {
                let pause = queue.backoff.get_or_insert_with(Backoff::of_writes).pause();
                tracing::warn!(queue = %key.name, namespace = %key.namespace, "failed to write the queue, trying again in {pause:?}: {message}");
                queue.not_before = Some(now + pause);
            }
        }
    }

    fn report_metrics(&self) {
        for (key, queue) in &self.by_key {
            self.context
                .metrics
                .set_queue(&key.namespace, &key.name, queue.running.len(), queue.index.len());
        }
    }
}

impl Watched for OperationQueue {
    fn slim(_: &mut serde_json::Value) {}
}

fn key_of(object: &OperationQueue) -> Key {
    Key {
        namespace: object.metadata.namespace.clone().unwrap_or_default(),
        name: object.metadata.name.clone().unwrap_or_default(),
    }
}

/// Resource versions of one kind are numbers that rise (KEP-5504).
fn version(object: &OperationQueue) -> u64 {
    object
        .metadata
        .resource_version
        .as_ref()
        .and_then(|version| version.parse().ok())
        .unwrap_or(u64::MAX)
}

impl Queue {
    /// Takes an object over, unless a newer one is known.
    fn see(&mut self, object: Arc<OperationQueue>) {
        let same = self.object.as_ref().filter(|known| known.metadata.uid == object.metadata.uid);
        if same.is_some_and(|known| version(known) > version(&object)) {
            return;
        }
        if same.is_none() {
            self.filled = false;
            for (_, ticket) in self.tickets.values() {
                ticket.send_if_modified(|place| std::mem::take(&mut place.missing));
            }
        }
        let status = object.status.as_ref();
        self.filled |= status.is_some_and(|status| status.observed_generation.is_some_and(|generation| generation > 0));
        if self.filled {
            self.running = status.map(|status| status.running.clone()).unwrap_or_default();
        }
        self.object = Some(object);
        self.grant();
    }

    /// Tells those who are listed, and lets go of what is listed no more.
    fn grant(&mut self) {
        for slot in &self.running {
            self.index.remove(&slot.uid);
            if let Some((_, ticket)) = self.tickets.get(&slot.uid) {
                ticket.send_if_modified(|place| {
                    !std::mem::replace(
                        place,
                        Place {
                            admitted: true,
                            ..Place::default()
                        },
                    )
                    .admitted
                });
            }
        }
        let listed: HashSet<&str> = self.running.iter().map(|slot| slot.uid.as_str()).collect();
        self.returned.retain(|uid| listed.contains(uid.as_str()));
    }

    fn vanish(&mut self) {
        self.object = None;
        self.filled = false;
        self.running.clear();
        self.returned.clear();
        for (uid, (applicant, ticket)) in &self.tickets {
            if !ticket.borrow().admitted {
                self.index.insert(uid, &applicant.name, applicant.priority, applicant.created);
            }
        }
    }

    fn want(&mut self, applicant: Applicant, ticket: watch::Sender<Place>) {
        let uid = applicant.uid.clone();
        self.returned.remove(&uid);
        if self.running.iter().any(|slot| slot.uid == uid) {
            ticket.send_replace(Place {
                admitted: true,
                ..Place::default()
            });
        } else {
            self.index.insert(&uid, &applicant.name, applicant.priority, applicant.created);
            if self.object.is_none() && applicant.queue.name != DEFAULT_QUEUE {
                ticket.send_replace(Place {
                    missing: true,
                    ..Place::default()
                });
            }
        }
        self.tickets.insert(uid, (applicant, ticket));
    }

    fn give_back(&mut self, uid: String) {
        self.tickets.remove(&uid);
        let waited = self.index.remove(&uid);
        if !waited || self.in_flight {
            self.returned.insert(uid);
        }
    }

    /// A slot of an Operation that is finished or gone, and that nobody here holds, is free.
    fn forget_the_finished(&mut self, unfinished: &Unfinished) {
        for slot in &self.running {
            if !self.tickets.contains_key(&slot.uid) && unfinished.is_over(&slot.uid) {
                self.returned.insert(slot.uid.clone());
            }
        }
    }

    /// When a write is due, if one is.
    fn due(&self, admit: usize, now: Instant) -> Option<Instant> {
        if self.in_flight {
            return None;
        }
        let waits = self.object.is_none() && !self.index.is_empty();
        let Some(object) = &self.object else {
            let creatable =
                waits && self.index.head().next().is_some() && self.tickets.values().any(|(a, _)| a.queue.name == DEFAULT_QUEUE);
            return creatable.then(|| self.not_before.unwrap_or(now));
        };
        let leaves = self.running.iter().any(|slot| self.returned.contains(&slot.uid));
        let at = if !self.filled {
            now
        } else if admit > 0 || leaves {
            self.joins_until.unwrap_or(now)
        } else if self.informs(object.status.as_ref())
            || object.metadata.generation != object.status.as_ref().and_then(|s| s.observed_generation)
        {
            self.last_inform.map_or(now, |last| last + INFORM)
        } else {
            return None;
        };
        Some(self.not_before.map_or(at, |not_before| at.max(not_before)))
    }

    /// Whether what the status tells of those who wait is out of date.
    fn informs(&self, status: Option<&OperationQueueStatus>) -> bool {
        let Some(status) = status else { return true };
        usize::try_from(status.queued).ok() != Some(self.index.len())
            || !self
                .index
                .head()
                .take(report::HEAD)
                .map(|slot| slot.name)
                .eq(status.head.iter().cloned())
    }

    fn write(&mut self, key: &Key, admit: usize, context: &Context, now: Instant) -> BoxFuture<'static, (Key, Written)> {
        self.in_flight = true;
        self.not_before = None;
        let Some(object) = self.object.clone() else {
            return apply::create_default(context.client.clone(), key.clone());
        };
        if !self.filled {
            return apply::fill(context.client.clone(), key.clone());
        }
        self.last_inform = Some(now);
        self.admitting = admit;
        let stay = self.running.iter().filter(|slot| !self.returned.contains(&slot.uid)).cloned();
        let running: Vec<Slot> = stay.chain(self.index.head().take(admit)).collect();
        let leaving = self.running.len() + admit - running.len();
        self.joins_until = (admit + leaving > 1).then(|| now + JOIN);
        let status = report::status(&object, running, &self.index, admit, Timestamp::now());
        apply::replace_status(context.client.clone(), key.clone(), &object, status)
    }

    /// Tells the head of the queue their positions: each costs a write, so at most every 5 s, and with a write of the queue's own.
    fn show_positions(&mut self, now: Instant) {
        if self.last_inform != Some(now) || self.last_told.is_some_and(|last| now < last + INFORM) {
            return;
        }
        self.last_told = Some(now);
        for (number, slot) in self.index.head().skip(self.admitting).take(report::HEAD).enumerate() {
            let position = i32::try_from(number + 1).ok();
            if let Some((_, ticket)) = self.tickets.get(&slot.uid) {
                ticket.send_if_modified(|place| std::mem::replace(&mut place.position, position) != position);
            }
        }
    }

    fn is_idle(&self) -> bool {
        self.object.is_none() && self.tickets.is_empty() && !self.in_flight
    }
}
