//! Tables over a small cloud: network `blue` 10.0.0.0/24 with one machine, router `r1`, external network `outside`.
#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod dhcp;
mod dhcp6;
mod dhcp_routes;
mod nat;
mod ra;
mod router;

use std::net::IpAddr;
use std::sync::Arc;

use imbl::OrdMap;
use uuid::Uuid;

use super::*;
use crate::model::*;

pub(super) const BLUE: NetworkId = NetworkId(Uuid::from_u128(1));
pub(super) const OUTSIDE: NetworkId = NetworkId(Uuid::from_u128(2));
pub(super) const R1: RouterId = RouterId(Uuid::from_u128(3));

pub(super) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(super) fn net(text: &str) -> IpNet {
    text.parse().unwrap()
}

pub(super) fn dev(text: &str) -> DevName {
    DevName::new(text).unwrap()
}

pub(super) fn subnet(n: u128, cidr: &str, gateway: Option<&str>) -> Subnet {
    Subnet {
        name: format!("subnet{n}"),
        gateway_ip: gateway.map(ip),
        ..Subnet::new(SubnetId(Uuid::from_u128(n)), net(cidr))
    }
}

pub(super) fn port(
    n: u128,
    network: NetworkId,
    owner: DeviceOwner,
    addresses: &[(u128, &str)],
) -> Arc<Port> {
    let fixed = |(subnet, address): &(u128, &str)| FixedIp {
        subnet: SubnetId(Uuid::from_u128(*subnet)),
        ip: ip(address),
    };
    Arc::new(Port {
        name: format!("port{n}"),
        mac: MacAddr([0xfa, 0x16, 0x3e, 0, 0, u8::try_from(n).unwrap()]),
        fixed_ips: addresses.iter().map(fixed).collect(),
        ..Port::new(PortId(Uuid::from_u128(n << 64)), network, owner)
    })
}

/// `blue`: DHCP at 10.0.0.2, a machine `vm` at 10.0.0.7, no router yet.
pub(super) fn blue() -> Network {
    let mut vm = (*port(7, BLUE, DeviceOwner::Machine, &[(11, "10.0.0.7")])).clone();
    vm.dns = [DnsAssignment {
        ip: ip("10.0.0.7"),
        hostname: "vm".into(),
        fqdn: "vm.blue.test".into(),
    }]
    .into();
    let vm = Arc::new(vm);
    Network {
        name: "blue".into(),
        mtu: 1450,
        dns_domain: "blue.test".into(),
        attachment: Attachment::Local {
            bridge: dev("brq-blue"),
        },
        subnets: vec![subnet(11, "10.0.0.0/24", Some("10.0.0.1"))],
        dhcp_port: Some(port(2, BLUE, DeviceOwner::Dhcp, &[(11, "10.0.0.2")])),
        ports: OrdMap::unit(vm.id, vm),
        ..Network::new(BLUE)
    }
}

/// The same with a router's port at the gateway address.
pub(super) fn routed_blue() -> Network {
    let leg = port(1, BLUE, DeviceOwner::RouterInterface, &[(11, "10.0.0.1")]);
    let mut network = blue();
    network.ports.insert(leg.id, leg);
    network
}

pub(super) fn leg(n: u128, network: NetworkId, address: &str, gateway: Option<&str>) -> RouterPort {
    let subnet = RouterSubnet {
        id: SubnetId(Uuid::from_u128(n)),
        cidr: net(address).trunc(),
        gateway_ip: gateway.map(ip),
        ra_mode: None,
        dns_nameservers: Vec::new(),
    };
    RouterPort {
        port: PortId(Uuid::from_u128(n << 96)),
        network,
        mac: MacAddr([0xfa, 0x16, 0x3e, 1, 0, u8::try_from(n).unwrap()]),
        admin_state_up: true,
        mtu: 1450,
        addresses: vec![net(address)],
        subnets: vec![subnet],
        extra_subnets: Vec::new(),
        scopes: AddressScopes::default(),
    }
}

/// One leg in `blue`, nothing else.
pub(super) fn inner_router() -> Router {
    Router {
        name: "r1".into(),
        interfaces: vec![leg(1, BLUE, "10.0.0.1/24", Some("10.0.0.1"))],
        ..Router::new(R1)
    }
}

/// With a gateway at 203.0.113.5 and SNAT.
pub(super) fn router() -> Router {
    let gateway = leg(9, OUTSIDE, "203.0.113.5/24", Some("203.0.113.1"));
    Router {
        gateway: Some(Gateway {
            port: gateway,
            enable_snat: true,
        }),
        ..inner_router()
    }
}
