//! Which target is due, and when. Holds targets, not events: ten words about one network are one run.
//! Pure: the time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use crate::model::Target;

/// A failing target waits this long, doubled with each failure in a row, up to the longest.
const FIRST_RETRY: Duration = Duration::from_millis(200);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

/// How much somebody waits for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Urgency {
    /// A user's change.
    Now,
    /// A start, or a look at what may have drifted. In the order of arrival, or the looks after each of hundreds of starts
    /// would hold up the rest of them.
    Look,
}

#[derive(Debug, Default)]
pub(super) struct Queue {
    waiting: BTreeMap<Target, Waiting>,
    running: BTreeSet<Target>,
    failures: BTreeMap<Target, u32>,
    arrivals: u64,
}

#[derive(Debug, Clone, Copy)]
struct Waiting {
    urgency: Urgency,
    not_before: Instant,
    arrival: u64,
}

impl Queue {
    /// The target should be looked at. What waits already keeps its place, and takes the higher urgency.
    /// New urgent word ends a failing target's waiting: it may be the cure.
    pub(super) fn push(&mut self, target: Target, urgency: Urgency, now: Instant) {
        self.arrivals += 1;
        let new = Waiting {
            urgency,
            not_before: now,
            arrival: self.arrivals,
        };
        let waiting = self.waiting.entry(target).or_insert(new);
        if urgency < waiting.urgency {
            waiting.urgency = urgency;
        }
        if urgency == Urgency::Now {
            waiting.not_before = now;
        }
    }

    /// The most urgent target that is due and not running; it is running from now on.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Target> {
        let due = self
            .waiting
            .iter()
            .filter(|(target, entry)| entry.not_before <= now && !self.running.contains(target));
        let (&target, _) = due.min_by_key(|(_, entry)| (entry.urgency, entry.arrival))?;
        self.waiting.remove(&target);
        self.running.insert(target);
        Some(target)
    }

    /// So many targets are running.
    pub(super) fn running(&self) -> usize {
        self.running.len()
    }

    pub(super) fn done(&mut self, target: Target) {
        self.running.remove(&target);
        self.failures.remove(&target);
    }

    /// Try again later; answers when, and how often it failed in a row.
    pub(super) fn failed(&mut self, target: Target, now: Instant) -> (Duration, u32) {
        self.running.remove(&target);
        let failures = self.failures.entry(target).or_default();
        *failures += 1;
        let doubled = FIRST_RETRY.saturating_mul(1 << (*failures - 1).min(16));
        let delay = doubled.min(LONGEST_RETRY);
        self.arrivals += 1;
        let again = Waiting {
            urgency: Urgency::Look,
            not_before: now + delay,
            arrival: self.arrivals,
        };
        // Word that came while it ran is newer than the failure: then it is due already.
        self.waiting.entry(target).or_insert(again);
        (delay, *failures)
    }

    /// When [`Queue::pop`] may have something that it has not now.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let idle = self
            .waiting
            .iter()
            .filter(|(target, _)| !self.running.contains(target));
        idle.map(|(_, entry)| entry.not_before).min()
    }

    /// Nothing runs, and nothing waits but what failed.
    pub(super) fn is_settled(&self) -> bool {
        self.running.is_empty()
            && self
                .waiting
                .keys()
                .all(|target| self.failures.contains_key(target))
    }

    pub(super) fn pending(&self) -> usize {
        self.waiting.len() + self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::model::{NetworkId, RouterId};

    fn network(n: u128) -> Target {
        Target::Network(NetworkId(Uuid::from_u128(n)))
    }

    fn router(n: u128) -> Target {
        Target::Router(RouterId(Uuid::from_u128(n)))
    }

    #[test]
    fn many_words_are_one_run_and_urgent_ones_overtake() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(network(1), Urgency::Look, now);
        queue.push(network(2), Urgency::Look, now);
        queue.push(router(3), Urgency::Look, now);
        queue.push(network(2), Urgency::Now, now);
        queue.push(network(2), Urgency::Look, now);
        let order: Vec<_> = std::iter::from_fn(|| queue.pop(now)).collect();
        assert_eq!(order, [network(2), network(1), router(3)]);
    }

    #[test]
    fn one_run_per_target_at_a_time() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(network(1), Urgency::Now, now);
        assert_eq!(queue.pop(now), Some(network(1)));
        queue.push(network(1), Urgency::Now, now);
        assert_eq!(queue.pop(now), None, "it runs");
        queue.done(network(1));
        assert_eq!(
            queue.pop(now),
            Some(network(1)),
            "once more, for the word that came meanwhile"
        );
    }

    #[test]
    fn a_failing_target_backs_off_alone_until_it_is_changed() {
        let (mut queue, now) = (Queue::default(), Instant::now());
        queue.push(network(1), Urgency::Now, now);
        queue.push(network(2), Urgency::Now, now);
        assert_eq!(queue.pop(now), Some(network(1)));
        assert_eq!(queue.failed(network(1), now), (FIRST_RETRY, 1));
        assert_eq!(queue.pop(now), Some(network(2)), "others go on");
        assert_eq!(queue.pop(now), None);
        assert_eq!(queue.next_due(), Some(now + FIRST_RETRY));
        assert_eq!(queue.pop(now + FIRST_RETRY), Some(network(1)));
        assert_eq!(queue.failed(network(1), now).0, FIRST_RETRY * 2);
        queue.push(network(1), Urgency::Now, now);
        assert_eq!(queue.pop(now), Some(network(1)), "new word may be the cure");
        for _ in 0..40 {
            queue.failed(network(1), now);
        }
        assert_eq!(queue.failed(network(1), now).0, LONGEST_RETRY);
    }
}
