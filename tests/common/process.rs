//! Processes, to see that none is left.

use nix::unistd::Pid;

/// A process, and not another one that got its number later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    pub pid: Pid,
    /// What it calls itself (15 letters).
    pub name: String,
    /// In clock ticks since the machine's start.
    started: u64,
}

impl Process {
    /// `None`: there is no such process (any more).
    pub fn of(pid: Pid) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // "17 (a name) S ..", where the name may hold anything; the start is field 22.
        let (head, rest) = stat.rsplit_once(')')?;
        Some(Self {
            pid,
            name: head.split_once('(')?.1.to_owned(),
            started: rest.split_whitespace().nth(19)?.parse().ok()?,
        })
    }

    pub fn is_alive(&self) -> bool {
        Self::of(self.pid).as_ref() == Some(self)
    }

    /// All in the same PID namespace as this one.
    pub(super) fn beside(one: Pid) -> Vec<Self> {
        let namespace = |pid| std::fs::read_link(format!("/proc/{pid}/ns/pid")).ok();
        let wanted = namespace(one);
        std::fs::read_dir("/proc")
            .unwrap()
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .map(Pid::from_raw)
            .filter(|pid| wanted.is_some() && namespace(*pid) == wanted)
            .filter_map(Self::of)
            .collect()
    }
}
