//! The L3 agent's part towards the server (`agent/l3/agent.py`): which routers are ours, what they are like, and how
//! their floating IPs are. Routers that live on one host; others are named and left alone.
//!
//! `fetch` what the server says of routers | `errands` which router is asked about next | `statuses` of floating IPs

mod errands;
mod fetch;
mod statuses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::{Notify, mpsc, oneshot, watch};
use tokio::task::{JoinError, JoinSet};
use tracing::{error, info, warn};

use super::bus::{CallError, Notice};
use super::decode::{self, L3Notice};
use super::report::Counts;
use super::server::Server;
use super::{PUSH, Remarked, Settings, not_understood};
use crate::chain;
use crate::latest::Latest;
use crate::model::{Event, NetworkId, Report, Router, RouterId, RouterKind};

use errands::{Errands, Lane};
use fetch::{Fetched, fetch};
use statuses::{Statuses, Told};

/// After a call about floating IPs that failed.
const TELL_AGAIN: Duration = Duration::from_secs(2);
/// A failing router's first pause.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Calls about floating IPs at once.
const TELLING: usize = 8;

/// What the role is made of.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) server: Server,
    pub(super) settings: Arc<Settings>,
    pub(super) notices: mpsc::Receiver<Notice>,
    pub(super) events: mpsc::Sender<Vec<Event>>,
    pub(super) reports: Arc<Latest<RouterId, Report<Router>>>,
    pub(super) sync_due: Arc<Notify>,
    pub(super) counts: watch::Sender<Counts>,
    /// Told once when all of a full sync has been taken in: only then is known what is not ours.
    pub(super) synced: Option<oneshot::Sender<()>>,
    pub(super) remarked: Remarked,
}

#[derive(Debug)]
pub(super) struct L3 {
    parts: Parts,
    /// What the server said last.
    routers: BTreeMap<RouterId, Arc<Router>>,
    errands: Errands,
    sync_again: Option<Instant>,
    asking_all: bool,
    synced_once: bool,
    /// What the server was told of each router's floating IPs.
    told: BTreeMap<RouterId, Told>,
    /// What it still has to be told.
    to_tell: BTreeMap<RouterId, Statuses>,
    telling: BTreeSet<RouterId>,
    tell_again: Option<Instant>,
    tasks: JoinSet<Done>,
}

#[derive(Debug)]
enum Done {
    Listed(Result<Vec<RouterId>, CallError>),
    Fetched(Lane, Vec<Fetched>),
    Told(RouterId, Statuses, Result<(), CallError>),
}

impl L3 {
    /// `known`: what the last run held, until the server has been asked.
    pub(super) fn new(parts: Parts, known: BTreeMap<RouterId, Arc<Router>>) -> Self {
        let l3 = Self {
            parts,
            routers: known,
            errands: Errands::default(),
            sync_again: None,
            asking_all: false,
            synced_once: false,
            told: BTreeMap::new(),
            to_tell: BTreeMap::new(),
            telling: BTreeSet::new(),
            tell_again: None,
            tasks: JoinSet::new(),
        };
        l3.count();
        l3
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
                    Err(error) => self.broken(&error),
                },
                () = tokio::time::sleep_until(wake.into()) => {}
            }
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        if !self.asking_all && self.sync_again.is_some_and(|due| due <= now) {
            self.sync_again = None;
            self.asking_all = true;
            let server = self.parts.server.clone();
            self.tasks
                .spawn(async move { Done::Listed(server.router_ids().await) });
        }
        while let Some((lane, ids)) = self.errands.next(now) {
            let server = self.parts.server.clone();
            let settings = Arc::clone(&self.parts.settings);
            self.tasks.spawn(async move {
                Done::Fetched(lane, fetch(&server, &ids, &settings.l3.extensions).await)
            });
        }
        if self.tell_again.is_none_or(|due| due <= now) {
            self.tell_again = None;
            self.tell();
        }
    }

    fn next_wake(&self) -> Instant {
        let far = Instant::now() + self.parts.settings.l3.periodic_interval.max(ASK_AGAIN);
        let sync = self.sync_again.filter(|_| !self.asking_all);
        [self.errands.next_due(), sync, self.tell_again]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
    }

    async fn done(&mut self, done: Done) {
        match done {
            Done::Listed(Ok(ids)) => self.listed(ids).await,
            Done::Listed(Err(error)) => {
                self.asking_all = false;
                let pause = self.parts.settings.l3.periodic_interval;
                warn!(error = %chain(&error), retry_ms = pause.as_millis(), "not all routers could be asked for; what was known goes on");
                self.sync_again = Some(Instant::now() + pause);
            }
            Done::Fetched(lane, fetched) => {
                let ids: Vec<RouterId> = fetched.iter().map(|(id, _)| *id).collect();
                let newest = self.errands.done(lane, &ids);
                for (id, result) in fetched {
                    if newest.contains(&id) {
                        self.fetched(id, result).await;
                    }
                }
                self.count();
            }
            Done::Told(router, statuses, result) => {
                self.telling.remove(&router);
                if let Err(error) = result {
                    warn!(%router, error = %chain(&error), "states of floating IPs not told; told again until the server takes them");
                    // What came meanwhile is newer.
                    let newer = self.to_tell.remove(&router).unwrap_or_default();
                    let mut all = statuses;
                    all.extend(newer);
                    self.to_tell.insert(router, all);
                    self.tell_again = Some(Instant::now() + TELL_AGAIN);
                }
            }
        }
        if self.synced_once
            && self.errands.is_empty()
            && let Some(synced) = self.parts.synced.take()
        {
            let _ = synced.send(()); // fails only when nobody waits for it
        }
    }

    fn broken(&mut self, error: &JoinError) {
        error!(%error, "a task of the L3 role broke; this is a bug, please report it; everything is asked for again");
        self.errands.all_failed(Instant::now() + ASK_AGAIN);
        self.telling.clear();
        self.asking_all = false;
        self.sync_again = Some(Instant::now() + self.parts.settings.l3.periodic_interval);
    }

    /// All of this host's routers: others that we know are not ours any more.
    async fn listed(&mut self, ids: Vec<RouterId>) {
        self.asking_all = false;
        self.synced_once = true;
        info!(routers = ids.len(), "full sync");
        let ids: BTreeSet<RouterId> = ids.into_iter().collect();
        let known: Vec<RouterId> = self.routers.keys().copied().collect();
        for id in known.into_iter().filter(|id| !ids.contains(id)) {
            self.drop_router(id).await;
        }
        for id in ids {
            self.errands.add(id, Lane::Sync, Instant::now());
        }
    }

    async fn fetched(
        &mut self,
        id: RouterId,
        result: Result<Option<Box<decode::Decoded<Router>>>, fetch::FetchError>,
    ) {
        match result {
            Ok(Some(decoded)) => {
                self.errands.succeeded(id);
                self.parts.remarked.tell(&decoded.remarks);
                let router = decoded.value;
                if self.is_for_us(&router) {
                    let router = Arc::new(router);
                    self.routers.insert(id, Arc::clone(&router));
                    self.say(vec![Event::Router(router)]).await;
                } else {
                    self.drop_router(id).await;
                }
            }
            Ok(None) => {
                self.errands.succeeded(id);
                self.drop_router(id).await;
            }
            Err(error) => {
                self.parts.remarked.once(&id, &chain(&error));
                self.errands.failed(id, ASK_AGAIN, Instant::now());
            }
        }
    }

    fn is_for_us(&self, router: &Router) -> bool {
        if router.kind != RouterKind::Legacy {
            self.parts.remarked.once(&router.id, "the router is highly available or distributed, which this warren cannot do yet; let another agent serve it, or make it a legacy router");
            return false;
        }
        self.parts.settings.l3.handle_internal_only_routers || router.gateway.is_some()
    }

    async fn hear(&mut self, notice: Notice) {
        let args = Value::Object(notice.args);
        let heard = if notice.method == PUSH {
            // Their router as a whole is asked for, and with it all that belongs to it.
            decode::pushed_routers(&args).map(|routers| self.ask_known(routers))
        } else {
            match decode::l3_notice(&notice.method, &args) {
                Ok(Some(heard)) => {
                    self.take_in(heard).await;
                    Ok(())
                }
                Ok(None) => Ok(()),
                Err(error) => Err(error),
            }
        };
        match heard {
            // The server waits for this inside of a user's request.
            Ok(()) => drop(notice.reply),
            Err(error) => {
                not_understood(&self.parts.remarked, &notice.method, notice.reply, &error);
            }
        }
    }

    async fn take_in(&mut self, notice: L3Notice) {
        let now = Instant::now();
        match notice {
            L3Notice::Changed(ids) => {
                for id in ids {
                    self.errands.add(id, Lane::Notice, now);
                }
            }
            L3Notice::Gone(id) => {
                self.errands.forget(id);
                self.drop_router(id).await;
                self.count();
            }
            L3Notice::NetworkUpdated(network) => self.ask_known(self.routers_on(network)),
            L3Notice::AgentUpdated { .. } => self.sync_again = Some(now),
            L3Notice::ForDistributed => {}
        }
    }

    fn ask_known(&mut self, routers: BTreeSet<RouterId>) {
        let now = Instant::now();
        for id in routers {
            if self.routers.contains_key(&id) {
                self.errands.add(id, Lane::Notice, now);
            }
        }
    }

    fn routers_on(&self, network: NetworkId) -> BTreeSet<RouterId> {
        let on = self.routers.values().filter(|router| {
            let gateway = router.gateway.as_ref().map(|gateway| &gateway.port);
            let mut legs = router.interfaces.iter().chain(gateway);
            legs.any(|leg| leg.network == network)
        });
        on.map(|router| router.id).collect()
    }

    async fn drop_router(&mut self, id: RouterId) {
        if self.routers.remove(&id).is_some() {
            self.say(vec![Event::RouterGone(id)]).await;
        }
    }

    fn reported(&mut self, reports: BTreeMap<RouterId, Report<Router>>) {
        for (id, report) in reports {
            let statuses = match report {
                Report::Holds(router) => {
                    let (statuses, told) = statuses::of_working(&router, self.told.get(&id));
                    self.told.insert(id, told);
                    statuses
                }
                Report::Failed => match self.routers.get(&id) {
                    Some(router) => {
                        // Once it works again, all of them are told anew.
                        self.told.insert(id, Told::new());
                        statuses::of_failed(router)
                    }
                    None => Statuses::new(),
                },
                Report::Gone => self
                    .told
                    .remove(&id)
                    .map(|told| statuses::of_gone(&told))
                    .unwrap_or_default(),
            };
            if !statuses.is_empty() {
                self.to_tell.entry(id).or_default().extend(statuses);
            }
        }
    }

    /// One call about a router at a time: the newest word must not be overtaken.
    fn tell(&mut self) {
        let free = TELLING.saturating_sub(self.telling.len());
        let due = self.to_tell.keys().filter(|id| !self.telling.contains(id));
        let due: Vec<RouterId> = due.take(free).copied().collect();
        for id in due {
            let Some(statuses) = self.to_tell.remove(&id) else {
                continue;
            };
            self.telling.insert(id);
            let server = self.parts.server.clone();
            self.tasks.spawn(async move {
                let told = server.floating_ip_statuses(id, &statuses).await;
                Done::Told(id, statuses, told)
            });
        }
    }

    /// A loop that has ended hears nothing, and the daemon ends with it.
    async fn say(&self, events: Vec<Event>) {
        let _ = self.parts.events.send(events).await;
    }

    fn count(&self) {
        let routers = self.routers.values();
        let interfaces: usize = routers.clone().map(|router| router.interfaces.len()).sum();
        let floating: usize = routers
            .clone()
            .map(|router| router.floating_ips.len())
            .sum();
        let counts = json!({
            "routers": self.routers.len(),
            "ex_gw_ports": routers.filter(|router| router.gateway.is_some()).count(),
            "interfaces": interfaces,
            "floating_ips": floating,
        });
        if let Value::Object(counts) = counts {
            self.parts.counts.send_replace(counts);
        }
    }
}

#[cfg(test)]
mod tests;
