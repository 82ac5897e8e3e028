//! A limit of memory for a process that runs, and how much of it was used.

use std::fs;

use nix::unistd::Pid;
use rustix::process::{Resource, Rlimit, getrlimit, prlimit, setrlimit};

pub const MIB: u64 = 1024 * 1024;

/// What the kernel gives no more than so much memory to: an allocation beyond fails, which ends the process.
#[derive(Debug)]
pub struct Limited {
    pid: Pid,
    data: u64,
    room: u64,
}

impl Limited {
    /// So many bytes above what the process has now. (`RLIMIT_DATA` counts what was mapped, not what was written to: it is the
    /// stricter one beside a control group's.)
    pub fn to(pid: Pid, room: u64) -> Self {
        let data = of(pid, "VmData:");
        let most = Some(data + room);
        let limit = Rlimit {
            current: most,
            maximum: most,
        };
        prlimit(process(pid), Resource::Data, limit).unwrap();
        println!(
            "at rest {} MiB resident, {} MiB mapped; {} MiB more are left",
            of(pid, "VmRSS:") / MIB,
            data / MIB,
            room / MIB
        );
        Self { pid, data, room }
    }

    /// What `work` added at most; it is printed, too.
    pub fn measured(&self, name: &str, work: impl FnOnce()) -> u64 {
        // proc(5): the peak starts anew.
        fs::write(format!("/proc/{}/clear_refs", self.pid), "5").unwrap();
        let before = of(self.pid, "VmRSS:");
        work();
        let added = of(self.pid, "VmHWM:").saturating_sub(before);
        let mapped = of(self.pid, "VmData:").saturating_sub(self.data);
        println!(
            "{name}: {} MiB more; {} of the {} MiB are mapped",
            added / MIB,
            mapped / MIB,
            self.room / MIB
        );
        added
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
