//! How often each guest asks (Neutron's `[metadata_rate_limiting]`): all that it asks counts, what is denied too.
//!
//! A window slides: what was counted in the last whole one counts by the share of it that is not past yet, as haproxy does
//! it. So nothing is kept of a guest but two numbers, and of a guest that is silent nothing.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::route::Origin;
use super::{RateLimit, Window};

/// Guests that are told apart in one namespace and window; those beyond count as one. haproxy's table has the same size.
const TOLD_APART: usize = 10_000;

/// The guests of one namespace.
#[derive(Debug)]
pub(super) struct Rate {
    limit: RateLimit,
    counts: Mutex<[Counts<Option<Origin>>; 2]>,
}

/// Counts of one window, by whom.
#[derive(Debug)]
pub(super) struct Counts<K> {
    window: Window,
    /// When `now` began.
    since: Option<Instant>,
    now: HashMap<K, u32>,
    before: HashMap<K, u32>,
}

impl Rate {
    pub(super) fn new(limit: RateLimit) -> Self {
        Self {
            limit,
            counts: Mutex::new([limit.base, limit.burst].map(Counts::new)),
        }
    }

    /// Counts a request, and says whether it is one too many.
    pub(super) fn exceeds(&self, origin: Origin, now: Instant) -> bool {
        let limited = match origin.address {
            IpAddr::V4(_) => self.limit.v4,
            IpAddr::V6(_) => self.limit.v6,
        };
        if !limited {
            return false;
        }
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        // Both, whatever the first says.
        let exceeded = counts.each_mut().map(|counts| {
            counts.turn(now);
            let has_room = counts.now.len() < TOLD_APART;
            let told_apart = has_room || counts.now.contains_key(&Some(origin));
            counts.exceeds(told_apart.then_some(origin), now)
        });
        exceeded.contains(&true)
    }
}

impl<K: std::hash::Hash + Eq> Counts<K> {
    pub(super) fn new(window: Window) -> Self {
        Self {
            window,
            since: None,
            now: HashMap::new(),
            before: HashMap::new(),
        }
    }

    /// Counts one more of `who`, and says whether it is one too many.
    pub(super) fn exceeds(&mut self, who: K, now: Instant) -> bool {
        let since = self.turn(now);
        let before = self.before.get(&who).copied().unwrap_or(0);
        let count = self.now.entry(who).or_insert(0);
        *count = count.saturating_add(1);
        let whole = self.window.duration.as_nanos();
        let left = whole.saturating_sub(now.saturating_duration_since(since).as_nanos());
        let counted = u128::from(*count) * whole + u128::from(before) * left;
        counted > u128::from(self.window.requests) * whole
    }

    /// Begins a new window when this one is over. Returns when the one that runs has begun.
    fn turn(&mut self, now: Instant) -> Instant {
        let length = self.window.duration.max(Duration::from_millis(1));
        let since = *self.since.get_or_insert(now);
        let past = now.saturating_duration_since(since);
        if past < length {
            return since;
        }
        let follows = past < 2 * length;
        self.before = std::mem::take(&mut self.now);
        if !follows {
            self.before.clear();
        }
        let begun = if follows { since + length } else { now };
        self.since = Some(begun);
        begun
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn window(requests: u32, seconds: u64) -> Window {
        Window {
            requests,
            duration: Duration::from_secs(seconds),
        }
    }

    fn rate(base: Window, burst: Window) -> Rate {
        Rate::new(RateLimit {
            v4: true,
            v6: false,
            base,
            burst,
        })
    }

    fn guest(number: u32) -> Origin {
        Origin::new(std::net::Ipv4Addr::from(0x0a00_0000 + number).into(), None)
    }

    #[test]
    fn a_window_slides() {
        let rate = rate(window(4, 10), window(100, 100));
        let start = Instant::now();
        for (name, millis, want) in [
            ("first", 0, false),
            ("second", 0, false),
            ("third", 9_000, false),
            ("fourth", 9_000, false),
            ("one too many", 9_000, true),
            // Nine tenths of the five before, and this one.
            ("denied ones count", 11_000, true),
            ("half of the five is past, and two are new", 15_000, true),
            ("a tenth of the five, three are new", 19_000, false),
            ("after silence", 60_000, false),
        ] {
            let now = start + Duration::from_millis(millis);
            assert_eq!(rate.exceeds(guest(1), now), want, "{name}");
        }
    }

    #[test]
    fn either_window_denies_and_each_guest_has_its_own() {
        let rate = rate(window(100, 100), window(2, 1));
        let start = Instant::now();
        let ask =
            |number, millis| rate.exceeds(guest(number), start + Duration::from_millis(millis));
        assert_eq!(
            [ask(1, 0), ask(1, 0), ask(1, 0)],
            [false, false, true],
            "burst"
        );
        assert!(!ask(2, 0), "another guest");
        let other = Origin::new([0u16; 8].into(), None);
        assert!(!rate.exceeds(other, start), "another family");
        for second in 2..99 {
            ask(1, second * 1000);
        }
        assert!(ask(1, 99_000), "base");
    }

    #[test]
    fn memory_has_an_end() {
        let rate = rate(window(1, 10), window(1, 10));
        let now = Instant::now();
        for number in 0..50_000 {
            rate.exceeds(guest(number), now);
        }
        let size = || {
            let counts = rate.counts.lock().expect("no panic");
            counts[0].now.len() + counts[0].before.len()
        };
        assert_eq!(size(), TOLD_APART + 1);
        assert!(
            rate.exceeds(guest(60_000), now),
            "those beyond are one guest"
        );
        rate.exceeds(guest(1), now + Duration::from_secs(60));
        assert_eq!(size(), 1, "and all is forgotten");
    }
}
