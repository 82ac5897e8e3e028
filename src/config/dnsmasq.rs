//! `dnsmasq_config_file` and `dnsmasq_dns_servers`: of what was told to dnsmasq, what is understood here.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use super::problem::{Code, Place, Problem, Severity, quoted};
use super::reader::{Reader, default};

const SERVERS: (&str, &str) = default("dnsmasq_dns_servers");
const FILE: (&str, &str) = default("dnsmasq_config_file");

/// Of dnsmasq's own running; without a meaning here.
const NO_EFFECT: &[&str] = &[
    "all-servers",
    "cache-size",
    "dhcp-leasefile",
    "dhcp-lease-max",
    "dns-forward-max",
    "keep-in-foreground",
    "max-cache-ttl",
    "max-ttl",
    "neg-ttl",
    "no-daemon",
    "no-hosts",
    "no-negcache",
    "no-ping",
    "no-poll",
    "no-resolv",
    "pid-file",
    "port-limit",
    "quiet-dhcp",
    "quiet-dhcp6",
    "quiet-ra",
    "strict-order",
    "user",
    "group",
];

/// Where names that are not the network's own are asked.
pub(super) fn forwarders(reader: &mut Reader) -> Vec<SocketAddr> {
    let mut forwarders = Vec::new();
    for text in reader.list(SERVERS) {
        match server(&text) {
            Server::Everything(address) => forwarders.push(address),
            Server::OfDomain => reader.warn(
                SERVERS,
                Code::NotServed,
                format!(
                    "{}: names of one domain are not asked elsewhere than others",
                    quoted(&text)
                ),
                "leave it out, and let the other resolvers know the domain",
            ),
            Server::Wrong => reader.refuse(
                SERVERS,
                Code::BadValue,
                format!("{}: this is no resolver", quoted(&text)),
                "write IP or IP#PORT, with commas between",
            ),
        }
    }
    if let Some(path) = reader.path(FILE) {
        file(reader, &path, &mut forwarders);
    }
    let mut seen = BTreeSet::new();
    forwarders.retain(|address| seen.insert(*address));
    forwarders
}

#[derive(Debug, PartialEq)]
enum Server {
    Everything(SocketAddr),
    /// `/domain/ip`
    OfDomain,
    Wrong,
}

/// `ip`, `ip#port`, `/domain/ip`
fn server(text: &str) -> Server {
    if text.starts_with('/') {
        return Server::OfDomain;
    }
    let (address, port) = text.split_once('#').unwrap_or((text, "53"));
    match (address.parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(address), Ok(port)) if port > 0 => Server::Everything((address, port).into()),
        _ => Server::Wrong,
    }
}

fn file(reader: &mut Reader, path: &Path, forwarders: &mut Vec<SocketAddr>) {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) => {
            let why = format!("{}: it can't be read: {error}", path.display());
            return reader.refuse(
                FILE,
                Code::Unreadable,
                why,
                "correct the path, or leave it out",
            );
        }
    };
    let path: Arc<Path> = path.into();
    for (number, line) in text.lines().enumerate() {
        let meaning = meaning(line);
        if let Meaning::Resolver(address) = meaning {
            forwarders.push(address);
        }
        let Some((severity, why, fix)) = meaning.problem() else {
            continue;
        };
        let code = if severity == Severity::Ignored {
            Code::NoEffect
        } else {
            Code::NotServed
        };
        let option = line.split('=').next().unwrap_or_default().trim();
        reader.problems.push(Problem {
            place: Place::Line {
                path: path.clone(),
                line: number + 1,
            },
            severity,
            code,
            option: format!("dnsmasq's {}", quoted(option)),
            why: why.into(),
            fix: fix.into(),
        });
    }
}

#[derive(Debug, PartialEq)]
enum Meaning {
    Nothing,
    Resolver(SocketAddr),
    NoEffect,
    Mtu,
    Domain,
    ServerOfDomain,
    Unknown,
}

/// Of one line of dnsmasq's configuration: `option`, `option=value`, or a comment.
fn meaning(line: &str) -> Meaning {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return Meaning::Nothing;
    }
    // A comment needs a space before it: `server=192.0.2.1#5353` has none.
    let line = line.split(" #").next().unwrap_or_default();
    let (name, value) = line.split_once('=').unwrap_or((line, ""));
    let (name, value) = (name.trim(), value.trim());
    match name {
        "server" => match server(value) {
            Server::Everything(address) => Meaning::Resolver(address),
            Server::OfDomain => Meaning::ServerOfDomain,
            Server::Wrong => Meaning::Unknown,
        },
        "dhcp-option" | "dhcp-option-force" => {
            let option = value.split(',').next().unwrap_or_default();
            let mtu = ["26", "option:mtu", "mtu", "option:26"].contains(&option.trim());
            if mtu { Meaning::Mtu } else { Meaning::Unknown }
        }
        "domain" => Meaning::Domain,
        _ if name.starts_with("log-") || NO_EFFECT.contains(&name) => Meaning::NoEffect,
        _ => Meaning::Unknown,
    }
}

impl Meaning {
    /// How bad, why, and what to do.
    fn problem(&self) -> Option<(Severity, &'static str, &'static str)> {
        match self {
            Self::Nothing | Self::Resolver(_) => None,
            Self::NoEffect => Some((Severity::Ignored, "there is no dnsmasq", "")),
            Self::Mtu => Some((
                Severity::Warning,
                "DHCP tells every network's own `mtu`, and nothing else",
                "leave it out; set the networks' mtu, or global_physnet_mtu at the server",
            )),
            Self::Domain => Some((
                Severity::Refused,
                "the domain is not taken from here",
                "leave it out, and set [DEFAULT] dns_domain",
            )),
            Self::ServerOfDomain => Some((
                Severity::Warning,
                "names of one domain are not asked elsewhere than others",
                "leave it out, and let the other resolvers know the domain",
            )),
            Self::Unknown => Some((
                Severity::Refused,
                "there is no dnsmasq, and this line is not understood",
                "leave it out; options for single instances can be their ports' extra_dhcp_opts",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_dnsmasq_are_understood_or_not() {
        let resolver = |text: &str| Meaning::Resolver(text.parse().expect("an address"));
        for (line, want) in [
            ("", Meaning::Nothing),
            ("  # log-queries", Meaning::Nothing),
            ("log-queries", Meaning::NoEffect),
            ("log-facility=/var/log/dnsmasq.log", Meaning::NoEffect),
            ("no-resolv", Meaning::NoEffect),
            ("server=192.0.2.1", resolver("192.0.2.1:53")),
            ("server = 192.0.2.1#5353 # ours", resolver("192.0.2.1:5353")),
            ("server=2001:db8::1", resolver("[2001:db8::1]:53")),
            ("server=/example.org/192.0.2.1", Meaning::ServerOfDomain),
            ("server=192.0.2.1@eth0", Meaning::Unknown),
            ("server=192.0.2.1#0", Meaning::Unknown),
            ("dhcp-option-force=26,1454", Meaning::Mtu),
            ("dhcp-option=option:mtu,1454", Meaning::Mtu),
            ("dhcp-option=42,192.0.2.1", Meaning::Unknown),
            ("dhcp-match=set:ipxe,175", Meaning::Unknown),
            ("domain=example.org", Meaning::Domain),
            ("conf-dir=/etc/dnsmasq.d", Meaning::Unknown),
            ("nonsense", Meaning::Unknown),
        ] {
            assert_eq!(meaning(line), want, "{line}");
        }
    }
}
