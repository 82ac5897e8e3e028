//! What the agents made, in the same lines.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde_json::Value;
use warren::model::{DhcpOption, IpNet};

use super::{route_line, shown, texts};

pub(super) fn of_l3_agent(effect: &Value) -> BTreeSet<String> {
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

pub(super) fn of_dhcp_agent(effect: &Value) -> BTreeSet<String> {
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
