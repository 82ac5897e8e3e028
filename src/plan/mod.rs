//! From the model to what each namespace holds and serves. Pure: the same model and settings give the same plan.
//!
//! `names` Neutron's names | `settings` what the operator chose | `bridge` the host's part | `network` a network's
//! namespace | `dhcp`, `dhcp6`, `dns`, `metadata` what is served in it | `router`, `routes`, `nat` a router's namespace | `scope` the served
//! values, with `claims` of what ports have in them

mod bridge;
mod claims;
mod dhcp;
mod dhcp6;
mod dns;
mod metadata;
mod names;
mod nat;
mod network;
mod ra;
mod remark;
mod router;
mod routes;
pub mod scope;
mod settings;

use std::sync::Arc;

use netns::Spec;
use netns::spec::Ownership;

use crate::model::{DevName, MacAddr, NetworkId, PortId, RouterId, State, Target};

pub use dhcp::{has_isolated, scope as dhcp_scope, shapes_scope};
pub use dhcp6::scope as dhcp6_scope;
pub use dns::zone;
pub use metadata::{residents, routers_on};
pub use names::{
    gateway_device, is_gateway_device, is_ours, is_port_device, is_router_device, namespace,
    router_device, tap_device, tap_of,
};
pub use nat::leads_inside;
pub use remark::{Remark, remarks};
pub use settings::{
    CommonOption, Ipv6Gateway, Metadata, NoRebind, Plugging, Settings, TextRecord, dns_cache,
};

/// `IFLA_IFALIAS` of our devices and name of our nftables table: whatever carries it, warren made.
pub const MARK: &str = "warren";

/// What one target wants of the kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// All of ours in the target's namespace; `None`: there should be no namespace.
    pub inside: Option<Spec>,
    /// The target's part of the host's namespace: bridges and the far ends of its devices.
    pub host: Spec,
    /// The ports of ours that `inside` has devices for.
    pub ports: Vec<OwnPort>,
}

/// A port of ours, for whoever brings it to its network's layer 2.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnPort {
    /// Inside of the target's namespace.
    pub device: DevName,
    pub id: PortId,
    pub mac: MacAddr,
}

/// `None`: nothing of the target should exist (unknown, admin down).
pub fn plan(state: &State, target: Target, settings: &Settings) -> Option<Plan> {
    match target {
        Target::Network(id) => network::plan(state.networks.get(&id)?, settings),
        Target::Router(id) => router::plan(state, state.routers.get(&id)?, settings),
    }
}

/// What a target's namespace serves; `known` gives the values that several namespaces share.
pub fn services(
    state: &State,
    target: Target,
    settings: &Settings,
    known: &impl Shared,
) -> scope::Services {
    match target {
        Target::Network(id) => match state.networks.get(&id) {
            Some(network) => scope::Services {
                dhcp: known.dhcp(network.id),
                dhcp6: known.dhcp6(network.id),
                dns: dns::scope(state, network, settings, known).map(Arc::new),
                metadata: metadata::of_network(network, settings, known).map(Arc::new),
                ra: ra::of_network(network, settings).map(Arc::new),
            },
            None => scope::Services::default(),
        },
        Target::Router(id) => match state.routers.get(&id) {
            Some(router) => scope::Services {
                metadata: metadata::of_router(router, settings, known).map(Arc::new),
                ra: ra::of_router(state, router, settings).map(Arc::new),
                ..scope::Services::default()
            },
            None => scope::Services::default(),
        },
    }
}

/// Values made of all ports of a network, which can be many: made once for each version of it, and shared.
pub trait Shared {
    fn dhcp(&self, network: NetworkId) -> Option<Arc<scope::DhcpScope>>;
    fn dhcp6(&self, network: NetworkId) -> Option<Arc<scope::Dhcp6Scope>>;
    fn zone(&self, network: NetworkId) -> Option<Arc<scope::Zone>>;
    fn residents(&self, network: NetworkId) -> Option<Arc<scope::Residents>>;
    /// As [`has_isolated`] says.
    fn has_isolated(&self, network: NetworkId) -> bool;
    /// The first that [`routers_on`] names.
    fn first_router(&self, network: NetworkId) -> Option<RouterId>;
    /// The networks of which [`routers_on`] names this router.
    fn networks_of(&self, router: RouterId) -> Vec<NetworkId>;
}

/// Wants nothing, and owns all that may be ours: to look at what is there, not to be applied.
pub fn everything_of_ours() -> Spec {
    Spec {
        ownership: ownership_inside(),
        ..Spec::default()
    }
}

/// Wants nothing on the host either, where ours is only what is named.
pub fn nothing_on_host() -> Spec {
    Spec {
        ownership: ownership_on_host(),
        ..Spec::default()
    }
}

/// What is ours inside a namespace of ours.
fn ownership_inside() -> Ownership {
    let prefixes = names::DEVICE_PREFIXES
        .iter()
        .map(|&prefix| prefix.to_owned())
        .collect();
    Ownership {
        prefixes,
        ..ownership_on_host()
    }
}

/// On the host only what we name is ours, and only if it carries our mark.
fn ownership_on_host() -> Ownership {
    // Static, as Neutron writes its routes: tools and a later reference agent expect that.
    Ownership {
        prefixes: [].into(),
        protocol: 4,
        table: MARK.into(),
        alias: MARK.into(),
    }
}

#[cfg(test)]
mod tests;
