//! What the processes of a node cost.

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use crate::cloud::{Cloud, Node};
use crate::common::Host;
use crate::figures::{Memory, cpu_time_if_alive};

/// The processes of a node that were there before anything was started are not counted, but for the children that end as
/// theirs.
#[derive(Debug)]
pub(crate) struct Meter {
    before: BTreeSet<i32>,
    cpu: Duration,
    without: &'static str,
}

impl Meter {
    pub(crate) fn start(node: &Node) -> Self {
        Self::without(node, "nobody")
    }

    /// Processes whose names begin so are not counted.
    pub(crate) fn without(node: &Node, name: &'static str) -> Self {
        let before = node.processes().into_iter();
        Self {
            before: before.map(|one| one.pid.as_raw()).collect(),
            cpu: cpu(node, name),
            without: name,
        }
    }

    /// Since the start.
    pub(crate) fn cpu(&self, node: &Node) -> Duration {
        cpu(node, self.without).saturating_sub(self.cpu)
    }

    /// MiB, proportional, of those that were started since; and how many they are.
    pub(crate) fn memory(&self, node: &Node) -> (f64, usize) {
        let new = node.processes().into_iter().map(|one| one.pid);
        let new = new.filter(|pid| !self.before.contains(&pid.as_raw()));
        let sizes = new.filter_map(Memory::if_alive);
        let sizes: Vec<f64> = sizes.map(|memory| memory.proportional).collect();
        (sizes.iter().sum(), sizes.len())
    }
}

/// Of all that the control plane runs (server, broker, database) but for Nova's stand-in.
pub(crate) fn control(cloud: &Cloud) -> Duration {
    cpu(cloud.host(), "haproxy")
}

fn cpu(host: &Host, without: &str) -> Duration {
    let counted = host.processes().into_iter();
    let counted = counted.filter(|one| !one.name.starts_with(without));
    // What one has used that ended just now is its parent's.
    counted.filter_map(|one| cpu_time_if_alive(one.pid)).sum()
}

/// Until all is served that there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Cold {
    pub(crate) time: Duration,
    pub(crate) cpu: Duration,
}

/// A figure that can't be got is told of by a panic; the others are wanted all the same.
pub(crate) fn attempt<T>(figure: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(figure)).ok()
}

/// Of the whole machine, over the last minute.
pub(crate) fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap();
    text.split(' ').next().unwrap_or_default().to_owned()
}
