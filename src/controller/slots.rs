//! Where an Operation and its queue meet inside one process: who waits, and who was admitted.
//!
//! The arbiter is `OperationQueue.status.running`; what passes here is only news of it. A [`Ticket`] is held by whoever wants a slot
//! and gives it back when it is dropped.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};

use super::watch::Key;

/// An Operation that wants a slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    pub queue: Key,
    pub name: String,
    pub uid: String,
    pub priority: i32,
    pub created: Timestamp,
}

/// How an applicant stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    /// It holds a slot.
    pub admitted: bool,
    /// There is no such queue.
    pub missing: bool,
    /// 1 is next; known for the first 20.
    pub position: Option<i32>,
}

/// News for the queues.
#[derive(Debug)]
pub enum News {
    /// Somebody wants a slot, or wants it with another priority.
    Wanted(Applicant, watch::Sender<Place>),
    Reprioritized {
        queue: Key,
        uid: String,
        priority: i32,
    },
    /// A ticket was given back.
    Returned {
        queue: Key,
        uid: String,
    },
}

/// The Operations' end.
#[derive(Debug, Clone)]
pub struct Slots {
    news: mpsc::UnboundedSender<News>,
    unfinished: Unfinished,
}

/// The uids of all unfinished Operations, once they are known.
#[derive(Debug, Clone, Default)]
pub struct Unfinished(Arc<Mutex<(bool, HashSet<String>)>>);

impl Unfinished {
    fn lock(&self) -> MutexGuard<'_, (bool, HashSet<String>)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every Operation that existed at the start has been seen.
    pub fn complete(&self) {
        self.lock().0 = true;
    }

    pub fn insert(&self, uid: &str) {
        self.lock().1.insert(uid.to_owned());
    }

    pub fn remove(&self, uid: &str) {
        self.lock().1.remove(uid);
    }

    /// Whether an Operation is known to be finished or gone.
    #[must_use]
    pub fn is_over(&self, uid: &str) -> bool {
        let known = self.lock();
        known.0 && !known.1.contains(uid)
    }
}

/// A wish for a slot, and the slot once it is granted.
#[derive(Debug)]
pub struct Ticket {
    news: Option<mpsc::UnboundedSender<News>>,
    queue: Key,
    uid: String,
    pub place: watch::Receiver<Place>,
}

impl Slots {
    /// Both ends: the Operations' and the queues'.
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<News>) {
        let (news, receiver) = mpsc::unbounded_channel();
        (
            Self {
                news,
                unfinished: Unfinished::default(),
            },
            receiver,
        )
    }

    #[must_use]
    pub const fn unfinished(&self) -> &Unfinished {
        &self.unfinished
    }

    /// Asks for a slot.
    #[must_use]
    pub fn want(&self, applicant: Applicant) -> Ticket {
        let (sender, place) = watch::channel(Place::default());
        let (queue, uid) = (applicant.queue.clone(), applicant.uid.clone());
        self.tell(News::Wanted(applicant, sender));
        Ticket {
            news: Some(self.news.clone()),
            queue,
            uid,
            place,
        }
    }

    fn tell(&self, news: News) {
        // nobody listens only while the process ends
        let _ = self.news.send(news);
    }
}

impl Ticket {
    /// Goes on waiting with another priority.
    pub fn reprioritize(&self, priority: i32) {
        self.tell(News::Reprioritized {
            queue: self.queue.clone(),
            uid: self.uid.clone(),
            priority,
        });
    }

    /// Goes without giving the slot back: it is somebody else's now.
    pub fn leave(mut self) {
        self.news = None;
    }

    fn tell(&self, news: News) {
        if let Some(sender) = &self.news {
            // nobody listens only while the process ends
            let _ = sender.send(news);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.tell(News::Returned {
            queue: self.queue.clone(),
            uid: self.uid.clone(),
        });
    }
}
