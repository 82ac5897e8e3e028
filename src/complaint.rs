//! A warning that would come with every request is said once per interval, with how often it would have been said.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_secs(60);

#[derive(Debug, Default)]
pub(crate) struct Complaint(Mutex<Spoken>);

#[derive(Debug, Default)]
struct Spoken {
    last: Option<Instant>,
    /// Times since then.
    times: u64,
}

impl Complaint {
    /// How often there was reason since it was last said, this time included. `None`: stay silent for now.
    pub(crate) fn due(&self, now: Instant) -> Option<u64> {
        let mut spoken = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spoken.times += 1;
        if spoken
            .last
            .is_some_and(|last| now.saturating_duration_since(last) < INTERVAL)
        {
            return None;
        }
        spoken.last = Some(now);
        Some(std::mem::take(&mut spoken.times))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_said_once_per_interval() {
        let complaint = Complaint::default();
        let start = Instant::now();
        for (name, seconds, want) in [
            ("at once", 0, Some(1)),
            ("not again", 1, None),
            ("not yet", 59, None),
            ("with those before", 60, Some(3)),
            ("not again", 61, None),
            ("after silence", 600, Some(2)),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(complaint.due(now), want, "{name}");
        }
    }
}
