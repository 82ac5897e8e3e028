//! The same objects once on a node with Neutron's own agents, and once on one with warren: what an instance gets, and what
//! the namespaces hold. What differs is in [`DIFFERENT`], with the reason.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::outside::{self, Outside, see};
use super::{here, qdhcp, qrouter, with};
use crate::cloud::{Cloud, LONG, Node, id};
use crate::common::{Client, DhcpClient, Guest, wait_until};

const REFERENCE: &str = "life8";
const WARREN: &str = "life9";

/// Where, the line (a beginning is enough), who has it, and why the other has not.
const DIFFERENT: [(&str, &str, &str, &str); 23] = [
    (
        "dns",
        "host-10-8-0-12.example.org AAAA",
        "reference",
        "REFUSED, as without a resolver to ask",
    ),
    (
        "dns",
        "host-10-8-0-12.example.org AAAA",
        "warren",
        "there is such a name",
    ),
    ("dns", "vm1.example.org MX", "reference", "the same"),
    ("dns", "vm1.example.org MX", "warren", "the same"),
    ("lease", "new_expiry=", "reference", "the time of day"),
    ("lease", "new_expiry=", "warren", "the time of day"),
    (
        "qdhcp -o addr",
        "ns-* inet6 fe80::a9fe:a9fe/64",
        "reference",
        "a /64, with DAD",
    ),
    (
        "qdhcp -o addr",
        "ns-* inet6 fe80::a9fe:a9fe/128",
        "warren",
        "no second route to fe80::/64",
    ),
    (
        "qdhcp -6 route",
        "fe80::a9fe:a9fe dev ns-* proto kernel",
        "warren",
        "the same",
    ),
    (
        "qdhcp -o addr",
        "ns-* inet6 fd00:8::2/64",
        "reference",
        "the same with DAD",
    ),
    (
        "qdhcp -o addr",
        "ns-* inet6 fd00:8::2/64",
        "warren",
        "without DAD: the server chose it",
    ),
    (
        "qdhcp -o addr",
        "ns-* inet 169.254.169.254/32",
        "reference",
        "a /32 with a broadcast address",
    ),
    (
        "qdhcp -o addr",
        "ns-* inet 169.254.169.254/32",
        "warren",
        "without",
    ),
    (
        "qrouter -o addr",
        "qg-* inet 198.18.0.6",
        "reference",
        "a /32 with a broadcast address",
    ),
    (
        "qrouter -o addr",
        "qg-* inet 198.18.0.6",
        "warren",
        "without",
    ),
    ("qdhcp -o link", "ns-* ", "reference", "no mark"),
    ("qdhcp -o link", "ns-* ", "warren", "our mark, the alias"),
    ("qrouter -o link", "q", "reference", "no mark"),
    ("qrouter -o link", "q", "warren", "our mark, the alias"),
    (
        "qrouter sysctl",
        "net.ipv6.conf.default.accept_ra = ",
        "reference",
        "not set",
    ),
    (
        "qrouter sysctl",
        "net.ipv6.conf.default.accept_ra = 0",
        "warren",
        "no tenant's advertisement counts",
    ),
    (
        "qrouter sysctl",
        "net.netfilter.nf_conntrack_tcp_be_liberal = ",
        "reference",
        "not set",
    ),
    (
        "qrouter sysctl",
        "net.netfilter.nf_conntrack_tcp_be_liberal = 1",
        "warren",
        "as later releases set it",
    ),
];

/// The reference falls silent: once Debian's dnsmasq (2.90) has answered a client whose port has `extra_dhcp_opts`, which it
/// knows by a `set:` tag, its next SIGHUP ends in free(), for the answer has hung its own tags behind the host's. The agent
/// looks after its children once a minute; here at once.
const LOOKED_AFTER: &str = "[agent]\ncheck_child_processes_interval = 1";

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn an_instance_gets_what_the_reference_gives() {
    let Some(cloud) = Cloud::shared() else {
        return;
    };
    let [reference, warren] = [REFERENCE, WARREN].map(|name| {
        let node = cloud.node(name);
        outside::wires(cloud, &node, &[&name.replace("life", "out")]);
        node.linuxbridge_agent();
        node
    });
    reference.configure("dhcp_agent.ini", LOOKED_AFTER);
    reference.reference_dhcp_agent();
    reference.reference_l3_agent();
    reference.reference_metadata_agent();
    let _warren = crate::drop_in::warren(cloud, &warren);
    let [mut theirs, mut ours] = [&reference, &warren].map(|node| Tenant::new(cloud, node));
    let mut unexplained = Vec::new();
    // The reference takes its time for the last of it.
    wait_until(super::SOON, || {
        unexplained = differences(&theirs.all(), &ours.all());
        unexplained.is_empty()
    });
    assert!(unexplained.is_empty(), "{}", unexplained.join("\n"));
}

fn differences(theirs: &Seen, ours: &Seen) -> Vec<String> {
    let mut unexplained = Vec::new();
    for (who, one, other) in [("reference", theirs, ours), ("warren", ours, theirs)] {
        for (place, line) in one.difference(other) {
            let explained = DIFFERENT.iter().any(|(at, begin, of, _)| {
                *of == who && place.starts_with(at) && line.starts_with(begin)
            });
            if !explained {
                unexplained.push(format!("only {who}: {place}: {line}"));
            }
        }
    }
    unexplained
}

/// Lines, each with where it was.
type Seen = BTreeSet<(String, String)>;

struct Tenant<'a> {
    node: &'a Node,
    network: Value,
    router: Value,
    client: DhcpClient,
    vm1: Guest,
    _outside: Outside,
}

impl<'a> Tenant<'a> {
    /// Addresses are all chosen: each pool has one, which is the DHCP port's.
    fn new(cloud: &Cloud, node: &'a Node) -> Self {
        let outside = Outside::new(cloud, &node.name().replace("life", "out"));
        let network = cloud.create("network", here(node, "blue", json!({})));
        let subnet = |cidr: &str, own: &str, more: Value| {
            let version = if cidr.contains(':') { 6 } else { 4 };
            let pool = json!([{"start": own, "end": own}]);
            let subnet = json!({"network_id": id(&network), "ip_version": version, "cidr": cidr, "allocation_pools": pool});
            cloud.create("subnet", with(subnet, more))
        };
        let route = json!({"destination": "192.0.2.0/24", "nexthop": "10.8.0.9"});
        let first = subnet("10.8.0.0/24", "10.8.0.2", json!({"host_routes": [route]}));
        subnet("10.9.0.0/24", "10.9.0.2", json!({"gateway_ip": null}));
        let stateful =
            json!({"ipv6_ra_mode": "dhcpv6-stateful", "ipv6_address_mode": "dhcpv6-stateful"});
        subnet("fd00:8::/64", "fd00:8::2", stateful);
        let router = cloud.create(
            "router",
            here(
                node,
                "r8",
                json!({"external_gateway_info": outside.gateway("198.18.0.50")}),
            ),
        );
        let path = format!("/v2.0/routers/{}", id(&router));
        cloud.put(
            &format!("{path}/add_router_interface"),
            &json!({"subnet_id": id(&first)}),
        );
        let extra = json!({"destination": "203.0.113.0/24", "nexthop": "10.8.0.11"});
        cloud.update("router", id(&router), &json!({"routes": [extra]}));
        let port = cloud.instance_port(
            id(&network),
            node.name(),
            json!({"mac_address": "fa:16:3e:08:00:11", "dns_name": "vm1",
                "fixed_ips": [{"ip_address": "10.8.0.11"}, {"ip_address": "fd00:8::11"}],
                "extra_dhcp_opts": [{"opt_name": "ntp-server", "opt_value": "10.8.0.123"}]}),
        );
        let floating = |address: &str| {
            let attributes = json!({"floating_network_id": id(&outside.network), "floating_ip_address": address});
            cloud.create("floatingip", attributes)
        };
        let to = json!({"port_id": id(&port)});
        cloud.update("floatingip", id(&floating("198.18.0.60")), &to);
        // One machine has either a floating IP or forwarded ports.
        let second = json!({"fixed_ips": [{"ip_address": "10.8.0.12"}]});
        let second = cloud.instance_port(id(&network), node.name(), second);
        let forwarded = format!(
            "/v2.0/floatingips/{}/port_forwardings",
            id(&floating("198.18.0.61"))
        );
        cloud.post(
            &forwarded,
            &json!({"port_forwarding": {"protocol": "tcp", "internal_port_id": id(&second),
                "internal_ip_address": "10.8.0.12", "internal_port": 8080, "external_port": 80}}),
        );
        let vm1 = node.guest("vm1", &port);
        cloud.port_active(id(&port));
        let mut client = vm1.dhcp(Client::Dhclient);
        client.bound();
        let flows = wait_until(LONG, || see(&vm1) == "198.18.0.60");
        assert!(flows, "no way out on {}: {}", node.name(), node.tails());
        Self {
            node,
            network,
            router,
            vm1,
            client,
            _outside: outside,
        }
    }

    fn all(&mut self) -> Seen {
        let mut all = BTreeSet::new();
        // Each look is a boot: the reference may have learnt the rest since the last one.
        self.client.crash();
        self.client.boot();
        let told = self.client.bound().raw.into_iter();
        // Which process asked is the instance's affair.
        for (key, value) in told.filter(|(key, _)| key != "pid") {
            all.insert(("lease".to_owned(), format!("{key}={value}")));
        }
        self.see_as_guest(&mut all);
        for question in QUESTIONS {
            let words = ["@10.8.0.2", "+noedns"].into_iter();
            let words: Vec<&str> = words.chain(question.split(' ')).collect();
            let mut answer = self.vm1.dig(&words);
            answer.answers.sort();
            let (status, flags) = (answer.status, answer.flags.join(" "));
            let answer = format!("{question}: {status} {flags} {:?}", answer.answers);
            all.insert(("dns".to_owned(), answer));
        }
        let mut add = |place: &str, text: &str| {
            for line in text.lines() {
                all.insert((place.to_owned(), neutral(line)));
            }
        };
        for (kind, namespace) in [
            ("qdhcp", qdhcp(&self.network)),
            ("qrouter", qrouter(&self.router)),
        ] {
            let inside = |args: &[&str]| self.node.run_in(&namespace, args).stdout;
            for what in [
                &["-o", "addr"][..],
                &["route"],
                &["-6", "route"],
                &["rule"],
                &["-o", "link"],
            ] {
                let text = inside(&[&["ip"], what].concat());
                add(&format!("{kind} {}", what.join(" ")), &text);
            }
            add(
                &format!("{kind} sysctl"),
                &inside(&[&["sysctl"], &SYSCTLS[..]].concat()),
            );
        }
        all
    }

    fn see_as_guest(&self, all: &mut Seen) {
        let resolv = self.vm1.read("/etc/resolv.conf").unwrap_or_default();
        let routes = self.vm1.run(&["ip", "route"]).stdout;
        for (place, text) in [("guest resolv.conf", resolv), ("guest routes", routes)] {
            all.extend(text.lines().map(|line| (place.to_owned(), line.to_owned())));
        }
    }
}

/// What is known, what is known by another type, and what is not.
const QUESTIONS: [&str; 16] = [
    "vm1.example.org A",
    "vm1.example.org AAAA",
    "vm1.example.org MX",
    "vm1.example.org ANY",
    "vm1.example.org A +tcp",
    "VM1.Example.ORG A",
    "vm1 A",
    "host-10-8-0-12.example.org A",
    "host-10-8-0-12.example.org AAAA",
    "host-10-8-0-1.example.org A",
    "-x 10.8.0.11",
    "-x 10.8.0.12",
    "-x fd00:8::11",
    "-x 10.8.0.200",
    "nobody.example.org A",
    "elsewhere.example.net A",
];

const SYSCTLS: [&str; 7] = [
    "net.ipv4.ip_forward",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv4.conf.all.arp_ignore",
    "net.ipv4.conf.all.arp_announce",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.default.accept_ra",
    "net.netfilter.nf_conntrack_tcp_be_liberal",
];

/// Without numbers that are never the same twice: devices' and ports' ids, MACs and what comes of them.
fn neutral(line: &str) -> String {
    let line = line
        .split_once(": ")
        .filter(|(n, _)| n.parse::<u32>().is_ok())
        .map_or(line, |(_, rest)| rest);
    let words = line.split_whitespace().map(|word| {
        let word = word.split('@').next().unwrap_or_default();
        let prefix = ["ns-", "qr-", "qg-", "tap"]
            .iter()
            .find(|prefix| word.starts_with(**prefix));
        match prefix {
            Some(prefix) => format!("{prefix}*"),
            None if word.starts_with("fe80::f816:3eff:") => "fe80::*".to_owned(),
            None if word.starts_with("fa:16:3e:") && word.len() == 17 => "fa:16:3e:*".to_owned(),
            None => word.to_owned(),
        }
    });
    words.collect::<Vec<_>>().join(" ")
}
