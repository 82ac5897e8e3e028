//! What a change of addresses owes to others: old flows are forgotten, neighbours hear of new addresses.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use ipnet::IpNet;
use netns::ruleset::Element;
use netns::{Namespace, Step};
use tracing::warn;

use crate::chain;
use crate::model::DevName;
use crate::plan::{self, Plan};

/// As Neutron's agent does it (`ip_lib.send_ip_addr_adv_notif`).
const ROUNDS: u32 = 3;
const BETWEEN_ROUNDS: Duration = Duration::from_secs(2);

/// A removed floating IP, or a gateway's address, stays alive in the connections that it was translated for, until they are
/// forgotten: after the map, or the next packet would make them anew (l3: `delete_conntrack_state`).
pub(super) async fn forget_flows(ns: &Namespace, plan: &Plan, steps: &[Step]) {
    let removed = steps.iter().filter_map(|step| match step {
        Step::DeleteAddress { dev, address } if plan::is_router_device(dev) => v4(address.addr()),
        _ => None,
    });
    for address in removed
        .chain(of_devices(plan, steps))
        .chain(translations(steps))
    {
        if let Err(error) = netns::conntrack::forget(ns, address).await {
            warn!(place = %ns.place(), %address, error = %chain(&error), "old connections of an address could not be ended");
        }
    }
    for (protocol, address, port) in forwardings(steps) {
        if let Err(error) = netns::conntrack::forget_port(ns, address, protocol, port).await {
            warn!(place = %ns.place(), %address, port, error = %chain(&error), "old connections of a forwarded port could not be ended");
        }
    }
}

/// Addresses that went with their devices, and are on no other now.
fn of_devices(plan: &Plan, steps: &[Step]) -> impl Iterator<Item = Ipv4Addr> {
    let devices = steps.iter().filter_map(|step| match step {
        Step::DeleteLink { dev, addresses } if plan::is_router_device(dev) => Some(addresses),
        _ => None,
    });
    let kept = |address: &&IpNet| {
        let mut links = plan.inside.iter().flat_map(|spec| spec.links.values());
        links.any(|link| {
            let addrs = link.addrs.as_ref();
            addrs.is_some_and(|addrs| addrs.contains(*address))
        })
    };
    let removed = devices.flatten().filter(move |address| !kept(address));
    removed.filter_map(|address| v4(address.addr()))
}

/// Floating IPs that lead elsewhere, or nowhere, from now on.
fn translations(steps: &[Step]) -> impl Iterator<Item = Ipv4Addr> {
    removed_keys(steps).filter_map(|key| match key {
        [Element::Ipv4(address)] => Some(*address),
        _ => None,
    })
}

fn forwardings(steps: &[Step]) -> impl Iterator<Item = (u8, Ipv4Addr, u16)> {
    removed_keys(steps).filter_map(|key| match key {
        [
            Element::Protocol(protocol),
            Element::Ipv4(address),
            Element::Port(port),
        ] => Some((*protocol, *address, *port)),
        _ => None,
    })
}

fn removed_keys(steps: &[Step]) -> impl Iterator<Item = &[Element]> {
    let changes = steps.iter().filter_map(|step| match step {
        Step::ChangeMaps { changes, .. } => Some(changes),
        _ => None,
    });
    let inward = changes.flatten().filter(|(map, _)| plan::leads_inside(map));
    inward.flat_map(|(_, change)| change.remove.iter().map(Vec::as_slice))
}

/// New addresses on a router's devices.
#[derive(Debug)]
pub(super) struct Announcement {
    namespace: Namespace,
    addresses: BTreeMap<DevName, Vec<IpAddr>>,
}

impl Announcement {
    pub(super) fn of(namespace: &Namespace, steps: &[Step]) -> Option<Self> {
        let mut addresses: BTreeMap<DevName, Vec<IpAddr>> = BTreeMap::new();
        for step in steps {
            if let Step::AddAddress { dev, address } = step
                && plan::is_router_device(dev)
                && !is_link_local(address.addr())
            {
                let of_device = addresses.entry(dev.clone()).or_default();
                of_device.push(address.addr());
            }
        }
        (!addresses.is_empty()).then(|| Self {
            namespace: namespace.clone(),
            addresses,
        })
    }

    /// In a few rounds: one may be lost, or come before the port forwards.
    pub(super) async fn send(self) {
        for round in 0..ROUNDS {
            if round > 0 {
                tokio::time::sleep(BETWEEN_ROUNDS).await;
            }
            if let Err(error) = netns::announce(&self.namespace, &self.addresses).await {
                // A device went meanwhile, most likely; neighbours learn by asking.
                warn!(place = %self.namespace.place(), error = %chain(&error), "addresses not announced");
                return;
            }
        }
    }
}

/// Such an address is made of the MAC that one would learn, or many have it (metadata's).
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn v4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}
