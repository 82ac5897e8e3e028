//! Ports that were deleted: a late word about one does not bring it back. Pure: the time is passed in.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use crate::model::{Network, PortId};

/// As long as the reference agent remembers (`agent/dhcp/agent.py: DELETED_PORT_MAX_AGE`).
const KEPT: Duration = Duration::from_secs(24 * 3600);
/// The oldest are forgotten first when there are more.
const MOST: usize = 100_000;

#[derive(Debug, Default)]
pub(super) struct Tombs {
    since: HashMap<PortId, Instant>,
    order: VecDeque<(Instant, PortId)>,
}

impl Tombs {
    pub(super) fn add(&mut self, port: PortId, now: Instant) {
        if self.since.insert(port, now).is_none() {
            self.order.push_back((now, port));
        }
        while let Some(&(since, oldest)) = self.order.front()
            && (self.order.len() > MOST || now.duration_since(since) > KEPT)
        {
            self.order.pop_front();
            self.since.remove(&oldest);
        }
    }

    pub(super) fn has(&self, port: PortId) -> bool {
        self.since.contains_key(&port)
    }

    /// Ports of a network that are gone: its answer was under way when they went.
    pub(super) fn among(&self, network: &Network) -> Vec<PortId> {
        let ids = network.ports.keys().copied();
        ids.filter(|id| self.has(*id)).collect()
    }
}
