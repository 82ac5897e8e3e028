//! The L3 agent's part towards the server (`agent/l3/agent.py`): which routers are ours, what they are like, and how
//! their floating IPs are. Routers that live on one host; others are named and left alone.
//!
//! `notices` what the server tells unasked | `errands` which router is asked about next | `fetch` what the server says of
//! routers | `statuses` of floating IPs, `outbox` what of these the server does not know yet

mod errands;
mod fetch;
mod notices;
mod outbox;
mod statuses;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::task::{JoinError, JoinSet};
use tracing::{error, info};

use super::bus::CallError;
use super::decode;
use super::parts::Parts;
use crate::chain;
use crate::model::{Event, FloatingIpStatus, Report, Router, RouterId, RouterKind, Target};

use errands::{Errands, Lane, Question};
use fetch::{FetchError, Fetched, fetch};
use outbox::Outbox;
use statuses::{Statuses, Told};

/// A failing router's first pause.
const ASK_AGAIN: Duration = Duration::from_secs(2);
/// Between two full syncs.
const THROTTLE: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(super) struct L3 {
    parts: Parts<RouterId, Router>,
    /// What the server said last.
    routers: BTreeMap<RouterId, Arc<Router>>,
    errands: Errands,
    sync_again: Option<Instant>,
    /// The last one began then.
    sync_began: Option<Instant>,
    asking_all: bool,
    /// Routers of the first full sync that have not had their turn yet.
    unsettled: Option<BTreeSet<RouterId>>,
    /// All of it.
    named: BTreeSet<RouterId>,
    /// What the server was told of each router's floating IPs.
    told: BTreeMap<RouterId, Told>,
    outbox: Outbox,
    tasks: JoinSet<Done>,
}

#[derive(Debug)]
enum Done {
    Listed(Result<Vec<RouterId>, CallError>),
    Fetched(Question, Vec<Fetched>),
    Told(RouterId, Statuses, Result<(), CallError>),
}

impl L3 {
    /// `known`: what the last run held, until the server has been asked.
    pub(super) fn new(
        parts: Parts<RouterId, Router>,
        known: BTreeMap<RouterId, Arc<Router>>,
    ) -> Self {
        let l3 = Self {
            parts,
            routers: known,
            errands: Errands::default(),
            sync_again: None,
            sync_began: None,
            asking_all: false,
            unsettled: None,
            named: BTreeSet::new(),
            told: BTreeMap::new(),
            outbox: Outbox::default(),
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
                () = sync_due.notified() => self.sync_at(Instant::now()),
                Some(done) = self.tasks.join_next() => match done {
                    Ok(done) => self.done(done).await,
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
            self.parts.tell_synced(named.map(Target::Router));
        }
        let now = Instant::now();
        if !self.asking_all && self.sync_again.is_some_and(|due| due <= now) {
            self.sync_again = None;
            self.sync_began = Some(now);
            self.asking_all = true;
            self.errands.list();
            let server = self.parts.server.clone();
            self.tasks
                .spawn(async move { Done::Listed(server.router_ids().await) });
        }
        while let Some((question, ids)) = self.errands.next(now) {
            let server = self.parts.server.clone();
            let settings = Arc::clone(&self.parts.settings);
            self.tasks.spawn(async move {
                Done::Fetched(
                    question,
                    fetch(&server, &ids, &settings.l3.extensions).await,
                )
            });
        }
        while let Some((id, statuses)) = self.outbox.next(now) {
            let server = self.parts.server.clone();
            self.tasks.spawn(async move {
                let told = server.floating_ip_statuses(id, &statuses).await;
                Done::Told(id, statuses, told)
            });
        }
    }

    /// Everything is asked for at `when`, unless that is due sooner; never in a close loop.
    fn sync_at(&mut self, when: Instant) {
        let not_before = self.sync_began.map_or(when, |began| began + THROTTLE);
        let when = when.max(not_before);
        self.sync_again = Some(self.sync_again.map_or(when, |due| due.min(when)));
    }

    fn next_wake(&self) -> Instant {
        let far = Instant::now() + self.parts.settings.l3.periodic_interval.max(ASK_AGAIN);
        let sync = self.sync_again.filter(|_| !self.asking_all);
        [self.errands.next_due(), sync, self.outbox.next_due()]
            .into_iter()
            .flatten()
            .fold(far, Instant::min)
    }

    async fn done(&mut self, done: Done) {
        match done {
            Done::Listed(Ok(ids)) => self.listed(ids).await,
            Done::Listed(Err(error)) => {
                self.asking_all = false;
                self.errands.listed(BTreeSet::new());
                self.parts.remarked.once(&"all routers", &chain(&error));
                self.sync_at(Instant::now() + self.parts.settings.l3.periodic_interval);
            }
            Done::Fetched(question, fetched) => {
                let ids: Vec<RouterId> = fetched.iter().map(|(id, _)| *id).collect();
                let newest = self.errands.done(question, &ids);
                for (id, result) in fetched {
                    if newest.contains(&id) {
                        self.fetched(id, result).await;
                    }
                }
                self.count();
            }
            Done::Told(router, _, Ok(())) => self.outbox.told(router),
            Done::Told(router, statuses, Err(error)) => {
                let object = format!("states of floating IPs of router {router}");
                self.parts.remarked.once(&object, &chain(&error));
                self.outbox.failed(router, statuses, Instant::now());
            }
        }
    }

    /// It had its turn in the first full sync.
    fn settled(&mut self, id: RouterId) {
        if let Some(unsettled) = &mut self.unsettled {
            unsettled.remove(&id);
        }
    }

    fn broken(&mut self, error: &JoinError) {
        error!(%error, "a task of the L3 role broke; this is a bug, please report it; everything is asked for again");
        self.errands.all_failed(Instant::now() + ASK_AGAIN);
        self.outbox.broke();
        self.asking_all = false;
        self.sync_at(Instant::now() + ASK_AGAIN);
    }

    /// All of this host's routers: others that we know are not ours any more.
    async fn listed(&mut self, ids: Vec<RouterId>) {
        self.asking_all = false;
        info!(routers = ids.len(), "full sync");
        let ids: BTreeSet<RouterId> = ids.into_iter().collect();
        let known = self.routers.keys().copied().chain(self.errands.waiting());
        let unnamed = known.filter(|id| !ids.contains(id)).collect();
        for id in self.errands.listed(unnamed) {
            self.drop_router(id).await;
        }
        self.count();
        for id in &ids {
            self.errands.add(*id, Lane::Sync, Instant::now());
        }
        if self.parts.synced.is_some() {
            self.named.clone_from(&ids);
            self.unsettled = Some(ids);
        }
    }

    async fn fetched(
        &mut self,
        id: RouterId,
        result: Result<Option<Box<decode::Decoded<Router>>>, FetchError>,
    ) {
        if !result.as_ref().is_err_and(FetchError::is_transient) {
            self.settled(id);
        }
        match result {
            Ok(Some(decoded)) => {
                self.errands.succeeded(id);
                self.parts.remarked.tell(&decoded.remarks);
                let router = decoded.value;
                if self.is_for_us(&router) {
                    let router = Arc::new(router);
                    self.routers.insert(id, Arc::clone(&router));
                    self.parts.say(vec![Event::Router(router)]).await;
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

    async fn drop_router(&mut self, id: RouterId) {
        if self.routers.remove(&id).is_some() {
            self.parts.say(vec![Event::RouterGone(id)]).await;
        }
    }

    fn reported(&mut self, reports: BTreeMap<RouterId, Report<Router>>) {
        for (id, report) in reports {
            let statuses = match report {
                Report::Holds(router) => self.tell(&router, FloatingIpStatus::Active),
                Report::Failed => match self.routers.get(&id).cloned() {
                    Some(router) => self.tell(&router, FloatingIpStatus::Error),
                    None => Statuses::new(),
                },
                Report::Gone => self
                    .told
                    .remove(&id)
                    .map(|told| statuses::of_gone(&told))
                    .unwrap_or_default(),
            };
            self.outbox.add(id, statuses, Instant::now());
        }
    }

    /// What is still to be told of its floating IPs, which all are `now`.
    fn tell(&mut self, router: &Arc<Router>, now: FloatingIpStatus) -> Statuses {
        let (statuses, told) = statuses::of(router, self.told.get(&router.id), now);
        self.told.insert(router.id, told);
        statuses
    }

    fn count(&self) {
        let routers = self.routers.values();
        let interfaces: usize = routers.clone().map(|router| router.interfaces.len()).sum();
        let floating: usize = routers
            .clone()
            .map(|router| router.floating_ips.len())
            .sum();
        self.parts.count([
            ("routers", self.routers.len()),
            (
                "ex_gw_ports",
                routers.filter(|router| router.gateway.is_some()).count(),
            ),
            ("interfaces", interfaces),
            ("floating_ips", floating),
        ]);
    }
}

#[cfg(test)]
mod tests;
