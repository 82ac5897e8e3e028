//! The DHCP agent's part towards the server (`agent/dhcp/agent.py`): which networks are ours, what is on them, and which
//! ports are ready.
//!
//! `notices` what the server tells unasked | `errands` which network is asked about next | `ask` that question | `own_port`
//! the port that a network is served from | `answers` what the server answered | `networks` what it said last | `journal`
//! what came while an answer was under way | `ready` which ports may be told ready | `tombs` ports that are gone for good

mod answers;
mod ask;
mod errands;
mod journal;
mod networks;
mod notices;
mod own_port;
mod ready;
mod tombs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::{debug, error};

use super::bus::CallError;
use super::decode::Naming;
use super::parts::Parts;
use crate::chain;
use crate::model::{Event, Network, NetworkId, PortId, Report, Target};

use ask::{AskError, Asked, ask};
use errands::{Errand, Errands};
use journal::{Change, Journal, Moment};
use networks::Networks;
pub(crate) use own_port::PortError;
use ready::{Ready, Urgency};
use tombs::Tombs;

/// Networks asked about at once: the server answers some in parallel, and others want to be answered, too.
const PARALLEL: usize = 8;
/// After a call about ready ports that failed, and after one that released a port; doubled with each failure in a row.
const TELL_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Calls about ready ports at once: an answer that is lost holds up one of them for a minute or two.
const TELLING: usize = 4;

#[derive(Debug)]
pub(super) struct Dhcp {
    parts: Parts<NetworkId, Network>,
    naming: Arc<Naming>,
    networks: Networks,
    errands: Errands,
    journal: Journal,
    tombs: Tombs,
    ready: Ready,
    /// Networks that were told gone; their port is released once nothing of them is left here.
    leaving: BTreeSet<NetworkId>,
    tasks: JoinSet<Done>,
    /// Of each network that is asked about: it stops when the network goes.
    asking: BTreeMap<NetworkId, AbortHandle>,
    /// Networks on which there was no address for us: a port that goes may leave one.
    starved: BTreeSet<NetworkId>,
    /// When the answer to everything was asked for, while that is under way.
    syncing: Option<Moment>,
    sync_again: Option<Instant>,
    /// The last one began then.
    sync_began: Option<Instant>,
    /// What notices said since then: a network became ours, or is not ours any more. The answer may be older.
    meanwhile: BTreeMap<NetworkId, bool>,
    telling: usize,
    ready_failures: u32,
    ready_again: Option<Instant>,
    /// Networks of the first full sync that have not had their turn yet.
    unsettled: Option<BTreeSet<NetworkId>>,
    /// All of it.
    named: BTreeSet<NetworkId>,
}

#[derive(Debug)]
enum Done {
    Synced(Result<Vec<Value>, CallError>),
    Asked(NetworkId, Moment, Result<Option<Box<Asked>>, AskError>),
    ToldReady(Vec<(Urgency, PortId)>, Result<(), CallError>),
    /// With false the port may be there still.
    Released(NetworkId, bool),
}

impl Dhcp {
    /// `known`: what the last run served, until the server has been asked.
    pub(super) fn new(
        parts: Parts<NetworkId, Network>,
        naming: Arc<Naming>,
        known: BTreeMap<NetworkId, Arc<Network>>,
    ) -> Self {
        let dhcp = Self {
            parts,
            naming,
            networks: Networks::new(known),
            errands: Errands::default(),
            journal: Journal::default(),
            tombs: Tombs::default(),
            ready: Ready::default(),
            leaving: BTreeSet::new(),
            tasks: JoinSet::new(),
            asking: BTreeMap::new(),
            starved: BTreeSet::new(),
            syncing: None,
            sync_again: None,
            sync_began: None,
            meanwhile: BTreeMap::new(),
            telling: 0,
            ready_failures: 0,
            ready_again: None,
            unsettled: None,
            named: BTreeSet::new(),
        };
        dhcp.count();
        dhcp
    }

    /// Until the bus is closed.
    pub(super) async fn run(mut self) {
        let reports = Arc::clone(&self.parts.reports);
        let sync_due = Arc::clone(&self.parts.sync_due);
        loop {
            self.start_due();
            let wake = self.next_wake();
            tokio::select! {
                notice = self.parts.notices.recv() => match notice {
                    Some(notice) => self.hear(notice).await,
                    None => return,
                },
                reports = reports.take() => self.reported(reports),
                () = sync_due.notified() => self.sync_at(Instant::now()),
                Some(done) = self.tasks.join_next_with_id() => match done {
                    Ok((task, done)) => self.done(task, done).await,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => self.broken(&error),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    fn start_due(&mut self) {
        if self.unsettled.as_ref().is_some_and(BTreeSet::is_empty) {
            // Also what notices have named since.
            let named = self.named.iter().copied().chain(self.errands.waiting());
            self.parts.tell_synced(named.map(Target::Network));
        }
        let now = Instant::now();
        if self.syncing.is_none() && self.sync_again.is_some_and(|due| due <= now) {
            self.sync_again = None;
            self.sync_began = Some(now);
            self.meanwhile.clear();
            self.syncing = Some(self.journal.now());
            let server = self.parts.server.clone();
            self.tasks
                .spawn(async move { Done::Synced(server.active_networks().await) });
        }
        while self.errands.running() < PARALLEL {
            let Some((id, errand)) = self.errands.next(now, self.journal.now()) else {
                break;
            };
            self.ask(id, errand);
        }
        let may_tell = self.ready_again.is_none_or(|due| due <= now);
        while may_tell && self.telling < TELLING && self.ready.is_due() {
            self.telling += 1;
            self.ready_again = None;
            let (server, ports) = (self.parts.server.clone(), self.ready.take());
            self.tasks.spawn(async move {
                let ids: Vec<PortId> = ports.iter().map(|(_, id)| *id).collect();
                let told = server.dhcp_ready_on_ports(&ids).await;
                Done::ToldReady(ports, told)
            });
        }
    }

    fn next_wake(&self) -> Instant {
        let far = Instant::now() + self.parts.settings.dhcp.resync_interval.max(TELL_AGAIN);
        let errand = self
            .errands
            .next_due()
            .filter(|_| self.errands.running() < PARALLEL);
        let sync = self.sync_again.filter(|_| self.syncing.is_none());
        let ready = self.ready_again.filter(|_| self.telling < TELLING);
        [errand, sync, ready]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
    }

    /// Everything is asked for at `when`, unless that is due sooner; never more often than configured.
    fn sync_at(&mut self, when: Instant) {
        let throttle = self.parts.settings.dhcp.resync_throttle;
        let not_before = self.sync_began.map_or(when, |began| began + throttle);
        let when = when.max(not_before);
        self.sync_again = Some(self.sync_again.map_or(when, |due| due.min(when)));
    }

    fn ask(&mut self, id: NetworkId, errand: Errand) {
        let (server, naming) = (self.parts.server.clone(), Arc::clone(&self.naming));
        let since = errand
            .given
            .as_ref()
            .map_or(self.journal.now(), |(_, asked)| *asked);
        let task = self.tasks.spawn(async move {
            let dict = errand.given.map(|(dict, _)| dict);
            Done::Asked(id, since, ask(&server, &naming, id, dict).await)
        });
        self.asking.insert(id, task);
    }

    async fn done(&mut self, task: Id, done: Done) {
        match done {
            Done::Synced(Ok(dicts)) => self.synced(dicts).await,
            Done::Synced(Err(error)) => {
                self.syncing = None;
                self.parts.remarked.once(&"all networks", &chain(&error));
                self.sync_at(Instant::now() + self.parts.settings.dhcp.resync_interval);
            }
            Done::Asked(id, since, asked) => {
                // Else the network went when the answer was there already.
                if self.asking.get(&id).is_some_and(|own| own.id() == task) {
                    self.asking.remove(&id);
                    self.asked(id, since, asked).await;
                }
            }
            Done::ToldReady(ports, Ok(())) => {
                self.telling -= 1;
                self.ready_failures = 0;
                debug!(ports = ports.len(), "told ready");
            }
            Done::ToldReady(ports, Err(error)) => {
                self.telling -= 1;
                self.parts.remarked.once(&"ready ports", &chain(&error));
                self.ready.failed(ports);
                let pause = TELL_AGAIN.saturating_mul(1 << self.ready_failures.min(16));
                self.ready_failures += 1;
                self.ready_again = Some(Instant::now() + pause.min(LONGEST_PAUSE));
            }
            Done::Released(id, false)
                if self.networks.get(id).is_none() && !self.errands.has(id) =>
            {
                self.release(id);
            }
            Done::Released(..) => {}
        }
        let oldest = self.oldest_question();
        self.journal
            .forget_before(oldest.unwrap_or_else(|| self.journal.now()));
    }

    /// When the oldest answer that is still to come was asked for.
    fn oldest_question(&self) -> Option<Moment> {
        self.errands.oldest().into_iter().chain(self.syncing).min()
    }

    /// Only an answer that is still to come needs it.
    fn note(&mut self, network: NetworkId, change: Change) {
        if self.syncing.is_some() || self.errands.is_asking() {
            self.journal.note(network, change);
        }
    }

    /// It had its turn in the first full sync.
    fn settled(&mut self, id: NetworkId) {
        if let Some(unsettled) = &mut self.unsettled {
            unsettled.remove(&id);
        }
    }

    /// A task panicked: that is a bug, and its network is asked for again.
    fn broken(&mut self, error: &JoinError) {
        error!(%error, "a task of the DHCP role broke; this is a bug, please report it");
        let first = self.parts.settings.dhcp.resync_interval;
        let asking = self.asking.iter();
        let own = asking.filter(|(_, task)| task.id() == error.id());
        if let Some(id) = own.map(|(id, _)| *id).next() {
            self.asking.remove(&id);
            self.errands.failed(id, first, Instant::now());
            self.settled(id);
            return;
        }
        // One of the others: which, nobody knows any more.
        self.syncing = None;
        self.telling = 0;
        self.sync_at(Instant::now() + first);
    }

    /// Not ours any more: nothing of it is served.
    async fn disable(&mut self, id: NetworkId) {
        self.ready.forget(id);
        if self.networks.remove(id) {
            self.leaving.insert(id);
            self.parts.say(vec![Event::NetworkGone(id)]).await;
            self.count();
        }
    }

    fn reported(&mut self, reports: BTreeMap<NetworkId, Report<Network>>) {
        for (id, report) in reports {
            match report {
                Report::Holds(served) => {
                    if let Some(newest) = self.networks.get(id) {
                        self.ready.served(&served, newest);
                    }
                }
                Report::Gone if self.leaving.remove(&id) => self.release(id),
                Report::Gone | Report::Failed => {}
            }
        }
    }

    /// The server may give our port's addresses to others; where the network is gone there is nothing to release.
    fn release(&mut self, id: NetworkId) {
        let server = self.parts.server.clone();
        let device = self.naming.dhcp_device(id);
        self.tasks.spawn(async move {
            let Err(error) = server.release_dhcp_port(id, &device).await else {
                return Done::Released(id, true);
            };
            debug!(network = %id, error = %chain(&error), "own port not released");
            tokio::time::sleep(TELL_AGAIN).await;
            Done::Released(id, !error.is_transient())
        });
    }

    fn count(&self) {
        self.parts.count(self.networks.counts());
    }
}

#[cfg(test)]
mod tests;
