//! Our nftables table under traffic: changed by element, loaded whole, and flows forgotten when they should be.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use std::time::Duration;

use common::{
    Monitor, chain, converge, converge_twice, dev, ip, ipv4, namespace, net, ns, run, sandbox,
    specs,
};
use netns::ruleset::{Element, Map};
use netns::spec::{Link, Place, Route};
use netns::{Namespace, Spec, Step, conntrack, socket};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// `world` -- `router` -- `vm`: the floating IP 203.0.113.9 is 10.0.0.7, which is the vm.
struct Cloud {
    world: Namespace,
    router: Namespace,
    vm: Namespace,
    spec: Spec,
}

impl Cloud {
    async fn start() -> Self {
        let (world, router, vm) = (namespace("world"), namespace("router"), namespace("vm"));
        let mut spec = specs::own();
        let outside = [net("203.0.113.2/24"), net("203.0.113.9/32")];
        spec.links.insert(
            dev("tout"),
            Link::veth(dev("w0"), Place::Named(ns("world"))).addrs(outside),
        );
        let inside = Link::veth(dev("v0"), Place::Named(ns("vm"))).addrs([net("10.0.0.1/24")]);
        spec.links.insert(dev("tin"), inside);
        spec.sysctls
            .insert("net/ipv4/ip_forward".into(), "1".into());
        spec.ruleset = Some(specs::router(1));
        float(&mut spec, "203.0.113.9", "10.0.0.7");
        converge_twice(&router, &spec).await;
        for (place, device, address) in
            [(&world, "w0", "203.0.113.1/24"), (&vm, "v0", "10.0.0.7/24")]
        {
            let mut spec = specs::own();
            spec.ownership.prefixes = [device.to_owned()].into();
            spec.links
                .insert(dev(device), Link::existing().addrs([net(address)]));
            if device == "v0" {
                spec.routes.insert(Route::default_v4().via(ip("10.0.0.1")));
            }
            converge_twice(place, &spec).await;
        }
        Self {
            world,
            router,
            vm,
            spec,
        }
    }

    /// From the world to the floating IP.
    async fn flow(&self) -> Flow {
        let server = socket::tcp_listener(&self.vm, "0.0.0.0:80".parse().unwrap(), None)
            .await
            .unwrap();
        let from = socket::tcp_stream(&self.world, "203.0.113.9:80".parse().unwrap())
            .await
            .unwrap();
        let (to, peer) = server.accept().await.unwrap();
        assert_eq!(
            peer.ip(),
            ip("203.0.113.1"),
            "translated on the way in only"
        );
        Flow { from, to }
    }
}

struct Flow {
    from: TcpStream,
    to: TcpStream,
}

impl Flow {
    /// There and back.
    async fn works(&mut self) -> bool {
        let there_and_back = async {
            self.from.write_all(b"ping").await?;
            let mut buffer = [0; 4];
            self.to.read_exact(&mut buffer).await?;
            self.to.write_all(b"pong").await?;
            self.from.read_exact(&mut buffer).await
        };
        tokio::time::timeout(Duration::from_millis(700), there_and_back)
            .await
            .is_ok_and(|done| done.is_ok())
    }
}

fn map<'a>(spec: &'a mut Spec, name: &str) -> &'a mut Map {
    spec.ruleset.as_mut().unwrap().maps.get_mut(name).unwrap()
}

fn float(spec: &mut Spec, outside: &str, inside: &str) {
    let (outside, inside) = (Element::Ipv4(ipv4(outside)), Element::Ipv4(ipv4(inside)));
    map(spec, "to_inside")
        .elements
        .insert(vec![outside.clone()], Some(inside.clone()));
    map(spec, "to_outside")
        .elements
        .insert(vec![inside], Some(outside));
}

fn sink(spec: &mut Spec, outside: &str, inside: &str) {
    map(spec, "to_inside")
        .elements
        .remove(&vec![Element::Ipv4(ipv4(outside))]);
    map(spec, "to_outside")
        .elements
        .remove(&vec![Element::Ipv4(ipv4(inside))]);
}

#[test]
fn one_floating_ip_among_5000_is_two_elements() {
    sandbox("one_floating_ip_among_5000_is_two_elements", || async {
        let mut cloud = Cloud::start().await;
        for number in 0..5000u32 {
            let (outside, inside) = (0xc612_0000 + number, 0x0a80_0000 + number);
            let text = |address: u32| std::net::Ipv4Addr::from(address).to_string();
            float(&mut cloud.spec, &text(outside), &text(inside));
        }
        let mut flow = cloud.flow().await;
        let done = converge_twice(&cloud.router, &cloud.spec).await;
        assert!(
            matches!(
                done.steps[..],
                [Step::LoadTable {
                    why: "many elements changed",
                    ..
                }]
            ),
            "{:?}",
            done.steps
        );
        assert!(flow.works().await, "a load in one transaction cuts no flow");

        let monitor = Monitor::start("router");
        float(&mut cloud.spec, "203.0.113.10", "10.0.0.8");
        let done = converge(&cloud.router, &cloud.spec).await;
        let heard = monitor.stop();
        assert_eq!(done.writes, 2, "two messages: {:?}", done.steps);
        assert_eq!(
            done.steps[0].to_string(),
            "change maps of nftables table inet netns \
             (to_inside: +203.0.113.10 : 10.0.0.8; to_outside: +10.0.0.8 : 203.0.113.10)"
        );
        let lines: Vec<&str> = heard
            .lines()
            .filter(|line| !line.starts_with("# new generation"))
            .collect();
        assert_eq!(lines.len(), 2, "the kernel told of two elements: {heard}");
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with("add element inet netns to_")),
            "{heard}"
        );
        assert!(flow.works().await, "no flow was touched");

        // Another inside address for it: removed and added in one transaction.
        sink(&mut cloud.spec, "203.0.113.10", "10.0.0.8");
        float(&mut cloud.spec, "203.0.113.10", "10.0.0.9");
        let done = converge_twice(&cloud.router, &cloud.spec).await;
        assert_eq!(done.writes, 4, "{:?}", done.steps);
        assert!(
            run("ip netns exec router nft list map inet netns to_inside")
                .contains("203.0.113.10 : 10.0.0.9")
        );
        sink(&mut cloud.spec, "203.0.113.10", "10.0.0.9");
        assert_eq!(converge_twice(&cloud.router, &cloud.spec).await.writes, 2);
        assert!(flow.works().await);
    });
}

#[test]
fn elements_of_every_kind_of_map_change() {
    sandbox("elements_of_every_kind_of_map_change", || async {
        let inside = namespace("own");
        let mut spec = Spec {
            ruleset: Some(specs::router(1)),
            ..specs::own()
        };
        converge_twice(&inside, &spec).await;
        let with =
            |name: &str, key: Vec<Element>, data: Option<Element>| (name.to_owned(), key, data);
        let new = [
            with(
                "ports",
                vec![
                    Element::Ipv4(ipv4("1.2.3.4")),
                    Element::Protocol(17),
                    Element::Port(53),
                ],
                Some(Element::Ipv4(ipv4("10.0.0.8"))),
            ),
            with(
                "marks",
                vec![Element::Device("qg-1".into())],
                Some(Element::Mark(7)),
            ),
            with(
                "service",
                vec![Element::Protocol(6), Element::Port(80)],
                Some(Element::Port(9697)),
            ),
            with(
                "empty",
                vec![Element::Mark(0xdead_beef)],
                Some(Element::Ipv4(ipv4("10.0.0.9"))),
            ),
            with(
                "nets",
                vec![Element::Net(ipv4("172.16.0.0"), 12)],
                Some(Element::Mark(9)),
            ),
            with(
                "pairs",
                vec![
                    Element::Device("qr-2".into()),
                    Element::Net(ipv4("172.16.0.0"), 12),
                ],
                None,
            ),
            // One next to another, and a prefix with host bits, which is the same as without.
            with(
                "nets",
                vec![Element::Net(ipv4("10.0.2.9"), 24)],
                Some(Element::Mark(5)),
            ),
        ];
        for (name, key, data) in new {
            let before = spec.clone();
            map(&mut spec, &name).elements.insert(key, data);
            let done = converge_twice(&inside, &spec).await;
            let ranges = map(&mut spec, &name).interval;
            assert_eq!(
                matches!(done.steps[..], [Step::LoadTable { .. }]),
                ranges,
                "{name}: {:?}",
                done.steps
            );
            converge_twice(&inside, &before).await;
            converge_twice(&inside, &spec).await;
        }
        let listed = run("ip netns exec own nft list table inet netns");
        for text in [
            "1.2.3.4 . udp . 53 : 10.0.0.8",
            "\"qg-1\" : 0x00000007",
            "0xdeadbeef : 10.0.0.9",
            "172.16.0.0/12",
        ] {
            assert!(listed.contains(text), "{text:?} is not in {listed}");
        }
    });
}

#[test]
fn a_load_leaves_flows_and_an_error_leaves_the_table() {
    sandbox(
        "a_load_leaves_flows_and_an_error_leaves_the_table",
        || async {
            let mut cloud = Cloud::start().await;
            let mut flow = cloud.flow().await;
            let ruleset = cloud.spec.ruleset.as_mut().unwrap();
            let good = ruleset.objects.clone();
            ruleset.objects.pop();
            let done = converge_twice(&cloud.router, &cloud.spec).await;
            assert!(matches!(
                done.steps[..],
                [Step::LoadTable {
                    why: "it was loaded with other rules",
                    ..
                }]
            ));
            assert!(flow.works().await);

            let before = run("ip netns exec router nft list ruleset");
            let bad = serde_json::json!({ "rule": { "family": "inet", "table": "netns", "chain": "own",
                                                "expr": [{ "jump": { "target": "nowhere" } }] } });
            let ruleset = cloud.spec.ruleset.as_mut().unwrap();
            ruleset.objects = good.clone();
            ruleset.objects.push(serde_json::from_value(bad).unwrap());
            let error = netns::converge(&cloud.router, &cloud.spec)
                .await
                .unwrap_err();
            let text = chain(&error);
            assert!(text.starts_with("load nftables table inet netns (it was loaded with other rules) in namespace router"), "{text}");
            assert!(
                text.contains("nft ended with exit status: 1 (") && text.contains("No such file"),
                "{text}"
            );
            assert_eq!(
                run("ip netns exec router nft list ruleset"),
                before,
                "all or nothing"
            );
            assert!(flow.works().await);
            cloud.spec.ruleset.as_mut().unwrap().objects = good;
            converge_twice(&cloud.router, &cloud.spec).await;
            assert!(flow.works().await);
        },
    );
}

#[test]
fn connections_are_forgotten() {
    sandbox("connections_are_forgotten", || async {
        let mut cloud = Cloud::start().await;
        let (mut first, mut second) = (cloud.flow().await, cloud.flow().await);
        // One from inside, which leaves by the floating IP.
        let server = socket::tcp_listener(&cloud.world, "203.0.113.1:22".parse().unwrap(), None)
            .await
            .unwrap();
        let from = socket::tcp_stream(&cloud.vm, "203.0.113.1:22".parse().unwrap())
            .await
            .unwrap();
        let (to, peer) = server.accept().await.unwrap();
        assert_eq!(peer.ip(), ip("203.0.113.9"), "by its floating IP");
        let mut outward = Flow { from, to };
        let bystander = socket::udp(&cloud.vm, "0.0.0.0:0".parse().unwrap(), None)
            .await
            .unwrap();
        bystander.send_to(b"x", "203.0.113.1:9").await.unwrap();
        assert_eq!(entries("dport=80"), 2);

        assert_eq!(
            conntrack::forget_port(&cloud.router, ipv4("203.0.113.9"), 6, 81)
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            conntrack::forget_port(&cloud.router, ipv4("203.0.113.9"), 17, 80)
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            conntrack::forget(&cloud.router, ipv4("203.0.113.77"))
                .await
                .unwrap(),
            0
        );
        assert_eq!(
            conntrack::forget_port(&cloud.router, ipv4("203.0.113.9"), 6, 80)
                .await
                .unwrap(),
            2
        );
        assert!(
            first.works().await,
            "with its translation in place, a forgotten flow begins anew"
        );

        sink(&mut cloud.spec, "203.0.113.9", "10.0.0.7");
        converge_twice(&cloud.router, &cloud.spec).await;
        assert!(
            first.works().await && outward.works().await,
            "without its translation an established flow goes on"
        );
        let forgotten = conntrack::forget(&cloud.router, ipv4("203.0.113.9"))
            .await
            .unwrap();
        assert!(forgotten >= 2, "{forgotten}");
        assert_eq!(entries("203.0.113.9"), 0);
        assert!(
            !first.works().await && !second.works().await && !outward.works().await,
            "until it is forgotten"
        );
        let missing = conntrack::forget(&namespace("without"), ipv4("203.0.113.9")).await;
        assert_eq!(missing.unwrap(), 0, "no connections, no error");
    });
}

fn entries(with: &str) -> usize {
    // The kernel's own list: no tool has to be installed on the machine for it.
    run("ip netns exec router cat /proc/net/nf_conntrack")
        .lines()
        .filter(|line| line.contains(with))
        .count()
}
