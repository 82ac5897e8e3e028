//! No message may keep its server busy.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// CPU time for one message: a thousand times what any needs.
const LONGEST: Duration = Duration::from_millis(100);

/// Panics where the work took longer; other processes' time does not count.
pub(crate) fn prompt(work: impl FnOnce()) {
    let begin = cpu_time();
    work();
    let took = cpu_time() - begin;
    assert!(took < LONGEST, "a hang: {took:?}");
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::try_from(time).expect("time is not negative")
}
