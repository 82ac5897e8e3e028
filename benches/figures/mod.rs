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

/// The same, with that of the children that it has waited for; in hundredths of a second.
pub fn cpu_time_with_children(pid: Pid) -> Duration {
    cpu_time_if_alive(pid).expect("a process that is there")
}

/// The same; `None`: there is no such process (any more).
pub fn cpu_time_if_alive(pid: Pid) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // Behind the name, which may hold blanks, the third field of proc(5); utime, stime, cutime and cstime are 14 to 17.
    let (_, fields) = stat.rsplit_once(") ").unwrap();
    let ticks = fields.split(' ').skip(14 - 3).take(4);
    let ticks: u64 = ticks.map(|field| field.parse::<u64>().unwrap()).sum();
    Some(Duration::from_millis(10 * ticks))
}

/// Seconds that the machine below took from this one so far, on all CPUs.
pub fn stolen() -> f64 {
    let stat = std::fs::read_to_string("/proc/stat").unwrap();
    let ticks: f64 = stat.split_whitespace().nth(8).unwrap().parse().unwrap();
    ticks / 100.0
}

/// MiB
#[derive(Debug, Clone, Copy)]
pub struct Memory {
    pub resident: f64,
    pub proportional: f64,
}

impl Memory {
    pub fn of(pid: Pid) -> Self {
        Self::if_alive(pid).expect("a process that is there")
    }

    /// `None`: there is no such process (any more).
    pub fn if_alive(pid: Pid) -> Option<Self> {
        let text = std::fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
        let mebibytes = |name: &str| -> f64 {
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix(name))
                .unwrap();
            let kibibytes: f64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            kibibytes / 1024.0
        };
        Some(Self {
            resident: mebibytes("Rss:"),
            proportional: mebibytes("Pss:"),
        })
    }
}

/// The middle one, of which a noisy neighbour spoils the least.
pub fn median<T: Copy + PartialOrd>(figures: &[T]) -> T {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|one, other| one.partial_cmp(other).expect("figures are numbers"));
    sorted[sorted.len() / 2]
}
