//! What the server still has to be told of floating IPs. One call about a router at a time: the newest word must not be
//! overtaken. One that fails waits alone. Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::statuses::Statuses;
use crate::model::RouterId;

/// Calls at once.
const MOST: usize = 8;
/// After a failure, doubled with each one in a row.
const FIRST: Duration = Duration::from_secs(2);
const LONGEST: Duration = Duration::from_secs(300);

#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<RouterId, (Statuses, Instant)>,
    telling: BTreeSet<RouterId>,
    failures: BTreeMap<RouterId, u32>,
}

impl Outbox {
    pub(super) fn add(&mut self, router: RouterId, statuses: Statuses, now: Instant) {
        if statuses.is_empty() {
            return;
        }
        let known = self.waiting.entry(router);
        let (waiting, not_before) = known.or_insert_with(|| (Statuses::new(), now));
        waiting.extend(statuses);
        *not_before = (*not_before).min(now);
    }

    pub(super) fn next(&mut self, now: Instant) -> Option<(RouterId, Statuses)> {
        if self.telling.len() >= MOST {
            return None;
        }
        let mut idle = self.idle();
        let (router, _) = idle.find(|(_, not_before)| *not_before <= now)?;
        drop(idle);
        let (statuses, _) = self.waiting.remove(&router)?;
        self.telling.insert(router);
        Some((router, statuses))
    }

    /// When [`Outbox::next`] may have something that it has not now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        if self.telling.len() >= MOST {
            return None;
        }
        self.idle().map(|(_, not_before)| not_before).min()
    }

    pub(super) fn told(&mut self, router: RouterId) {
        self.telling.remove(&router);
        self.failures.remove(&router);
    }

    /// It is told again; what came meanwhile is newer.
    pub(super) fn failed(&mut self, router: RouterId, statuses: Statuses, now: Instant) {
        self.telling.remove(&router);
        let failures = self.failures.entry(router).or_default();
        let pause = FIRST.saturating_mul(1 << (*failures).min(16)).min(LONGEST);
        *failures += 1;
        let newer = self.waiting.remove(&router);
        let not_before = newer.as_ref().map_or(now + pause, |(_, when)| *when);
        let mut all = statuses;
        all.extend(newer.into_iter().flat_map(|(newer, _)| newer));
        self.waiting.insert(router, (all, not_before));
    }

    /// What was under way is lost.
    pub(super) fn broke(&mut self) {
        self.telling.clear();
    }

    fn idle(&self) -> impl Iterator<Item = (RouterId, Instant)> {
        let idle = self
            .waiting
            .iter()
            .filter(|(id, _)| !self.telling.contains(id));
        idle.map(|(id, (_, not_before))| (*id, *not_before))
    }
}
