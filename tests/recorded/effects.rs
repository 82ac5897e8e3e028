//! Our plans beside what the reference agents made of the same messages: dnsmasq's files and arguments, addresses, routes.

mod ours;
mod theirs;

use std::collections::BTreeSet;

use serde_json::Value;
use warren::model::DhcpOption;

use self::ours::{network, of_network, of_router};
use self::theirs::{of_dhcp_agent, of_l3_agent};
use super::blessed::blessed;
use super::{EFFECTS, all};

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
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    blessed(&format!("tests/plans/{name}.txt"), &text);
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
