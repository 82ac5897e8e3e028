//! What the source says becomes the model, and the model becomes targets.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use tracing::warn;

use super::queue::Urgency;
use super::{Reconciler, SAVE_AFTER, Word};
use crate::model::{Event, Router, Target};
use crate::plan::{self, Settings};
use crate::status::Convergence;

impl Reconciler {
    pub(super) fn hear(&mut self, word: Word) {
        match word {
            Word::Events(events) => self.take_in(&events),
            Word::Settings(settings) => self.set(*settings),
            Word::HostResolvers(host_resolvers) => self.set(Settings {
                host_resolvers,
                ..self.settings.clone()
            }),
            Word::Source(source) => self.source = Some(source),
            Word::Counting(counting) => self.counting = Some(counting),
        }
    }

    fn set(&mut self, settings: Settings) {
        if settings != self.settings {
            self.settings = settings;
            self.rooms.limit(&self.settings.limits);
            self.known.clear();
            self.replan_all();
        }
    }

    fn take_in(&mut self, events: &[Event]) {
        let (mut touched, mut named) = (BTreeSet::new(), BTreeSet::new());
        for event in events {
            self.dirty.note(event);
            named.extend(event.target());
            if let Event::Router(router) = event {
                self.remark(router);
            }
            if let Event::InstanceGone(id) = event {
                self.rooms.metadata.forget(id);
            }
            if let Event::Complete { named } = event {
                self.complete = true;
                self.named = Some(named.clone());
                self.sweep_due = true;
            }
            touched.append(&mut self.state.apply(event));
        }
        if !self.dirty.is_empty() {
            self.save_due
                .get_or_insert_with(|| Instant::now() + SAVE_AFTER);
        }
        self.shared_state.store(Arc::new(self.state.clone()));
        // Where a router's port has come or gone it is as before, or as it is now.
        let mut beside = self.told_beside(&touched);
        self.refresh_known(&touched);
        beside.append(&mut self.told_beside(&touched));
        touched.append(&mut beside);
        // What was said again unchanged is reported again: who says it may wait for that.
        for target in named.difference(&touched) {
            self.report(*target);
        }
        for target in touched {
            self.replan(target, Urgency::Now);
        }
    }

    /// What is new in a router that is not done as its owner may expect.
    fn remark(&self, router: &Router) {
        let known = self.state.routers.get(&router.id);
        let known = known.map(|known| plan::remarks(known, &self.settings));
        for remark in plan::remarks(router, &self.settings) {
            if !known.as_ref().is_some_and(|known| known.contains(&remark)) {
                warn!(router = %router.id, "{remark}");
            }
        }
    }

    pub(super) fn replan_all(&mut self) {
        let networks = self.state.networks.keys().map(|id| Target::Network(*id));
        let routers = self.state.routers.keys().map(|id| Target::Router(*id));
        let all: BTreeSet<Target> = networks.chain(routers).collect();
        self.refresh_known(&all);
        for target in all {
            self.replan(target, Urgency::Look);
        }
    }

    /// Networks where machines of these are told who they are, too.
    fn told_beside(&self, touched: &BTreeSet<Target>) -> BTreeSet<Target> {
        if self.settings.metadata.network {
            self.known.routed_together(touched)
        } else {
            BTreeSet::new()
        }
    }

    fn refresh_known(&mut self, targets: &BTreeSet<Target>) {
        for target in targets {
            if let Target::Network(id) = target {
                self.known.refresh(&self.state, *id, &self.settings);
            }
        }
    }

    /// New data reaches running servers at once; the kernel is looked at only if its part of the plan changed.
    pub(super) fn replan(&mut self, target: Target, urgency: Urgency) {
        let serves = self.update_served(target);
        let plan = plan::plan(&self.state, target, &self.settings);
        match self.entries.get(&target) {
            None if plan.is_none() => return self.report(target),
            Some(entry) if serves && entry.is_converged_to(plan.as_ref()) => {
                return self.report(target);
            }
            _ => {}
        }
        let entry = self.entries.entry(target).or_default();
        entry.want(plan);
        if entry.convergence == Convergence::Converged {
            entry.convergence = Convergence::Pending;
        }
        self.queue.push(target, urgency, Instant::now());
    }

    /// New data for the servers that run; answers whether they are exactly the wanted ones.
    pub(super) fn update_served(&mut self, target: Target) -> bool {
        let Some(entry) = self.entries.get_mut(&target) else {
            return false;
        };
        let services = plan::services(&self.state, target, &self.settings, &self.known);
        entry.served.update(&services);
        entry.served.serves(&services)
    }
}
