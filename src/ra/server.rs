//! One link's server: it advertises by its timer, and hears who asks.
//!
//! When the daemon stops nothing is sent: packets still pass, and machines believe what they were told until it is back. Only
//! where we cease to be a router - the interface goes, or the router - they are told so.

use std::io;
use std::net::Ipv6Addr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use netns::Namespace;
use netns::socket::{HOP_LIMIT, Icmp6Received, Icmp6Socket, icmp6};
use serde::Serialize;
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio::time::{sleep, sleep_until};

use super::advert::{Ending, SOLICITATION, is_solicitation, messages};
use super::timer::{Answer, Timer};
use crate::complaint::Complaint;
use crate::model::{DevName, Target};
use crate::pace::{Budgets, Limits, Pace, Who};
use crate::plan::scope::{RaLink, RaPrefix};

const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);

/// Bytes of a solicitation that are looked at; machines send 16.
const LONGEST: usize = 256;
/// So many solicitations are taken in a row. More in one go are a flood: the rest waits, and the kernel drops what has no room.
const TURN: usize = 64;
/// So long; what is read at all, these two say.
const PAUSE: Duration = Duration::from_millis(50);

/// Why nothing is advertised. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("advertise {of} on {device} (the device must be there, and the kernel have IPv6)")]
    Listen {
        of: Target,
        device: DevName,
        source: netns::Error,
    },
}

/// What one server has done since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    /// Messages that came in.
    pub received: u64,
    /// Of those: no solicitations that a router heeds; dropped.
    pub malformed: u64,
    /// Turns in which more came in than is looked at.
    pub floods: u64,
    /// Advertisements to everyone.
    pub advertised: u64,
    /// Advertisements to one machine that asked.
    pub answered: u64,
    /// Could not be sent.
    pub unsent: u64,
    /// Solicitations dropped, since their sender had more than its share.
    pub throttled: u64,
}

/// The process-wide part of router advertisements.
#[derive(Debug)]
pub struct Shared {
    /// Of solicitations.
    budgets: ArcSwap<Budgets>,
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
            budgets: ArcSwap::from_pointee(Limits::RA),
        }
    }
}

/// Advertises on one link until it is dropped.
#[derive(Debug)]
pub struct Server {
    serving: Arc<Serving>,
    /// Aborted on drop.
    _task: JoinSet<()>,
}

#[derive(Debug)]
struct Serving {
    socket: Icmp6Socket,
    shared: Arc<Shared>,
    of: Target,
    device: DevName,
    book: Mutex<Book>,
    /// There is something new to say.
    renewed: Notify,
    complaint: Complaint,
    throttling: Complaint,
}

#[derive(Debug)]
struct Book {
    /// `None`: we have said that we are no router here any more.
    link: Option<Arc<RaLink>>,
    /// Prefixes that are not advertised any more, while that is news.
    fading: Vec<RaPrefix>,
    timer: Timer,
    counters: Counters,
    pace: Pace<Ipv6Addr>,
}

impl Server {
    pub async fn start(
        namespace: &Namespace,
        of: Target,
        device: &DevName,
        link: Arc<RaLink>,
        shared: &Arc<Shared>,
    ) -> Result<Self, Error> {
        let socket = icmp6(namespace, device, SOLICITATION, ALL_ROUTERS).await;
        let socket = socket.map_err(|source| Error::Listen {
            of,
            device: device.clone(),
            source,
        })?;
        let serving = Arc::new(Serving {
            socket,
            shared: Arc::clone(shared),
            of,
            device: device.clone(),
            book: Mutex::new(Book {
                timer: Timer::new(link.interval, Instant::now()),
                link: Some(link),
                fading: Vec::new(),
                counters: Counters::default(),
                pace: Pace::new(**shared.budgets.load(), Instant::now()),
            }),
            renewed: Notify::new(),
            complaint: Complaint::default(),
            throttling: Complaint::default(),
        });
        let mut task = JoinSet::new();
        task.spawn(serve(Arc::clone(&serving)));
        Ok(Self {
            serving,
            _task: task,
        })
    }

    /// Says this from now on, at once; also after it had ceased.
    pub fn update(&self, link: &Arc<RaLink>) {
        let now = Instant::now();
        let mut book = self.serving.book();
        let Some(before) = book.link.replace(Arc::clone(link)) else {
            book.timer.renew(link.interval, now);
            drop(book);
            return self.serving.renewed.notify_one();
        };
        if before == *link {
            return;
        }
        let still = |of: &RaPrefix| link.prefixes.iter().any(|prefix| prefix.net == of.net);
        book.fading.extend(&before.prefixes);
        book.fading.retain(|of| !still(of));
        book.fading.sort_unstable();
        book.fading.dedup();
        book.timer.renew(link.interval, now);
        drop(book);
        self.serving.renewed.notify_one();
    }

    /// Tells the link that we are no router there any more (RFC 4861 section 6.2.5). Now: its device may go in a moment.
    pub fn cease(&self) {
        let ceased = self.serving.book().link.take();
        if let Some(link) = ceased {
            self.serving.send(&link, &[], Ending::Yes, ALL_NODES);
        }
    }

    /// Of the device that it was started on.
    pub fn index(&self) -> u32 {
        self.serving.socket.index()
    }

    pub fn counters(&self) -> Counters {
        self.serving.book().counters
    }

    /// Whose solicitations most of those throttled of late were.
    pub fn loudest(&self) -> Option<Ipv6Addr> {
        self.serving.book().pace.loudest(Instant::now())
    }
}

async fn serve(serving: Arc<Serving>) {
    loop {
        let deadline = serving.book().deadline();
        tokio::select! {
            () = at(deadline) => serving.advertise(),
            () = serving.renewed.notified() => {}
            readable = serving.socket.readable() => {
                if readable.is_err() || !serving.hear() {
                    sleep(PAUSE).await;
                }
            }
        }
    }
}

/// `None`: never.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

impl Serving {
    /// One to everyone.
    fn advertise(&self) {
        let (link, fading) = {
            let book = self.book();
            let Some(link) = book.link.clone() else {
                return;
            };
            (link, book.fading.clone())
        };
        let sent = self.send(&link, &fading, Ending::No, ALL_NODES);
        let now = Instant::now();
        let mut book = self.book();
        if sent {
            book.counters.advertised += 1;
            book.timer.sent(now, rand::random());
            if !book.timer.is_initial() {
                book.fading = Vec::new();
            }
        } else {
            book.timer.failed(now);
        }
    }

    /// Takes what is there; false: it was too much, or the socket has a fault.
    fn hear(&self) -> bool {
        let mut buffer = [0; LONGEST];
        for _ in 0..TURN {
            match self.socket.receive(&mut buffer) {
                Ok(received) => self.heed(received, &buffer),
                Err(error) => return error.kind() == io::ErrorKind::WouldBlock,
            }
        }
        self.book().counters.floods += 1;
        false
    }

    fn heed(&self, received: Icmp6Received, buffer: &[u8]) {
        let near = received.hop_limit == HOP_LIMIT && received.whole;
        let message = buffer.get(..received.length).unwrap_or_default();
        let source = received.source;
        let mut book = self.book();
        book.counters.received += 1;
        if !near || !is_solicitation(message, source) {
            book.counters.malformed += 1;
            return;
        }
        let alone = !source.is_unspecified();
        let now = Instant::now();
        book.pace.set(**self.shared.budgets.load());
        // Machines without an address yet are many, and only hasten what everyone hears.
        if alone && !book.pace.admits(Who::Newcomer(source), now) {
            book.counters.throttled += 1;
            if let Some(times) = self.throttling.due(now) {
                let (of, device) = (self.of, &self.device);
                let loudest = book.pace.loudest(now).map(|source| source.to_string());
                drop(book);
                tracing::warn!(%of, %device, loudest, times, "dropped router solicitations of who sent more than its share");
            }
            return;
        }
        let answer = book.timer.solicited(alone, now, rand::random());
        let link = book.link.clone();
        let fading = book.fading.clone();
        drop(book);
        if let (Answer::Alone, Some(link)) = (answer, link)
            && self.send(&link, &fading, Ending::No, source)
        {
            self.book().counters.answered += 1;
        }
    }

    fn send(&self, link: &RaLink, fading: &[RaPrefix], ending: Ending, to: Ipv6Addr) -> bool {
        let from = link.mac.link_local();
        let messages = messages(link, fading, ending);
        let sent = messages
            .iter()
            .try_for_each(|message| self.socket.send(message, from, to));
        if let Err(error) = &sent {
            self.book().counters.unsent += 1;
            if let Some(times) = self.complaint.due(Instant::now()) {
                let (of, device) = (self.of, &self.device);
                tracing::debug!(%of, %device, %to, %error, times, "failed to send a router advertisement; trying again");
            }
        }
        sent.is_ok()
    }

    /// Held for a moment. Whoever panicked under it left whole values.
    fn book(&self) -> MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Book {
    fn deadline(&self) -> Option<Instant> {
        self.link.as_ref().map(|_| self.timer.deadline())
    }
}
