//! What a link is told, by the modes of its subnets.

use super::*;
use crate::model::Ipv6Mode::{self, Slaac, Stateful, Stateless};
use crate::plan::scope::{RaLink, RaScope};

fn advertised(leg: RouterPort, network: Option<Network>) -> Option<RaLink> {
    let router = Router {
        interfaces: vec![leg],
        gateway: None,
        ..router()
    };
    let network = network.map(Arc::new);
    let state = State {
        networks: network.iter().map(|of| (of.id, Arc::clone(of))).collect(),
        routers: imbl::OrdMap::unit(R1, Arc::new(router)),
        ..State::default()
    };
    let settings = Settings::default();
    let router = &state.routers[&R1];
    let RaScope { links, .. } = crate::plan::ra::of_router(&state, router, &settings)?;
    links.values().next().map(|link| (**link).clone())
}

fn v6(ra_mode: Option<Ipv6Mode>) -> RouterPort {
    let mut leg = leg(1, BLUE, "fd00:1::1/64", Some("fd00:1::1"));
    leg.subnets[0].ra_mode = ra_mode;
    leg.subnets[0].dns_nameservers = vec![ip("fd00::53")];
    leg
}

/// M, O, and the prefix (A) if any; whether name servers are told. (Neutron's template of radvd.conf; docs/ipv6.md.)
#[test]
fn each_pair_of_modes() {
    let all = [None, Some(Slaac), Some(Stateful), Some(Stateless)];
    for ra_mode in all {
        let (managed, other, autonomous, dns) = match ra_mode {
            None => (false, false, None, false),
            Some(Slaac) => (false, false, Some(true), true),
            Some(Stateful) => (true, false, Some(false), false),
            Some(Stateless) => (false, true, Some(true), false),
        };
        // How machines come by their addresses is not the router's to say: the other mode has no part in it.
        for address_mode in all {
            let mut network = blue();
            network.subnets = vec![subnet(1, "fd00:1::/64", None)];
            network.subnets[0].ra_mode = ra_mode;
            network.subnets[0].address_mode = address_mode;
            let link = advertised(v6(ra_mode), Some(network)).unwrap();
            let name = format!("{ra_mode:?} with {address_mode:?}");
            assert_eq!((link.managed, link.other), (managed, other), "{name}");
            let prefixes: Vec<_> = link.prefixes.iter().map(|of| of.autonomous).collect();
            assert_eq!(prefixes, Vec::from_iter(autonomous), "{name}");
            assert_eq!(!link.dns.is_empty(), dns, "{name}");
            assert_eq!(!link.domains.is_empty(), dns, "{name}");
            assert!(link.default_router, "{name}");
        }
    }
}

#[test]
fn subnets_of_several_modes_share_a_link() {
    let mut leg = v6(Some(Slaac));
    for (n, mode) in [(2, Stateful), (3, Stateless)] {
        let mut other = v6(Some(mode));
        other.subnets[0].cidr = net(&format!("fd00:{n}::/64"));
        leg.subnets.append(&mut other.subnets);
    }
    leg.subnets.push(subnet_of_v4());
    let link = advertised(leg, None).unwrap();
    assert!(link.managed && link.other);
    let prefixes: Vec<_> = link
        .prefixes
        .iter()
        .map(|of| format!("{} {}", of.net, of.autonomous))
        .collect();
    assert_eq!(
        prefixes,
        ["fd00:1::/64 true", "fd00:2::/64 false", "fd00:3::/64 true"]
    );
    assert_eq!(
        link.domains,
        Vec::<String>::new(),
        "the network is not known"
    );
}

fn subnet_of_v4() -> RouterSubnet {
    leg(9, BLUE, "10.0.0.1/24", None).subnets.remove(0)
}

#[test]
fn who_hears_of_us() {
    let hears = |leg| advertised(leg, None).is_some();
    assert!(hears(v6(Some(Slaac))));
    assert!(hears(v6(None)), "the way out, where prefixes are another's");
    assert!(!hears(leg(1, BLUE, "10.0.0.1/24", None)), "no IPv6");
    let down = RouterPort {
        admin_state_up: false,
        ..v6(Some(Slaac))
    };
    assert!(!hears(down), "an interface that is down");
    let mut waiting = v6(Some(Slaac));
    waiting.subnets[0].cidr = net("::/64");
    assert!(!hears(waiting), "a prefix still to be delegated");
}

#[test]
fn name_servers_and_mtu() {
    let dns = |servers: &[&str], network| {
        let mut leg = v6(Some(Slaac));
        leg.subnets[0].dns_nameservers = servers.iter().map(|address| ip(address)).collect();
        let dns = advertised(leg, network).unwrap().dns;
        dns.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let mut known = blue();
    known.subnets = vec![subnet(1, "fd00:1::/64", None)];
    known.dhcp_port = Some(port(2, BLUE, DeviceOwner::Dhcp, &[(1, "fd00:1::2")]));
    assert_eq!(dns(&[], Some(known.clone())), ["fd00:1::2"], "ours");
    assert_eq!(dns(&[], None), Vec::<String>::new());
    assert_eq!(dns(&["::"], Some(known.clone())), Vec::<String>::new());
    assert_eq!(
        dns(
            &[
                "fd00::1", "10.0.0.9", "fd00::2", "fd00::1", "fd00::3", "fd00::4"
            ],
            Some(known)
        ),
        ["fd00::1", "fd00::2", "fd00::3"],
        "three, each once"
    );
    for (mtu, want) in [(1450, Some(1450)), (1280, Some(1280)), (1279, None)] {
        let leg = RouterPort { mtu, ..v6(None) };
        assert_eq!(advertised(leg, None).unwrap().mtu, want, "{mtu}");
    }
}

/// The DHCP namespace's word where no router of ours is, if the operator wants that.
#[test]
fn without_a_router_of_ours() {
    let told = |wanted: bool, change: fn(&mut Network)| {
        let mut network = blue();
        network.subnets = vec![subnet(1, "fd00:1::/64", Some("fe80::99"))];
        network.subnets[0].ra_mode = Some(Slaac);
        network.dhcp_port = Some(port(2, BLUE, DeviceOwner::Dhcp, &[(1, "fd00:1::2")]));
        network.ports = imbl::OrdMap::new();
        change(&mut network);
        let settings = Settings {
            advertise_without_router: wanted,
            ..Settings::default()
        };
        let RaScope { links, .. } = crate::plan::ra::of_network(&network, &settings)?;
        links.values().next().map(|link| (**link).clone())
    };
    let link = told(true, |_| {}).unwrap();
    assert!(!link.default_router && link.routes.is_empty() && link.prefixes[0].autonomous);
    let own: std::net::Ipv6Addr = "fd00:1::2".parse().unwrap();
    assert_eq!((link.dns, link.ending), (vec![own], vec![own]));
    let two = told(true, |network| {
        let other = port(3, BLUE, DeviceOwner::Dhcp, &[(1, "fd00:1::3")]);
        network.ports.insert(other.id, other);
    });
    let two = two.unwrap();
    assert_eq!(
        (two.dns.len(), two.ending),
        (2, vec![own]),
        "another's stays"
    );
    let joined = |network: &mut Network| {
        let leg = port(7, BLUE, DeviceOwner::RouterInterface, &[(1, "fd00:1::1")]);
        network.ports.insert(leg.id, leg);
    };
    for (name, told) in [
        ("not wanted", told(false, |_| {})),
        ("a router says it", told(true, joined)),
        (
            "by another's router",
            told(true, |network| network.subnets[0].ra_mode = None),
        ),
        (
            "not served",
            told(true, |network| network.subnets[0].enable_dhcp = false),
        ),
        ("down", told(true, |network| network.admin_state_up = false)),
    ] {
        assert_eq!(told, None, "{name}");
    }
}
