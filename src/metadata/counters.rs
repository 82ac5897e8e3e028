//! What one server has done.

use std::sync::atomic::{AtomicU64, Ordering};

use hyper::StatusCode;
use serde::Serialize;

/// Since the server's start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counters {
    pub connections: u64,
    /// Connections closed at once, because somebody's limit was reached.
    pub connections_refused: u64,
    /// Of those: because somebody had made more than its share.
    pub throttled: u64,
    /// Connections that ended by a mistake of the guest, or because it was too slow.
    pub connections_failed: u64,
    pub requests: u64,
    /// How often one of those waited, because somebody had asked more often than its share.
    pub delayed: u64,
    /// Requests of addresses that are no machine's.
    pub unknown: u64,
    /// Answers by status.
    pub answers_2xx: u64,
    pub answers_4xx: u64,
    pub answers_5xx: u64,
}

/// [`Counters`] while they count.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) connections: Count,
    pub(super) connections_refused: Count,
    pub(super) throttled: Count,
    pub(super) connections_failed: Count,
    pub(super) delayed: Count,
    pub(super) unknown: Count,
    answers_2xx: Count,
    answers_4xx: Count,
    answers_5xx: Count,
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn up(&self) {
        // Nothing is concluded from one counter about another.
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Tally {
    pub(super) fn answered(&self, status: StatusCode) {
        match status.as_u16() {
            ..400 => self.answers_2xx.up(),
            400..500 => self.answers_4xx.up(),
            500.. => self.answers_5xx.up(),
        }
    }

    pub(super) fn counters(&self) -> Counters {
        let (answers_2xx, answers_4xx, answers_5xx) = (
            self.answers_2xx.value(),
            self.answers_4xx.value(),
            self.answers_5xx.value(),
        );
        Counters {
            connections: self.connections.value(),
            connections_refused: self.connections_refused.value(),
            throttled: self.throttled.value(),
            connections_failed: self.connections_failed.value(),
            requests: answers_2xx + answers_4xx + answers_5xx,
            delayed: self.delayed.value(),
            unknown: self.unknown.value(),
            answers_2xx,
            answers_4xx,
            answers_5xx,
        }
    }
}
