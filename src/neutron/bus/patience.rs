//! How long each method is waited for: a server that is slow is asked less often, not more
//! (neutron-lib: `rpc: _BackingOffContextWrapper`).

use std::collections::HashMap;
use std::time::Duration;

#[derive(Debug)]
pub(super) struct Patience {
    first: Duration,
    longest: Duration,
    /// Only methods that timed out. It never shrinks again.
    grown: HashMap<String, Duration>,
}

impl Patience {
    pub(super) fn new(first: Duration, longest: Duration) -> Self {
        Self {
            first,
            longest: longest.max(first),
            grown: HashMap::new(),
        }
    }

    pub(super) fn of(&self, method: &str) -> Duration {
        self.grown.get(method).copied().unwrap_or(self.first)
    }

    /// The method timed out after `waited`: it gets more time from now on. How long to stay away from the server,
    /// with `random` from 0 to 1.
    pub(super) fn ran_out(&mut self, method: &str, waited: Duration, random: f64) -> Duration {
        // Several at once time out together, and are one sign.
        if self.of(method) <= waited {
            let longer = waited.saturating_mul(2).min(self.longest);
            self.grown.insert(method.to_owned(), longer);
        }
        waited.min(self.first).mul_f64(random.clamp(0.0, 1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_per_method_up_to_a_limit() {
        let second = Duration::from_secs;
        let mut patience = Patience::new(second(60), second(600));
        for (name, waited, want) in [
            ("first", 60, 120),
            ("a second one of the same time", 60, 120),
            ("again", 120, 240),
            ("again", 240, 480),
            ("at most", 480, 600),
            ("for ever", 600, 600),
        ] {
            let pause = patience.ran_out("sync_routers", second(waited), 0.5);
            assert_eq!(patience.of("sync_routers"), second(want), "{name}");
            assert_eq!(pause, second(30), "{name}");
        }
        assert_eq!(
            patience.of("get_ports"),
            second(60),
            "others are not touched"
        );
    }
}
