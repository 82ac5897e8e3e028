//! A limit of memory for a process that runs, and how much of it was used.

use std::fs;

use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

pub const MIB: u64 = 1024 * 1024;

/// The kernel gives it no more than so much memory: an allocation beyond fails, which ends the process.
#[derive(Debug)]
pub struct Limited {
    pid: Pid,
    /// Bytes that are resident at rest.
    rest: u64,
    room: u64,
}

impl Limited {
    /// `room` and `unused` bytes above what is resident now: `RLIMIT_DATA` counts what is mapped, whether used or not.
    pub fn to(pid: Pid, room: u64, unused: u64) -> Self {
        let rest = of(pid, "VmRSS:");
        let most = Some(rest + room + unused);
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        prlimit(process(pid), Resource::Data, limit).unwrap();
        println!(
            "at rest: {} MiB, {} mapped",
            rest / MIB,
            of(pid, "VmData:") / MIB
        );
        Self { pid, rest, room }
    }

    /// `work` adds no more than there is room for; how much it was at most is printed.
    #[track_caller]
    pub fn holds(&self, name: &str, work: impl FnOnce()) {
        // proc(5): the peak starts anew.
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").unwrap();
        work();
        let added = of(self.pid, "VmHWM:").saturating_sub(self.rest);
        let mapped = of(self.pid, "VmData:") / MIB;
        println!("{name}: {} MiB above rest, {mapped} mapped", added / MIB);
        assert!(added <= self.room, "{name}: {added} bytes above rest");
    }
}

/// The test has thousands of connections open.
pub fn open_more_files() {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, raised).unwrap();
}

/// A row of proc_pid_status(5), in bytes.
fn of(pid: Pid, row: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = status.lines().find_map(|line| line.strip_prefix(row));
    let kibibytes = value.unwrap().trim().trim_end_matches(" kB");
    kibibytes.parse::<u64>().unwrap() * 1024
}

fn process(pid: Pid) -> Option<rustix::process::Pid> {
    rustix::process::Pid::from_raw(pid.as_raw())
}
