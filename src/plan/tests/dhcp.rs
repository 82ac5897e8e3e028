//! What DHCP, DNS and metadata serve in a network's namespace.

use super::*;
use crate::plan::{self, scope::Services};

/// Of one network.
struct Known<'a>(&'a Network, &'a Settings);

impl Shared for Known<'_> {
    fn dhcp(&self, _: NetworkId) -> Option<Arc<scope::DhcpScope>> {
        plan::dhcp_scope(self.0, self.1).map(Arc::new)
    }

    fn zone(&self, _: NetworkId) -> Option<Arc<scope::Zone>> {
        Some(Arc::new(plan::zone(self.0, self.1)))
    }

    fn residents(&self, _: NetworkId) -> Option<Arc<scope::Residents>> {
        Some(Arc::new(plan::residents(self.0)))
    }

    fn has_isolated(&self, _: NetworkId) -> bool {
        plan::has_isolated(self.0)
    }
}

fn serve(network: &Network, settings: &Settings) -> Services {
    let known = Known(network, settings);
    let state = State {
        networks: [(network.id, Arc::new(network.clone()))]
            .into_iter()
            .collect(),
        ..State::default()
    };
    plan::services(&state, Target::Network(network.id), settings, &known)
}

/// Options 121 and 249 as "net via hop", 0.0.0.0 being on-link.
fn routes(network: &Network, settings: &Settings) -> Vec<String> {
    let scope = serve(network, settings).dhcp.unwrap();
    scope.subnets[0]
        .classless_routes
        .iter()
        .map(|(net, via)| format!("{net} {via}"))
        .collect()
}

#[test]
fn classless_routes() {
    let metadata = |isolated, force| Settings {
        metadata: Metadata {
            isolated,
            force,
            ..Settings::default().metadata
        },
        ..Settings::default()
    };
    let with = |change: fn(&mut Network), mut network: Network| {
        change(&mut network);
        network
    };
    let two_subnets = |network: &mut Network| network.subnets.push(subnet(12, "10.0.9.0/24", None));
    let host_routes = |network: &mut Network| {
        let route = |destination: &str, nexthop: &str| HostRoute {
            destination: net(destination),
            nexthop: ip(nexthop),
        };
        network.subnets[0].host_routes = vec![
            route("0.0.0.0/0", "10.0.0.3"),
            route("192.0.2.0/24", "10.0.0.4"),
        ];
    };
    let no_gateway = |network: &mut Network| network.subnets[0].gateway_ip = None;
    let to_metadata = "169.254.169.254/32";
    for (name, network, settings, want) in [
        (
            "isolated: metadata here",
            blue(),
            metadata(true, false),
            vec![
                format!("{to_metadata} 10.0.0.2"),
                "0.0.0.0/0 10.0.0.1".into(),
            ],
        ),
        (
            "isolated, but not offered",
            blue(),
            metadata(false, false),
            vec![],
        ),
        (
            "routed: metadata at the router",
            routed_blue(),
            metadata(true, false),
            vec![
                format!("{to_metadata} 10.0.0.1"),
                "0.0.0.0/0 10.0.0.1".into(),
            ],
        ),
        (
            "forced: here all the same",
            routed_blue(),
            metadata(false, true),
            vec![
                format!("{to_metadata} 10.0.0.2"),
                "0.0.0.0/0 10.0.0.1".into(),
            ],
        ),
        (
            "another subnet is on-link",
            with(two_subnets, blue()),
            metadata(false, false),
            vec!["10.0.9.0/24 0.0.0.0".into(), "0.0.0.0/0 10.0.0.1".into()],
        ),
        (
            "host routes, never a default",
            with(host_routes, blue()),
            metadata(false, false),
            vec!["192.0.2.0/24 10.0.0.4".into(), "0.0.0.0/0 10.0.0.1".into()],
        ),
        (
            "a default host route is the gateway",
            with(no_gateway, with(host_routes, blue())),
            metadata(false, false),
            vec!["192.0.2.0/24 10.0.0.4".into(), "0.0.0.0/0 10.0.0.3".into()],
        ),
        (
            "no gateway at all",
            with(no_gateway, blue()),
            metadata(true, false),
            vec![format!("{to_metadata} 10.0.0.2")],
        ),
    ] {
        assert_eq!(routes(&network, &settings), want, "{name}");
    }
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
        (client.hostname.as_deref(), client.addresses.as_slice()),
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
