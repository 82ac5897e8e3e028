//! Ids, MACs and the first choice of an address, each from names alone: the same file means the same things on every
//! host and for ever. Device and namespace names are made of these ids, so nothing here may change its result.

use std::net::Ipv4Addr;

use uuid::Uuid;

use crate::model::{InstanceId, MacAddr, NetworkId, PortId, RouterId, SubnetId};

/// Of all ids derived here (RFC 9562 section 5.5); warren's own.
const NAMESPACE: Uuid = Uuid::from_u128(0x6f1d_93ce_7c1f_4a53_9d0e_38b5_51a7_2f64);

pub(super) fn network(name: &str) -> NetworkId {
    NetworkId(derive(NAMESPACE, "network", name))
}

pub(super) fn subnet(network: NetworkId, name: &str) -> SubnetId {
    SubnetId(derive(network.0, "subnet", name))
}

/// The network's own DHCP port on this host: hosts that share a network have one each.
pub(super) fn dhcp_port(network: NetworkId, host: &str) -> PortId {
    PortId(derive(network.0, "dhcp", host))
}

pub(super) fn instance(name: &str) -> InstanceId {
    InstanceId::from(derive(NAMESPACE, "instance", name).to_string())
}

/// `name`: the port's, or which one of the instance's ports on this network it is.
pub(super) fn instance_port(network: NetworkId, instance: &InstanceId, name: &str) -> PortId {
    PortId(derive(network.0, "port", &format!("{instance}:{name}")))
}

pub(super) fn router(name: &str) -> RouterId {
    RouterId(derive(NAMESPACE, "router", name))
}

pub(super) fn interface(router: RouterId, subnet: SubnetId) -> PortId {
    PortId(derive(router.0, "interface", &subnet.to_string()))
}

pub(super) fn gateway(router: RouterId, network: NetworkId) -> PortId {
    PortId(derive(router.0, "gateway", &network.to_string()))
}

/// `name`: its address, or whom it leads to.
pub(super) fn floating_ip(router: RouterId, name: &str) -> Uuid {
    derive(router.0, "floating_ip", name)
}

/// An address without a floating IP, on which only ports are forwarded.
pub(super) fn forwarding(router: RouterId, address: Ipv4Addr) -> Uuid {
    derive(router.0, "port_forwarding", &address.to_string())
}

/// `fa:16:3e` as Neutron's, the rest from the port; another one per attempt.
pub(super) fn mac(port: PortId, attempt: u32) -> MacAddr {
    let [a, b, c, ..] = derive(port.0, "mac", &attempt.to_string()).into_bytes();
    MacAddr([0xfa, 0x16, 0x3e, a, b, c])
}

/// Which of `size` addresses is tried first.
pub(super) fn first_choice(key: &str, size: u128) -> u128 {
    let [a, b, c, d, e, f, ..] = derive(NAMESPACE, "address", key).into_bytes();
    u128::from(u64::from_be_bytes([0, 0, a, b, c, d, e, f])) % size.max(1)
}

fn derive(of: Uuid, kind: &str, name: &str) -> Uuid {
    Uuid::new_v5(&of, format!("{kind}:{name}").as_bytes())
}
