//! What a source says, and what there is to converge.

use std::collections::BTreeSet;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::{Instance, InstanceId, Network, NetworkId, Port, PortId, Router, RouterId};

/// One word of a source. The newest word about an object wins.
#[derive(Debug, Clone)]
pub enum Event {
    Network(Arc<Network>),
    NetworkGone(NetworkId),
    Port(Arc<Port>),
    PortGone(NetworkId, PortId),
    Router(Arc<Router>),
    RouterGone(RouterId),
    Instance(Arc<Instance>),
    InstanceGone(InstanceId),
    /// All that the source knows has been said: what it did not name since the last such word is gone.
    Complete {
        /// What it calls this host's, whether or not it can be made here.
        named: BTreeSet<Target>,
    },
}

impl Event {
    /// The target that this is a word about.
    pub fn target(&self) -> Option<Target> {
        match self {
            Self::Network(network) => Some(Target::Network(network.id)),
            Self::Port(port) => Some(Target::Network(port.network)),
            Self::NetworkGone(id) | Self::PortGone(id, _) => Some(Target::Network(*id)),
            Self::Router(router) => Some(Target::Router(router.id)),
            Self::RouterGone(id) => Some(Target::Router(*id)),
            Self::Instance(_) | Self::InstanceGone(_) | Self::Complete { .. } => None,
        }
    }
}

/// One thing to converge: a namespace, what is served in it, and its part of the host.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Target {
    Network(NetworkId),
    Router(RouterId),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Network(id) => write!(f, "network {id}"),
            Self::Router(id) => write!(f, "router {id}"),
        }
    }
}
