//! Routers that the server has to be asked about. Two lanes: who waits for a change does not wait for a full sync. What
//! two questions are about is taken from the later one. Pure: the time is passed in.

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

impl Lane {
    /// Questions under way. An answer that is lost is waited for a minute or two; others pass it by.
    fn width(self) -> usize {
        match self {
            Self::Notice => 8,
            Self::Sync => 1,
        }
    }
}

/// Questions are counted.
pub(super) type Question = u64;

#[derive(Debug, Default)]
pub(super) struct Errands {
    waiting: BTreeMap<RouterId, (Lane, Instant)>,
    running: BTreeMap<Question, (Lane, BTreeSet<RouterId>)>,
    /// Which routers there are, while that is asked.
    listing: Option<Question>,
    /// The newest question whose answer about a router was taken, or that it was told gone after.
    taken: BTreeMap<RouterId, Question>,
    failures: BTreeMap<RouterId, u32>,
    questions: Question,
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

    /// A lane with room, and what to ask there.
    pub(super) fn next(&mut self, now: Instant) -> Option<(Question, BTreeSet<RouterId>)> {
        let due = |lane: Lane| -> BTreeSet<RouterId> {
            let due = self
                .waiting
                .iter()
                .filter(|(_, (of, not_before))| *of == lane && *not_before <= now);
            due.map(|(id, _)| *id).take(MOST).collect()
        };
        let (lane, ids) = [Lane::Notice, Lane::Sync]
            .into_iter()
            .filter(|lane| self.has_room(*lane))
            .map(|lane| (lane, due(lane)))
            .find(|(_, ids)| !ids.is_empty())?;
        for id in &ids {
            self.waiting.remove(id);
        }
        self.questions += 1;
        self.running.insert(self.questions, (lane, ids.clone()));
        Some((self.questions, ids))
    }

    /// When [`Errands::next`] may have something that it has not now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let open = self
            .waiting
            .values()
            .filter(|(lane, _)| self.has_room(*lane));
        open.map(|(_, not_before)| *not_before).min()
    }

    /// Answers which of the answers are newer than what was taken before.
    pub(super) fn done(&mut self, question: Question, answered: &[RouterId]) -> BTreeSet<RouterId> {
        if self.running.remove(&question).is_none() {
            return BTreeSet::new();
        }
        let newer = |id: &RouterId| self.taken.get(id).is_none_or(|taken| *taken < question);
        let newer: BTreeSet<RouterId> = answered.iter().copied().filter(newer).collect();
        for id in &newer {
            self.taken.insert(*id, question);
        }
        self.trim();
        newer
    }

    /// Which routers there are is asked from now on.
    pub(super) fn list(&mut self) {
        self.questions += 1;
        self.listing = Some(self.questions);
    }

    /// The answer to that: of those that we know and that it did not name, those that are gone. About others
    /// something newer is known, or will be.
    pub(super) fn listed(&mut self, unnamed: BTreeSet<RouterId>) -> BTreeSet<RouterId> {
        let Some(listing) = self.listing.take() else {
            return BTreeSet::new();
        };
        let later = |id: &RouterId| {
            let taken = self.taken.get(id).is_some_and(|taken| *taken > listing);
            let noticed = matches!(self.waiting.get(id), Some((Lane::Notice, _)));
            let mut asked = self.running.range(listing..);
            taken || noticed || asked.any(|(_, (_, ids))| ids.contains(id))
        };
        let gone: BTreeSet<RouterId> = unnamed.into_iter().filter(|id| !later(id)).collect();
        for id in &gone {
            self.waiting.remove(id);
            self.failures.remove(id);
            self.taken.insert(*id, listing);
        }
        self.trim();
        gone
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = RouterId> {
        self.waiting.keys().copied()
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
        self.listing = None;
        for (_, (lane, ids)) in std::mem::take(&mut self.running) {
            for id in ids {
                self.add(id, lane, again);
            }
        }
    }

    fn has_room(&self, lane: Lane) -> bool {
        let running = self.running.values().filter(|(of, _)| *of == lane);
        running.count() < lane.width()
    }

    /// With nothing under way there is nothing that could come too late.
    fn trim(&mut self) {
        if self.running.is_empty() && self.listing.is_none() {
            self.taken.clear();
        }
    }
}
