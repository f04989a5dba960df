//! Who gets the next slot. Pure: it borrows indexes that the watch keeps up to date, and reads only their heads.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};
use std::hash::Hash;

use jiff::Timestamp;

use crate::api::operation_queue::Slot;

/// The order of those who wait: priority (high first), creation time, name, uid.
type Order = (Reverse<i32>, Timestamp, String, String);

/// Those who wait in one queue.
#[derive(Debug, Clone, Default)]
pub struct Index {
    waiting: BTreeSet<Order>,
    by_uid: HashMap<String, Order>,
}

impl Index {
    /// Adds one who waits, or moves it.
    pub fn insert(&mut self, uid: &str, name: &str, priority: i32, created: Timestamp) {
        self.remove(uid);
        let order = (Reverse(priority), created, name.to_owned(), uid.to_owned());
        self.waiting.insert(order.clone());
        self.by_uid.insert(uid.to_owned(), order);
    }

    /// Gives one another priority, if it waits.
    pub fn reprioritize(&mut self, uid: &str, priority: i32) -> bool {
        let Some((_, created, name, _)) = self.by_uid.get(uid).cloned() else {
            return false;
        };
        self.insert(uid, &name, priority, created);
        true
    }

    /// Removes one; whether it waited.
    pub fn remove(&mut self, uid: &str) -> bool {
        self.by_uid.remove(uid).is_some_and(|order| self.waiting.remove(&order))
    }

    #[must_use]
    pub fn contains(&self, uid: &str) -> bool {
        self.by_uid.contains_key(uid)
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Those who are next, in order.
    pub fn head(&self) -> impl Iterator<Item = Slot> + '_ {
        self.waiting.iter().map(|(_, _, name, uid)| Slot {
            name: name.clone(),
            uid: uid.clone(),
        })
    }

    fn order(&self) -> impl Iterator<Item = &Order> {
        self.waiting.iter()
    }
}

/// One queue, as it stands.
#[derive(Debug)]
pub struct Observed<'a, K> {
    pub key: K,
    pub index: &'a Index,
    /// How many hold a slot, those that are about to give it back not counted.
    pub running: usize,
    pub max_concurrent: usize,
    pub suspended: bool,
}

/// How many of each queue's head to admit, so that no queue runs more than its own and all together not more than `cap`.
///
/// Where the cap binds, the heads of all queues compete in the order of one queue: priority, creation time, name. The cost is that of
/// those admitted, not of those who wait.
#[must_use]
pub fn admissions<K: Clone + Eq + Hash>(queues: &[Observed<'_, K>], cap: usize) -> HashMap<K, usize> {
    let running: usize = queues.iter().map(|queue| queue.running).sum();
    let mut left = cap.saturating_sub(running);
    let room = |queue: &Observed<'_, K>| {
        if queue.suspended {
            0
        } else {
            queue.max_concurrent.saturating_sub(queue.running).min(queue.index.len())
        }
    };
    let wanted: usize = queues.iter().map(room).sum();
    if wanted <= left {
        return queues
            .iter()
            .map(|queue| (queue.key.clone(), room(queue)))
            .filter(|(_, count)| *count > 0)
            .collect();
    }
    // a heap of one candidate per queue
    let mut rest: Vec<_> = queues.iter().map(|queue| queue.index.order().take(room(queue))).collect();
    let mut heads: BinaryHeap<Reverse<(&Order, usize)>> = rest
        .iter_mut()
        .enumerate()
        .filter_map(|(number, rest)| Some(Reverse((rest.next()?, number))))
        .collect();
    let mut admitted: HashMap<K, usize> = HashMap::new();
    while left > 0
        && let Some(Reverse((_, number))) = heads.pop()
        && let (Some(queue), Some(rest)) = (queues.get(number), rest.get_mut(number))
    {
        left -= 1;
        *admitted.entry(queue.key.clone()).or_insert(0) += 1;
        heads.extend(rest.next().map(|next| Reverse((next, number))));
    }
    admitted
}

#[cfg(test)]
mod tests;
