//! One network's DHCPv6 server: receive, answer, send.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use netns::Namespace;
use serde::Serialize;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::answer::{Answer, answer};
use super::leases::Leases;
use super::reply::{Kind, Reply};
use super::request::{Malformed, Request};
use super::sockets::{Buffer, Received, Sockets};
use super::waiting::Waiting;
use super::who::Neighbour;
use crate::complaint::Complaint;
use crate::dhcp::leases::Lease;
use crate::dhcp::server::Shared;
use crate::model::{DevName, NetworkId};
use crate::plan::scope::Dhcp6Scope;

/// How long a server rests after an error that may repeat at once: its device is down or gone, say.
const PAUSE: Duration = Duration::from_millis(50);

/// Why there is no server. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "serve DHCPv6 for network {network} on {device} (the device must be there with IPv6 on it, and no other DHCPv6 server on its port 547)"
    )]
    Listen {
        network: NetworkId,
        device: DevName,
        source: netns::Error,
    },
}

/// What one server has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages that came in.
    pub received: u64,
    /// Of those: none of a client, or damaged; dropped.
    pub malformed: u64,
    /// From links that are not served; dropped.
    pub elsewhere: u64,
    /// From machines of the network that posed as relays; dropped.
    pub forged: u64,
    /// From clients whose MAC could not be found out, or when too many waited for that; dropped.
    pub unresolved: u64,
    /// From clients that are no ports of the network, and were told so.
    pub strangers: u64,
    /// Understood, with nothing to be said to it (a choice of another server, nothing to confirm).
    pub silent: u64,
    pub advertises: u64,
    pub replies: u64,
    /// Of these two: could not be sent.
    pub unsent: u64,
}

/// Serves one scope in one namespace until it is dropped.
#[derive(Debug)]
pub struct Server {
    serving: Arc<Serving>,
    /// Aborted on drop.
    task: JoinSet<()>,
}

impl Server {
    pub async fn start(
        namespace: &Namespace,
        scope: Arc<Dhcp6Scope>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let sockets = Sockets::open(namespace, &scope, &shared.starting).await;
        let sockets = sockets.map_err(|source| Error::Listen {
            network: scope.network,
            device: scope.device.clone(),
            source,
        })?;
        let waiting = Waiting::new(namespace, &scope.device);
        let serving = Arc::new(Serving {
            shared: Arc::clone(shared),
            scope: ArcSwap::new(scope),
            book: Mutex::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(serve(Arc::clone(&serving), sockets, waiting));
        Ok(Self { serving, task })
    }

    /// Serves `scope` from now on. Its device must be the one that the server was started with: one that was deleted
    /// and made again has the same name only, and needs a new server.
    pub fn update(&self, scope: Arc<Dhcp6Scope>) {
        self.serving.book().leases.trim(&scope);
        self.serving.scope.store(scope);
    }

    /// Ends, and waits until its sockets are closed; after a mere drop they are so a moment later.
    pub async fn stop(mut self) {
        self.task.shutdown().await;
    }

    /// The clients that were heard since the server was started.
    pub fn leases(&self) -> Vec<Lease> {
        let scope = self.serving.scope.load();
        self.serving.book().leases.list(&scope, Instant::now())
    }

    pub fn counters(&self) -> Counters {
        self.serving.book().counters
    }
}

/// What the task and its owner share.
#[derive(Debug)]
struct Serving {
    shared: Arc<Shared>,
    scope: ArcSwap<Dhcp6Scope>,
    book: Mutex<Book>,
}

#[derive(Debug, Default)]
struct Book {
    leases: Leases,
    counters: Counters,
    complaint: Complaint,
}

/// Why a turn ended.
enum Turn {
    /// Nothing is left for now.
    Empty,
    /// There may be more.
    Over,
    /// The socket, or the device below it, has a fault.
    Fault,
}

/// What came of one message.
enum Said {
    Reply(Reply),
    Nothing,
    /// First the kernel has to say who has this address.
    Ask(std::net::Ipv6Addr),
}

async fn serve(serving: Arc<Serving>, mut sockets: Sockets, mut waiting: Waiting) {
    loop {
        let turn = tokio::select! {
            ready = sockets.readable(serving.shared.quiet) => match ready {
                Ok(()) => serving.take_turn(&mut sockets, &mut waiting),
                Err(_) => Turn::Fault,
            },
            found = waiting.found() => {
                for (parked, neighbour) in found {
                    serving.take_up(&parked.packet, parked.received, neighbour, &mut sockets);
                }
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
            Turn::Fault => sleep(PAUSE).await,
        }
    }
}

impl Serving {
    /// Answers what is there, but not for ever.
    fn take_turn(&self, sockets: &mut Sockets, waiting: &mut Waiting) -> Turn {
        // On the stack of one turn, not kept: there are hundreds of servers, most of them quiet.
        let mut buffer = Buffer::new();
        let scope = self.scope.load();
        let now = Instant::now();
        for _ in 0..self.shared.turn {
            let received = match sockets.receive(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Empty,
                Err(error) => {
                    tracing::debug!(network = %scope.network, %error, "DHCPv6 can't receive");
                    return Turn::Fault;
                }
            };
            self.book().counters.received += 1;
            let Some(length) = received.length else {
                self.book()
                    .drop_it(&scope, received, Malformed::Length, now);
                continue;
            };
            let message = buffer.message(length);
            match self.answer(&scope, message, received, Neighbour::Unasked, now) {
                Said::Nothing => {}
                Said::Reply(reply) => self.send(&reply, sockets, &mut buffer),
                Said::Ask(address) => {
                    if !waiting.park(message, received, address, now) {
                        self.book().counters.unresolved += 1;
                    }
                }
            }
        }
        Turn::Over
    }

    /// Answers a message that waited until the kernel knew more.
    fn take_up(
        &self,
        message: &[u8],
        received: Received,
        neighbour: Neighbour,
        sockets: &mut Sockets,
    ) {
        let scope = self.scope.load();
        let said = self.answer(&scope, message, received, neighbour, Instant::now());
        if let Said::Reply(reply) = said {
            self.send(&reply, sockets, &mut Buffer::new());
        }
    }

    /// Not waited for: the client asks again.
    fn send(&self, reply: &Reply, sockets: &mut Sockets, buffer: &mut Buffer) {
        if sockets.send(reply, buffer).is_err() {
            self.book().counters.unsent += 1;
        }
    }

    fn answer(
        &self,
        scope: &Dhcp6Scope,
        message: &[u8],
        received: Received,
        neighbour: Neighbour,
        now: Instant,
    ) -> Said {
        let request = Request::decode(message, received.arrived, received.source);
        let mut book = self.book();
        let said = match request {
            Ok(request) => answer(scope, &request, neighbour, &mut book.leases, now),
            Err(error) => {
                book.drop_it(scope, received, error, now);
                return Said::Nothing;
            }
        };
        let counters = &mut book.counters;
        let count = match &said {
            Answer::Ask(address) => return Said::Ask(*address),
            Answer::Elsewhere => &mut counters.elsewhere,
            Answer::Forged => &mut counters.forged,
            Answer::Nobody => &mut counters.unresolved,
            Answer::Silence => &mut counters.silent,
            Answer::Reply(reply) => {
                counters.strangers += u64::from(reply.port.is_none());
                match reply.kind {
                    Kind::Advertise => &mut counters.advertises,
                    Kind::Reply => &mut counters.replies,
                }
            }
        };
        *count += 1;
        match said {
            Answer::Reply(reply) => Said::Reply(reply),
            _ => Said::Nothing,
        }
    }

    /// Held for one message at most. Whoever panicked under it left whole numbers and whole rows.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn drop_it(&mut self, scope: &Dhcp6Scope, received: Received, error: Malformed, now: Instant) {
        self.counters.malformed += 1;
        if let Some(times) = self.complaint.due(now) {
            let (network, source) = (scope.network, received.source);
            tracing::debug!(%network, %source, %error, times, "dropped a malformed DHCPv6 message");
        }
    }
}
