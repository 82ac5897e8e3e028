//! What every bench measures with.
#![allow(
    dead_code,
    unreachable_pub,
    reason = "each bench is a crate that compiles all of it and uses some of it"
)]

use std::time::Duration;

use nix::unistd::Pid;

/// What all threads of a process have used; the kernel counts nanoseconds here.
pub fn cpu_time(pid: Pid) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).unwrap();
    let spent = threads.map(|thread| {
        let stat = std::fs::read_to_string(thread.unwrap().path().join("schedstat")).unwrap();
        Duration::from_nanos(stat.split(' ').next().unwrap().parse().unwrap())
    });
    spent.sum()
}

/// The middle one, of which a noisy neighbour spoils the least.
pub fn median<T: Copy + PartialOrd>(figures: &[T]) -> T {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).expect("figures are numbers"));
    sorted[sorted.len() / 2]
}
