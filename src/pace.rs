//! Nobody takes more than their share: token buckets for what the machines of one network send to one server. Pure: the
//! time is passed in.
//!
//! | of | what comes while the bucket is empty |
//! |---|---|
//! | each client that is known | is read, and dropped |
//! | all others together | the same: who makes up names has no more for it |
//! | each newcomer, once the others' bucket had a token for it | as with a client |
//! | the network | is not read: the server leaves its socket alone until there are tokens, and what has no room there the kernel drops, for next to nothing |
//!
//! So the others on a network are served while one floods it, as long as all of it can be read.

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

/// With so many buckets, those that are full again are thrown away, and newcomers get none. Clients always do: there are no
/// more of them than a network has ports.
const TOLD_APART: usize = 4096;
/// Room is made so often at most: it takes a look at all.
const CLEARING: Duration = Duration::from_secs(1);
/// So long newcomers are not served after replies did not get away: longer than what is in their way lasts, by far.
const DISTRUST: Duration = Duration::from_secs(60);
/// Names that are counted to find the loudest. Who sends more than a ninth of what is dropped is among them.
const SUSPECTS: usize = 8;

/// A bucket's measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    pub per_second: u32,
    /// What a bucket holds.
    pub at_once: u32,
}

/// What one network may ask of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budgets {
    /// Messages of each client that is known.
    pub client: Rate,
    /// Of all others together, and of all newcomers for their first.
    pub others: Rate,
    /// Of all, known or not, answered or not.
    pub network: Rate,
}

impl Budgets {
    /// As if there were none.
    pub const UNLIMITED: Self = {
        let all = Rate {
            per_second: u32::MAX,
            at_once: u32::MAX,
        };
        Self {
            client: all,
            others: all,
            network: all,
        }
    };
}

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Who<K> {
    Known(K),
    /// Whoever has a name that may be made up, and is served nevertheless: one token of the others' for each name.
    Newcomer(K),
    Other(K),
}

/// The buckets of one network's server.
#[derive(Debug)]
pub struct Pace<K> {
    budgets: Budgets,
    network: Bucket,
    others: Bucket,
    /// Those that are not full; some that are full again.
    clients: HashMap<K, Bucket>,
    /// When those were looked for last.
    cleared: Instant,
    /// Until then newcomers are not served.
    distrusted: Option<Instant>,
    throttled: u64,
    /// How often each was dropped, at least (Misra and Gries).
    suspects: Vec<(K, u64)>,
}

#[derive(Debug, Clone, Copy)]
struct Bucket {
    /// Less than none: borrowed from what comes.
    tokens: f64,
    filled: Instant,
}

impl<K: Copy + Eq + Hash> Pace<K> {
    pub fn new(budgets: Budgets, now: Instant) -> Self {
        Self {
            network: Bucket::full(budgets.network, now),
            others: Bucket::full(budgets.others, now),
            clients: HashMap::new(),
            cleared: now,
            distrusted: None,
            budgets,
            throttled: 0,
            suspects: Vec::new(),
        }
    }

    /// Takes note of messages that were read. Returns how long to leave the next unread.
    pub fn read(&mut self, messages: usize, now: Instant) -> Duration {
        let rate = self.budgets.network;
        self.network.fill(rate, now);
        #[allow(clippy::cast_precision_loss, reason = "one turn's messages are few")]
        let taken = messages as f64;
        self.network.tokens -= taken;
        let debt = (-self.network.tokens).max(0.0);
        Duration::from_secs_f64(debt / f64::from(rate.per_second.max(1)))
    }

    /// Whether a message that was read is to be answered.
    pub fn admits(&mut self, who: Who<K>, now: Instant) -> bool {
        let (key, admitted) = match who {
            Who::Known(key) => (key, self.take_own(key, now)),
            Who::Newcomer(key) if self.distrusted.is_some_and(|until| now < until) => (key, false),
            Who::Newcomer(key) if self.clients.contains_key(&key) => (key, self.take_own(key, now)),
            Who::Newcomer(key) => {
                let admitted = self.others.take(self.budgets.others, now);
                if admitted && self.has_room(now) {
                    self.take_own(key, now);
                }
                (key, admitted)
            }
            Who::Other(key) => (key, self.others.take(self.budgets.others, now)),
        };
        if !admitted {
            self.throttled += 1;
            self.suspect(key);
        }
        admitted
    }

    /// Replies do not get away: they wait for neighbours that there are not, and those of all clients wait behind them.
    /// Newcomers are not served for some time.
    pub fn jammed(&mut self, now: Instant) {
        self.distrusted = Some(now + DISTRUST);
    }

    /// Messages that were read and dropped.
    pub fn throttled(&self) -> u64 {
        self.throttled
    }

    /// Who sent most of those, if anybody sent a good part.
    pub fn loudest(&self) -> Option<K> {
        let (who, times) = self.suspects.iter().max_by_key(|(_, times)| *times)?;
        (times.saturating_mul(2 * SUSPECTS as u64) > self.throttled).then_some(*who)
    }

    fn take_own(&mut self, key: K, now: Instant) -> bool {
        let rate = self.budgets.client;
        if !self.clients.contains_key(&key) {
            self.has_room(now);
        }
        let own = self.clients.entry(key);
        let own = own.or_insert_with(|| Bucket::full(rate, now));
        own.take(rate, now)
    }

    /// Makes room, if it is time for that.
    fn has_room(&mut self, now: Instant) -> bool {
        let due = now.saturating_duration_since(self.cleared) >= CLEARING;
        if self.clients.len() >= TOLD_APART && due {
            self.cleared = now;
            // Who has been silent for a while has a full bucket, as anybody new.
            let rate = self.budgets.client;
            self.clients.retain(|_, bucket| {
                bucket.fill(rate, now);
                bucket.tokens < f64::from(rate.at_once)
            });
        }
        self.clients.len() < TOLD_APART
    }

    fn suspect(&mut self, who: K) {
        if let Some((_, times)) = self.suspects.iter_mut().find(|(known, _)| *known == who) {
            *times += 1;
        } else if self.suspects.len() < SUSPECTS {
            self.suspects.push((who, 1));
        } else {
            self.suspects.retain_mut(|(_, times)| {
                *times -= 1;
                *times > 0
            });
        }
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Self {
        Self {
            tokens: f64::from(rate.at_once),
            filled: now,
        }
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        let passed = now.saturating_duration_since(self.filled).as_secs_f64();
        let filled = self.tokens + passed * f64::from(rate.per_second);
        self.tokens = filled.min(f64::from(rate.at_once));
        self.filled = self.filled.max(now);
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        let enough = self.tokens >= 1.0;
        if enough {
            self.tokens -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn budgets() -> Budgets {
        let rate = |per_second, at_once| Rate {
            per_second,
            at_once,
        };
        Budgets {
            client: rate(10, 3),
            others: rate(2, 2),
            network: rate(1000, 100),
        }
    }

    #[test]
    fn a_client_has_its_own_bucket_and_the_others_share_one() {
        let start = Instant::now();
        let mut pace = Pace::new(budgets(), start);
        for (name, who, millis, want) in [
            ("first", Who::Known(1), 0, true),
            ("second", Who::Known(1), 0, true),
            ("third", Who::Known(1), 0, true),
            ("past the bucket", Who::Known(1), 0, false),
            ("another client", Who::Known(2), 0, true),
            ("somebody", Who::Other(7), 0, true),
            ("somebody else", Who::Other(8), 0, true),
            (
                "a third one, and the bucket of all is empty",
                Who::Other(9),
                0,
                false,
            ),
            ("which is nothing to a client", Who::Known(2), 0, true),
            ("not yet", Who::Known(1), 90, false),
            ("a token more", Who::Known(1), 110, true),
            ("and no more", Who::Known(1), 110, false),
            ("after silence", Who::Known(1), 60_000, true),
            ("the clock never goes back", Who::Known(1), 50_000, true),
        ] {
            let now = start + Duration::from_millis(millis);
            assert_eq!(pace.admits(who, now), want, "{name}");
        }
        assert_eq!(pace.throttled(), 4);
    }

    #[test]
    fn a_network_past_its_bucket_is_left_unread_for_as_long_as_it_has_overdrawn() {
        let start = Instant::now();
        let mut pace = Pace::<u8>::new(budgets(), start);
        for (name, millis, messages, rest) in [
            ("within", 0, 64, 0),
            ("the rest, and 28 more", 0, 64, 28),
            ("paid", 28, 0, 0),
            ("one by one", 28, 1, 1),
            ("after silence a bucket is full and no more", 60_000, 101, 1),
        ] {
            let now = start + Duration::from_millis(millis);
            let got = pace.read(messages, now).as_secs_f64() * 1e3;
            assert!((got - f64::from(rest)).abs() < 0.01, "{name}: {got}");
        }
    }

    #[test]
    fn who_is_loudest_is_known() {
        let now = Instant::now();
        let mut pace = Pace::new(budgets(), now);
        assert_eq!(pace.loudest(), None);
        for number in 0..10_000 {
            pace.admits(Who::Other(1000 + number), now);
            if number % 4 == 0 {
                pace.admits(Who::Known(1), now);
            }
        }
        assert_eq!(pace.loudest(), Some(1));
        for number in 0..100_000 {
            pace.admits(Who::Other(1000 + number), now);
        }
        assert_eq!(pace.loudest(), None, "it is nobody in particular by now");
    }

    #[test]
    fn a_newcomer_costs_the_others_one_token_and_then_has_its_own() {
        let start = Instant::now();
        let mut pace = Pace::new(budgets(), start);
        for (name, who, millis, want) in [
            ("the others' first", Who::Newcomer(1), 0, true),
            ("its own second", Who::Newcomer(1), 0, true),
            ("its own third", Who::Newcomer(1), 0, true),
            ("past its bucket", Who::Newcomer(1), 0, false),
            ("the others' second", Who::Newcomer(2), 0, true),
            ("the others have no more", Who::Newcomer(3), 0, false),
            ("nor for strangers", Who::Other(4), 0, false),
            ("who is here stays", Who::Newcomer(2), 0, true),
            ("which is nothing to a client", Who::Known(5), 0, true),
            ("a token of the others", Who::Newcomer(3), 500, true),
        ] {
            let now = start + Duration::from_millis(millis);
            assert_eq!(pace.admits(who, now), want, "{name}");
        }
        let now = start + Duration::from_secs(10);
        pace.jammed(now);
        assert!(!pace.admits(Who::Newcomer(2), now), "may be made up");
        assert!(pace.admits(Who::Known(5), now), "is not");
        assert!(pace.admits(Who::Newcomer(2), now + DISTRUST));
    }

    #[test]
    fn memory_has_an_end() {
        let start = Instant::now();
        let others = Rate {
            per_second: 1000,
            at_once: 1_000_000,
        };
        let mut pace = Pace::new(
            Budgets {
                others,
                ..budgets()
            },
            start,
        );
        for number in 0..100_000 {
            assert!(pace.admits(Who::Newcomer(number), start));
        }
        assert_eq!(pace.clients.len(), TOLD_APART);
        assert!(pace.admits(Who::Known(100_001), start));
        assert_eq!(pace.clients.len(), TOLD_APART + 1, "a client has its own");
        let later = start + Duration::from_secs(1);
        assert!(pace.admits(Who::Newcomer(100_002), later));
        assert_eq!(pace.clients.len(), 1, "the silent are forgotten");
        assert!(pace.suspects.len() <= SUSPECTS);
    }
}
