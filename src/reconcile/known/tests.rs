//! What is continued is what would be made anew.
#![allow(clippy::unwrap_used)] // a panic is how a test fails

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::*;
use crate::model::{
    Attachment, DevName, DeviceOwner, DnsAssignment, Event, FixedIp, MacAddr, Port, PortId,
    ProjectId, Subnet, SubnetId,
};

const NETWORK: NetworkId = NetworkId(Uuid::from_u128(1));
const SUBNET: SubnetId = SubnetId(Uuid::from_u128(2));

fn network() -> Network {
    Network {
        id: NETWORK,
        name: "blue".into(),
        project: ProjectId("p".into()),
        admin_state_up: true,
        mtu: 1500,
        external: false,
        dns_domain: "test".into(),
        attachment: Attachment::Local {
            bridge: DevName::new("br0").unwrap(),
        },
        subnets: vec![Subnet {
            id: SUBNET,
            name: String::new(),
            cidr: "10.0.0.0/16".parse().unwrap(),
            gateway_ip: Some("10.0.0.1".parse().unwrap()),
            enable_dhcp: true,
            dns_nameservers: Vec::new(),
            dns_forwarders: Vec::new(),
            ntp_servers: Vec::new(),
            host_routes: Vec::new(),
            segment: None,
            ra_mode: None,
            address_mode: None,
            prefix_delegation: false,
        }],
        non_local_subnets: Vec::new(),
        segments: Vec::new(),
        dhcp_port: Some(Arc::new(port(0, 0, DeviceOwner::Dhcp))),
        ports: [].into(),
    }
}

fn port(id: u128, number: u8, owner: DeviceOwner) -> Port {
    let ip = [10, 0, 0, number].into();
    Port {
        id: PortId(Uuid::from_u128(id)),
        name: String::new(),
        network: NETWORK,
        project: ProjectId("p".into()),
        mac: MacAddr([2, 0, 0, 0, 0, number]),
        admin_state_up: true,
        fixed_ips: vec![FixedIp { subnet: SUBNET, ip }],
        owner,
        instance: None,
        extra_dhcp_opts: Vec::new(),
        client_id: None,
        dns: vec![DnsAssignment {
            ip,
            hostname: format!("vm{number}"),
            fqdn: format!("vm{number}.test"),
        }],
        device: String::new(),
        host: String::new(),
        revision: 0,
    }
}

/// Mostly a machine of its own; at times with something that is another's, or of a kind that changes more.
fn some_port(random: &mut StdRng, number: u8) -> Port {
    let owners = [
        DeviceOwner::RouterInterface,
        DeviceOwner::Service,
        DeviceOwner::Other,
        DeviceOwner::Dhcp,
    ];
    let mut port = port(random.random(), number, DeviceOwner::Machine);
    let other = self::port(0, random.random_range(0..number.max(1)), port.owner);
    match random.random_range(0..20) {
        0 => port.owner = *owners.choose(random).unwrap(),
        1 => port.mac = other.mac,
        2 => port.fixed_ips = other.fixed_ips,
        3 => port.dns = other.dns,
        4 => port.client_id = Some(vec![1, random.random_range(0..3)]),
        5 => port.fixed_ips.clear(),
        6 => port.dns.clear(),
        _ => {}
    }
    port
}

#[test]
fn continued_is_as_made_anew() {
    let settings = Settings::default();
    let mut continued = 0;
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut state, mut known) = (State::default(), Known::default());
        state.apply(&Event::Network(Arc::new(network())));
        known.refresh(&state, NETWORK, &settings);
        for number in 0..20 {
            let port = some_port(&mut random, number);
            let gone = state.networks[&NETWORK].ports.keys().next().copied();
            if let (true, Some(gone)) = (random.random_ratio(1, 20), gone) {
                state.apply(&Event::PortGone(NETWORK, gone));
            }
            state.apply(&Event::Port(Arc::new(port)));
            let network = &state.networks[&NETWORK];
            continued += u32::from(known.0[&NETWORK].continued(network).is_some());
            known.refresh(&state, NETWORK, &settings);
            let (kept, anew) = (&known.0[&NETWORK], Entry::of(network, &settings));
            assert_eq!(kept.dhcp, anew.dhcp, "seed {seed}");
            assert_eq!(kept.zone, anew.zone, "seed {seed}");
            assert_eq!(kept.residents, anew.residents, "seed {seed}");
        }
    }
    assert!(continued > 2000, "only {continued} of 4000");
}
