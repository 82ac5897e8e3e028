//! Neighbour discovery in frames: what is sent, and what a router advertises, field by field (RFC 4861, 4191, 8106).

use std::collections::BTreeMap;
use std::net::Ipv6Addr;

use super::checksum;

pub const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
pub const ALL_ROUTERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2);
const SOLICITATION: u8 = 133;
const ADVERTISEMENT: u8 = 134;
const REDIRECT: u8 = 137;
const ETHERNET: usize = 14;
const HEADERS: usize = ETHERNET + 40;

/// Who sends a frame, as which address.
#[derive(Debug, Clone, Copy)]
pub struct Sender {
    pub mac: [u8; 6],
    pub ip: Ipv6Addr,
}

impl Sender {
    /// An ICMPv6 message to these neighbours, checksum filled in.
    pub fn icmp6(self, to_mac: [u8; 6], to: Ipv6Addr, mut message: Vec<u8>) -> Vec<u8> {
        let length = u16::try_from(message.len()).expect("fits a packet");
        let pseudo = [
            &self.ip.octets()[..],
            &to.octets(),
            &length.to_be_bytes(),
            &[0, 58],
            &message,
        ]
        .concat();
        message[2..4].copy_from_slice(&checksum(0, &pseudo).to_be_bytes());
        let mut frame = to_mac.to_vec();
        frame.extend(self.mac);
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([58, 255]);
        frame.extend(self.ip.octets());
        frame.extend(to.octets());
        frame.extend(message);
        frame
    }

    /// To all routers, with its own MAC in it unless it has no address yet.
    pub fn solicits(self) -> Vec<u8> {
        let mut message = vec![SOLICITATION, 0, 0, 0, 0, 0, 0, 0];
        if !self.ip.is_unspecified() {
            message.extend([1, 1]);
            message.extend(self.mac);
        }
        self.icmp6(group_mac(ALL_ROUTERS), ALL_ROUTERS, message)
    }

    /// To all nodes: a default router for half an hour, and what `options` say.
    pub fn advertises(self, options: &[u8]) -> Vec<u8> {
        let mut message = vec![ADVERTISEMENT, 0, 0, 0, 64, 0];
        message.extend(1800u16.to_be_bytes());
        message.extend([0; 8]);
        message.extend([1, 1]);
        message.extend(self.mac);
        message.extend(options);
        self.icmp6(group_mac(ALL_NODES), ALL_NODES, message)
    }

    /// "What is for `destination` goes to `better`", which has the MAC of `mac`.
    pub fn redirects(
        self,
        (to_mac, to): ([u8; 6], Ipv6Addr),
        destination: Ipv6Addr,
        (mac, better): ([u8; 6], Ipv6Addr),
    ) -> Vec<u8> {
        let mut message = vec![REDIRECT, 0, 0, 0, 0, 0, 0, 0];
        message.extend(better.octets());
        message.extend(destination.octets());
        message.extend([2, 1]);
        message.extend(mac);
        self.icmp6(to_mac, to, message)
    }
}

/// The Ethernet address of a group (RFC 2464 section 7).
pub fn group_mac(group: Ipv6Addr) -> [u8; 6] {
    let [.., a, b, c, d] = group.octets();
    [0x33, 0x33, a, b, c, d]
}

/// A prefix option: on-link and for addresses, for an hour.
pub fn prefix_option(net: Ipv6Addr) -> Vec<u8> {
    let mut option = vec![3, 4, 64, 0xc0];
    option.extend([3600u32.to_be_bytes(); 2].concat());
    option.extend([0; 4]);
    option.extend(net.octets());
    option
}

/// What a router said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertised {
    pub from_mac: [u8; 6],
    pub from: Ipv6Addr,
    pub to: Ipv6Addr,
    /// Every field of the packet by name; who says it, and whether its own MAC is in it, in words that are the same for all.
    pub fields: BTreeMap<String, String>,
}

impl Advertised {
    /// `None`: another packet. A damaged one is an error of the test.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if frame.get(12..14)? != [0x86, 0xdd] || frame.get(20)? != &58 {
            return None;
        }
        let message = frame.get(HEADERS..)?;
        if message.first()? != &ADVERTISEMENT {
            return None;
        }
        let from_mac: [u8; 6] = frame[6..12].try_into().ok()?;
        let mut fields = BTreeMap::new();
        let mut say = |name: &str, value: String| {
            let before = fields.insert(name.to_owned(), value);
            assert_eq!(before, None, "{name} twice");
        };
        let flag = |bit: u8| (message[5] & bit != 0).to_string();
        say("IP hop limit", frame[21].to_string());
        say("code", message[1].to_string());
        say("hop limit", message[4].to_string());
        say("managed (M)", flag(0x80));
        say("other (O)", flag(0x40));
        say("home agent", flag(0x20));
        say("preference", preference(message[5]).to_owned());
        say("router lifetime", pair(&message[6..]).to_string());
        say("reachable time", number(&message[8..]).to_string());
        say("retransmission timer", number(&message[12..]).to_string());
        let mut rest = &message[16..];
        while let [kind, units, ..] = rest {
            let (option, next) = rest.split_at(usize::from(*units) * 8);
            let (name, value) = said(*kind, option, from_mac);
            say(&name, value);
            rest = next;
        }
        Some(Self {
            from_mac,
            from: address(&frame[22..38]),
            to: address(&frame[38..54]),
            fields,
        })
    }
}

fn said(kind: u8, option: &[u8], from: [u8; 6]) -> (String, String) {
    match kind {
        1 if option[2..8] == from => ("source link-layer address".into(), "the sender's".into()),
        3 => {
            let flags = [(0x80, "on-link"), (0x40, "autonomous"), (0x20, "router")];
            let flags = flags.iter().filter(|(bit, _)| option[3] & bit != 0);
            let flags: Vec<_> = flags.map(|(_, word)| *word).collect();
            let (valid, preferred) = (number(&option[4..]), number(&option[8..]));
            let value = format!("{}, valid {valid}, preferred {preferred}", flags.join(" "));
            let net = address(&option[16..32]);
            (format!("prefix {net}/{}", option[2]), value)
        }
        5 => ("MTU".into(), number(&option[4..]).to_string()),
        24 => {
            let mut net = [0; 16];
            net[..option.len() - 8].copy_from_slice(&option[8..]);
            let value = format!("{}, {}", preference(option[3]), number(&option[4..]));
            let net = Ipv6Addr::from(net);
            (format!("route {net}/{}", option[2]), value)
        }
        25 => {
            let servers = option[8..]
                .chunks(16)
                .map(|octets| address(octets).to_string());
            let servers: Vec<_> = servers.collect();
            let value = format!("{}, {}", servers.join(" "), number(&option[4..]));
            ("name servers (RDNSS)".into(), value)
        }
        31 => {
            let value = format!("{}, {}", names(&option[8..]), number(&option[4..]));
            ("search list (DNSSL)".into(), value)
        }
        _ => (format!("option {kind}"), format!("{option:02x?}")),
    }
}

fn preference(flags: u8) -> &'static str {
    match flags >> 3 & 3 {
        0 => "medium",
        1 => "high",
        3 => "low",
        _ => "reserved",
    }
}

fn names(mut rest: &[u8]) -> String {
    let mut names = String::new();
    while let [length, after @ ..] = rest {
        let (label, next) = after.split_at(usize::from(*length));
        names.push_str(std::str::from_utf8(label).unwrap());
        names.push('.');
        rest = next;
    }
    // The padding is names without labels.
    names.trim_end_matches('.').to_owned()
}

fn pair(bytes: &[u8]) -> u16 {
    u16::from_be_bytes([bytes[0], bytes[1]])
}

fn number(bytes: &[u8]) -> u32 {
    u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]])
}

fn address(octets: &[u8]) -> Ipv6Addr {
    let octets: [u8; 16] = octets.try_into().unwrap();
    Ipv6Addr::from(octets)
}
