//! Routers that the server has to be asked about. Two lanes, each with one question under way: who waits for a change
//! does not wait for a full sync. What both ask about is taken from whoever asked last. Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::fetch::MOST;
use crate::model::RouterId;

/// A router that fails again and again is asked about at most this seldom.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Lane {
    /// Somebody changed it just now.
    Notice,
    Sync,
}

#[derive(Debug, Default)]
pub(super) struct Errands {
    waiting: BTreeMap<RouterId, (Lane, Instant)>,
    /// When each lane's question was asked, counted in questions.
    running: BTreeMap<Lane, (u64, BTreeSet<RouterId>)>,
    /// The newest question whose answer about a router was taken, or that it was told gone after.
    taken: BTreeMap<RouterId, u64>,
    failures: BTreeMap<RouterId, u32>,
    questions: u64,
}

impl Errands {
    pub(super) fn add(&mut self, router: RouterId, lane: Lane, not_before: Instant) {
        let known = self.waiting.entry(router).or_insert((lane, not_before));
        *known = (known.0.min(lane), known.1.min(not_before));
    }

    /// It was told gone: what was asked before that does not count.
    pub(super) fn forget(&mut self, router: RouterId) {
        self.waiting.remove(&router);
        self.failures.remove(&router);
        self.taken.insert(router, self.questions);
        self.trim();
    }

    /// A lane that is free, and what to ask there.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Lane, BTreeSet<RouterId>)> {
        let free = [Lane::Notice, Lane::Sync]
            .into_iter()
            .filter(|lane| !self.running.contains_key(lane));
        let due = |lane: Lane| -> BTreeSet<RouterId> {
            let due = self
                .waiting
                .iter()
                .filter(|(_, (of, not_before))| *of == lane && *not_before <= now);
            due.map(|(id, _)| *id).take(MOST).collect()
        };
        let (lane, ids) = free
            .map(|lane| (lane, due(lane)))
            .find(|(_, ids)| !ids.is_empty())?;
        for id in &ids {
            self.waiting.remove(id);
        }
        self.questions += 1;
        self.running.insert(lane, (self.questions, ids.clone()));
        Some((lane, ids))
    }

    /// When [`Errands::next`] may have something that it has not now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let free = self
            .waiting
            .values()
            .filter(|(lane, _)| !self.running.contains_key(lane));
        free.map(|(_, not_before)| *not_before).min()
    }

    /// The lane is free again; answers which of the answers are newer than what was taken before.
    pub(super) fn done(&mut self, lane: Lane, answered: &[RouterId]) -> BTreeSet<RouterId> {
        let Some((question, _)) = self.running.remove(&lane) else {
            return BTreeSet::new();
        };
        let newer = |id: &RouterId| self.taken.get(id).is_none_or(|taken| *taken < question);
        let newer: BTreeSet<RouterId> = answered.iter().copied().filter(newer).collect();
        for id in &newer {
            self.taken.insert(*id, question);
        }
        self.trim();
        newer
    }

    pub(super) fn succeeded(&mut self, router: RouterId) {
        self.failures.remove(&router);
    }

    /// Again after `first`, doubled with each failure in a row; a failing router waits alone.
    pub(super) fn failed(&mut self, router: RouterId, first: Duration, now: Instant) {
        let failures = self.failures.entry(router).or_default();
        let pause = first.saturating_mul(1 << (*failures).min(16)).min(LONGEST);
        *failures += 1;
        self.add(router, Lane::Sync, now + pause);
    }

    /// What was under way will not be answered.
    pub(super) fn all_failed(&mut self, again: Instant) {
        for (lane, (_, ids)) in std::mem::take(&mut self.running) {
            for id in ids {
                self.add(id, lane, again);
            }
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.running.is_empty()
    }

    /// With nothing under way there is nothing that could come too late.
    fn trim(&mut self) {
        if self.running.is_empty() {
            self.taken.clear();
        }
    }
}
