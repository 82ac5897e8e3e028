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
