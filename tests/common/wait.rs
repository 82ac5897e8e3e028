//! Waiting for a condition, never for a second.

use std::time::{Duration, Instant};

use super::Place;

/// Enough for anything that happens at all, on a machine that is busy with other tests.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Asks `condition` until it gives something; panics, naming `what`, when `deadline` has passed.
#[track_caller]
pub fn wait_for<T>(what: &str, deadline: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let mut found = None;
    let in_time = wait_until(deadline, || {
        found = condition();
        found.is_some()
    });
    assert!(in_time, "waited {deadline:?} in vain for {what}");
    found.expect("just seen")
}

/// Waits until the device has its link-local address, and duplicate detection has ended (RFC 4862 section 5.4).
#[track_caller]
pub fn settled(place: &Place, device: &str) {
    wait_for("duplicate detection to end", PATIENCE, || {
        let seen = place.run(&["ip", "-6", "addr", "show", "dev", device]).ok();
        (seen.contains("fe80::") && !seen.contains("tentative")).then_some(())
    });
}

/// Asks `condition` until it holds. False when `deadline` has passed.
pub fn wait_until(deadline: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !condition() {
        if start.elapsed() > deadline {
            return false;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    true
}
