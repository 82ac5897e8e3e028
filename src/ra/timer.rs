//! When a link is advertised on (RFC 4861 sections 6.2.4 and 6.2.6). Pure: the time and the dice are passed in.

use std::time::{Duration, Instant};

/// The first few of a router, or of what it newly says, come quickly: one may be lost.
const INITIAL: u8 = 3;
const INITIAL_INTERVAL: Duration = Duration::from_secs(16);
/// Who asks waits so long at most: several who ask at once are answered by one.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);
/// Between two that everyone hears.
const APART: Duration = Duration::from_secs(3);
/// Answers to one machine alone, in between: so many in a row, and then per second. A flood gets no more.
const ALONE_AT_ONCE: f64 = 10.0;
const ALONE_PER_SECOND: f64 = 10.0;

/// Asked when, not started.
#[derive(Debug)]
pub(super) struct Timer {
    interval: (Duration, Duration),
    next: Instant,
    last: Option<Instant>,
    initial: u8,
    /// Answers to one machine that may be given now.
    alone: f64,
    counted: Instant,
}

/// What a solicitation brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// One to everyone is due soon, and is the answer.
    Everyone,
    /// One to who asked, now: everyone has heard us a moment ago.
    Alone,
}

impl Timer {
    /// Seconds between two: at least, at most.
    pub(super) fn new((least, most): (u16, u16), now: Instant) -> Self {
        let seconds = |of: u16| Duration::from_secs(of.into());
        Self {
            interval: (seconds(least), seconds(most.max(least))),
            next: now,
            last: None,
            initial: INITIAL,
            alone: ALONE_AT_ONCE,
            counted: now,
        }
    }

    /// When to send one to everyone.
    pub(super) fn deadline(&self) -> Instant {
        self.next
    }

    /// There is something new to say.
    pub(super) fn renew(&mut self, (least, most): (u16, u16), now: Instant) {
        let alone = (self.alone, self.counted, self.last);
        *self = Self::new((least, most), now);
        (self.alone, self.counted, self.last) = alone;
        self.next = self.earliest(now);
    }

    /// The first few are still being said.
    pub(super) fn is_initial(&self) -> bool {
        self.initial > 0
    }

    /// One was sent to everyone. `dice`: from 0 to 1.
    pub(super) fn sent(&mut self, now: Instant, dice: f64) {
        let (least, most) = self.interval;
        let mut pause = least + (most - least).mul_f64(dice);
        self.initial = self.initial.saturating_sub(1);
        if self.initial > 0 {
            pause = pause.min(INITIAL_INTERVAL);
        }
        self.last = Some(now);
        self.next = now + pause;
    }

    /// One could not be sent: the device is not ready, or gone.
    pub(super) fn failed(&mut self, now: Instant) {
        self.next = now + APART;
    }

    /// Someone asks, who can be answered `alone`, or can't yet (it has no address).
    ///
    /// RFC 4861 has each answer wait a little, so that several routers do not speak at once; those to one machine do not
    /// wait here, as there is nobody else to hear them.
    pub(super) fn solicited(&mut self, alone: bool, now: Instant, dice: f64) -> Answer {
        let soon = now + ANSWER_WITHIN.mul_f64(dice);
        if self.next <= now + ANSWER_WITHIN {
            return Answer::Everyone;
        }
        let earliest = self.earliest(now);
        if earliest > now && alone && self.take_one(now) {
            return Answer::Alone;
        }
        self.next = self.next.min(earliest.max(soon));
        Answer::Everyone
    }

    fn earliest(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| now.max(last + APART))
    }

    fn take_one(&mut self, now: Instant) -> bool {
        let passed = now.saturating_duration_since(self.counted).as_secs_f64();
        self.counted = now;
        self.alone = (self.alone + passed * ALONE_PER_SECOND).min(ALONE_AT_ONCE);
        let enough = self.alone >= 1.0;
        if enough {
            self.alone -= 1.0;
        }
        enough
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In milliseconds from the start.
    fn at(start: Instant, ms: u64) -> Instant {
        start + Duration::from_millis(ms)
    }

    fn due(timer: &Timer, start: Instant) -> u128 {
        (timer.deadline() - start).as_millis()
    }

    #[test]
    fn unasked_ones_come_at_random_and_the_first_quickly() {
        let start = Instant::now();
        let mut timer = Timer::new((30, 100), start);
        let mut now = start;
        let mut pauses = Vec::new();
        for dice in [0.0, 0.5, 0.0, 0.5, 1.0] {
            assert_eq!(timer.deadline().max(now), timer.deadline());
            now = timer.deadline();
            timer.sent(now, dice);
            pauses.push((timer.deadline() - now).as_secs());
        }
        assert_eq!(pauses, [16, 16, 30, 65, 100]);
    }

    #[test]
    fn who_asks_is_answered_within_half_a_second() {
        let start = Instant::now();
        let mut timer = Timer::new((30, 100), start);
        timer.sent(start, 0.5);
        for (name, ms, alone, dice, want, next) in [
            (
                "a moment after one to everyone",
                1_000,
                true,
                0.9,
                Answer::Alone,
                16_000,
            ),
            (
                "without address: everyone, as soon as may be",
                1_100,
                false,
                0.9,
                Answer::Everyone,
                3_000,
            ),
            (
                "again: that one is the answer",
                2_900,
                true,
                0.1,
                Answer::Everyone,
                3_000,
            ),
        ] {
            let got = timer.solicited(alone, at(start, ms), dice);
            assert_eq!((got, due(&timer, start)), (want, next), "{name}");
        }
        timer.sent(at(start, 3_000), 0.5);
        let got = timer.solicited(true, at(start, 9_000), 0.5);
        assert_eq!((got, due(&timer, start)), (Answer::Everyone, 9_250));
        let got = timer.solicited(true, at(start, 9_010), 0.0);
        assert_eq!((got, due(&timer, start)), (Answer::Everyone, 9_250));
    }

    #[test]
    fn a_flood_gets_a_few_answers_and_no_more() {
        let start = Instant::now();
        let mut timer = Timer::new((30, 100), start);
        timer.sent(start, 0.5);
        let asked = (0..2_400).map(|ms| timer.solicited(true, at(start, ms), 0.5));
        let alone = asked.filter(|answer| *answer == Answer::Alone).count();
        assert!(
            (30..=34).contains(&alone),
            "{alone}: ten, and ten a second until one to everyone is due"
        );
        assert_eq!(due(&timer, start), 3_000);
    }

    #[test]
    fn something_new_is_said_at_once_but_not_too_often() {
        let start = Instant::now();
        let mut timer = Timer::new((30, 100), start);
        for _ in 0..4 {
            timer.sent(start, 0.5);
        }
        assert!(!timer.is_initial());
        timer.renew((10, 20), at(start, 1_000));
        assert_eq!(due(&timer, start), 3_000);
        timer.sent(at(start, 3_000), 1.0);
        assert!(timer.is_initial());
        assert_eq!(due(&timer, start), 19_000);
        timer.renew((10, 20), at(start, 8_000));
        assert_eq!(due(&timer, start), 8_000);
    }
}
