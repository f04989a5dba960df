//! Who gets the next slot. Pure: it borrows indexes that the watch keeps up to date, and reads only their heads.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};

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

    fn first(&self, skip: usize) -> Option<&Order> {
        self.waiting.iter().nth(skip)
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
pub fn admissions<K: Clone + Eq + std::hash::Hash>(queues: &[Observed<'_, K>], cap: usize) -> HashMap<K, usize> {
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
    // the heads compete: a heap of one candidate per queue
    let mut admitted: HashMap<K, usize> = HashMap::new();
    let mut heads: std::collections::BinaryHeap<Reverse<(&Order, usize)>> = queues
        .iter()
        .enumerate()
        .filter(|(_, queue)| room(queue) > 0)
        .filter_map(|(number, queue)| Some(Reverse((queue.index.first(0)?, number))))
        .collect();
    let mut iterators: HashMap<usize, _> = HashMap::new();
    while left > 0
        && let Some(Reverse((_, number))) = heads.pop()
        && let Some(queue) = queues.get(number)
    {
        left -= 1;
        let count = admitted.entry(queue.key.clone()).or_insert(0);
        *count += 1;
        let rest = iterators.entry(number).or_insert_with(|| queue.index.waiting.iter().skip(1));
        if *count < room(queue)
            && let Some(next) = rest.next()
        {
            heads.push(Reverse((next, number)));
        }
    }
    admitted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn index(waiting: &[(&str, i32, i64)]) -> Index {
        let mut index = Index::default();
        for (name, priority, second) in waiting {
            index.insert(name, name, *priority, Timestamp::from_second(*second).unwrap_or_default());
        }
        index
    }

    fn names(index: &Index) -> Vec<String> {
        index.head().map(|slot| slot.name).collect()
    }

    fn queue<'a>(key: &'a str, index: &'a Index, running: usize, max_concurrent: usize) -> Observed<'a, &'a str> {
        Observed {
            key,
            index,
            running,
            max_concurrent,
            suspended: false,
        }
    }

    #[test]
    fn higher_priority_goes_first_then_older_then_by_name() {
        let index = index(&[("late", 5, 9), ("b", 5, 1), ("a", 5, 1), ("urgent", 9, 20), ("low", 0, 0)]);
        assert_eq!(names(&index), ["urgent", "a", "b", "late", "low"]);
    }

    #[test]
    fn a_new_priority_moves_one_who_waits() {
        let mut index = index(&[("a", 5, 1), ("b", 5, 2)]);
        assert!(index.reprioritize("b", 6));
        assert!(!index.reprioritize("gone", 6));
        assert_eq!(names(&index), ["b", "a"]);
        assert_eq!(index.len(), 2);
    }

    #[test]
    fn no_queue_runs_more_than_its_own() {
        let (full, roomy) = (index(&[("a", 5, 1), ("b", 5, 2)]), index(&[("c", 5, 1), ("d", 5, 2), ("e", 5, 3)]));
        let queues = [queue("full", &full, 3, 3), queue("roomy", &roomy, 1, 3)];
        assert_eq!(admissions(&queues, 200), HashMap::from([("roomy", 2)]));
    }

    #[test]
    fn a_queue_over_its_own_admits_none() {
        let waiting = index(&[("a", 5, 1)]);
        assert_eq!(admissions(&[queue("q", &waiting, 5, 3)], 200), HashMap::new());
    }

    #[test]
    fn a_suspended_queue_admits_none() {
        let waiting = index(&[("a", 5, 1)]);
        let queues = [Observed {
            suspended: true,
            ..queue("q", &waiting, 0, 3)
        }];
        assert_eq!(admissions(&queues, 200), HashMap::new());
    }

    #[test]
    fn where_the_cap_binds_the_heads_compete_in_one_order() {
        let (one, two) = (index(&[("a", 5, 1), ("b", 1, 1)]), index(&[("c", 7, 9), ("d", 3, 9)]));
        let queues = [queue("one", &one, 0, 5), queue("two", &two, 0, 5)];
        assert_eq!(admissions(&queues, 1), HashMap::from([("two", 1)]));
        assert_eq!(admissions(&queues, 2), HashMap::from([("two", 1), ("one", 1)]));
        assert_eq!(admissions(&queues, 3), HashMap::from([("two", 2), ("one", 1)]));
        assert_eq!(admissions(&queues, 0), HashMap::new());
    }
}
