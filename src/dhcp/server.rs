//! One network's DHCP server: receive, answer, send.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use netns::Namespace;
use serde::Serialize;
use tokio::sync::Semaphore;
use tokio::task::{JoinSet, yield_now};
use tokio::time::sleep;

use super::leases::{Lease, Leases};
use super::reply::{Kind, Reply};
use super::request::{Malformed, Request};
use super::sockets::{Buffer, Received, Sockets};
use super::v4::{Answer, answer};
use crate::complaint::Complaint;
use crate::model::{DevName, NetworkId};
use crate::plan::scope::DhcpScope;

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
}

/// The process-wide part of DHCP.
#[derive(Debug)]
pub struct Shared {
    /// So many messages of one network are answered in a row, then it is the turn of the others.
    pub turn: usize,
    /// A network without messages for so long gives back what it needs for machines that start.
    pub quiet: Duration,
    /// So many networks keep what they need for it over their turn; in others it is made for each, which costs more.
    pub starting: Arc<Semaphore>,
}

impl Default for Shared {
    fn default() -> Self {
        Self {
            turn: 64,
            quiet: Duration::from_secs(5),
            starting: Arc::new(Semaphore::new(8)),
        }
    }
}

/// What one server has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages that came in.
    pub received: u64,
    /// Of those: none of a client, or damaged; dropped.
    pub malformed: u64,
    /// From subnets that are not served; dropped.
    pub elsewhere: u64,
    /// From clients that are no ports of the network, and not answered.
    pub strangers: u64,
    /// Understood, with nothing to be said to it (RELEASE, DECLINE, a choice of another server).
    pub silent: u64,
    pub offers: u64,
    pub acks: u64,
    pub naks: u64,
    /// Replies to BOOTP clients.
    pub bootp: u64,
    /// Of the replies: could not be sent.
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
        scope: Arc<DhcpScope>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let sockets = Sockets::open(namespace, &scope, &shared.starting).await;
        let sockets = sockets.map_err(|source| Error::Listen {
            network: scope.network,
            device: scope.device.clone(),
            source,
        })?;
        let serving = Arc::new(Serving {
            shared: Arc::clone(shared),
            scope: ArcSwap::new(scope),
            book: Mutex::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(serve(Arc::clone(&serving), sockets));
        Ok(Self { serving, task })
    }

    /// Serves `scope` from now on. Its device must be the one that the server was started with: one that was deleted
    /// and made again has the same name only, and needs a new server.
    pub fn update(&self, scope: Arc<DhcpScope>) {
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
    scope: ArcSwap<DhcpScope>,
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

async fn serve(serving: Arc<Serving>, mut sockets: Sockets) {
    loop {
        let turn = match sockets.readable(serving.shared.quiet).await {
            Ok(()) => serving.take_turn(&mut sockets),
            Err(_) => Turn::Fault,
        };
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
    fn take_turn(&self, sockets: &mut Sockets) -> Turn {
        // On the stack of one turn, not kept: there are hundreds of servers, most of them quiet.
        let mut buffer = Buffer::new();
        let scope = self.scope.load();
        let now = Instant::now();
        for _ in 0..self.shared.turn {
            let received = match sockets.receive(&mut buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Turn::Empty,
                Err(error) => {
                    tracing::debug!(network = %scope.network, %error, "DHCP can't receive");
                    return Turn::Fault;
                }
            };
            let Some(reply) = self.answer(&scope, received, &buffer, now) else {
                continue;
            };
            // Not waited for: the client asks again.
            if sockets.send(&reply, &mut buffer).is_err() {
                self.book().counters.unsent += 1;
            }
        }
        Turn::Over
    }

    fn answer(
        &self,
        scope: &DhcpScope,
        received: Received,
        buffer: &Buffer,
        now: Instant,
    ) -> Option<Reply> {
        let request = match received.length {
            Some(length) => {
                Request::decode(buffer.message(length), received.arrived, received.source)
            }
            None => Err(Malformed::Length),
        };
        let mut book = self.book();
        book.counters.received += 1;
        let said = match request {
            Ok(request) => answer(scope, &request, &mut book.leases, now),
            Err(error) => {
                book.counters.malformed += 1;
                book.complain(scope, received, error, now);
                return None;
            }
        };
        let counters = &mut book.counters;
        let (count, reply) = match said {
            Answer::Elsewhere => (&mut counters.elsewhere, None),
            Answer::Stranger => (&mut counters.strangers, None),
            Answer::Silence => (&mut counters.silent, None),
            Answer::Reply(reply) => {
                let count = match reply.kind {
                    Kind::Offer => &mut counters.offers,
                    Kind::Ack => &mut counters.acks,
                    Kind::Nak => &mut counters.naks,
                    Kind::Bootp => &mut counters.bootp,
                };
                (count, Some(reply))
            }
        };
        *count += 1;
        reply
    }

    /// Held for one message at most. Whoever panicked under it left whole numbers and whole rows.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn complain(&mut self, scope: &DhcpScope, received: Received, error: Malformed, now: Instant) {
        if let Some(times) = self.complaint.due(now) {
            let (network, source) = (scope.network, received.source);
            tracing::debug!(%network, %source, %error, times, "dropped a malformed DHCP message");
        }
    }
}
