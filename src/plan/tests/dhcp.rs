//! What DHCP, DNS and metadata serve in a network's namespace.

use netns::spec::{Link, Place};

use super::*;
use crate::plan::{self, scope::Services};

pub(super) fn serve(network: &Network, settings: &Settings) -> Services {
    let state = State {
        networks: [(network.id, Arc::new(network.clone()))]
            .into_iter()
            .collect(),
        ..State::default()
    };
    let known = ByState(&state, settings);
    plan::services(&state, Target::Network(network.id), settings, &known)
}

#[test]
fn name_servers() {
    for (name, given, want) in [
        ("our own address", vec![], vec!["10.0.0.2"]),
        (
            "as the subnet says",
            vec!["192.0.2.53", "192.0.2.54"],
            vec!["192.0.2.53", "192.0.2.54"],
        ),
        ("none at all", vec!["0.0.0.0"], vec![]),
    ] {
        let mut network = blue();
        network.subnets[0].dns_nameservers = given.into_iter().map(ip).collect();
        let dns: Vec<_> = serve(&network, &Settings::default()).dhcp.unwrap().subnets[0]
            .dns
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(dns, want, "{name}");
    }
}

/// Of both agents' ports, whichever is ours; an agent that has gone leaves its port to the next one.
#[test]
fn several_agents_are_all_name_servers() {
    for (name, other, device, want) in [
        ("after ours", 3, "dhcp1", vec!["10.0.0.2", "10.0.0.3"]),
        ("before ours", 1, "dhcp1", vec!["10.0.0.3", "10.0.0.2"]),
        ("nobody's", 3, "reserved_dhcp_port", vec!["10.0.0.2"]),
    ] {
        let mut network = blue();
        let addresses = [(11, "10.0.0.3"), (12, "10.0.9.3")];
        let mut other = (*port(other, BLUE, DeviceOwner::Dhcp, &addresses)).clone();
        other.device = device.into();
        network.ports.insert(other.id, Arc::new(other));
        let dns = serve(&network, &Settings::default()).dhcp.unwrap().subnets[0]
            .dns
            .clone();
        assert_eq!(
            dns.iter().map(ToString::to_string).collect::<Vec<_>>(),
            want,
            "{name}"
        );
    }
}

#[test]
fn subnets_of_elsewhere_are_served_to_relays() {
    let mut network = blue();
    network.non_local_subnets = vec![subnet(12, "10.0.9.0/24", Some("10.0.9.1"))];
    let far = port(8, BLUE, DeviceOwner::Machine, &[(12, "10.0.9.8")]);
    network.ports.insert(far.id, Arc::clone(&far));
    let scope = serve(&network, &Settings::default()).dhcp.unwrap();
    let subnet = &scope.subnets[1];
    assert_eq!(
        (subnet.server, subnet.router),
        (None, Some("10.0.9.1".parse().unwrap()))
    );
    assert!(subnet.dns.is_empty(), "our own address is not there");
    let on_way: Vec<String> = subnet
        .classless_routes
        .iter()
        .map(|(net, via)| format!("{net} {via}"))
        .collect();
    assert_eq!(
        on_way,
        ["10.0.0.0/24 0.0.0.0", "0.0.0.0/0 10.0.9.1"],
        "no metadata from here"
    );
    assert_eq!(
        *scope.clients.get(&far.mac).unwrap().addresses,
        [(1, "10.0.9.8".parse().unwrap())]
    );
}

#[test]
fn whom_dhcp_and_dns_know() {
    for (owner, known) in [
        (DeviceOwner::Machine, true),
        (DeviceOwner::RouterInterface, true),
        (DeviceOwner::RouterGateway, true),
        (DeviceOwner::Other, true),
        (DeviceOwner::Dhcp, false),
        (DeviceOwner::FloatingIp, false),
        (DeviceOwner::Service, false),
    ] {
        let mut network = blue();
        let mut other = (*port(9, BLUE, owner, &[(11, "10.0.0.9")])).clone();
        other.dns = [DnsAssignment {
            ip: ip("10.0.0.9"),
            hostname: "x.y".into(),
            fqdn: "x.y.blue.test".into(),
        }]
        .into();
        let other = Arc::new(other);
        network.ports.insert(other.id, Arc::clone(&other));
        let served = serve(&network, &Settings::default());
        let client = served.dhcp.unwrap().clients.get(&other.mac).cloned();
        let hostname = client.as_ref().and_then(|client| client.hostname());
        assert_eq!(hostname, known.then_some("x"), "{owner:?}: the first label");
        let zone = Arc::clone(&served.dns.unwrap().zones[0]);
        assert_eq!(
            zone.names.get("x.y.blue.test").is_some(),
            known,
            "{owner:?}"
        );
    }
}

#[test]
fn a_port_with_a_client_id_is_known_by_its_mac_too() {
    let mut scope = serve(&blue(), &Settings::default()).dhcp.unwrap();
    let scope = Arc::make_mut(&mut scope);
    let before = scope.clone();
    for (name, id, known) in [("an id", "ib-7", true), ("`*` is no id", "", false)] {
        let mut ida = Port::clone(&port(9, BLUE, DeviceOwner::Machine, &[(11, "10.0.0.9")]));
        ida.client_id = Some(id.into());
        scope.join(&ida);
        let by_mac = scope.clients.get(&ida.mac);
        assert_eq!(by_mac.map(|client| client.port), Some(ida.id), "{name}");
        let by_id = scope.by_client_id.get(id.as_bytes());
        assert_eq!(by_id, by_mac.filter(|_| known), "{name}");
        scope.leave(&ida);
        assert_eq!(*scope, before, "{name}: who leaves leaves nothing behind");
    }
}

/// Of all networks.
pub(super) struct ByState<'a>(pub(super) &'a State, pub(super) &'a Settings);

impl Shared for ByState<'_> {
    fn dhcp(&self, id: NetworkId) -> Option<Arc<scope::DhcpScope>> {
        plan::dhcp_scope(self.0.networks.get(&id)?, self.1).map(Arc::new)
    }

    fn dhcp6(&self, id: NetworkId) -> Option<Arc<scope::Dhcp6Scope>> {
        plan::dhcp6_scope(self.0.networks.get(&id)?, self.1).map(Arc::new)
    }

    fn zone(&self, id: NetworkId) -> Option<Arc<scope::Zone>> {
        Some(Arc::new(plan::zone(self.0.networks.get(&id)?, self.1)))
    }

    fn residents(&self, id: NetworkId) -> Option<Arc<scope::Residents>> {
        Some(Arc::new(plan::residents(self.0.networks.get(&id)?)))
    }

    fn has_isolated(&self, id: NetworkId) -> bool {
        self.0
            .networks
            .get(&id)
            .is_some_and(|network| plan::has_isolated(network))
    }

    fn first_router(&self, id: NetworkId) -> Option<RouterId> {
        plan::routers_on(self.0.networks.get(&id)?).next()
    }

    fn networks_of(&self, router: RouterId) -> Vec<NetworkId> {
        let all = self.0.networks.values();
        let on = all.filter(|network| plan::routers_on(network).any(|on| on == router));
        on.map(|network| network.id).collect()
    }
}

#[test]
fn services_of_a_network() {
    let down = |change: fn(&mut Network)| {
        let mut network = blue();
        change(&mut network);
        network
    };
    for (name, network, dhcp, dns, metadata) in [
        ("isolated", blue(), true, true, true),
        ("routed", routed_blue(), true, true, false),
        (
            "admin down",
            down(|network| network.admin_state_up = false),
            false,
            false,
            false,
        ),
        (
            "no DHCP",
            down(|network| network.subnets[0].enable_dhcp = false),
            false,
            false,
            false,
        ),
        (
            "no own port yet",
            down(|network| network.dhcp_port = None),
            false,
            false,
            false,
        ),
    ] {
        let served = serve(&network, &Settings::default());
        assert_eq!(
            (
                served.dhcp.is_some(),
                served.dns.is_some(),
                served.metadata.is_some()
            ),
            (dhcp, dns, metadata),
            "{name}"
        );
    }
}

#[test]
fn the_machine_is_known_by_mac_name_and_address() {
    let served = serve(&blue(), &Settings::default());
    let dhcp = served.dhcp.unwrap();
    let client = dhcp
        .clients
        .get(&MacAddr([0xfa, 0x16, 0x3e, 0, 0, 7]))
        .unwrap();
    assert_eq!(
        (client.hostname(), &*client.addresses),
        (Some("vm"), &[(0, "10.0.0.7".parse().unwrap())][..])
    );
    let zone = Arc::clone(&served.dns.unwrap().zones[0]);
    assert_eq!(zone.names.get("vm.blue.test"), Some(&ip("10.0.0.7")));
    assert_eq!(zone.names.get("vm"), Some(&ip("10.0.0.7")));
    let pointer = zone.pointers.get(&ip("10.0.0.7")).unwrap();
    assert_eq!(&**pointer, "vm.blue.test");
    let residents = Arc::clone(&served.metadata.unwrap().residents[0]);
    assert_eq!(
        residents.by_address.get(&ip("10.0.0.7")).unwrap().name,
        "port7"
    );
    assert!(
        residents.by_address.get(&ip("10.0.0.2")).is_none(),
        "our own port asks for nothing"
    );
}

#[test]
fn the_namespace_holds_our_port_and_the_host_its_far_end() {
    let network = blue();
    let state = State {
        networks: [(BLUE, Arc::new(network))].into_iter().collect(),
        ..State::default()
    };
    let plan = plan::plan(&state, Target::Network(BLUE), &Settings::default()).unwrap();
    let held = plan.inside.unwrap();
    assert_eq!(
        plan::namespace(Target::Network(BLUE)).as_str(),
        format!("qdhcp-{BLUE}")
    );
    let inside = &held.links[&dev("ns-00000000-00")];
    assert_eq!(
        inside
            .addrs
            .as_ref()
            .unwrap()
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["10.0.0.2/24", "169.254.169.254/32"]
    );
    assert_eq!(inside.mtu, Some(1450));
    let far_end = &plan.host.links[&dev("tap00000000-00")];
    assert_eq!(far_end.master, Some(dev("brq-blue")));
    assert_eq!(
        plan.host.sysctls["net/ipv6/conf/brq-blue/disable_ipv6"], "1",
        "the host stays out of the tenant's network"
    );
    let default = held.routes.iter().next().unwrap();
    assert_eq!(
        default.via.first(),
        Some(&ip("10.0.0.1")),
        "DNS forwards through the network's gateway"
    );
}

#[test]
fn ports_of_a_layer_2_that_another_agent_keeps() {
    let foreign = Network {
        attachment: Attachment::Foreign,
        ..blue()
    };
    let veth = |mac| {
        Link::veth(dev("tap00000000-00"), Place::Home)
            .mac(mac)
            .mtu(1450)
    };
    let mac = foreign.dhcp_port.as_ref().unwrap().mac;
    for (name, plugging, device, link, on_host) in [
        (
            "a pair, whose far end the agent takes",
            Plugging::Veth,
            "ns-00000000-00",
            veth(mac),
            true,
        ),
        (
            "made by a switch",
            Plugging::Internal,
            "tap00000000-00",
            Link::given().mac(mac).mtu(1450),
            false,
        ),
    ] {
        let settings = Settings {
            plugging,
            ..Settings::default()
        };
        let state = State {
            networks: imbl::OrdMap::unit(BLUE, Arc::new(foreign.clone())),
            ..State::default()
        };
        let plan = plan::plan(&state, Target::Network(BLUE), &settings).unwrap();
        let inside = plan.inside.unwrap();
        let found = inside.links[&dev(device)].clone();
        assert_eq!(
            Link {
                addrs: None,
                ..found
            },
            link,
            "{name}"
        );
        assert_eq!(plan.ports[0].device, dev(device), "{name}");
        let served = plan::dhcp_scope(&foreign, &settings).unwrap();
        assert_eq!(served.device, dev(device), "{name}");
        let host: Vec<_> = plan.host.links.into_iter().collect();
        let tap = (dev("tap00000000-00"), Link::existing().mtu(1450));
        assert_eq!(host, if on_host { vec![tap] } else { vec![] }, "{name}");
    }
}
