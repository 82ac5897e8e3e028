//! Routes: those that DHCP tells, and those of the namespace itself.

use super::dhcp::{ByState, serve};
use super::*;
use crate::plan;

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
    let on_segment = |n: u128, mut subnet: Subnet| {
        subnet.segment = Some(SegmentId(Uuid::from_u128(n)));
        subnet
    };
    let elsewhere = |network: &mut Network| {
        network.non_local_subnets = vec![
            subnet(13, "10.0.7.0/24", None),
            subnet(14, "10.0.8.0/24", None),
        ];
    };
    let other_segment = |mut network: Network| {
        network.subnets = vec![on_segment(1, network.subnets.remove(0))];
        network.non_local_subnets = vec![
            on_segment(1, subnet(13, "10.0.7.0/24", None)),
            on_segment(2, subnet(14, "10.0.8.0/24", None)),
        ];
        network
    };
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
            "last first, and those of elsewhere before them",
            with(elsewhere, with(two_subnets, blue())),
            metadata(false, false),
            vec![
                "10.0.8.0/24 0.0.0.0".into(),
                "10.0.7.0/24 0.0.0.0".into(),
                "10.0.9.0/24 0.0.0.0".into(),
                "0.0.0.0/0 10.0.0.1".into(),
            ],
        ),
        (
            "only subnets of one segment are on-link",
            other_segment(blue()),
            metadata(false, false),
            vec!["10.0.7.0/24 0.0.0.0".into(), "0.0.0.0/0 10.0.0.1".into()],
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
fn default_routes_of_a_namespace() {
    let with = |change: fn(&mut Network)| {
        let mut network = blue();
        network
            .subnets
            .push(subnet(12, "10.0.9.0/24", Some("10.0.9.1")));
        network.dhcp_port = Some(port(
            2,
            BLUE,
            DeviceOwner::Dhcp,
            &[(12, "10.0.9.2"), (11, "10.0.0.2")],
        ));
        change(&mut network);
        network
    };
    for (name, network, want) in [
        (
            "of the first subnet, not of the first address",
            with(|_| {}),
            Some("10.0.0.1"),
        ),
        (
            "of the next",
            with(|network| network.subnets[0].gateway_ip = None),
            Some("10.0.9.1"),
        ),
        (
            "not by a host route",
            with(|network| {
                network.subnets[0].gateway_ip = None;
                network.subnets[0].host_routes = vec![HostRoute {
                    destination: net("0.0.0.0/0"),
                    nexthop: ip("10.0.0.3"),
                }];
            }),
            Some("10.0.9.1"),
        ),
        (
            "where DHCP is",
            with(|network| network.subnets[0].enable_dhcp = false),
            Some("10.0.9.1"),
        ),
        (
            "not of a delegated prefix",
            with(|network| network.subnets[0].prefix_delegation = true),
            Some("10.0.9.1"),
        ),
        (
            "none",
            with(|network| {
                network.subnets.truncate(1);
                network.subnets[0].gateway_ip = None;
            }),
            None,
        ),
    ] {
        let state = State {
            networks: imbl::OrdMap::unit(BLUE, Arc::new(network)),
            ..State::default()
        };
        let plan = plan::plan(&state, Target::Network(BLUE), &Settings::default()).unwrap();
        let routes = plan.inside.unwrap().routes;
        let via = routes.iter().flat_map(|route| &route.via).next();
        assert_eq!(via, want.map(ip).as_ref(), "{name}");
    }
}

#[test]
fn a_prefix_that_is_not_delegated_yet_is_not_set() {
    let mut network = blue();
    network.subnets.push(subnet(12, "::/64", Some("::1")));
    network.dhcp_port = Some(port(
        2,
        BLUE,
        DeviceOwner::Dhcp,
        &[(12, "::2"), (11, "10.0.0.2")],
    ));
    let scope = serve(&network, &Settings::default());
    assert_eq!(scope.dns.unwrap().listen, [ip("10.0.0.2")]);
}

/// `X-Neutron-Router-ID` in place of the network's id, as the reference calls it.
#[test]
fn metadata_through_a_network_for_it() {
    let leg = |n: u128, network: NetworkId, subnet: u128, address: &str| {
        let mut leg = (*port(
            n,
            network,
            DeviceOwner::RouterInterface,
            &[(subnet, address)],
        ))
        .clone();
        leg.device = R1.to_string();
        Arc::new(leg)
    };
    let for_metadata = |cidr: &str, gateway: &str| {
        let mut network = blue();
        network.subnets = vec![subnet(11, cidr, Some(gateway))];
        let leg = leg(1, BLUE, 11, gateway);
        network.ports.insert(leg.id, leg);
        network
    };
    let mut behind = blue();
    behind.id = OUTSIDE;
    behind.ports = [leg(4, OUTSIDE, 11, "10.0.0.1")]
        .into_iter()
        .map(|leg| (leg.id, leg))
        .collect();
    let forced = |network, isolated, force| Settings {
        metadata: Metadata {
            network,
            isolated,
            force,
            ..Settings::default().metadata
        },
        ..Settings::default()
    };
    let settings = |network, isolated| forced(network, isolated, false);
    for (name, network, settings, want) in [
        (
            "for metadata",
            for_metadata("169.254.169.0/24", "169.254.169.1"),
            settings(true, true),
            Some(vec![BLUE, OUTSIDE]),
        ),
        (
            "not enabled",
            for_metadata("169.254.169.0/24", "169.254.169.1"),
            settings(false, true),
            None,
        ),
        (
            "alone it does nothing",
            for_metadata("169.254.169.0/24", "169.254.169.1"),
            settings(true, false),
            None,
        ),
        (
            "not for metadata, and not isolated",
            for_metadata("10.0.0.0/24", "10.0.0.1"),
            settings(true, true),
            None,
        ),
        (
            "not for metadata, and forced",
            for_metadata("10.0.0.0/24", "10.0.0.1"),
            forced(true, true, true),
            Some(vec![BLUE]),
        ),
        ("isolated", blue(), settings(true, true), Some(vec![BLUE])),
    ] {
        let state = State {
            networks: [
                (BLUE, Arc::new(network.clone())),
                (OUTSIDE, Arc::new(behind.clone())),
            ]
            .into_iter()
            .collect(),
            ..State::default()
        };
        let known = ByState(&state, &settings);
        let served = plan::services(&state, Target::Network(BLUE), &settings, &known).metadata;
        let networks = served.as_ref().map(|scope| {
            let residents = scope.residents.iter();
            residents.map(|of| of.network).collect::<Vec<_>>()
        });
        assert_eq!(networks, want, "{name}");
        let Some(scope) = served else {
            continue;
        };
        let links: Vec<_> = scope.links.values().copied().collect();
        let several = scope.networks.len() > 1;
        let one = several.then_some(BLUE);
        assert_eq!(links, Vec::from_iter(one), "{name}");
    }
}
