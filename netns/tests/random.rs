//! For random pairs of Specs: after A and then B the kernel holds what it holds after B alone.
//!
//! `NETNS_TEST_PAIRS=1000` tries more of them, `NETNS_TEST_SEED=17` one in particular.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use common::{
    converge, converge_twice, dev, home, ip, kernel_has, mac, namespace, net, ns, run, sandbox,
    specs,
};
use netns::ruleset::{Element, ElementType, Map, Ruleset};
use netns::spec::{Link, LinkKind, Neighbour, Ownership, Route, Rule, Spec, Vxlan};
use netns::{DevName, Namespace};

const PAIRS: u64 = 40;

/// A small generator of our own (SplitMix64), so that a seed means the same for ever.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % sides
    }

    fn one_in(&mut self, sides: u64) -> bool {
        self.roll(sides) == 0
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        let number = usize::try_from(self.roll(from.len() as u64)).unwrap();
        from[number]
    }

    /// Some of them, each with a chance of one in `rarity`.
    fn some<'a, T>(&mut self, from: &'a [T], rarity: u64) -> Vec<&'a T> {
        from.iter().filter(|_| self.one_in(rarity)).collect()
    }
}

/// A Spec that the kernel can give: whatever a route or neighbour needs is there.
fn random_spec(dice: &mut Dice, far: &str, has_vlan: bool) -> Spec {
    let mut spec = specs::own();
    for number in 0..4 {
        if dice.one_in(3) {
            continue;
        }
        let name = dev(&format!("t{number}"));
        let link = random_link(dice, &spec, &format!("{far}{number}"), has_vlan);
        spec.links.insert(name, link);
    }
    let addressed: Vec<DevName> = spec
        .links
        .iter()
        .filter(|(_, link)| link.addrs.is_some())
        .map(|(dev, _)| dev.clone())
        .collect();
    for (number, name) in addressed.iter().enumerate() {
        random_addresses(dice, spec.links.get_mut(name).unwrap(), number);
        random_routes(dice, &mut spec, name, number);
        for host in [7, 8] {
            if dice.one_in(3) {
                let (address, low) = (ip(&format!("10.{number}.0.{host}")), dice.roll(3));
                let mac = mac(&format!("fa:16:3e:00:00:0{low}"));
                spec.neighbours.insert(Neighbour {
                    dev: name.clone(),
                    address,
                    mac,
                });
            }
        }
        if dice.one_in(2) {
            let key = format!("net/ipv4/conf/{name}/rp_filter");
            spec.sysctls.insert(key, dice.roll(3).to_string());
        }
    }
    for priority in [100, 200, 300] {
        if dice.one_in(2) {
            let from = Some(net(dice.pick(&["10.0.0.0/24", "10.0.0.0/16", "fd00::/64"])));
            spec.rules.insert(Rule {
                priority,
                from,
                to: None,
                table: dice.pick(&[50, 60]),
            });
        }
    }
    for key in [
        "net/ipv4/ip_forward",
        "net/ipv4/conf/all/arp_ignore",
        "net/ipv6/conf/all/forwarding",
    ] {
        // Always said: what a Spec does not name stays as it is, and that would differ.
        spec.sysctls
            .insert(key.to_owned(), dice.roll(2).to_string());
    }
    spec.ruleset = (!dice.one_in(4)).then(|| random_ruleset(dice));
    spec
}

fn random_link(dice: &mut Dice, spec: &Spec, far: &str, has_vlan: bool) -> Link {
    let made: Vec<&DevName> = spec
        .links
        .keys()
        .filter(|dev| dev.as_str() != "lo")
        .collect();
    let ports: Vec<&DevName> = spec
        .links
        .iter()
        .filter(|(_, link)| link.kind == LinkKind::Bridge)
        .map(|(dev, _)| dev)
        .collect();
    let mut link = match dice.roll(if has_vlan && !made.is_empty() { 5 } else { 4 }) {
        0 => Link::bridge(),
        1 => {
            let remotes = dice
                .some(&["127.0.0.2", "127.0.0.3", "127.0.0.4"], 2)
                .into_iter()
                .map(|text| ip(text));
            let number =
                u32::try_from(far.len()).unwrap() * 100 + u32::from(far.as_bytes()[far.len() - 1]);
            Link::vxlan(Vxlan {
                remotes: remotes.collect(),
                ..specs::tunnel(number)
            })
        }
        4 => Link::vlan(dice.pick(&made).clone(), dice.pick(&[10, 20])),
        _ => Link::veth(dev(far), home()),
    };
    if dice.one_in(2) {
        link.mac = Some(mac(dice.pick(&["fa:16:3e:00:00:01", "fa:16:3e:00:00:02"])));
    }
    // Always said, as MTUs that are left out stay as they are.
    link.mtu = Some(dice.pick(&[1400, 1450]));
    link.up = !dice.one_in(6);
    let plain = matches!(link.kind, LinkKind::Veth { .. } | LinkKind::Vxlan(_));
    if plain && !ports.is_empty() && dice.one_in(2) {
        link.master = Some(dice.pick(&ports).clone());
    }
    link.addrs = Some(BTreeSet::new()); // always said, too: they are filled in later
    link
}

fn random_addresses(dice: &mut Dice, link: &mut Link, number: usize) {
    let all = [
        format!("10.{number}.0.1/24"),
        format!("10.{number}.0.2/24"),
        format!("10.{number}.0.3/24"),
        format!("10.{number}.0.1/32"),
        format!("10.{number}.128.1/17"),
        format!("fd00:{number}::1/64"),
        format!("fd00:{number}::2/64"),
    ];
    let some = dice.some(&all, 2).into_iter().map(|text| net(text));
    link.addrs = Some(some.collect());
}

/// On-link routes, and gateways in a network that is there.
fn random_routes(dice: &mut Dice, spec: &mut Spec, name: &DevName, number: usize) {
    let link = &spec.links[name];
    let addresses = link.addrs.clone().unwrap_or_default();
    if !link.up {
        return; // the kernel has no routes over a device that is down
    }
    let connected = [1, 2, 3]
        .iter()
        .any(|host| addresses.contains(&net(&format!("10.{number}.0.{host}/24"))));
    let route = |destination: &str| Route::to(net(destination));
    let mut all = vec![route(&format!("192.168.{number}.0/24")).dev(name.clone())];
    if connected {
        let gateway = |host: u64| ip(&format!("10.{number}.0.{host}"));
        let (one, two) = (gateway(200 + dice.roll(3)), gateway(210));
        all.push(route(&format!("172.{}.0.0/16", 16 + number)).via(one));
        all.push(
            route(&format!("172.{}.0.0/16", 20 + number))
                .via(one)
                .via(two),
        );
        all.push(Route {
            metric: 1 + u32::try_from(number).unwrap(),
            ..route("0.0.0.0/0").via(one)
        });
        all.push(Route {
            table: 50 + u32::try_from(dice.roll(2)).unwrap(),
            ..route(&format!("172.{}.0.0/16", 24 + number)).via(one)
        });
    }
    if addresses.iter().any(|address| address.addr().is_ipv6()) {
        let (one, two) = (
            ip(&format!("fd00:{number}::f{}", dice.roll(3))),
            ip(&format!("fd00:{number}::ff")),
        );
        all.push(route(&format!("fd01:{number}::/64")).via(one));
        all.push(route(&format!("fd02:{number}::/64")).via(one).via(two));
    }
    let some: Vec<Route> = dice.some(&all, 2).into_iter().cloned().collect();
    spec.routes.extend(some);
}

fn random_ruleset(dice: &mut Dice) -> Ruleset {
    let mut ruleset = specs::router(0);
    if dice.one_in(3) {
        ruleset.objects.pop();
    }
    if dice.one_in(4) {
        ruleset.maps.remove("service");
    }
    let nets = ruleset.maps.get_mut("nets").unwrap();
    nets.elements.clear();
    for third in 0..6 {
        if dice.one_in(2) {
            let key = vec![Element::Net(Ipv4Addr::new(10, 0, third, 0), 24)];
            nets.elements.insert(
                key,
                Some(Element::Mark(u32::try_from(dice.roll(2)).unwrap())),
            );
        }
    }
    let elements = &mut ruleset.maps.get_mut("to_inside").unwrap().elements;
    for number in 0..8 {
        if dice.one_in(2) {
            let inside = Ipv4Addr::new(10, 0, 0, u8::try_from(dice.roll(3)).unwrap());
            elements.insert(
                vec![Element::Ipv4(specs::floating_ip(number))],
                Some(Element::Ipv4(inside)),
            );
        }
    }
    let mut extra = Map {
        data: Some(ElementType::Mark),
        ..specs::map(&[ElementType::Device])
    };
    extra
        .elements
        .insert(vec![Element::Device("x".into())], Some(Element::Mark(1)));
    if dice.one_in(3) {
        ruleset.maps.insert("extra".to_owned(), extra);
    }
    ruleset
}

/// What an operator sees, without what is random or counted: indexes, chosen hardware addresses, link-local addresses.
async fn seen(inside: &Namespace, spec: &Spec) -> Vec<String> {
    let name = match inside.place() {
        netns::Place::Named(name) => name.to_string(),
        netns::Place::Home => unreachable!("a test's namespace has a name"),
    };
    let mut all = Vec::new();
    for what in [
        "addr",
        "route show table all",
        "-6 route show table all",
        "rule",
        "-6 rule",
        "neigh show nud permanent",
    ] {
        for line in run(&format!("ip -o -n {name} {what}")).lines() {
            if !line.contains("fe80") && !line.contains("table local") && !line.contains("ff00::/8")
            {
                let line = line.split_once(": t").map_or(line, |(_, rest)| rest);
                all.push(format!("{what}: {}", without_history(line)));
            }
        }
    }
    let actual = netns::observe(inside, spec).await.unwrap();
    let names: std::collections::BTreeMap<u32, &DevName> = actual
        .links
        .iter()
        .map(|(name, link)| (link.index, name))
        .collect();
    for (name, link) in &actual.links {
        let wanted = spec.links.get(name);
        let mac = wanted.and_then(|link| link.mac).and(link.mac);
        let master = link.master.and_then(|index| names.get(&index));
        let kind = link.kind.to_string();
        all.push(format!(
            "{name}: {kind} {mac:?} {} {} {master:?} {:?}",
            link.mtu, link.up, link.floods
        ));
    }
    all.push(format!("{:?} {:?}", actual.sysctls, actual.table));
    all.sort();
    all
}

/// The kernel notices a carrier a moment later; and of several addresses in one network the first to come is the
/// primary one, which a Spec leaves to history: to change it, an address would have to go for a moment.
fn without_history(line: &str) -> String {
    let line = line.replace(" linkdown", "").replace(" secondary", "");
    let line = if line.contains("proto kernel") {
        line.split(" src ").next().unwrap_or_default()
    } else {
        &line
    };
    line.trim().to_owned()
}

#[test]
fn a_then_b_is_b() {
    sandbox("a_then_b_is_b", || async {
        let has_vlan = kernel_has("vlan");
        let number = |name: &str| {
            std::env::var(name)
                .ok()
                .and_then(|value| value.parse().ok())
        };
        let seeds = match number("NETNS_TEST_SEED") {
            Some(seed) => seed..seed + 1,
            None => 0..number("NETNS_TEST_PAIRS").unwrap_or(PAIRS),
        };
        for seed in seeds {
            let mut dice = Dice(seed);
            let a = random_spec(&mut dice, "one", has_vlan);
            let mut b = random_spec(&mut dice, "one", has_vlan);
            let changed = namespace("changed");
            converge_told(seed, "A", &changed, &a).await;
            converge_told(seed, "B after A", &changed, &b).await;
            let after_both = seen(&changed, &b).await;
            Namespace::delete(&ns("changed")).unwrap();
            drop(changed);

            // Far ends have names in the one home namespace: gone before they are needed again.
            let direct = namespace("direct");
            for link in b.links.values_mut() {
                if let LinkKind::Veth { peer, .. } = &mut link.kind {
                    *peer = dev(&peer.as_str().replace("one", "two"));
                }
            }
            converge_told(seed, "B", &direct, &b).await;
            let after_one = seen(&direct, &b).await;
            let nothing = Spec {
                ownership: Ownership {
                    ..b.ownership.clone()
                },
                ..Spec::default()
            };
            converge(&direct, &nothing).await;
            assert!(
                !run("ip -n direct link").contains(": t"),
                "seed {seed}: something is left"
            );
            Namespace::delete(&ns("direct")).unwrap();

            let less: Vec<_> = after_one
                .iter()
                .filter(|line| !after_both.contains(line))
                .collect();
            let more: Vec<_> = after_both
                .iter()
                .filter(|line| !after_one.contains(line))
                .collect();
            assert!(
                less.is_empty() && more.is_empty(),
                "seed {seed}: less {less:#?}, more {more:#?}\nA {a:#?}\nB {b:#?}"
            );
        }
    });
}

async fn converge_told(seed: u64, what: &str, inside: &Namespace, spec: &Spec) {
    if let Err(error) = netns::converge(inside, spec).await {
        panic!("seed {seed}, {what}: {}\n{spec:#?}", common::chain(&error));
    }
    converge_twice(inside, spec).await;
}
