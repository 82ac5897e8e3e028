//! What happened, in numbers.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {
        #[derive(Debug, Default)]
        pub(super) struct Counters { $(pub(super) $name: Counter),* }

        /// Since the start.
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
        pub struct Counts { $($(#[$doc])* pub $name: u64),* }

        impl Counters {
            pub(super) fn read(&self) -> Counts {
                Counts { $($name: self.$name.0.load(Ordering::Relaxed)),* }
            }
        }
    };
}

counters! {
    /// Passed on.
    notices,
    /// Dropped: they came before.
    repeated,
    /// Rejected: no JSON, too large, from the future.
    unreadable,
    /// Answered by us: a method or version that is not served.
    refused,
    /// Calls and casts that the broker took.
    sent,
    /// Calls that nobody answered in time.
    timed_out,
    /// Calls that the server answered with a failure.
    failed,
    /// Answers that nobody waited for any more.
    late,
    /// Answers of ours that can't be delivered: who asked is gone.
    undelivered,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
