//! A tenant: network `blue` with DHCP at 10.0.0.2, and a router at 10.0.0.1. Another agent keeps their layer 2.

use std::sync::Arc;

use uuid::Uuid;
use warren::model::{
    DeviceOwner, Event, FixedIp, Network, NetworkId, Port, PortId, Router, RouterId, RouterPort,
    RouterSubnet, State, Subnet, SubnetId, Target,
};
use warren::plan;

pub(crate) const BLUE: NetworkId = NetworkId(Uuid::from_u128(0xb10e));
pub(crate) const R1: RouterId = RouterId(Uuid::from_u128(0x41));
const SUBNET: SubnetId = SubnetId(Uuid::from_u128(0x5));
const DHCP_PORT: PortId = PortId(Uuid::from_u128(0xd << 120));
const LEG: PortId = PortId(Uuid::from_u128(0xe << 120));

pub(crate) const DHCP_MAC: &str = "fa:16:3e:00:00:02";
/// What both ports' names have behind their prefixes.
pub(crate) const DHCP: &str = "0d000000-00";
pub(crate) const ROUTER: &str = "0e000000-00";

pub(crate) fn dhcp_namespace() -> String {
    plan::namespace(Target::Network(BLUE)).to_string()
}

pub(crate) fn router_namespace() -> String {
    plan::namespace(Target::Router(R1)).to_string()
}

fn network() -> Network {
    let port = Port {
        mac: DHCP_MAC.parse().unwrap(),
        fixed_ips: [FixedIp {
            subnet: SUBNET,
            ip: "10.0.0.2".parse().unwrap(),
        }]
        .into(),
        ..Port::new(DHCP_PORT, BLUE, DeviceOwner::Dhcp)
    };
    Network {
        name: "blue".into(),
        mtu: 1450,
        subnets: vec![Subnet {
            gateway_ip: "10.0.0.1".parse().ok(),
            ..Subnet::new(SUBNET, "10.0.0.0/24".parse().unwrap())
        }],
        dhcp_port: Some(Arc::new(port)),
        ..Network::new(BLUE)
    }
}

/// Its network is none that we serve: as on a node that has routers only.
fn router() -> Router {
    let leg = RouterPort {
        port: LEG,
        network: NetworkId(Uuid::from_u128(0xdead)),
        mac: "fa:16:3e:00:00:01".parse().unwrap(),
        admin_state_up: true,
        mtu: 1450,
        addresses: vec!["10.0.0.1/24".parse().unwrap()],
        subnets: vec![RouterSubnet {
            id: SUBNET,
            cidr: "10.0.0.0/24".parse().unwrap(),
            gateway_ip: "10.0.0.1".parse().ok(),
            ra_mode: None,
            dns_nameservers: Vec::new(),
        }],
        extra_subnets: Vec::new(),
        scopes: Default::default(),
    };
    Router {
        name: "r1".into(),
        interfaces: vec![leg],
        ..Router::new(R1)
    }
}

/// The source has said everything.
pub(crate) fn complete() -> Event {
    let named = [Target::Network(BLUE), Target::Router(R1)].into();
    Event::Complete { named }
}

pub(crate) fn events() -> Vec<Event> {
    vec![
        Event::Network(Arc::new(network())),
        Event::Router(Arc::new(router())),
        complete(),
    ]
}

pub(crate) fn state() -> State {
    let mut state = State::default();
    for event in events() {
        state.apply(&event);
    }
    state
}
