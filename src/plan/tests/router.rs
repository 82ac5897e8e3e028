//! A router's namespace: devices, addresses, routes.

use super::*;
use crate::plan;

fn planned(router: Router) -> Option<Plan> {
    let networks = [(BLUE, Arc::new(routed_blue()))].into_iter().collect();
    let state = State {
        networks,
        routers: [(R1, Arc::new(router))].into_iter().collect(),
        ..State::default()
    };
    plan::plan(&state, Target::Router(R1), &Settings::default())
}

fn routes(router: Router) -> Vec<String> {
    let text = |route: &netns::spec::Route| {
        let hops: Vec<_> = route.via.iter().map(ToString::to_string).collect();
        format!(
            "{} via {}",
            route.destination,
            if hops.is_empty() {
                "link".into()
            } else {
                hops.join("+")
            }
        )
    };
    planned(router)
        .unwrap()
        .inside
        .unwrap()
        .routes
        .iter()
        .map(text)
        .collect()
}

#[test]
fn routes_of_a_router() {
    let extra = |routes: &[(&str, &str)], router: Router| Router {
        routes: routes
            .iter()
            .map(|(to, via)| HostRoute {
                destination: net(to),
                nexthop: ip(via),
            })
            .collect(),
        ..router
    };
    let gateway = |change: fn(&mut RouterPort)| {
        let mut router = router();
        change(&mut router.gateway.as_mut().unwrap().port);
        router
    };
    for (name, router, want) in [
        ("no gateway, no default", inner_router(), vec![]),
        (
            "default by the gateway",
            router(),
            vec!["0.0.0.0/0 via 203.0.113.1"],
        ),
        (
            "gateway outside of its subnet",
            gateway(|port| port.subnets[0].gateway_ip = Some(ip("198.51.100.1"))),
            vec!["0.0.0.0/0 via 198.51.100.1", "198.51.100.1/32 via link"],
        ),
        (
            "external subnet without gateway",
            gateway(|port| port.subnets[0].gateway_ip = None),
            vec![],
        ),
        (
            "the external network's other subnets",
            gateway(|port| port.extra_subnets = leg(8, OUTSIDE, "198.51.100.0/24", None).subnets),
            vec!["0.0.0.0/0 via 203.0.113.1", "198.51.100.0/24 via link"],
        ),
        (
            "several hops are one route",
            extra(
                &[("192.0.2.0/24", "10.0.0.8"), ("192.0.2.0/24", "10.0.0.9")],
                inner_router(),
            ),
            vec!["192.0.2.0/24 via 10.0.0.8+10.0.0.9"],
        ),
        (
            "an extra default wins",
            extra(&[("0.0.0.0/0", "10.0.0.8")], router()),
            vec!["0.0.0.0/0 via 10.0.0.8"],
        ),
    ] {
        assert_eq!(routes(router), want, "{name}");
    }
}

#[test]
fn floating_addresses_are_on_the_gateway_once() {
    let mut router = router();
    let forward = PortForwarding {
        floating_ip: "203.0.113.10".parse().unwrap(),
        protocol: Protocol::Tcp,
        internal_ip: "10.0.0.7".parse().unwrap(),
        ports: Forwarding {
            external: (80, 80),
            internal: (80, 80),
        },
        id: None,
        floating: None,
    };
    // Of the gateway's own address ports are forwarded too: it is not added again.
    let own = PortForwarding {
        floating_ip: "203.0.113.5".parse().unwrap(),
        ..forward.clone()
    };
    router.port_forwardings = vec![forward, own];
    let plan = planned(router).unwrap();
    let gateway = plan
        .inside
        .as_ref()
        .unwrap()
        .links
        .iter()
        .find(|(name, _)| name.as_str().starts_with("qg-"))
        .unwrap()
        .1;
    let addresses: Vec<_> = gateway
        .addrs
        .as_ref()
        .unwrap()
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(addresses, ["203.0.113.5/24", "203.0.113.10/32"]);
}

#[test]
fn admin_down_is_no_router() {
    assert!(
        planned(Router {
            admin_state_up: false,
            ..router()
        })
        .is_none()
    );
    let mut half = router();
    half.interfaces[0].admin_state_up = false;
    assert!(
        !planned(half)
            .unwrap()
            .inside
            .unwrap()
            .links
            .keys()
            .any(|name| name.as_str().starts_with("qr-"))
    );
}

#[test]
fn far_ends_are_ports_of_their_networks_bridges() {
    let plan = planned(router()).unwrap();
    let masters: Vec<_> = plan
        .host
        .links
        .values()
        .filter_map(|link| link.master.as_ref().map(DevName::as_str))
        .collect();
    assert_eq!(masters, ["brq-blue"], "blue is known, outside is not yet");
    assert!(
        plan.host.links.contains_key(&dev("brq-blue")),
        "the bridge is wanted here too"
    );
}

#[test]
fn the_way_out_for_v6() {
    let routes = |gateway: Option<&str>, operator| {
        let mut router = router();
        let port = &mut router.gateway.as_mut().unwrap().port;
        port.addresses.push(net("2001:db8::5/64"));
        port.subnets.push(RouterSubnet {
            id: SubnetId(Uuid::from_u128(6)),
            cidr: net("2001:db8::/64"),
            gateway_ip: gateway.map(ip),
            ra_mode: None,
            dns_nameservers: Vec::new(),
        });
        let state = State {
            routers: imbl::OrdMap::unit(R1, Arc::new(router)),
            ..State::default()
        };
        let settings = Settings {
            ipv6_gateway: operator,
            ..Settings::default()
        };
        let plan = plan::plan(&state, Target::Router(R1), &settings).unwrap();
        let inside = plan.inside.unwrap();
        let v6 = inside
            .routes
            .iter()
            .filter(|route| route.destination.addr().is_ipv6());
        let routes: Vec<_> = v6.map(ToString::to_string).collect();
        let listens = &inside.sysctls["net/ipv6/conf/qg-00000009-00/accept_ra"];
        format!("{} accept_ra={listens}", routes.join(", "))
    };
    let operator = Ipv6Gateway::Address("fe80::9".parse().unwrap());
    for (name, gateway, operator, want) in [
        (
            "the subnet's",
            Some("2001:db8::1"),
            operator,
            "::/0 via 2001:db8::1 dev qg-00000009-00 accept_ra=0",
        ),
        (
            "link-local",
            Some("fe80::1"),
            operator,
            "::/0 via fe80::1 dev qg-00000009-00 accept_ra=0",
        ),
        (
            "outside of the subnet",
            Some("2001:db8:1::1"),
            operator,
            "::/0 via 2001:db8:1::1 dev qg-00000009-00, 2001:db8:1::1/128 dev qg-00000009-00 accept_ra=0",
        ),
        (
            "the operator's",
            None,
            operator,
            "::/0 via fe80::9 dev qg-00000009-00 accept_ra=0",
        ),
        ("advertised", None, Ipv6Gateway::Advertised, " accept_ra=2"),
        ("none", None, Ipv6Gateway::Nowhere, " accept_ra=0"),
    ] {
        assert_eq!(routes(gateway, operator), want, "{name}");
    }
}

#[test]
fn what_waits_for_a_prefix_is_remarked_and_left_out() {
    let mut router = inner_router();
    router.interfaces.push(leg(2, BLUE, "::1/64", Some("::1")));
    let remarks = plan::remarks(&router, &Settings::default());
    assert_eq!(
        remarks,
        [plan::Remark::Provisional(SubnetId(Uuid::from_u128(2)))].into()
    );
    let inside = planned(router).unwrap().inside.unwrap();
    let addresses = &inside.links[&dev("qr-00000002-00")].addrs;
    assert_eq!(
        addresses.as_ref().map(std::collections::BTreeSet::len),
        Some(0)
    );
}

/// Residents of `blue` are known, those of other networks are not.
struct OnlyBlue;

impl Shared for OnlyBlue {
    fn dhcp(&self, _: NetworkId) -> Option<Arc<scope::DhcpScope>> {
        None
    }

    fn dhcp6(&self, _: NetworkId) -> Option<Arc<scope::Dhcp6Scope>> {
        None
    }

    fn zone(&self, _: NetworkId) -> Option<Arc<scope::Zone>> {
        None
    }

    fn residents(&self, network: NetworkId) -> Option<Arc<scope::Residents>> {
        (network == BLUE).then(|| Arc::new(plan::residents(&blue())))
    }

    fn has_isolated(&self, network: NetworkId) -> bool {
        network == BLUE
    }

    fn first_router(&self, _: NetworkId) -> Option<RouterId> {
        None
    }

    fn networks_of(&self, _: RouterId) -> Vec<NetworkId> {
        Vec::new()
    }
}

#[test]
fn whose_metadata_a_router_serves() {
    let second = |network| {
        let mut router = inner_router();
        router.interfaces.push(leg(2, network, "10.2.0.1/24", None));
        router
    };
    let elsewhere = || {
        let mut router = inner_router();
        router.interfaces[0].network = OUTSIDE;
        router
    };
    // Networks of known residents, and all that are asked for.
    for (name, router, lookup, want) in [
        ("one network", inner_router(), false, Some((1, 1))),
        ("two legs in it", second(BLUE), false, Some((1, 1))),
        ("another unknown one", second(OUTSIDE), false, Some((1, 2))),
        ("only unknown ones", elsewhere(), false, None),
        ("that the source knows", elsewhere(), true, Some((0, 1))),
    ] {
        let state = State {
            routers: imbl::OrdMap::unit(R1, Arc::new(router)),
            ..State::default()
        };
        let mut settings = Settings::default();
        settings.metadata.lookup = lookup;
        let served = plan::services(&state, Target::Router(R1), &settings, &OnlyBlue);
        let got = served
            .metadata
            .map(|scope| (scope.residents.len(), scope.networks.len()));
        assert_eq!(got, want, "{name}");
    }
}
