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
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tracing::{debug, error, info, warn};

use super::bus::{CallError, Notice};
use super::decode::{self, DecodeError, DhcpNotice, Naming};
use super::report::Counts;
use super::server::Server;
use super::{Remarked, Settings, not_understood};
use crate::chain;
use crate::latest::Latest;
use crate::model::{Event, Network, NetworkId, Port, PortId, Report};

use errands::{Errand, Errands};
use journal::{Change, Journal, Moment};
use own_port::PortError;
use ready::{Ready, Urgency};
use tombs::Tombs;

/// Networks asked about at once: the server answers some in parallel, and others want to be answered, too.
const PARALLEL: usize = 8;
/// After a call about ready ports that failed.
const READY_AGAIN: Duration = Duration::from_secs(1);

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
    /// Told once when all of a full sync has been taken in: only then is known what is not ours.
    pub(super) synced: Option<tokio::sync::oneshot::Sender<()>>,
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
    /// When the answer to everything was asked for, while that is under way.
    syncing: Option<Moment>,
    sync_again: Option<Instant>,
    telling_ready: bool,
    ready_again: Option<Instant>,
    synced_once: bool,
}

#[derive(Debug)]
enum Done {
    Synced(Result<Vec<Value>, CallError>),
    Asked(NetworkId, Moment, Result<Option<Box<Asked>>, AskError>),
    ToldReady(Vec<(Urgency, PortId)>, Result<(), CallError>),
    Released,
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
            syncing: None,
            sync_again: None,
            telling_ready: false,
            ready_again: None,
            synced_once: false,
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
                () = sync_due.notified() => self.sync_again = Some(Instant::now()),
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done).await,
                    Err(error) if error.is_cancelled() => {}
                    Err(error) => self.broken(&error),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        if self.syncing.is_none() && self.sync_again.is_some_and(|due| due <= now) {
            self.sync_again = None;
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
        let may_tell = !self.telling_ready && self.ready_again.is_none_or(|due| due <= now);
        if may_tell && self.ready.is_due() {
            self.telling_ready = true;
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
        let far = Instant::now() + self.parts.settings.dhcp.resync_interval.max(READY_AGAIN);
        let errand = self
            .errands
            .next_due()
            .filter(|_| self.errands.running() < PARALLEL);
        let sync = self.sync_again.filter(|_| self.syncing.is_none());
        let ready = self.ready_again.filter(|_| !self.telling_ready);
        [errand, sync, ready]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
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

    async fn done(&mut self, done: Done) {
        match done {
            Done::Synced(Ok(dicts)) => self.synced(dicts).await,
            Done::Synced(Err(error)) => {
                self.syncing = None;
                let pause = self.parts.settings.dhcp.resync_interval;
                warn!(error = %chain(&error), retry_ms = pause.as_millis(), "not all networks could be asked for; what was known is served on");
                self.sync_again = Some(Instant::now() + pause);
            }
            Done::Asked(id, since, asked) => {
                self.asking.remove(&id);
                self.asked(id, since, asked).await;
            }
            Done::ToldReady(ports, told) => {
                self.telling_ready = false;
                if let Err(error) = told {
                    warn!(error = %chain(&error), ports = ports.len(), "ports not told ready; told again until the server takes it");
                    self.ready.failed(ports);
                    self.ready_again = Some(Instant::now() + READY_AGAIN);
                }
            }
            Done::Released => {}
        }
        if self.synced_once
            && self.errands.is_empty()
            && let Some(synced) = self.parts.synced.take()
        {
            let _ = synced.send(()); // fails only when nobody waits for it
        }
        let oldest = self.errands.oldest().into_iter().chain(self.syncing).min();
        self.journal
            .forget_before(oldest.unwrap_or_else(|| self.journal.now()));
    }

    /// A task panicked: that is a bug, and its network is asked for again.
    fn broken(&mut self, error: &JoinError) {
        error!(%error, "a task of the DHCP role broke; this is a bug, please report it");
        let finished = self.asking.iter().filter(|(_, task)| task.is_finished());
        let finished: Vec<NetworkId> = finished.map(|(id, _)| *id).collect();
        for id in finished {
            self.asking.remove(&id);
            let first = self.parts.settings.dhcp.resync_interval;
            self.errands.failed(id, first, Instant::now());
        }
        if self.syncing.take().is_some() {
            self.sync_again = Some(Instant::now() + self.parts.settings.dhcp.resync_interval);
        }
        self.telling_ready = false;
    }

    /// All of this host's networks: others that we know are not ours any more.
    async fn synced(&mut self, dicts: Vec<Value>) {
        let asked = self.syncing.take().unwrap_or_else(|| self.journal.now());
        let now = Instant::now();
        info!(networks = dicts.len(), "full sync");
        let mut named = BTreeSet::new();
        for dict in dicts {
            // One without an id can't be told from another; nothing is served of it.
            if let Some(id) = decode::id(&dict) {
                named.insert(NetworkId(id));
                self.errands.add_given(NetworkId(id), dict, asked, now);
            }
        }
        let gone: Vec<NetworkId> = self
            .networks
            .keys()
            .filter(|id| !named.contains(id))
            .copied()
            .collect();
        for id in gone {
            self.disable(id).await;
        }
        self.synced_once = true;
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
                self.disable(id).await;
            }
            Err(AskError::Port {
                source: source @ PortError::Refused,
                network,
            }) => {
                debug!(%network, error = %chain(&source), "not served from here");
                self.errands.done(id);
            }
            Err(error) => {
                self.parts.remarked.once(&id, &chain(&error));
                self.errands.failed(id, first, Instant::now());
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
            Err(error) => {
                not_understood(&self.parts.remarked, &notice.method, notice.reply, &error);
            }
        }
    }

    async fn take_in(&mut self, notice: DhcpNotice) {
        let now = Instant::now();
        match notice {
            DhcpNotice::NetworkScheduled(id) => self.errands.add(id, Urgency::Now, now),
            DhcpNotice::NetworkUpdated {
                network,
                admin_state_up: true,
            } => self.errands.add(network, Urgency::Now, now),
            DhcpNotice::NetworkUpdated {
                network,
                admin_state_up: false,
            }
            | DhcpNotice::NetworkGone(network) => {
                if let Some(asking) = self.asking.remove(&network) {
                    asking.abort();
                    self.errands.done(network);
                }
                self.errands.forget(network);
                self.disable(network).await;
            }
            DhcpNotice::SubnetChanged { network, .. } => {
                self.errands.add(network, Urgency::Now, now);
            }
            DhcpNotice::SubnetGone { subnet, network } => {
                let has = |known: &&Arc<Network>| known.all_subnets().any(|own| own.id == subnet);
                let known = self.networks.values().find(has).map(|known| known.id);
                if let Some(id) = known.or(network) {
                    self.errands.add(id, Urgency::Now, now);
                }
            }
            DhcpNotice::PortCreated(port) | DhcpNotice::PortUpdated(port) => {
                self.parts.remarked.tell(&port.remarks);
                self.put_port(port.value).await;
            }
            DhcpNotice::PortGone { port, network, .. } => self.drop_port(port, network).await,
            DhcpNotice::AgentUpdated { .. } => self.sync_again = Some(now),
        }
    }

    async fn put_port(&mut self, port: Port) {
        if self.tombs.has(port.id) || !journal::is_of_use(&port) {
            return;
        }
        let (id, network) = (port.id, port.network);
        let change = Change::Put(Arc::new(port));
        self.journal.note(network, change.clone());
        let Some(known) = self.networks.get(&network) else {
            // Not ours, or asked for just now: then the answer has it, or takes it in.
            return;
        };
        if known.dhcp_port.as_ref().is_some_and(|own| own.id == id) {
            self.errands.add(network, Urgency::Now, Instant::now());
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
        self.journal.note(id, Change::Gone(port));
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
            if let Err(error) = server.release_dhcp_port(id, &device).await {
                debug!(network = %id, error = %chain(&error), "own port not released");
            }
            Done::Released
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
