//! DHCPv6 messages in the making, and in words.

use std::net::Ipv6Addr;

use dhcproto::v6::{DhcpOption, DhcpOptions, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use netns::MacAddr;

use super::common::Udp6;
use super::lan::{Mac, mac};

pub(crate) const SOLICIT: u8 = 1;
pub(crate) const REQUEST: u8 = 3;
pub(crate) const CONFIRM: u8 = 4;
pub(crate) const RENEW: u8 = 5;
pub(crate) const REBIND: u8 = 6;
pub(crate) const RELEASE: u8 = 8;
pub(crate) const DECLINE: u8 = 9;
pub(crate) const INFORMATION: u8 = 11;

/// Codes and values.
type Options = Vec<(u16, Vec<u8>)>;

/// A client's message, and how it travels.
#[derive(Clone)]
pub(crate) struct Says {
    kind: u8,
    options: Options,
    /// Link, peer, options.
    relays: Vec<(Ipv6Addr, Ipv6Addr, Options)>,
    pub(crate) mac: Mac,
    pub(crate) source: Ipv6Addr,
    pub(crate) port: u16,
    pub(crate) to_server: Option<(Mac, Ipv6Addr)>,
    /// Its answer may come after that of who asks later.
    pub(crate) waits: bool,
}

impl Says {
    pub(crate) fn new(last: u8, kind: u8) -> Self {
        let nothing = Self {
            kind,
            options: vec![],
            relays: vec![],
            mac: mac(last),
            source: MacAddr(mac(last)).link_local(),
            port: 546,
            to_server: None,
            waits: false,
        };
        nothing.raw(1, &[&[0, 3, 0, 1][..], &mac(last)].concat())
    }

    pub(crate) fn solicit(last: u8) -> Self {
        Self::new(last, SOLICIT).na(&[])
    }

    pub(crate) fn raw(mut self, code: u16, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    /// An association with these addresses.
    pub(crate) fn na(self, addresses: &[&str]) -> Self {
        let mut value = vec![0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0];
        for address in addresses {
            let address: Ipv6Addr = address.parse().unwrap();
            value.extend(option(5, &[&address.octets()[..], &[0; 8]].concat()));
        }
        self.raw(3, &value)
    }

    pub(crate) fn wanting(self, codes: &[u16]) -> Self {
        let codes: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
        self.raw(6, &codes)
    }

    /// To the server with this DUID.
    pub(crate) fn to(self, server: &[u8]) -> Self {
        self.raw(2, server)
    }

    /// Another DUID instead of its own.
    pub(crate) fn duid(mut self, duid: &[u8]) -> Self {
        self.options.retain(|(code, _)| *code != 1);
        self.raw(1, duid)
    }

    /// From an address that says nothing of the MAC, or is another's.
    pub(crate) fn from(mut self, source: &str) -> Self {
        self.source = source.parse().unwrap();
        self
    }

    /// In a frame of somebody else's.
    pub(crate) fn framed_by(mut self, last: u8) -> Self {
        self.mac = mac(last);
        self
    }

    pub(crate) fn waiting(mut self) -> Self {
        self.waits = true;
        self
    }

    /// To the server's own address.
    pub(crate) fn unicast(mut self, mac: Mac, address: Ipv6Addr) -> Self {
        self.to_server = Some((mac, address));
        self
    }

    /// One relay more around it; it comes from 2001:db8:1::9, which the tester has.
    pub(crate) fn relay(mut self, link: &str, options: &[(u16, Vec<u8>)]) -> Self {
        let peer = match self.relays.last() {
            None => self.source,
            Some((link, ..)) => *link,
        };
        self.relays
            .push((link.parse().unwrap(), peer, options.to_vec()));
        (self.mac, self.port) = (mac(super::lan::SELF), 547);
        self.source = "2001:db8:1::9".parse().unwrap();
        self.waits = true;
        self
    }

    pub(crate) fn packet(&self, number: u32) -> Vec<u8> {
        let mut message = number.to_be_bytes().to_vec();
        message[0] = self.kind;
        for (code, value) in &self.options {
            message.extend(option(*code, value));
        }
        for (hops, (link, peer, options)) in self.relays.iter().enumerate() {
            let mut outer = vec![12, u8::try_from(hops).unwrap()];
            outer.extend(link.octets());
            outer.extend(peer.octets());
            for (code, value) in options {
                outer.extend(option(*code, value));
            }
            outer.extend(option(9, &message));
            message = outer;
        }
        message
    }
}

pub(crate) fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// A client's own message, out of relays'.
pub(crate) fn inner(mut message: &[u8]) -> Option<&[u8]> {
    while message.first() == Some(&13) {
        let mut rest = message.get(34..)?;
        loop {
            let length = usize::from(u16::from_be_bytes(rest.get(2..4)?.try_into().ok()?));
            let value = rest.get(4..4 + length)?;
            if rest[..2] == [0, 9] {
                message = value;
                break;
            }
            rest = &rest[4 + length..];
        }
    }
    Some(message)
}

pub(crate) fn transaction(message: &[u8]) -> Option<u32> {
    let [_, a, b, c, ..] = inner(message)? else {
        return None;
    };
    Some(u32::from_be_bytes([0, *a, *b, *c]))
}

pub(crate) fn decode(udp: &Udp6) -> Message {
    Message::decode(&mut Decoder::new(inner(&udp.payload).unwrap())).unwrap()
}

/// The bytes of an option.
pub(crate) fn value(udp: &Udp6, code: u16) -> Option<Vec<u8>> {
    let message = decode(udp);
    let option = message.opts().get(OptionCode::from(code))?;
    let mut wire = Vec::new();
    option.encode(&mut Encoder::new(&mut wire)).unwrap();
    Some(wire[4..].to_vec())
}

/// Its server's DUID.
pub(crate) fn server(udp: &Udp6) -> Vec<u8> {
    value(udp, 2).unwrap()
}

/// Kind, addresses, statuses, and whom it was sent to.
pub(crate) fn said(udp: &Udp6) -> String {
    let message = decode(udp);
    let mut words = vec![match message.msg_type() {
        MessageType::Advertise => "advertise".to_owned(),
        MessageType::Reply => "reply".to_owned(),
        other => format!("{other:?}"),
    }];
    words.extend(identities(message.opts()));
    let [.., last] = udp.to_mac;
    words.push(format!("to {last:x} [{}]:{}", udp.to.ip(), udp.to.port()));
    words.join(" ")
}

/// Addresses and statuses.
pub(crate) fn identities(options: &DhcpOptions) -> Vec<String> {
    let mut words = vec![];
    for option in options.iter() {
        match option {
            DhcpOption::IANA(ia) => words.push(format!("na[{}]", identities(&ia.opts).join(" "))),
            DhcpOption::IATA(ia) => words.push(format!("ta[{}]", identities(&ia.opts).join(" "))),
            DhcpOption::IAPD(ia) => words.push(format!("pd[{}]", identities(&ia.opts).join(" "))),
            DhcpOption::IAAddr(address) => {
                let gone = if address.valid_life == 0 { "-" } else { "" };
                words.push(format!("{gone}{}", address.addr));
            }
            DhcpOption::StatusCode(status) => words.push(format!("{:?}", status.status)),
            DhcpOption::RapidCommit => words.push("rapid".into()),
            _ => {}
        }
    }
    words
}
