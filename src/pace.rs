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
//! So the others on a network are served while one floods it, as long as all of it can be read; and where something was read for
//! nothing, what comes next is let to gather for a moment, for it costs much less by the handful.

mod limits;
mod suspects;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::Hash;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

pub use limits::Limits;
use suspects::Suspects;

/// With so many buckets, those that are full again are thrown away, and newcomers get none. Clients always do: there are no
/// more of them than a network has ports.
const TOLD_APART: usize = 4096;
/// Room is made so often at most: it takes a look at all.
const CLEARING: Duration = Duration::from_secs(1);
/// So much, and no more, is owed of what comes: who waits longer has given up, and would still wait when it comes again.
const OWED: Duration = Duration::from_secs(60);
/// So long newcomers are not served after replies did not get away: longer than what is in their way lasts, by far.
const DISTRUST: Duration = Duration::from_secs(60);

/// A bucket's measure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rate {
    pub per_second: u32,
    /// What a bucket holds.
    pub at_once: u32,
}

/// What one network may ask of one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    suspects: Suspects<K>,
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
            suspects: Suspects::default(),
        }
    }

    /// These hold from now on; who has tokens keeps them, as far as the new buckets hold them.
    pub fn set(&mut self, budgets: Budgets) {
        self.budgets = budgets;
    }

    /// Takes note of messages that were read. Returns how long to leave the next unread.
    pub fn read(&mut self, messages: usize, now: Instant) -> Duration {
        #[allow(clippy::cast_precision_loss, reason = "one turn's messages are few")]
        let taken = messages as f64;
        self.network.borrow(taken, self.budgets.network, now)
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
            self.suspects.note(key, now);
        }
        admitted
    }

    /// For a message that is answered in any case: how long after `now`. Who has no tokens waits for those that it borrows, and
    /// so do all of a network that has none.
    pub fn defer(&mut self, who: Who<K>, now: Instant) -> Duration {
        let (key, own) = match who {
            Who::Known(key) => (key, self.borrow_own(key, now)),
            Who::Newcomer(key) if self.clients.contains_key(&key) => {
                (key, self.borrow_own(key, now))
            }
            Who::Newcomer(key) => {
                if self.has_room(now) {
                    self.borrow_own(key, now);
                }
                (key, self.others.borrow(1.0, self.budgets.others, now))
            }
            Who::Other(key) => (key, self.others.borrow(1.0, self.budgets.others, now)),
        };
        if !own.is_zero() {
            self.suspects.note(key, now);
        }
        own.max(self.read(1, now))
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

    /// Who sent most of what was dropped or deferred in the last minutes, if anybody sent a good part.
    pub fn loudest(&self, now: Instant) -> Option<K> {
        self.suspects.loudest(now)
    }

    fn take_own(&mut self, key: K, now: Instant) -> bool {
        let rate = self.budgets.client;
        self.own(key, now).take(rate, now)
    }

    fn borrow_own(&mut self, key: K, now: Instant) -> Duration {
        let rate = self.budgets.client;
        self.own(key, now).borrow(1.0, rate, now)
    }

    fn own(&mut self, key: K, now: Instant) -> &mut Bucket {
        if !self.clients.contains_key(&key) {
            self.has_room(now);
        }
        let own = self.clients.entry(key);
        own.or_insert_with(|| Bucket::full(self.budgets.client, now))
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

    /// Takes so many, whether they are there or not. Returns how long it takes until none is owed.
    fn borrow(&mut self, tokens: f64, rate: Rate, now: Instant) -> Duration {
        self.fill(rate, now);
        if self.owed(rate) < OWED {
            self.tokens -= tokens;
        }
        self.owed(rate)
    }

    fn owed(&self, rate: Rate) -> Duration {
        let debt = (-self.tokens).max(0.0);
        Duration::from_secs_f64(debt / f64::from(rate.per_second.max(1)))
    }
}
