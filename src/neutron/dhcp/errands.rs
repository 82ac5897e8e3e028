//! Networks that the server has to be asked about: which is next, and which has to wait. Pure: the time is passed in.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::journal::Moment;
use super::ready::Urgency;
use crate::model::NetworkId;

/// A network that fails again and again is asked about at most this seldom.
const LONGEST: Duration = Duration::from_secs(600);

#[derive(Debug, Default)]
pub(super) struct Errands {
    waiting: BTreeMap<NetworkId, Errand>,
    /// Those under way, with what they know of the time they began.
    running: BTreeMap<NetworkId, Moment>,
    failures: BTreeMap<NetworkId, u32>,
}

#[derive(Debug)]
pub(super) struct Errand {
    pub(super) urgency: Urgency,
    pub(super) not_before: Instant,
    /// The server's dict of it, and when it was asked for: then it need not be asked again.
    pub(super) given: Option<(Value, Moment)>,
}

impl Errands {
    /// Ask about it. A new reason makes an old answer worthless.
    pub(super) fn add(&mut self, network: NetworkId, urgency: Urgency, not_before: Instant) {
        let new = Errand {
            urgency,
            not_before,
            given: None,
        };
        let known = self.waiting.entry(network).or_insert(new);
        known.urgency = known.urgency.min(urgency);
        known.not_before = known.not_before.min(not_before);
        known.given = None;
    }

    /// It has been asked about, with all others. Whoever waits to ask would hear something newer, and need not wait any
    /// longer: the server answers.
    pub(super) fn add_given(
        &mut self,
        network: NetworkId,
        dict: Value,
        asked: Moment,
        now: Instant,
    ) {
        let new = Errand {
            urgency: Urgency::Network,
            not_before: now,
            given: Some((dict, asked)),
        };
        let errand = self.waiting.entry(network).or_insert(new);
        errand.not_before = errand.not_before.min(now);
    }

    /// It waits, or is under way.
    pub(super) fn has(&self, network: NetworkId) -> bool {
        self.waiting.contains_key(&network) || self.running.contains_key(&network)
    }

    /// Those that wait.
    pub(super) fn waiting(&self) -> impl Iterator<Item = NetworkId> {
        self.waiting.keys().copied()
    }

    pub(super) fn forget(&mut self, network: NetworkId) {
        self.waiting.remove(&network);
        self.failures.remove(&network);
    }

    /// The most urgent one that is due, and not under way already.
    pub(super) fn next(&mut self, now: Instant, moment: Moment) -> Option<(NetworkId, Errand)> {
        let due = self
            .waiting
            .iter()
            .filter(|(id, errand)| errand.not_before <= now && !self.running.contains_key(id));
        let (&network, _) = due.min_by_key(|(_, errand)| (errand.urgency, errand.not_before))?;
        let errand = self.waiting.remove(&network)?;
        let since = errand.given.as_ref().map_or(moment, |(_, asked)| *asked);
        self.running.insert(network, since);
        Some((network, errand))
    }

    /// When [`Errands::next`] may have something that it has not now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let idle = self
            .waiting
            .iter()
            .filter(|(id, _)| !self.running.contains_key(id));
        idle.map(|(_, errand)| errand.not_before).min()
    }

    pub(super) fn done(&mut self, network: NetworkId) {
        self.running.remove(&network);
        self.failures.remove(&network);
    }

    /// Again after `first`, doubled with each failure in a row; a failing network waits alone.
    pub(super) fn failed(&mut self, network: NetworkId, first: Duration, now: Instant) {
        let failures = self.failures.entry(network).or_default();
        let pause = first.saturating_mul(1 << (*failures).min(16)).min(LONGEST);
        *failures += 1;
        self.running.remove(&network);
        self.add(network, Urgency::Network, now + pause);
    }

    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    /// An answer is still to come.
    pub(super) fn is_asking(&self) -> bool {
        let given = |errand: &Errand| errand.given.is_some();
        !self.running.is_empty() || self.waiting.values().any(given)
    }

    /// The earliest moment that an answer still to come was asked at.
    pub(super) fn oldest(&self) -> Option<Moment> {
        let given = self.waiting.values();
        let given = given.filter_map(|errand| errand.given.as_ref().map(|(_, asked)| *asked));
        given.chain(self.running.values().copied()).min()
    }
}
