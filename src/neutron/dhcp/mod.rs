//! The DHCP agent's part towards the server (`agent/dhcp/agent.py`): which networks are ours, what is on them, and which
//! ports are ready.
//!
//! `own_port` the port that a network is served from | `errands` which network is asked about next | `journal` what came
//! while an answer was under way | `ready` which ports may be told ready | `tombs` ports that are gone for good

mod errands;
mod journal;
mod own_port;
mod ready;
mod tombs;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{AbortHandle, Id, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use super::bus::{CallError, Notice};
use super::decode::{self, DecodeError, DhcpNotice, Naming};
use super::report::Counts;
use super::server::Server;
use super::{Remarked, Settings, not_understood};
use crate::chain;
use crate::latest::Latest;
use crate::model::{Event, Network, NetworkId, Port, PortId, Report, Target};

use errands::{Errand, Errands};
use journal::{Change, Journal, Moment};
use own_port::PortError;
use ready::{Ready, Urgency};
use tombs::Tombs;

/// Networks asked about at once: the server answers some in parallel, and others want to be answered, too.
const PARALLEL: usize = 8;
/// After a call about ready ports that failed, and after one that released a port; doubled with each failure in a row.
const TELL_AGAIN: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// Calls about ready ports at once: an answer that is lost holds up one of them for a minute or two.
const TELLING: usize = 4;
/// What the server calls a failure that lasts until somebody frees an address.
const NO_ADDRESS: &str = "IpAddressGenerationFailure";
/// What it says to who does not host the network: it is gone, or going.
const NO_NETWORK: &str = "NetworkNotFound";

/// What the role is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) server: Server,
    pub(super) settings: Arc<Settings>,
    pub(super) naming: Arc<Naming>,
    pub(super) notices: mpsc::Receiver<Notice>,
    pub(super) events: mpsc::Sender<Vec<Event>>,
    pub(super) reports: Arc<Latest<NetworkId, Report<Network>>>,
    pub(super) sync_due: Arc<Notify>,
    pub(super) counts: watch::Sender<Counts>,
    /// Told once when all of a full sync has been taken in: only then is known what is not ours. With what the server named.
    pub(super) synced: Option<tokio::sync::oneshot::Sender<BTreeSet<Target>>>,
    pub(super) remarked: Remarked,
}

#[derive(Debug)]
pub(super) struct Dhcp {
    parts: Parts,
    /// What the server said last, of networks that we serve.
    networks: BTreeMap<NetworkId, Arc<Network>>,
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

/// A network that we are to serve.
#[derive(Debug)]
struct Asked {
    network: Network,
    remarks: Vec<decode::Remark>,
    /// It can be served, but is not all that was wanted.
    trouble: Option<PortError>,
}

#[derive(Debug, thiserror::Error)]
enum AskError {
    #[error("ask for network {network}")]
    Call {
        network: NetworkId,
        #[source]
        source: CallError,
    },
    #[error(transparent)]
    Answer(#[from] DecodeError),
    #[error("serve network {network}")]
    Port {
        network: NetworkId,
        #[source]
        source: PortError,
    },
}

/// What to do about a network that could not be asked about, or has no port of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Nothing: news of it will come if it can be served after all.
    Leave,
    /// Nothing until an address is freed.
    Starved,
    AgainQuietly,
    Again,
}

impl AskError {
    fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call { source, .. }
            | Self::Port {
                source: PortError::Call(source),
                ..
            } => Some(source),
            Self::Answer(_) | Self::Port { .. } => None,
        }
    }

    /// `dhcp/agent.py: call_driver`
    fn verdict(&self) -> Verdict {
        match self.call() {
            Some(CallError::Remote(failure)) if failure.class == NO_ADDRESS => Verdict::Starved,
            Some(CallError::Remote(failure)) if failure.class.starts_with(NO_NETWORK) => {
                Verdict::AgainQuietly
            }
            None if matches!(
                self,
                Self::Port {
                    source: PortError::Refused,
                    ..
                }
            ) =>
            {
                Verdict::Leave
            }
            _ => Verdict::Again,
        }
    }

    /// Nobody has looked at it yet.
    fn is_transient(&self) -> bool {
        self.call().is_some_and(CallError::is_transient)
    }
}

impl Dhcp {
    /// `known`: what the last run served, until the server has been asked.
    pub(super) fn new(parts: Parts, known: BTreeMap<NetworkId, Arc<Network>>) -> Self {
        let dhcp = Self {
            parts,
            networks: known,
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
        if self.unsettled.as_ref().is_some_and(BTreeSet::is_empty)
            && let Some(synced) = self.parts.synced.take()
        {
            let named = std::mem::take(&mut self.named).into_iter();
            // Also what notices have named since.
            let named = named.chain(self.errands.waiting()).map(Target::Network);
            let _ = synced.send(named.collect()); // fails only when nobody waits for it
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
        let (server, naming) = (self.parts.server.clone(), Arc::clone(&self.parts.naming));
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
                if !self.networks.contains_key(&id) && !self.errands.has(id) =>
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
        if self.oldest_question().is_some() {
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

    /// All of this host's networks: others that we know are not ours any more.
    async fn synced(&mut self, dicts: Vec<Value>) {
        let asked = self.syncing.take().unwrap_or_else(|| self.journal.now());
        let now = Instant::now();
        info!(networks = dicts.len(), "full sync");
        let mut named = BTreeSet::new();
        for dict in dicts {
            // One without an id can't be told from another; nothing is served of it.
            let Some(id) = decode::id(&dict).map(NetworkId) else {
                continue;
            };
            if self.meanwhile.get(&id) != Some(&false) {
                named.insert(id);
                self.errands.add_given(id, dict, asked, now);
            }
        }
        let is_gone = |id: &NetworkId| {
            !named.contains(id) && self.meanwhile.get(id).is_none_or(|is_ours| !is_ours)
        };
        let known = self.networks.keys().copied().chain(self.errands.waiting());
        let gone: BTreeSet<NetworkId> = known.filter(is_gone).collect();
        for id in gone {
            self.errands.forget(id);
            self.disable(id).await;
        }
        if self.parts.synced.is_some() {
            self.named.clone_from(&named);
            self.unsettled = Some(named);
        }
    }

    async fn asked(
        &mut self,
        id: NetworkId,
        since: Moment,
        asked: Result<Option<Box<Asked>>, AskError>,
    ) {
        let first = self.parts.settings.dhcp.resync_interval;
        match asked {
            Ok(Some(asked)) => {
                let Asked {
                    mut network,
                    remarks,
                    trouble,
                } = *asked;
                self.parts.remarked.tell(&remarks);
                self.journal.catch_up(&mut network, since);
                match trouble {
                    Some(error) => {
                        warn!(network = %id, error = %chain(&error), "served as far as it goes; tried again");
                        self.errands.failed(id, first, Instant::now());
                    }
                    None => self.errands.done(id),
                }
                for port in self.tombs.among(&network) {
                    network.ports.remove(&port);
                }
                self.settled(id);
                self.starved.remove(&id);
                let all = network.ports.keys().copied();
                for port in all.chain(network.dhcp_port.as_ref().map(|own| own.id)) {
                    self.ready.wait(id, port, Urgency::Network);
                }
                let network = Arc::new(network);
                self.leaving.remove(&id);
                self.networks.insert(id, Arc::clone(&network));
                self.say(vec![Event::Network(network)]).await;
                self.count();
            }
            Ok(None) => {
                self.errands.done(id);
                self.settled(id);
                self.disable(id).await;
            }
            Err(error) => {
                if !error.is_transient() {
                    self.settled(id);
                }
                let verdict = error.verdict();
                match verdict {
                    Verdict::Leave | Verdict::AgainQuietly => {
                        debug!(network = %id, error = %chain(&error), "not served from here");
                    }
                    Verdict::Starved | Verdict::Again => {
                        self.parts.remarked.once(&id, &chain(&error));
                    }
                }
                match verdict {
                    Verdict::Again | Verdict::AgainQuietly => {
                        self.errands.failed(id, first, Instant::now());
                    }
                    Verdict::Leave => self.errands.done(id),
                    Verdict::Starved => {
                        self.errands.done(id);
                        self.starved.insert(id);
                    }
                }
            }
        }
    }

    async fn hear(&mut self, notice: Notice) {
        let args = Value::Object(notice.args);
        let heard = decode::dhcp_notice(&notice.method, &args, &self.parts.naming);
        match heard {
            // Whoever called wants to know that it came, not what becomes of it.
            Ok(queued) => {
                drop(notice.reply);
                if let Some(queued) = queued {
                    self.take_in(queued.notice).await;
                }
            }
            Err(error) => not_understood(&self.parts.remarked, notice.reply, &error),
        }
    }

    async fn take_in(&mut self, notice: DhcpNotice) {
        let now = Instant::now();
        match notice {
            DhcpNotice::NetworkScheduled(id) => {
                self.meanwhile(id, true);
                self.errands.add(id, Urgency::Now, now);
            }
            DhcpNotice::NetworkUpdated {
                network,
                admin_state_up: true,
            } => self.errands.add(network, Urgency::Now, now),
            DhcpNotice::NetworkUpdated {
                network,
                admin_state_up: false,
            }
            | DhcpNotice::NetworkGone(network) => self.drop_network(network).await,
            DhcpNotice::SubnetChanged { network, .. } => {
                self.errands.add(network, Urgency::Now, now);
            }
            DhcpNotice::SubnetGone { subnet, network } => {
                let has = |known: &&Arc<Network>| known.all_subnets().any(|own| own.id == subnet);
                let known = self.networks.values().find(has).map(|known| known.id);
                // One that is just being asked about may still have it in the answer.
                let asked = network.filter(|id| self.errands.has(*id));
                if let Some(id) = known.or(asked) {
                    self.errands.add(id, Urgency::Now, now);
                }
            }
            DhcpNotice::PortCreated(port) | DhcpNotice::PortUpdated(port) => {
                self.parts.remarked.tell(&port.remarks);
                self.put_port(port.value).await;
            }
            DhcpNotice::PortGone { port, network, .. } => self.drop_port(port, network).await,
            DhcpNotice::AgentUpdated { .. } => self.sync_at(now),
        }
    }

    /// Told since everything was asked for.
    fn meanwhile(&mut self, id: NetworkId, is_ours: bool) {
        if self.syncing.is_some() {
            self.meanwhile.insert(id, is_ours);
        }
    }

    async fn drop_network(&mut self, id: NetworkId) {
        self.meanwhile(id, false);
        self.settled(id);
        self.errands.forget(id);
        self.starved.remove(&id);
        if let Some(asking) = self.asking.remove(&id) {
            asking.abort();
            self.errands.done(id);
            if !self.networks.contains_key(&id) {
                // A port of ours may just have been made.
                self.release(id);
            }
        }
        self.disable(id).await;
    }

    async fn put_port(&mut self, port: Port) {
        if self.tombs.has(port.id) || !journal::is_of_use(&port) {
            return;
        }
        let (id, network) = (port.id, port.network);
        let change = Change::Put(Arc::new(port));
        self.note(network, change.clone());
        let Some(known) = self.networks.get(&network) else {
            // Not ours, or asked for just now: then the answer has it, or takes it in.
            return;
        };
        let own = known.dhcp_port.as_ref().filter(|own| own.id == id);
        if let (Some(own), Change::Put(port)) = (own, &change) {
            // What we caused ourselves is no news.
            if own.revision < port.revision || own.fixed_ips != port.fixed_ips {
                self.errands.add(network, Urgency::Now, Instant::now());
            }
            return;
        }
        if let Change::Put(port) = &change
            && takes_an_address(known, port)
        {
            // An address cannot be two ports': which of them is right, the server must say.
            self.errands.add(network, Urgency::Now, Instant::now());
            return;
        }
        if self.change(network, change).await {
            self.ready.wait(network, id, Urgency::Now);
        }
    }

    async fn drop_port(&mut self, port: PortId, network: Option<NetworkId>) {
        self.tombs.add(port, Instant::now());
        let has = |known: &&Arc<Network>| known.ports.contains_key(&port);
        let id = match network {
            Some(id) => Some(id),
            None => self.networks.values().find(has).map(|known| known.id),
        };
        let Some(id) = id else { return };
        self.note(id, Change::Gone(port));
        if self.starved.remove(&id) {
            self.errands.add(id, Urgency::Now, Instant::now());
        }
        let own = |known: &Arc<Network>| known.dhcp_port.as_ref().is_some_and(|own| own.id == port);
        if self.networks.get(&id).is_some_and(own) {
            self.errands.add(
                id,
                Urgency::Now,
                Instant::now() + self.parts.settings.dhcp.resync_throttle,
            );
            return;
        }
        self.change(id, Change::Gone(port)).await;
    }

    /// One port of a network that we serve; false: that is known.
    async fn change(&mut self, id: NetworkId, change: Change) -> bool {
        let Some(known) = self.networks.get_mut(&id) else {
            return false;
        };
        let event = match &change {
            Change::Put(port) => Event::Port(Arc::clone(port)),
            Change::Gone(port) => Event::PortGone(id, *port),
        };
        let is_new = change.apply(Arc::make_mut(known));
        if is_new {
            self.say(vec![event]).await;
            self.count();
        }
        is_new
    }

    /// Not ours any more: nothing of it is served.
    async fn disable(&mut self, id: NetworkId) {
        self.ready.forget(id);
        if self.networks.remove(&id).is_some() {
            self.leaving.insert(id);
            self.say(vec![Event::NetworkGone(id)]).await;
            self.count();
        }
    }

    fn reported(&mut self, reports: BTreeMap<NetworkId, Report<Network>>) {
        for (id, report) in reports {
            match report {
                Report::Holds(served) => {
                    if let Some(newest) = self.networks.get(&id) {
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
        let device = self.parts.naming.dhcp_device(id);
        self.tasks.spawn(async move {
            let Err(error) = server.release_dhcp_port(id, &device).await else {
                return Done::Released(id, true);
            };
            debug!(network = %id, error = %chain(&error), "own port not released");
            tokio::time::sleep(TELL_AGAIN).await;
            Done::Released(id, !error.is_transient())
        });
    }

    /// A loop that has ended hears nothing, and the daemon ends with it.
    async fn say(&self, events: Vec<Event>) {
        let _ = self.parts.events.send(events).await;
    }

    fn count(&self) {
        let networks = self.networks.values();
        let subnets: usize = networks.clone().map(|of| of.all_subnets().count()).sum();
        let own = |of: &Arc<Network>| usize::from(of.dhcp_port.is_some());
        let ports: usize = networks.map(|of| of.ports.len() + own(of)).sum();
        let counts = json!({ "networks": self.networks.len(), "subnets": subnets, "ports": ports });
        if let Value::Object(counts) = counts {
            self.parts.counts.send_replace(counts);
        }
    }
}

/// A network as it is to be served from here; `None`: it is not.
async fn ask(
    server: &Server,
    naming: &Naming,
    id: NetworkId,
    given: Option<Value>,
) -> Result<Option<Box<Asked>>, AskError> {
    let dict = match given {
        Some(dict) => Some(dict),
        None => server.network(id).await.map_err(|source| AskError::Call {
            network: id,
            source,
        })?,
    };
    let Some(dict) = dict else { return Ok(None) };
    let decode::Decoded {
        value: mut network,
        remarks,
    } = decode::network(&dict, naming)?;
    if !network.admin_state_up || own_port::wanted(&network).is_empty() {
        return Ok(None);
    }
    let trouble = match own_port::ensure(server, naming, &mut network).await {
        Ok(()) => None,
        Err(error @ PortError::Incomplete { .. }) => Some(error),
        Err(source) => {
            return Err(AskError::Port {
                network: id,
                source,
            });
        }
    };
    Ok(Some(Box::new(Asked {
        network,
        remarks,
        trouble,
    })))
}

/// Another port of the network is known at one of its addresses.
fn takes_an_address(network: &Network, port: &Port) -> bool {
    let clashes = |other: &Arc<Port>| {
        let same = |fixed: &crate::model::FixedIp| port.fixed_ips.contains(fixed);
        other.id != port.id && other.fixed_ips.iter().any(same)
    };
    network.ports.values().any(clashes)
}

#[cfg(test)]
mod tests;
