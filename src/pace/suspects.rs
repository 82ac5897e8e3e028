//! Who is loudest: of the names that are noted, the one that was noted most often in the last minutes.

use std::time::{Duration, Instant};

/// Names that are counted to find the loudest. Who is noted more than every ninth time is among them.
pub(super) const SUSPECTS: usize = 8;
/// What was noted counts for so long at least, and for twice as long at most: an operator who was called finds it, and nobody
/// is accused for ever.
pub(super) const REMEMBERED: Duration = Duration::from_secs(300);

/// Counts by name, of the current span of time and of the one before.
#[derive(Debug)]
pub(super) struct Suspects<K> {
    now: Span<K>,
    before: Span<K>,
    /// When `now` began.
    since: Option<Instant>,
}

#[derive(Debug)]
struct Span<K> {
    noted: u64,
    /// How often each was noted, at least (Misra and Gries).
    names: Vec<(K, u64)>,
}

impl<K> Default for Suspects<K> {
    fn default() -> Self {
        Self {
            now: Span::default(),
            before: Span::default(),
            since: None,
        }
    }
}

impl<K> Default for Span<K> {
    fn default() -> Self {
        Self {
            noted: 0,
            names: Vec::new(),
        }
    }
}

impl<K: Copy + Eq> Suspects<K> {
    pub(super) fn note(&mut self, who: K, now: Instant) {
        let spans = self.spans_since(now);
        if spans > 0 {
            self.before = std::mem::take(&mut self.now);
            if spans > 1 {
                self.before = Span::default();
            }
            self.since = Some(now);
        }
        self.since.get_or_insert(now);
        self.now.note(who);
    }

    /// `None`: nobody in particular.
    pub(super) fn loudest(&self, now: Instant) -> Option<K> {
        let spans = match self.spans_since(now) {
            0 => &[&self.now, &self.before][..],
            1 => &[&self.now],
            _ => return None,
        };
        let noted: u64 = spans.iter().map(|span| span.noted).sum();
        let names = spans.iter().flat_map(|span| &span.names);
        let times = |who: K| -> u64 { spans.iter().map(|span| span.times(who)).sum() };
        let all = names.map(|(who, _)| (*who, times(*who)));
        let (who, times) = all.max_by_key(|(_, times)| *times)?;
        (times.saturating_mul(2 * SUSPECTS as u64) > noted).then_some(who)
    }

    /// How many have passed since the current one began, up to 2.
    fn spans_since(&self, now: Instant) -> u8 {
        let since = self.since.unwrap_or(now);
        let passed = now.saturating_duration_since(since);
        u8::from(passed >= REMEMBERED) + u8::from(passed >= 2 * REMEMBERED)
    }
}

impl<K: Copy + Eq> Span<K> {
    fn note(&mut self, who: K) {
        self.noted += 1;
        if let Some((_, times)) = self.names.iter_mut().find(|(known, _)| *known == who) {
            *times += 1;
        } else if self.names.len() < SUSPECTS {
            self.names.push((who, 1));
        } else {
            self.names.retain_mut(|(_, times)| {
                *times -= 1;
                *times > 0
            });
        }
    }

    fn times(&self, who: K) -> u64 {
        let found = self.names.iter().find(|(known, _)| *known == who);
        found.map_or(0, |(_, times)| *times)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(start: Instant, seconds: u64) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn who_is_noted_often_is_known_among_many() {
        let now = Instant::now();
        let mut suspects = Suspects::default();
        assert_eq!(suspects.loudest(now), None);
        for number in 0..10_000 {
            suspects.note(1000 + number, now);
            if number % 4 == 0 {
                suspects.note(1, now);
            }
        }
        assert_eq!(suspects.loudest(now), Some(1));
        for number in 0..100_000 {
            suspects.note(1000 + number, now);
        }
        let nobody = suspects.loudest(now);
        assert_eq!(nobody, None, "it is nobody in particular by now");
        assert!(suspects.now.names.len() <= SUSPECTS);
    }

    #[test]
    fn who_has_gone_is_forgotten() {
        let start = Instant::now();
        let mut suspects = Suspects::default();
        for _ in 0..100 {
            suspects.note(1, start);
        }
        for (name, seconds, want) in [
            ("at once", 0, Some(1)),
            ("an operator has come", 299, Some(1)),
            ("the span is over", 599, Some(1)),
            ("and the one after it", 600, None),
        ] {
            assert_eq!(suspects.loudest(after(start, seconds)), want, "{name}");
        }
        suspects.note(2, after(start, 400));
        for (name, seconds, want) in [
            ("once is little beside what was before", 400, Some(1)),
            ("what was before is forgotten", 700, Some(2)),
            ("all is", 1000, None),
        ] {
            assert_eq!(suspects.loudest(after(start, seconds)), want, "{name}");
        }
        suspects.note(3, after(start, 5000));
        assert_eq!(suspects.loudest(after(start, 5000)), Some(3));
        assert_eq!(suspects.before.noted, 0, "long ago");
    }
}
