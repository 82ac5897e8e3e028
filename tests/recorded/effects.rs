//! Our plans beside what the reference agents made of the same messages: dnsmasq's files and arguments, addresses, routes.

use std::collections::BTreeSet;
use std::fs;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use warren::model::{
    DhcpOption, Event, IpNet, Network, NetworkId, PortId, RouterId, State, Target,
};
use warren::neutron::decode::{self, DhcpNotice, Naming};
use warren::plan::scope::{Dhcp6Scope, DhcpScope, Residents, Services, Zone};
use warren::plan::{self, Ipv6Gateway, Settings, Shared};

use super::{EFFECTS, NETWORKS, NOTICES, PORTS, ROUTERS, all};

/// (effect, the message with the network or router, ports that were told or answered after that).
const COMPARED: &[(&str, &str, &[&str])] = &[
    (
        "dhcp-v4-port-extra-opts",
        "get_network_info--12-port-create-bound-extra-dhcp-opts-dns-name",
        &[],
    ),
    (
        "dhcp-v4-routes-updated",
        "get_network_info--18-subnet-update-dns-and-routes",
        &[],
    ),
    (
        "dhcp-v4-no-gateway",
        "get_network_info--18b-subnet-update-no-gateway",
        &[],
    ),
    (
        "dhcp-dual-stack",
        "get_network_info--21-second-subnet-v6-stateful-on-dual-stack",
        &[
            "update_dhcp_port--21-second-subnet-v6-stateful-on-dual-stack",
            "port_create_end--21b-port-create-dual-stack",
        ],
    ),
    (
        "dhcp-several-subnets",
        "get_network_info--21c-second-subnet-v4-same-network",
        &[
            "update_dhcp_port--21c-second-subnet-v4-same-network",
            "port_create_end--21d-port-create-ips-in-two-v4-subnets",
        ],
    ),
    (
        "dhcp-routed-network-on-net1",
        "get_network_info--60d-subnet-on-other-segment-2",
        &["port_create_end--60e-port-create-on-routed-network"],
    ),
    // Later than the effects: the messages in between are of a shape that was kept before.
    (
        "dhcp-v6-slaac",
        "get_active_networks_info--24-dhcp-agent-restart-full-sync",
        &[],
    ),
    (
        "dhcp-v6-stateful",
        "get_active_networks_info--24-dhcp-agent-restart-full-sync",
        &[],
    ),
    (
        "dhcp-v6-stateless",
        "get_active_networks_info--24-dhcp-agent-restart-full-sync",
        &[],
    ),
    (
        "router-interface-only",
        "sync_routers--32-router-add-interface-v4",
        &[],
    ),
    (
        "router-two-interfaces-same-network",
        "sync_routers--32b-router-add-interface-second-subnet-same-network",
        &[],
    ),
    ("router-gateway", "sync_routers--33-router-gateway-set", &[]),
    (
        "router-gateway-changed",
        "sync_routers--33b-router-gateway-address-changed-2",
        &[],
    ),
    (
        "router-floatingip",
        "sync_routers--35-floatingip-associate",
        &[],
    ),
    (
        "router-extra-route",
        "sync_routers--38-router-extra-routes",
        &[],
    ),
    (
        "router-no-snat",
        "sync_routers--39-router-enable-snat-false",
        &[],
    ),
    (
        "router-v6-interfaces-radvd",
        "sync_routers--40-router-add-interface-v6-stateful",
        &[],
    ),
    (
        "router-floatingip-qos",
        "sync_routers--41c-floatingip-associate-with-qos",
        &[],
    ),
    (
        "router-gateway-qos",
        "sync_routers--41f-router-gateway-qos",
        &[],
    ),
    (
        "router-address-scope",
        "sync_routers--42d-router-add-interface-address-scope",
        &[],
    ),
    (
        "router-address-scope-external",
        "sync_routers--42h-floatingip-across-address-scopes",
        &[],
    ),
];

/// Whose message was not kept, because one of the same shape was before.
const NOT_COMPARED: &[(&str, &str)] = &[
    (
        "dhcp-isolated-metadata",
        "asked for again when it had another agent and more ports; metadata is in the others too",
    ),
    (
        "dhcp-v4-mtu-1400",
        "the MTU is seen in dhcp-dual-stack as well",
    ),
    (
        "dhcp-routed-network-on-net2",
        "net2's view was recorded before the other segment was there",
    ),
    (
        "router-port-forwarding",
        "forwardings are pushed, and no router's dict is asked for",
    ),
    ("router-port-forwarding-range", "the same"),
    (
        "router-conntrack-helper",
        "the same router as in router-address-scope-external",
    ),
];

/// (effects, beginning of lines that differ; `-` is the agent's, `+` ours; why).
const DIFFERENCES: &[(&str, &str, &str)] = &[
    (
        "dhcp-v6-slaac",
        "- v6 port ",
        "nobody can ask for it: where machines make their own addresses alone, DHCPv6 is not served",
    ),
    (
        "dhcp-",
        "- address fe80::a9fe:a9fe/64",
        "later agents set it as ours: /128, and where a subnet is of IPv6",
    ),
    ("dhcp-", "+ address fe80::a9fe:a9fe/128", "the same"),
    (
        "dhcp-",
        "- metadata fe80::a9fe:a9fe:80",
        "later agents listen there as we do: where a subnet is of IPv6",
    ),
    (
        "router-",
        "+ address fe80::a9fe:a9fe/128",
        "the agent's radvd tells a route to it, which many machines do not take; asked for it, ours says where it is",
    ),
    (
        "router-",
        "+ address fe80::f816:3eff:",
        "the kernel's own, named because advertisements come from it",
    ),
    (
        "router-",
        "+ setting net.ipv6.conf.default.accept_dad = 0",
        "no machine says that a router's address is its own",
    ),
    (
        "router-",
        "+ setting net.ipv6.conf.qg-",
        "the same, and no other setting of that device",
    ),
    (
        "dhcp-v4-no-gateway",
        "- route 0.0.0.0/0",
        "the agent reloads dnsmasq only, and leaves the old route until it restarts the network",
    ),
    (
        "dhcp-routed-network-on-net1",
        "+ subnet e157c688-ae6a-49ba-8fda-ae4eb2b467ce dns-server 10.24.2.2",
        "the DHCP port on the relayed client's own segment; dnsmasq names itself, which is on another",
    ),
    (
        "router-",
        "- setting net.ipv6.conf.qr-",
        "the kernel's default, which means nothing where it forwards; ours holds also should it not",
    ),
    (
        "router-",
        "+ setting net.ipv6.conf.qr-",
        "no machine's advertisement configures a router",
    ),
    (
        "router-",
        "- setting net.ipv6.conf.default.accept_ra = 1",
        "the same, for devices that are still to come",
    ),
    (
        "router-",
        "+ setting net.ipv6.conf.default.accept_ra = 0",
        "the same",
    ),
    (
        "router-",
        "+ setting net.ipv4.conf.all.accept_redirects = 0",
        "nobody leads a router's packets elsewhere",
    ),
    (
        "router-",
        "- setting net.netfilter.nf_conntrack_tcp_be_liberal = 0",
        "agents set it to 1 since 26.0",
    ),
    (
        "router-",
        "+ setting net.netfilter.nf_conntrack_tcp_be_liberal = 1",
        "agents set it to 1 since 26.0",
    ),
];

#[test]
fn every_effect_is_compared_or_said_why_not() {
    let effects: BTreeSet<String> = all(EFFECTS)
        .iter()
        .map(|effect| text(&effect["name"]))
        .collect();
    let said = COMPARED
        .iter()
        .map(|row| row.0)
        .chain(NOT_COMPARED.iter().map(|row| row.0));
    assert_eq!(effects, said.map(str::to_owned).collect());
}

#[test]
fn plans_are_what_the_agents_made() {
    let mut used = BTreeSet::new();
    let mut unexplained = Vec::new();
    for (name, message, later) in COMPARED {
        let effect = all(EFFECTS)
            .into_iter()
            .find(|effect| effect["name"] == *name)
            .unwrap();
        let namespace = text(&effect["namespace"]);
        let (ours, theirs) = match namespace.strip_prefix("qdhcp-") {
            Some(id) => (
                of_network(&network(message, id, later), &effect),
                of_dhcp_agent(&effect),
            ),
            None => (of_router(message), of_l3_agent(&effect)),
        };
        keep(name, &ours);
        let missing = theirs.difference(&ours).map(|line| format!("- {line}"));
        let more = ours.difference(&theirs).map(|line| format!("+ {line}"));
        for line in missing.chain(more) {
            let row = DIFFERENCES.iter().position(|(effects, begin, _)| {
                name.starts_with(effects) && line.starts_with(begin)
            });
            match row {
                Some(row) => _ = used.insert(row),
                None => unexplained.push(format!("{name}: {line}")),
            }
        }
    }
    assert!(
        unexplained.is_empty(),
        "unexplained:\n{}",
        unexplained.join("\n")
    );
    for (row, difference) in DIFFERENCES.iter().enumerate() {
        assert!(
            used.contains(&row),
            "there is no such difference: {difference:?}"
        );
    }
}

/// The plan as a file, for people; a change of it is seen in review.
fn keep(name: &str, lines: &BTreeSet<String>) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/plans/{name}.txt"));
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    if std::env::var_os("WARREN_BLESS").is_some() {
        fs::write(&path, &text).unwrap();
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(
        known,
        text,
        "{} is another; WARREN_BLESS=1 writes it anew",
        path.display()
    );
}

fn network(message: &str, id: &str, later: &[&str]) -> Network {
    let naming = Naming::new("net1", "example.org.");
    let is = |line: &Value, from: &str| line["from"] == from;
    let networks = all(NETWORKS);
    let line = networks
        .iter()
        .find(|line| is(line, message) && line["network"]["id"] == id);
    let mut network = decode::network(&line.unwrap()["network"], &naming)
        .unwrap()
        .value;
    for from in later {
        if let Some(answer) = all(PORTS).iter().find(|line| is(line, from)) {
            let own = decode::port(&answer["port"], &naming).unwrap().value;
            assert_eq!(own.device, naming.dhcp_device(network.id));
            network.dhcp_port = Some(Arc::new(own));
            continue;
        }
        let notices = all(NOTICES);
        let notice = notices.iter().find(|line| is(line, from)).unwrap();
        let notice =
            decode::dhcp_notice(notice["method"].as_str().unwrap(), &notice["args"], &naming);
        match notice.unwrap().unwrap() {
            DhcpNotice::PortChanged(port) => {
                network.ports.insert(port.value.id, Arc::new(port.value));
            }
            other => panic!("no port is made by {other:?}"),
        }
    }
    network
}

/// As net1's agent was configured.
fn settings() -> Settings {
    Settings {
        authoritative_dns: false,
        joined_names: false,
        every_address: false,
        ..Settings::default()
    }
}

struct Known<'a>(&'a Network, &'a Settings);

impl Shared for Known<'_> {
    fn dhcp(&self, _: NetworkId) -> Option<Arc<DhcpScope>> {
        plan::dhcp_scope(self.0, self.1).map(Arc::new)
    }

    fn dhcp6(&self, _: NetworkId) -> Option<Arc<Dhcp6Scope>> {
        plan::dhcp6_scope(self.0, self.1).map(Arc::new)
    }

    fn zone(&self, _: NetworkId) -> Option<Arc<Zone>> {
        Some(Arc::new(plan::zone(self.0, self.1)))
    }

    fn residents(&self, _: NetworkId) -> Option<Arc<Residents>> {
        Some(Arc::new(plan::residents(self.0)))
    }

    fn has_isolated(&self, _: NetworkId) -> bool {
        plan::has_isolated(self.0)
    }

    fn first_router(&self, _: NetworkId) -> Option<RouterId> {
        None
    }

    fn networks_of(&self, _: RouterId) -> Vec<NetworkId> {
        Vec::new()
    }
}

fn of_network(network: &Network, effect: &Value) -> BTreeSet<String> {
    let settings = settings();
    let mut state = State::default();
    state.apply(&Event::Network(Arc::new(network.clone())));
    let target = Target::Network(network.id);
    let plan = plan::plan(&state, target, &settings).unwrap();
    let served: Services = plan::services(&state, target, &settings, &Known(network, &settings));
    let (dhcp, dns) = (served.dhcp.unwrap(), served.dns.unwrap());
    let mut lines = planned(&plan);
    lines.insert(format!("mtu {}", dhcp.mtu.unwrap()));
    lines.insert(format!("domain {}", dhcp.domain.as_deref().unwrap()));
    for subnet in &dhcp.subnets {
        let id = subnet.id;
        lines.insert(format!("range {} {}", subnet.cidr, id));
        // dnsmasq gives its own address by itself.
        if !subnet.dns.iter().eq(&subnet.server) && !subnet.dns.is_empty() {
            lines.insert(format!("subnet {id} dns-server {}", comma(&subnet.dns)));
        }
        let routes: Vec<String> = subnet
            .classless_routes
            .iter()
            .map(|(net, via)| format!("{net},{via}"))
            .collect();
        if !routes.is_empty() {
            lines.insert(format!("subnet {id} routes {}", comma(&routes)));
        }
        lines.extend(
            subnet
                .router
                .map(|router| format!("subnet {id} router {router}")),
        );
    }
    for client in dhcp.clients.values() {
        for (_, ip) in &client.addresses {
            lines.insert(format!("host {} {ip}", client.mac));
        }
        lines.insert(format!(
            "hostname {} {}",
            client.mac,
            client.hostname().unwrap()
        ));
        let options = client.options.iter();
        lines.extend(options.map(|option| format!("port {} {}", client.port, shown(option))));
    }
    if let Some(dhcp6) = &served.dhcp6 {
        of_dhcp6(dhcp6, network, &mut lines);
    }
    let zone = &dns.zones[0];
    for (ip, claims) in zone.pointers.iter() {
        let (_, fqdn) = claims.last().unwrap();
        let at = |claims: &[(PortId, IpAddr)]| claims.iter().any(|(_, other)| other == ip);
        let bare = zone
            .names
            .iter()
            .filter(|(name, claims)| at(claims) && *name != fqdn);
        let mut bare: Vec<&str> = bare.map(|(name, _)| &**name).collect();
        bare.sort_unstable();
        lines.insert(format!("name {ip} {fqdn} {}", comma(&bare)));
    }
    let listen = served.metadata.iter().flat_map(|served| &served.listen);
    lines.extend(listen.map(|to| format!("metadata {}:{}", to.ip(), to.port())));
    assert_eq!(effect["host"], "net1");
    lines
}

fn of_dhcp6(scope: &Dhcp6Scope, network: &Network, lines: &mut BTreeSet<String>) {
    for subnet in &scope.subnets {
        let id = subnet.id;
        lines.insert(format!("v6 range {} {id}", subnet.cidr.network()));
        if !scope.search.is_empty() {
            let domains = scope.search.join(",");
            lines.insert(format!("v6 subnet {id} domain-search {domains}"));
        }
        // dnsmasq gives its own address by itself.
        let own = network.dhcp_port.iter().flat_map(|port| &port.fixed_ips);
        let own = own.filter(|fixed| fixed.subnet == id).map(|fixed| fixed.ip);
        if !subnet.dns.iter().copied().map(IpAddr::V6).eq(own) {
            lines.insert(format!("v6 subnet {id} dns-server {}", comma(&subnet.dns)));
        }
    }
    for client in scope.clients.values() {
        for (subnet, ip) in &client.addresses {
            lines.insert(match scope.subnets[*subnet].stateful {
                true => format!("v6 host {} {ip}", client.mac),
                false => format!("v6 host {}", client.mac),
            });
        }
        let options = client.options.iter();
        lines.extend(options.map(|option| format!("v6 port {} {}", client.port, shown(option))));
    }
}

fn of_router(message: &str) -> BTreeSet<String> {
    let line = all(ROUTERS)
        .into_iter()
        .find(|line| line["from"] == message)
        .unwrap();
    let router = decode::router(&line["router"]).unwrap().value;
    let target = Target::Router(router.id);
    let mut state = State::default();
    state.apply(&Event::Router(Arc::new(router)));
    let settings = Settings {
        ipv6_gateway: Ipv6Gateway::Advertised,
        ..settings()
    };
    let plan = plan::plan(&state, target, &settings).unwrap();
    let mut lines = planned(&plan);
    let inside = plan.inside.unwrap();
    for (device, link) in &inside.links {
        if let (Some(mac), Some(mtu)) = (link.mac, link.mtu) {
            lines.insert(format!("link {device} {mac} mtu {mtu}"));
        }
    }
    for (key, value) in &inside.sysctls {
        lines.insert(format!("setting {} = {value}", key.replace('/', ".")));
    }
    lines
}

/// Addresses, and routes that the kernel does not make by itself.
fn planned(plan: &plan::Plan) -> BTreeSet<String> {
    let inside = plan.inside.as_ref().unwrap();
    let mut lines = BTreeSet::new();
    for (device, link) in &inside.links {
        for address in link.addrs.iter().flatten() {
            lines.insert(format!("address {address} on {device}"));
        }
    }
    for route in &inside.routes {
        let hops: Vec<String> = route.via.iter().map(ToString::to_string).collect();
        let device = route.dev.as_ref().map(ToString::to_string);
        lines.insert(route_line(
            &route.destination.to_string(),
            &comma(&hops),
            device.as_deref(),
        ));
    }
    lines
}

fn of_l3_agent(effect: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    addresses_and_routes(effect, &mut lines);
    routes(&effect["routes6"], "::/0", &mut lines);
    lines.extend(
        texts(&effect["links"])
            .iter()
            .map(|link| format!("link {link}")),
    );
    let settings = texts(&effect["sysctls"]);
    lines.extend(settings.iter().map(|setting| format!("setting {setting}")));
    lines
}

fn of_dhcp_agent(effect: &Value) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    addresses_and_routes(effect, &mut lines);
    routes(&effect["routes6"], "::/0", &mut lines);
    for argument in texts(&effect["dnsmasq"]) {
        let value = argument.split_once('=').unwrap().1;
        if let Some(range) = argument.strip_prefix("--dhcp-range=set:subnet-") {
            let parts: Vec<&str> = range.split(',').collect();
            match parts[3].parse::<IpAddr>() {
                Ok(mask) => {
                    let net = IpNet::with_netmask(parts[1].parse().unwrap(), mask).unwrap();
                    lines.insert(format!("range {net} {}", parts[0]));
                }
                Err(_) => _ = lines.insert(format!("v6 range {} {}", parts[1], parts[0])),
            }
        } else if let Some(mtu) = value.strip_prefix("option:mtu,") {
            lines.insert(format!("mtu {mtu}"));
        } else {
            lines.insert(format!("domain {}", value.trim_end_matches('.')));
        }
    }
    for line in texts(&effect["opts"]) {
        lines.insert(option_line(&line));
    }
    for line in texts(&effect["hosts"]) {
        let parts: Vec<&str> = line.split(',').collect();
        match parts[2].parse::<IpAddr>() {
            Ok(ip) => {
                let mac = parts[0];
                lines.insert(format!("host {mac} {ip}"));
                // Of several the last counts.
                lines.retain(|line| !line.starts_with(&format!("hostname {mac} ")));
                lines.insert(format!(
                    "hostname {mac} {}",
                    parts[1].split('.').next().unwrap()
                ));
            }
            Err(_) => {
                assert_eq!(parts[1], "tag:dhcpv6", "{line}");
                let ip = parts
                    .get(3)
                    .and_then(|ip| ip.strip_prefix('[')?.strip_suffix(']'));
                let host = format!("v6 host {} {}", parts[0], ip.unwrap_or_default());
                lines.insert(host.trim_end().to_owned());
            }
        }
    }
    for line in texts(&effect["addn_hosts"]) {
        let (ip, names) = line.split_once('\t').unwrap();
        let (fqdn, bare) = names.split_once(' ').unwrap();
        lines.insert(format!("name {ip} {} {bare}", fqdn.trim_end_matches('.')));
    }
    for bind in texts(&effect["metadata"]) {
        lines.insert(format!("metadata {}", bind.split(' ').next().unwrap()));
    }
    lines
}

/// `tag:subnet-..,option:router,10.0.0.1` in our words.
fn option_line(line: &str) -> String {
    let (tag, rest) = line.split_once(',').unwrap();
    let (name, value) = rest.split_once(',').unwrap_or((rest, ""));
    if let Some(port) = tag.strip_prefix("tag:port-") {
        return match name.strip_prefix("option6:") {
            Some(name) => {
                let option = DhcpOption::parse_v6(name, value).unwrap();
                format!("v6 port {port} {}", shown(&option))
            }
            None => {
                let name = name.trim_start_matches("option:");
                format!(
                    "port {port} {}",
                    shown(&DhcpOption::parse_v4(name, value).unwrap())
                )
            }
        };
    }
    let subnet = tag.strip_prefix("tag:subnet-").unwrap();
    match name {
        "option:dns-server" => format!("subnet {subnet} dns-server {value}"),
        // Both are one list with us.
        "option:classless-static-route" | "249" => format!("subnet {subnet} routes {value}"),
        "option:router" => format!("subnet {subnet} router {value}"),
        "option6:dns-server" => {
            let value = value.replace(['[', ']'], "");
            format!("v6 subnet {subnet} dns-server {value}")
        }
        "option6:domain-search" => {
            let domain = value.trim_end_matches('.');
            format!("v6 subnet {subnet} domain-search {domain}")
        }
        _ => panic!("what is {line}?"),
    }
}

fn addresses_and_routes(effect: &Value, lines: &mut BTreeSet<String>) {
    for address in texts(&effect["addresses"]) {
        let parts: Vec<&str> = address.split(' ').collect();
        let own = parts[0] != "lo"
            && (!parts[2].starts_with("fe80::") || parts[2].starts_with("fe80::a9fe"));
        if own {
            lines.insert(format!("address {} on {}", parts[2], parts[0]));
        }
    }
    routes(&effect["routes"], "0.0.0.0/0", lines);
}

fn routes(told: &Value, everything: &str, lines: &mut BTreeSet<String>) {
    for route in texts(told)
        .iter()
        .filter(|route| !route.contains("proto kernel"))
    {
        let parts: Vec<&str> = route.split(' ').collect();
        let destination = if parts[0] == "default" {
            everything
        } else {
            parts[0]
        };
        let after = |word: &str| {
            parts
                .iter()
                .position(|part| *part == word)
                .map(|at| parts[at + 1])
        };
        let via = after("via").unwrap_or_default();
        lines.insert(route_line(destination, via, after("dev")));
    }
}

/// The kernel finds the device of a next hop by itself.
fn route_line(destination: &str, via: &str, device: Option<&str>) -> String {
    match device.filter(|_| via.is_empty()) {
        Some(device) => format!("route {destination} on {device}"),
        None => format!("route {destination} via {via}"),
    }
}

fn shown(option: &DhcpOption) -> String {
    let value: String = option
        .value
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("option {} {value}", option.code)
}

fn comma<T: ToString>(list: &[T]) -> String {
    list.iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(text).collect()
}
