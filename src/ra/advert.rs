//! Router advertisements as they are on the wire, and the check of what asks for them (RFC 4861 sections 4.1, 4.2, 6.1).

use std::net::Ipv6Addr;

use ipnet::Ipv6Net;

use crate::plan::scope::{RaLink, RaPrefix};

pub(super) const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;

const SOURCE_ADDRESS: u8 = 1;
const PREFIX: u8 = 3;
const MTU: u8 = 5;
const ROUTE: u8 = 24;
const NAME_SERVERS: u8 = 25;
const SEARCH_LIST: u8 = 31;

const MANAGED: u8 = 0x80;
const OTHER: u8 = 0x40;
const ON_LINK: u8 = 0x80;
const AUTONOMOUS: u8 = 0x40;

/// What machines put on their packets first (RFC 1700's default).
const HOP_LIMIT: u8 = 64;
/// Seconds; radvd's, as Neutron has them.
const VALID: u32 = 86_400;
const PREFERRED: u32 = 14_400;
/// Seconds that we are believed at least: RFC 4861's default (three times its longest interval). Three times Neutron's own
/// interval are 5 minutes, after which machines would have no way out where the daemon is down, though packets still pass.
const BELIEVED: u16 = 1_800;
/// Seconds; routers are not believed longer (RFC 4861 section 6.2.1).
const BELIEVED_MOST: u16 = 9_000;

/// Bytes of one message: it must pass every link, and a fragment of one is not believed (RFC 6980).
const LONGEST: usize = 1_280 - 40;

/// Whether we shall be believed any longer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    No,
    /// We cease to be a router here (RFC 4861 section 6.2.5).
    Yes,
}

/// What the link is told now, in as many messages as it takes. Prefixes that are `fading` are not to be used any more.
pub fn messages(link: &RaLink, fading: &[RaPrefix], ending: Ending) -> Vec<Vec<u8>> {
    let head = head(link, ending);
    let mut messages = vec![head.clone()];
    for option in options(link, fading, ending) {
        let fits = messages
            .last()
            .is_some_and(|last| last.len() + option.len() <= LONGEST);
        if !fits {
            messages.push(head.clone());
        }
        if let Some(last) = messages.last_mut() {
            last.extend(option);
        }
    }
    messages
}

/// What every message begins with: also who we are on this link.
fn head(link: &RaLink, ending: Ending) -> Vec<u8> {
    let flag = |set: bool, bit: u8| if set { bit } else { 0 };
    let lifetime = match ending {
        Ending::No if link.default_router => believed(link),
        Ending::No | Ending::Yes => 0,
    };
    let flags = flag(link.managed, MANAGED) | flag(link.other, OTHER);
    let mut head = vec![ADVERTISEMENT, 0, 0, 0, HOP_LIMIT, flags];
    head.extend(lifetime.to_be_bytes());
    head.extend([0; 8]); // reachable time and retransmission timer: as machines have them
    head.extend([SOURCE_ADDRESS, 1]);
    head.extend(link.mac.0);
    head
}

fn options(link: &RaLink, fading: &[RaPrefix], ending: Ending) -> Vec<Vec<u8>> {
    let lifetime = match ending {
        Ending::No => u32::from(believed(link)),
        Ending::Yes => 0,
    };
    let mut options = Vec::new();
    options.extend(link.mtu.map(|mtu| {
        let mut option = vec![MTU, 1, 0, 0];
        option.extend(mtu.to_be_bytes());
        option
    }));
    // At the end nothing is said of prefixes: another router may still lead to them.
    if ending == Ending::No {
        options.extend(link.prefixes.iter().map(|of| prefix(*of, VALID, PREFERRED)));
        options.extend(fading.iter().map(|of| prefix(*of, 0, 0)));
    }
    options.extend(link.routes.iter().map(|net| route(*net, lifetime)));
    // Where we are no router, others go on to say the rest: another DHCP agent, or the router that has come.
    let (dns, domains) = match ending {
        Ending::No => (&link.dns, &link.domains[..]),
        Ending::Yes if link.default_router => (&link.ending, &link.domains[..]),
        Ending::Yes => (&link.ending, &[][..]),
    };
    if !dns.is_empty() {
        options.push(name_servers(dns, lifetime));
    }
    options.extend(search_list(domains, lifetime));
    options
}

fn believed(link: &RaLink) -> u16 {
    let (_, most) = link.interval;
    most.saturating_mul(3).clamp(BELIEVED, BELIEVED_MOST)
}

fn prefix(RaPrefix { net, autonomous }: RaPrefix, valid: u32, preferred: u32) -> Vec<u8> {
    let flags = ON_LINK | if autonomous { AUTONOMOUS } else { 0 };
    let mut option = vec![PREFIX, 4, net.prefix_len(), flags];
    option.extend(valid.to_be_bytes());
    option.extend(preferred.to_be_bytes());
    option.extend([0; 4]);
    option.extend(net.network().octets());
    option
}

/// Of medium preference; as much of the prefix as it has bits (RFC 4191 section 2.3).
fn route(net: Ipv6Net, lifetime: u32) -> Vec<u8> {
    let (units, bytes) = match net.prefix_len() {
        0 => (1, 0),
        1..=64 => (2, 8),
        _ => (3, 16),
    };
    let mut option = vec![ROUTE, units, net.prefix_len(), 0];
    option.extend(lifetime.to_be_bytes());
    option.extend(&net.network().octets()[..bytes]);
    option
}

/// The plan names a few at most.
fn name_servers(servers: &[Ipv6Addr], lifetime: u32) -> Vec<u8> {
    let servers = &servers[..servers.len().min(127)];
    // In units of eight bytes: one for the head, two for each.
    let units = u8::try_from(1 + 2 * servers.len()).unwrap_or(u8::MAX);
    let mut option = vec![NAME_SERVERS, units, 0, 0];
    option.extend(lifetime.to_be_bytes());
    option.extend(servers.iter().flat_map(Ipv6Addr::octets));
    option
}

/// Names as DNS has them, filled up with zeros (RFC 8106 section 5.2). A domain that DNS can't have is left out.
fn search_list(domains: &[String], lifetime: u32) -> Option<Vec<u8>> {
    let mut names = Vec::new();
    for domain in domains {
        let labels = domain.trim_end_matches('.').split('.');
        let encoded: Option<Vec<Vec<u8>>> = labels.map(label).collect();
        if let Some(labels) = encoded.filter(|labels| labels.concat().len() < 255) {
            names.extend(labels.concat());
            names.push(0);
        }
    }
    if names.is_empty() {
        return None;
    }
    names.resize(names.len().next_multiple_of(8), 0);
    let units = u8::try_from(1 + names.len() / 8).ok()?;
    let mut option = vec![SEARCH_LIST, units, 0, 0];
    option.extend(lifetime.to_be_bytes());
    option.extend(names);
    Some(option)
}

fn label(text: &str) -> Option<Vec<u8>> {
    let length = u8::try_from(text.len())
        .ok()
        .filter(|length| (1..=63).contains(length))?;
    Some([&[length], text.as_bytes()].concat())
}

/// Whether a message is a solicitation that a router may heed (RFC 4861 section 6.1.1). That its checksum is right and its
/// hop limit 255 was seen to before.
pub fn is_solicitation(message: &[u8], source: Ipv6Addr) -> bool {
    let [SOLICITATION, 0, _, _, _, _, _, _, options @ ..] = message else {
        return false;
    };
    let mut rest = options;
    while let [kind, units, ..] = rest {
        let length = usize::from(*units) * 8;
        if length == 0 || length > rest.len() {
            return false;
        }
        if *kind == SOURCE_ADDRESS && source.is_unspecified() {
            return false;
        }
        rest = &rest[length..];
    }
    rest.is_empty()
}

#[cfg(test)]
mod tests;
