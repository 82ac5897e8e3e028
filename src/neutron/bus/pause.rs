//! How long we wait before the next attempt to connect. There is no last one.

use std::time::Duration;

use super::Retry;

/// Counts attempts. The brokers are tried in turn without a pause (kombu: `Connection.completes_cycle`); between two
/// rounds the pause grows.
#[derive(Debug)]
pub(super) struct Pauses {
    retry: Retry,
    brokers: usize,
    failed: usize,
}

impl Pauses {
    pub(super) fn new(retry: Retry, brokers: usize) -> Self {
        Self {
            retry,
            brokers: brokers.max(1),
            failed: 0,
        }
    }

    /// After a connection that worked was lost. Then all agents of a cloud want to be back at once: `random`, from 0 to 1,
    /// is what keeps them apart.
    pub(super) fn after_loss(&mut self, random: f64) -> Duration {
        self.failed = 0;
        self.spread(self.retry.delay, random)
    }

    /// After an attempt that failed.
    pub(super) fn after_failure(&mut self, random: f64) -> Duration {
        self.failed += 1;
        if !self.failed.is_multiple_of(self.brokers) {
            return Duration::ZERO;
        }
        let rounds = u32::try_from(self.failed / self.brokers).unwrap_or(u32::MAX);
        let grown = self.retry.backoff.saturating_mul(rounds - 1);
        let pause = (self.retry.first.saturating_add(grown)).min(self.retry.longest);
        self.spread(pause.saturating_add(self.retry.delay), random)
    }

    /// Half of it is sure. The configured splay comes on top.
    fn spread(&self, pause: Duration, random: f64) -> Duration {
        let random = random.clamp(0.0, 1.0);
        pause.mul_f64(0.5 + random / 2.0) + self.retry.splay.mul_f64(random)
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample::retry;
    use super::*;

    #[test]
    fn pauses_grow_to_a_limit_and_start_again() {
        let mut pauses = Pauses::new(retry(), 1);
        let whole: Vec<u64> = (0..17)
            .map(|_| pauses.after_failure(1.0).as_secs())
            .collect();
        assert_eq!(whole[..5], [2, 4, 6, 8, 10]);
        assert_eq!(whole[14..], [30, 31, 31]);
        assert_eq!(pauses.after_loss(1.0).as_millis(), 1000);
        assert_eq!(pauses.after_failure(0.0).as_millis(), 1000, "half is sure");
        assert_eq!(pauses.after_failure(0.5).as_millis(), 3000);
    }

    #[test]
    fn a_round_of_brokers_has_no_pauses() {
        let mut pauses = Pauses::new(retry(), 3);
        let round: Vec<u64> = (0..6)
            .map(|_| pauses.after_failure(1.0).as_secs())
            .collect();
        assert_eq!(round, [0, 0, 2, 0, 0, 4]);
    }

    #[test]
    fn splay_and_extremes() {
        let huge = Retry {
            first: Duration::MAX / 4,
            longest: Duration::MAX / 4,
            splay: Duration::from_secs(10),
            ..retry()
        };
        let mut pauses = Pauses::new(huge, 1);
        assert!(pauses.after_failure(0.0) > Duration::from_secs(1_000_000));
        assert_eq!(pauses.after_loss(1.0).as_secs(), 11);
        assert_eq!(pauses.after_loss(f64::INFINITY).as_secs(), 11);
    }
}
