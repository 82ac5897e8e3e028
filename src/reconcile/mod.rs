//! The loop: what the source said and what moved in the kernel become targets; targets become what their plan says.
//!
//! `intake` what the source says | `queue` who is next | `converge` one target | `outcomes` what became of it | `aftermath`
//! flows and neighbours | `services` its servers | `known` values that namespaces share | `chores` what waits until no target
//! does | `sweep` what no target wants any more | `answer` what an operator sees
//!
//! One owner: this loop holds the model and every target's entry. A converging target works on copies in a task of
//! its own, and comes back as an [`Outcome`]; it never waits for the loop.

mod aftermath;
mod answer;
mod chores;
mod converge;
mod intake;
mod known;
mod outcomes;
mod queue;
mod services;
mod slot;
pub mod sweep;
mod tasks;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use netns::spec::{Link, Place};
use netns::{Namespace, Spec, Watcher};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::adopt::Predecessor;
use crate::chain;
use crate::latest::Latest;
use crate::model::{
    DevName, Event, Kinds, Network, NetworkId, Report, Router, RouterId, State, Target,
};
use crate::plan::{self, Plan, Settings};
use crate::plug::Plug;
use crate::status::{Convergence, SourceView, socket};
use crate::store::{Dirty, Store};

use converge::{ConvergeError, Converged, Kernel};
use known::Known;
use queue::{Queue, Urgency};
pub use services::Rooms;
use services::Served;
pub use tasks::Panicked;
use tasks::Tasks;

/// Namespaces worked on at once: enough to keep every core busy while another waits for the kernel's locks.
const PARALLEL: usize = 8;
/// Changes of the model are gathered this long before they are written.
const SAVE_AFTER: Duration = Duration::from_millis(200);
/// A moved thing on the host is looked at after this, so that a burst is one look.
const HOST_LOOK_AFTER: Duration = Duration::from_millis(500);
/// Every namespace is looked at this often even if nothing was heard: a lost event heals.
const LOOK_EVERY: Duration = Duration::from_secs(60);

/// What the loop is told. The channel is bounded: a source that is faster waits.
#[derive(Debug)]
pub enum Word {
    Events(Vec<Event>),
    /// Settings changed: every plan is made anew.
    Settings(Box<Settings>),
    /// These alone changed.
    HostResolvers(Vec<SocketAddr>),
    /// How the source is, after what it said.
    Source(SourceView),
    /// Who knows what the source has done.
    Counting(Box<dyn Counting>),
}

/// What an operator asks for from time to time.
pub trait Counting: std::fmt::Debug + Send + Sync {
    fn counters(&self) -> serde_json::Value;
}

/// What became of the targets, for the source.
#[derive(Debug, Default)]
pub struct Reports {
    pub networks: Arc<Latest<NetworkId, Report<Network>>>,
    pub routers: Arc<Latest<RouterId, Report<Router>>>,
}

#[derive(Debug)]
pub struct Reconciler {
    state: State,
    /// The same for the servers that look things up in it.
    shared_state: Arc<ArcSwap<State>>,
    settings: Settings,
    known: Known,
    queue: Queue,
    entries: BTreeMap<Target, Entry>,
    kernel: Kernel,
    /// Where something moved in the kernel.
    moves: mpsc::Receiver<Place>,
    rooms: Rooms,
    store: Arc<Store>,
    dirty: Dirty,
    /// What is being written: nobody else does if we end before it has begun. No other save begins meanwhile: it could write
    /// the same file, and end first.
    saving: Dirty,
    /// `None`: it has not spoken yet.
    source: Option<SourceView>,
    /// `None`: it counts nothing.
    counting: Option<Box<dyn Counting>>,
    started: Instant,
    /// The source has said everything once: what no target wants may be removed.
    complete: bool,
    /// What it called this host's then; until it was held against what is here.
    named: Option<BTreeSet<Target>>,
    sweep_due: bool,
    host_look_due: Option<Instant>,
    save_due: Option<Instant>,
    tasks: Tasks<Work, Outcome>,
    host_busy: bool,
    ready: Option<oneshot::Sender<()>>,
    reports: Option<Arc<Reports>>,
    kinds: Kinds,
}

#[derive(Debug, Default)]
struct Entry {
    /// What it was last converged to.
    plan: Option<Arc<Plan>>,
    /// What is wanted of it by now.
    wanted: Option<Arc<Plan>>,
    /// On the host: what earlier plans had and this one has not, until it is known to be gone.
    leaving: BTreeMap<DevName, Link>,
    served: Served,
    convergence: Convergence,
}

impl Entry {
    fn want(&mut self, plan: Option<Plan>) {
        if self.wanted.as_deref() == plan.as_ref() {
            return;
        }
        if let Some(old) = &self.wanted {
            self.leaving.extend(old.host.links.clone());
        }
        if let Some(new) = &plan {
            self.leaving
                .retain(|device, _| !new.host.links.contains_key(device));
        }
        self.wanted = plan.map(Arc::new);
    }

    /// The host's part is as this plan says; what was planned since then has not been made.
    fn has_left(&mut self, plan: Option<&Plan>) {
        self.leaving
            .retain(|device, _| plan.is_some_and(|plan| plan.host.links.contains_key(device)));
    }

    fn is_converged_to(&self, plan: Option<&Plan>) -> bool {
        let same = plan.is_some() && self.plan.as_deref() == plan;
        same && self.convergence == Convergence::Converged
    }
}

/// What a task is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Work {
    Target(Target),
    Host,
    Sweep,
    Save,
    Announcement,
}

#[derive(Debug)]
enum Outcome {
    Converged(Target, Arc<Plan>, Result<Box<Converged>, ConvergeError>),
    Removed(Target, Result<(), ConvergeError>),
    /// Also the devices that belong inside, and are on the host.
    Host(Result<usize, netns::Error>, BTreeSet<DevName>),
    Swept,
    Saved(Dirty),
    Announced,
}

/// What the loop is made of.
#[derive(Debug)]
pub struct Parts {
    pub store: Arc<Store>,
    pub settings: Settings,
    pub rooms: Rooms,
    /// Fits `settings.plugging`.
    pub plug: Arc<Plug>,
    /// `None`: nobody was here before us.
    pub predecessor: Option<Arc<Predecessor>>,
    pub shared_state: Arc<ArcSwap<State>>,
    /// Told once everything known at start has been tried.
    pub ready: oneshot::Sender<()>,
    /// `None`: the source has nobody to tell.
    pub reports: Option<Arc<Reports>>,
    pub kinds: Kinds,
}

impl Reconciler {
    /// Starts from the last known state.
    pub fn new(parts: Parts, state: State) -> Result<Self, netns::Error> {
        parts.rooms.limit(&parts.settings.limits);
        let (watcher, moves) = Watcher::new();
        let mut reconciler = Self {
            shared_state: parts.shared_state,
            settings: parts.settings,
            known: Known::default(),
            queue: Queue::default(),
            entries: BTreeMap::new(),
            kernel: Kernel {
                home: Namespace::home()?,
                watcher: Arc::new(watcher),
                host_turn: Arc::default(),
                plug: parts.plug,
                predecessor: parts.predecessor,
            },
            moves,
            rooms: parts.rooms,
            store: parts.store,
            dirty: Dirty::default(),
            saving: Dirty::default(),
            source: None,
            counting: None,
            started: Instant::now(),
            complete: false,
            named: None,
            sweep_due: false,
            host_look_due: None,
            save_due: None,
            tasks: Tasks::new(),
            host_busy: false,
            ready: Some(parts.ready),
            reports: parts.reports,
            kinds: parts.kinds,
            state,
        };
        reconciler
            .shared_state
            .store(Arc::new(reconciler.state.clone()));
        reconciler.replan_all();
        Ok(reconciler)
    }

    /// Runs until `words` closes; the data plane stays, the servers stop.
    pub async fn run(
        mut self,
        mut words: mpsc::Receiver<Word>,
        mut asked: mpsc::Receiver<socket::Asked>,
    ) {
        if let Err(error) = self.kernel.watcher.watch(&self.kernel.home).await {
            warn!(error = %chain(&error), "changes on the host are seen by the regular look only");
        }
        let mut look = tokio::time::interval(LOOK_EVERY);
        look.reset();
        loop {
            self.start_due();
            let wake = self.next_wake();
            tokio::select! {
                word = words.recv() => match word {
                    Some(word) => self.hear(word),
                    None => break,
                },
                Some((question, reply)) = asked.recv() => {
                    let _ = reply.send(self.answer(&question)); // fails only when who asked has gone
                }
                Some(place) = self.moves.recv() => self.moved(&place),
                Some(outcome) = self.tasks.next() => match outcome {
                    Ok(outcome) => self.finished(outcome),
                    Err((work, panicked)) => self.broke(work, panicked),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
                _ = look.tick() => self.look_at_all(),
            }
        }
        // A save that is under way ends first: what it writes is older. One that has not begun never will.
        self.tasks.shutdown().await;
        self.dirty.append(&mut self.saving);
        self.save_now();
        self.stop_dhcp().await;
        info!("stopped; the data plane stays");
    }

    /// Its sockets take long to close, and a process waits for that in its end: the others serve meanwhile.
    async fn stop_dhcp(&mut self) {
        let mut stopping = JoinSet::new();
        for entry in self.entries.values_mut() {
            entry.served.stop_dhcp(&mut stopping);
        }
        stopping.join_all().await;
        netns::socket::packets_closed().await;
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        while self.queue.running() < PARALLEL {
            let Some(target) = self.queue.pop(now) else {
                break;
            };
            self.start(target);
        }
        if !self.queue.is_settled() {
            return;
        }
        // Not before the source has said its first word, good or bad.
        if let Some(ready) = self.ready.take_if(|_| self.source.is_some()) {
            let _ = ready.send(()); // fails only when nobody asked for it
        }
        if self.sweep_due {
            self.sweep_due = false;
            self.start_sweep();
        }
        if self.host_look_due.is_some_and(|due| due <= now) && !self.host_busy {
            self.host_look_due = None;
            self.start_host_look();
        }
        if self.save_due.is_some_and(|due| due <= now) && self.saving.is_empty() {
            self.save_due = None;
            self.start_save();
        }
    }

    fn start(&mut self, target: Target) {
        let plan = plan::plan(&self.state, target, &self.settings);
        let entry = self.entries.entry(target).or_default();
        entry.want(plan);
        let (wanted, served) = (entry.wanted.clone(), entry.served.clone());
        let (kernel, rooms) = (self.kernel.clone(), self.rooms.clone());
        let host = self.host_part(target);
        match wanted {
            Some(plan) => {
                let services = plan::services(&self.state, target, &self.settings, &self.known);
                self.tasks.spawn(Work::Target(target), async move {
                    let outcome = converge::converge(
                        &kernel, &rooms, target, &plan, &host, &services, served,
                    );
                    let outcome = outcome.await;
                    Outcome::Converged(target, plan, outcome.map(Box::new))
                });
            }
            None => {
                let namespace = plan::namespace(target);
                served.cease();
                if let Some(entry) = self.entries.get_mut(&target) {
                    entry.served = Served::default();
                    entry.plan = None;
                }
                self.tasks.spawn(Work::Target(target), async move {
                    Outcome::Removed(
                        target,
                        converge::remove(&kernel, target, &namespace, &host).await,
                    )
                });
            }
        }
    }

    fn moved(&mut self, place: &Place) {
        match place {
            Place::Home => {
                self.host_look_due
                    .get_or_insert_with(|| Instant::now() + HOST_LOOK_AFTER);
            }
            Place::Named(name) => {
                if let Some(target) =
                    plan::is_ours(name).filter(|target| self.entries.contains_key(target))
                {
                    self.queue.push(target, Urgency::Look, Instant::now());
                }
            }
        }
    }

    /// The targets that miss these devices.
    fn look_for(&mut self, astray: &BTreeSet<DevName>) {
        let misses = |plan: &Plan| plan.ports.iter().any(|port| astray.contains(&port.device));
        for (target, entry) in &self.entries {
            if entry.plan.as_deref().is_some_and(misses) {
                self.queue.push(*target, Urgency::Look, Instant::now());
            }
        }
    }

    fn look_at_all(&mut self) {
        for target in self.entries.keys() {
            self.queue.push(*target, Urgency::Look, Instant::now());
        }
    }

    /// The target's part of the host, and that without what it had before and nobody wants any more.
    fn host_part(&self, target: Target) -> Spec {
        let entry = self.entries.get(&target);
        let wanted = entry.and_then(|entry| entry.wanted.as_deref());
        let mut spec = wanted.map_or_else(plan::nothing_on_host, |plan| plan.host.clone());
        for (device, link) in entry.iter().flat_map(|entry| &entry.leaving) {
            if self.wanted_on_host(device).is_some() {
                continue;
            }
            spec.absent.insert(device.clone());
            // It may be another's: then it leaves the bridges that are named.
            if let Some(bridge) = &link.master
                && let Some(wanted) = self.wanted_on_host(bridge)
            {
                spec.links.insert(bridge.clone(), wanted.clone());
            }
        }
        spec
    }

    /// As some target wants it.
    fn wanted_on_host(&self, device: &DevName) -> Option<&Link> {
        let plans = self.entries.values();
        plans
            .filter_map(|entry| entry.wanted.as_deref())
            .find_map(|plan| plan.host.links.get(device))
    }

    fn save_now(&mut self) {
        for error in self.store.save(&self.state, &mut self.dirty) {
            error!(error = %chain(&error), "state not kept");
        }
    }

    fn next_wake(&self) -> Instant {
        let far = Instant::now() + LOOK_EVERY;
        let due = if self.queue.running() < PARALLEL {
            self.queue.next_due()
        } else {
            None
        };
        // The rest waits until nothing runs, and a task's end wakes the loop anyway.
        let settled = self.queue.is_settled();
        let quiet = [
            self.host_look_due.filter(|_| !self.host_busy),
            self.save_due.filter(|_| self.saving.is_empty()),
        ]
        .into_iter()
        .flatten()
        .filter(|_| settled);
        quiet.chain(due).fold(far, Instant::min)
    }

    fn network_name(&self, id: NetworkId) -> String {
        self.state
            .networks
            .get(&id)
            .map_or_else(|| id.to_string(), |network| network.name.clone())
    }
}
