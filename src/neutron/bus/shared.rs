//! What all tasks of a bus share, and what outlives a session.

use std::fmt;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use tokio::runtime::Handle;
use tokio::sync::{Semaphore, mpsc, watch};

use super::counters::Counters;
use super::declare;
use super::patience::Patience;
use super::publish::Publisher;
use super::reply::{DeadQueues, REPLIES};
use super::seen::Seen;
use super::waiting::Waiting;
use super::{Link, Listener, Notice, Settings};
use crate::complaint::Complaint;

pub(super) struct Shared {
    pub(super) settings: Settings,
    pub(super) ears: Vec<Ear>,
    pub(super) reply_queue: declare::Queue,
    pub(super) notices: mpsc::Sender<Notice>,
    pub(super) link: watch::Sender<Link>,
    pub(super) outlet: watch::Sender<Outlet>,
    pub(super) counters: Counters,
    pub(super) complaints: Complaints,
    pub(super) runtime: Handle,
    /// One for each answer of ours that is under way.
    pub(super) replies: Semaphore,
    waiting: Mutex<Waiting>,
    patience: Mutex<Patience>,
    dead_queues: Mutex<DeadQueues>,
}

/// A listener, and what it must not forget when the connection breaks.
#[derive(Debug)]
pub(super) struct Ear {
    pub(super) listener: Listener,
    /// Of its fanout queue: the same for the life of the process, so what came meanwhile waits in it.
    pub(super) suffix: String,
    pub(super) seen: Mutex<Seen>,
    pub(super) offset: Offset,
}

/// Where we are in a stream.
#[derive(Debug)]
pub(super) struct Offset(AtomicI64);

impl Offset {
    pub(super) fn passed(&self, offset: i64) {
        self.0.fetch_max(offset, Ordering::Relaxed);
    }

    /// `None`: we have read nothing yet.
    pub(super) fn next(&self) -> Option<i64> {
        let passed = self.0.load(Ordering::Relaxed);
        (passed >= 0).then_some(passed.saturating_add(1))
    }
}

/// Where messages leave.
#[derive(Debug, Clone)]
pub(super) enum Outlet {
    Away,
    Open(Publisher),
    Closed,
}

/// Warnings that could come with every message.
#[derive(Debug, Default)]
pub(super) struct Complaints {
    pub(super) unreadable: Complaint,
    pub(super) unreadable_answer: Complaint,
    pub(super) undelivered: Complaint,
    pub(super) away: Complaint,
}

impl Shared {
    /// Must be called inside of the runtime.
    pub(super) fn new(
        settings: Settings,
        listeners: Vec<Listener>,
        notices: mpsc::Sender<Notice>,
    ) -> Self {
        let ears: Vec<Ear> = listeners
            .into_iter()
            .enumerate()
            .map(|(n, listener)| Ear {
                listener,
                suffix: declare::suffix(&settings, n + 1),
                seen: Mutex::default(),
                offset: Offset(AtomicI64::new(-1)),
            })
            .collect();
        let suffix = declare::suffix(&settings, ears.len() + 1);
        let patience = Patience::new(settings.response_timeout, settings.response_max_timeout);
        let away = Link::Away {
            reason: "not connected yet".to_owned(),
            since: SystemTime::now(),
        };
        Self {
            reply_queue: declare::reply(&settings, &suffix),
            settings,
            ears,
            notices,
            link: watch::Sender::new(away),
            outlet: watch::Sender::new(Outlet::Away),
            counters: Counters::default(),
            complaints: Complaints::default(),
            runtime: Handle::current(),
            replies: Semaphore::new(REPLIES),
            waiting: Mutex::default(),
            patience: Mutex::new(patience),
            dead_queues: Mutex::default(),
        }
    }

    pub(super) fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn patience(&self) -> MutexGuard<'_, Patience> {
        self.patience.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn dead_queues(&self) -> MutexGuard<'_, DeadQueues> {
        let queues = self.dead_queues.lock();
        queues.unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn connected(&self, broker: String, times: u64, publisher: Publisher) {
        self.link.send_replace(Link::Connected {
            broker,
            since: SystemTime::now(),
            times,
            blocked: None,
        });
        self.outlet.send_replace(Outlet::Open(publisher));
    }

    pub(super) fn away(&self, why: String) {
        self.outlet.send_replace(Outlet::Away);
        self.link.send_modify(|link| match link {
            Link::Away { reason, .. } => *reason = why,
            Link::Connected { .. } => {
                *link = Link::Away {
                    reason: why,
                    since: SystemTime::now(),
                };
            }
        });
    }

    /// The broker takes no messages (`None`: it does again).
    pub(super) fn blocked(&self, reason: Option<String>) {
        self.link.send_modify(|link| {
            if let Link::Connected { blocked, .. } = link {
                *blocked = reason;
            }
        });
    }

    pub(super) fn closed(&self) {
        self.away("the bus is closed".to_owned());
        self.outlet.send_replace(Outlet::Closed);
    }

    /// Waits until a broker takes messages. `None`: never again.
    pub(super) async fn publisher(&self) -> Option<Publisher> {
        let mut outlet = self.outlet.subscribe();
        let open = outlet.wait_for(|outlet| !matches!(outlet, Outlet::Away));
        match &*open.await.ok()? {
            Outlet::Open(publisher) => Some(publisher.clone()),
            Outlet::Away | Outlet::Closed => None,
        }
    }
}

/// Settings hold passwords, messages hold user data.
impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared").finish_non_exhaustive()
    }
}
