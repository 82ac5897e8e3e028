//! One network's server, for either version of DHCP: receive, answer, send; a batch at a time.
//!
//! `version` says what the versions (`v4`, `v6`) differ in. Messages come in by `sockets`. Replies gather in an `outbox` and
//! leave by `sockets` too: to clients on the link as whole frames (`frame`), by a socket that is there while it is needed
//! (`frames`). `waiting` keeps messages whose sender the kernel is asked for.

use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use netns::Namespace;
use netns::datagrams::{Inbox, Received};
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use self::outbox::Outbox;
use self::sockets::Sockets;
use self::version::{Said, Version};
use self::waiting::{Parked, Waiting};
use super::leases::{Lease, Table};
use super::v6::Neighbour;
use crate::complaint::Complaint;
use crate::model::{DevName, NetworkId};
use crate::pace::{Budgets, Limits, Pace};
use crate::turn::{self, Turn};

mod frame;
mod frames;
mod outbox;
mod sockets;
pub(super) mod v4;
pub(super) mod v6;
pub(super) mod version;
mod waiting;

#[cfg(test)]
mod tests;

/// How long a server rests after an error that may repeat at once: its device is down or gone, say.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no server. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "serve DHCP for network {network} on {device} (the device must be there, and no other DHCP server on its port 67)"
    )]
    Listen {
        network: NetworkId,
        device: DevName,
        source: netns::Error,
    },
    #[error(
        "serve DHCPv6 for network {network} on {device} (the device must be there with IPv6 on it, and no other DHCPv6 server on its port 547)"
    )]
    Listen6 {
        network: NetworkId,
        device: DevName,
        source: netns::Error,
    },
}

/// The process-wide part of DHCP.
#[derive(Debug)]
pub struct Shared {
    /// So many messages of one network are answered in a row, then it is the turn of the others.
    pub turn: usize,
    /// A network without messages for so long gives back what it needs for machines that start.
    pub quiet: Duration,
    /// What is taken of one network, by each of the two servers.
    budgets: ArcSwap<Budgets>,
    /// So many networks keep what they need for it over their turn; in others it is made for each, which costs more.
    pub starting: Arc<Semaphore>,
}

impl Shared {
    /// What is taken of each network from now on.
    pub fn limit(&self, budgets: Budgets) {
        self.budgets.store(Arc::new(budgets));
    }
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            turn: 32,
            quiet: Duration::from_secs(5),
            budgets: ArcSwap::from_pointee(Limits::DHCP),
            starting: Arc::new(Semaphore::new(8)),
        }
    }
}

/// What one server has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters<C> {
    /// Messages that came in.
    pub received: u64,
    /// Of those: none of a client, or damaged; dropped.
    pub malformed: u64,
    #[serde(flatten)]
    pub counted: C,
    /// Of the replies: could not be sent.
    pub unsent: u64,
    /// Of the messages: dropped, since their sender had more than its share.
    pub throttled: u64,
}

/// Serves one scope in one namespace until it is dropped.
#[derive(Debug)]
pub struct Server<V: Version> {
    serving: Arc<Serving<V>>,
    /// Aborted on drop.
    task: Mutex<JoinSet<()>>,
}

impl<V: Version> Server<V> {
    pub async fn start(
        namespace: &Namespace,
        scope: Arc<V::Scope>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let ground = V::ground(&scope);
        let sockets = Sockets::open::<V>(namespace, ground, &shared.starting).await;
        let refused = |source| V::refused(ground.network, ground.device.clone(), source);
        let sockets = sockets.map_err(refused)?;
        let waiting = Waiting::new(namespace, ground.device);
        let serving = Arc::new(Serving::<V> {
            shared: Arc::clone(shared),
            scope: ArcSwap::new(scope),
            book: Mutex::new(Book {
                leases: Table::default(),
                counters: Counters::default(),
                pace: Pace::new(**shared.budgets.load(), Instant::now()),
                complaint: Complaint::default(),
                throttling: Complaint::default(),
            }),
        });
        let mut task = JoinSet::new();
        task.spawn(serve(Arc::clone(&serving), sockets, waiting));
        let task = Mutex::new(task);
        Ok(Self { serving, task })
    }

    /// Serves `scope` from now on. Its device must be the one that the server was started with: one that was deleted
    /// and made again has the same name only, and needs a new server.
    pub fn update(&self, scope: Arc<V::Scope>) {
        self.serving.book().leases.trim(&scope);
        self.serving.scope.store(scope);
    }

    /// Ends, and waits until its sockets are closed; after a mere drop they are so a moment later.
    pub async fn stop(&self) {
        crate::stopped(&self.task).await;
    }

    /// The clients that were heard since the server was started.
    pub fn leases(&self) -> Vec<Lease> {
        let scope = self.serving.scope.load();
        self.serving.book().leases.list(&scope, Instant::now())
    }

    pub fn counters(&self) -> Counters<V::Counted> {
        let book = self.serving.book();
        Counters {
            throttled: book.pace.throttled(),
            ..book.counters
        }
    }

    /// Whose messages most of those throttled of late were.
    pub fn loudest(&self) -> Option<V::Name> {
        self.serving.book().pace.loudest(Instant::now())
    }
}

/// What the task and its owner share.
#[derive(Debug)]
struct Serving<V: Version> {
    shared: Arc<Shared>,
    scope: ArcSwap<V::Scope>,
    book: Mutex<Book<V>>,
}

#[derive(Debug)]
struct Book<V: Version> {
    leases: Table<V::Scope>,
    counters: Counters<V::Counted>,
    pace: Pace<V::Name>,
    complaint: Complaint,
    throttling: Complaint,
}

async fn serve<V: Version>(serving: Arc<Serving<V>>, mut sockets: Sockets, mut waiting: Waiting) {
    loop {
        let turn = tokio::select! {
            ready = sockets.readable(serving.shared.quiet) => match ready {
                Ok(()) => serving.take_turn(&mut sockets, &mut waiting),
                Err(_) => Turn::Fault,
            },
            found = waiting.found() => {
                serving.take_up(&found, &mut sockets);
                Turn::Empty
            }
        };
        waiting.ask().await;
        let unsent = sockets.send_waiting().await;
        if unsent > 0 {
            serving.book().counters.unsent += unsent as u64;
        }
        match turn {
            Turn::Empty => {}
            Turn::Over => yield_now().await,
            Turn::Flooded => {
                sockets.rest();
                yield_now().await;
            }
            Turn::Rest(time) => {
                sockets.rest();
                sleep(time).await;
            }
            Turn::Fault => sleep(PAUSE).await,
        }
    }
}

impl<V: Version> Serving<V> {
    /// Answers what is there, but not for ever.
    fn take_turn(&self, sockets: &mut Sockets, waiting: &mut Waiting) -> Turn {
        turn::take(|inbox| {
            let scope = self.scope.load();
            let more = match sockets.receive(inbox, self.shared.turn, V::LONGEST) {
                Ok(more) => more,
                Err(error) => {
                    let network = V::ground(&scope).network;
                    tracing::debug!(%network, %error, "{} can't receive", V::NAME);
                    return Turn::Fault;
                }
            };
            let (wasted, owed) = self.answer_all(&scope, inbox, sockets, waiting);
            Turn::after(more, wasted, owed)
        })
    }

    /// Returns whether something was read for nothing, and how long to leave the next messages unread.
    fn answer_all(
        &self,
        scope: &V::Scope,
        inbox: &Inbox,
        sockets: &mut Sockets,
        waiting: &mut Waiting,
    ) -> (bool, Duration) {
        Outbox::with(|outbox| {
            let now = Instant::now();
            let mut book = self.book();
            book.pace.set(**self.shared.budgets.load());
            let dropped = book.dropped();
            for received in inbox.messages() {
                book.counters.received += 1;
                let asked = book.take(scope, received, outbox, now);
                if let (Some(address), Some(message)) = (asked, received.message)
                    && !waiting.park(message, received.from, address, now)
                {
                    V::crowded(&mut book.counters.counted);
                }
            }
            let wasted = book.dropped() > dropped;
            let owed = book.pace.read(inbox.len(), now);
            drop(book);
            self.send(outbox, sockets);
            (wasted, owed)
        })
    }

    /// Answers messages that waited until the kernel knew more.
    fn take_up(&self, found: &[(Parked, Neighbour)], sockets: &mut Sockets) {
        Outbox::with(|outbox| {
            let (scope, now) = (self.scope.load(), Instant::now());
            let mut book = self.book();
            for (parked, neighbour) in found {
                let received = Received {
                    message: Some(&parked.packet),
                    from: parked.from,
                };
                if let Ok(request) = V::decode(received) {
                    book.answer(&scope, &request, *neighbour, outbox, now);
                }
            }
            drop(book);
            self.send(outbox, sockets);
        });
    }

    fn send(&self, outbox: &Outbox, sockets: &mut Sockets) {
        let unsent = sockets.send(outbox);
        if unsent > 0 {
            self.book().counters.unsent += unsent as u64;
        }
    }

    /// Held for one turn at most. Whoever panicked under it left whole numbers and whole rows.
    fn book(&self) -> MutexGuard<'_, Book<V>> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<V: Version> Book<V> {
    /// Messages so far that were read for nothing.
    fn dropped(&self) -> u64 {
        self.counters.malformed + self.pace.throttled()
    }

    /// Drops a message, or answers it.
    fn take(
        &mut self,
        scope: &V::Scope,
        received: Received<'_>,
        outbox: &mut Outbox,
        now: Instant,
    ) -> Option<Ipv6Addr> {
        let (network, name) = (V::ground(scope).network, V::NAME);
        let request = match V::decode(received) {
            Ok(request) => request,
            Err(error) => {
                self.counters.malformed += 1;
                if let Some(times) = self.complaint.due(now) {
                    let source = received.from.address;
                    tracing::debug!(%network, %source, %error, times, "dropped a malformed {name} message");
                }
                return None;
            }
        };
        if !self.pace.admits(V::who(scope, &request), now) {
            if let Some(times) = self.throttling.due(now) {
                let loudest = self.pace.loudest(now).map(|name| name.to_string());
                tracing::warn!(%network, loudest, times, "dropped {name} messages of who sent more than its share");
            }
            return None;
        }
        self.answer(scope, &request, Neighbour::Unasked, outbox, now)
    }

    /// Puts the reply into `outbox`. Or the kernel has to be asked first who has the returned address.
    fn answer(
        &mut self,
        scope: &V::Scope,
        request: &V::Request<'_>,
        neighbour: Neighbour,
        outbox: &mut Outbox,
        now: Instant,
    ) -> Option<Ipv6Addr> {
        let (leases, counted) = (&mut self.leases, &mut self.counters.counted);
        match V::answer(scope, request, neighbour, leases, counted, now) {
            Said::Nothing => None,
            Said::Ask(address) => Some(address),
            Said::Reply(reply) => {
                outbox.add(reply, V::ground(scope).mac, V::PORTS);
                None
            }
        }
    }
}
