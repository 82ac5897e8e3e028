//! What is continued is what would be made anew.
#![allow(clippy::unwrap_used)] // a panic is how a test fails

use imbl::OrdMap;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use uuid::Uuid;

use super::*;
use crate::model::{
    Attachment, DevName, DeviceOwner, DhcpOption, DnsAssignment, Event, FixedIp, MacAddr, Port,
    PortId, ProjectId, Subnet, SubnetId,
};

const NETWORK: NetworkId = NetworkId(Uuid::from_u128(1));
const SUBNET: SubnetId = SubnetId(Uuid::from_u128(2));
const SUBNET6: SubnetId = SubnetId(Uuid::from_u128(3));

fn network() -> Network {
    Network {
        id: NETWORK,
        name: "blue".into(),
        project: ProjectId::from("p"),
        admin_state_up: true,
        mtu: 1500,
        external: false,
        dns_domain: "test".into(),
        dns_search: Vec::new(),
        dhcp_options: Vec::new(),
        attachment: Attachment::Local {
            bridge: DevName::new("br0").unwrap(),
        },
        subnets: vec![
            subnet(SUBNET, "10.0.0.0/16", "10.0.0.1"),
            subnet(SUBNET6, "2001:db8::/64", "2001:db8::1"),
        ],
        non_local_subnets: Vec::new(),
        segments: Vec::new(),
        dhcp_port: Some(Arc::new(port(0, 0, DeviceOwner::Dhcp))),
        ports: OrdMap::new(),
    }
}

fn subnet(id: SubnetId, cidr: &str, gateway: &str) -> Subnet {
    Subnet {
        id,
        name: String::new(),
        cidr: cidr.parse().unwrap(),
        gateway_ip: Some(gateway.parse().unwrap()),
        enable_dhcp: true,
        dns_nameservers: Vec::new(),
        dns_forwarders: Vec::new(),
        ntp_servers: Vec::new(),
        host_routes: Vec::new(),
        segment: None,
        ra_mode: None,
        address_mode: None,
        prefix_delegation: false,
    }
}

fn port(id: u128, number: u8, owner: DeviceOwner) -> Port {
    let ip = [10, 0, 0, number].into();
    Port {
        id: PortId(Uuid::from_u128(id)),
        name: String::new(),
        network: NETWORK,
        project: ProjectId::from("p"),
        mac: MacAddr([2, 0, 0, 0, 0, number]),
        admin_state_up: true,
        fixed_ips: [
            FixedIp { subnet: SUBNET, ip },
            FixedIp {
                subnet: SUBNET6,
                ip: [0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()].into(),
            },
        ]
        .into(),
        owner,
        instance: None,
        extra_dhcp_opts: Box::default(),
        client_id: None,
        dns: [DnsAssignment {
            ip,
            hostname: format!("vm{number}").into(),
            fqdn: format!("vm{number}.test").into(),
        }]
        .into(),
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
        5 => port.fixed_ips = Box::default(),
        6 => port.dns = Box::default(),
        _ => {}
    }
    port
}

/// One of the network's ports with something else: mostly its own, at times another's.
fn another_version(random: &mut StdRng, port: &Port) -> Port {
    let mut port = port.clone();
    let number = random.random_range(0..40);
    let other = self::port(0, number, port.owner);
    match random.random_range(0..7) {
        0 => port.mac = other.mac,
        1 => port.fixed_ips = other.fixed_ips,
        2 => port.dns = other.dns,
        3 => port.client_id = Some(vec![1, number]),
        4 => port.client_id = None,
        5 => port.extra_dhcp_opts = [DhcpOption::parse_v4("mtu", "1400").unwrap()].into(),
        _ => port.name = "renamed".into(),
    }
    port
}

fn some_event(random: &mut StdRng, state: &State, number: u8) -> Event {
    let known = &state.networks[&NETWORK].ports;
    let known: Vec<_> = known.values().collect();
    match (random.random_range(0..4), known.choose(random)) {
        (0, Some(port)) => Event::PortGone(NETWORK, port.id),
        (1, Some(port)) => Event::Port(Arc::new(another_version(random, port))),
        _ => Event::Port(Arc::new(some_port(random, number))),
    }
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
        for number in 0..40 {
            // What is heard together is continued together.
            for _ in 0..random.random_range(1..3) {
                let event = some_event(&mut random, &state, number);
                state.apply(&event);
            }
            let network = &state.networks[&NETWORK];
            continued += u32::from(known.networks[&NETWORK].continued(network).is_some());
            known.refresh(&state, NETWORK, &settings);
            let (kept, anew) = (&known.networks[&NETWORK], Entry::of(network, &settings));
            assert_eq!(kept.dhcp, anew.dhcp, "seed {seed}");
            assert_eq!(kept.dhcp6, anew.dhcp6, "seed {seed}");
            assert_eq!(kept.zone, anew.zone, "seed {seed}");
            assert_eq!(kept.residents, anew.residents, "seed {seed}");
            assert_eq!(kept.has_isolated, anew.has_isolated, "seed {seed}");
            assert_eq!(kept.routers, anew.routers, "seed {seed}");
        }
    }
    assert!(continued > 6000, "only {continued} of 8000");
}

#[test]
fn what_takes_more_than_clients_is_made_anew() {
    let settings = Settings::default();
    let mut before = network();
    let machine = Arc::new(port(5, 5, DeviceOwner::Machine));
    before.ports.insert(machine.id, machine);
    let known = Entry::of(&Arc::new(before.clone()), &settings);
    let mut without_domain = before.clone();
    without_domain.dns_domain.clear();
    let mut without_ports = before.clone();
    without_ports.ports.clear();
    let mut routed = before.clone();
    let leg = Arc::new(port(6, 1, DeviceOwner::RouterInterface));
    routed.ports.insert(leg.id, leg);
    let of_routed = Entry::of(&Arc::new(routed.clone()), &settings);
    for (name, known, after, want) in [
        ("the same", &known, before.clone(), true),
        ("another domain", &known, without_domain, false),
        ("no port any more", &known, without_ports, true),
        ("a router comes", &known, routed, false),
        ("a router goes", &of_routed, before, false),
    ] {
        assert_eq!(known.continued(&Arc::new(after)).is_some(), want, "{name}");
    }
}

#[test]
fn a_routers_networks_are_known_as_long_as_they_have_its_ports() {
    let (settings, router) = (Settings::default(), RouterId(Uuid::from_u128(9)));
    let (mut state, mut known) = (State::default(), Known::default());
    let second = NetworkId(Uuid::from_u128(3));
    for id in [NETWORK, second] {
        let leg = Port {
            network: id,
            device: router.to_string(),
            ..port(id.0.as_u128() + 10, 1, DeviceOwner::RouterInterface)
        };
        let mut network = Network { id, ..network() };
        network.ports.insert(leg.id, Arc::new(leg));
        state.apply(&Event::Network(Arc::new(network)));
        known.refresh(&state, id, &settings);
    }
    assert_eq!(known.first_router(second), Some(router));
    assert_eq!(known.networks_of(router), [NETWORK, second]);
    let beside = |known: &Known| known.routed_together(&[Target::Network(second)].into());
    let both = [NETWORK, second].map(Target::Network);
    assert_eq!(beside(&known), both.into());
    let leg = *state.networks[&NETWORK].ports.keys().next().unwrap();
    state.apply(&Event::PortGone(NETWORK, leg));
    known.refresh(&state, NETWORK, &settings);
    assert_eq!(known.networks_of(router), [second], "its port went");
    assert_eq!(beside(&known), [Target::Network(second)].into());
    state.apply(&Event::NetworkGone(second));
    known.refresh(&state, second, &settings);
    assert!(known.networks_of(router).is_empty(), "its network went");
    assert!(known.routed.is_empty(), "nothing is left");
}
