//! Messages that relays passed on (section 19), as many deep as relays may pass them on.

use std::net::Ipv6Addr;

use super::codes;
use super::request::Malformed;
use super::wire::{Options, put};
use crate::model::MacAddr;

/// RFC 3315's bound on hops; RFC 8415 has 8, but old relays are still about.
const MOST: usize = 32;
/// Type, hop count, link address, peer address.
const HEADER: usize = 34;
/// `hrd` of Ethernet.
const ETHERNET: [u8; 2] = [0, 1];

/// What one relay put around a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relay<'a> {
    hops: u8,
    /// Of the link that the message came from; unspecified: only the interface id says which.
    pub(super) link: Ipv6Addr,
    /// Who sent it to the relay: the client, or another relay.
    pub(super) peer: Ipv6Addr,
    options: Options<'a>,
}

/// The relays, outermost first, and the client's message.
pub(super) fn unwrap(packet: &[u8]) -> Result<(Vec<Relay<'_>>, &[u8]), Malformed> {
    let (mut relays, mut rest) = (Vec::new(), packet);
    while rest.first() == Some(&codes::RELAY_FORWARD) {
        if relays.len() == MOST {
            return Err(Malformed::Relays);
        }
        let (header, options) = rest.split_at_checked(HEADER).ok_or(Malformed::Length)?;
        let address = |at: usize| {
            let mut octets = [0; 16];
            octets.copy_from_slice(&header[at..at + 16]);
            Ipv6Addr::from(octets)
        };
        let options = Options(options);
        if !options.are_whole() {
            return Err(Malformed::Options);
        }
        let inner = options.first(codes::RELAY_MESSAGE);
        rest = inner.ok_or(Malformed::Relays)?;
        relays.push(Relay {
            hops: header[1],
            link: address(2),
            peer: address(18),
            options,
        });
    }
    Ok((relays, rest))
}

impl Relay<'_> {
    /// What it knows of the client's link layer.
    pub(super) fn client_mac(&self) -> Option<MacAddr> {
        let value = self.options.first(codes::CLIENT_MAC)?;
        let mac = value.strip_prefix(&ETHERNET)?.try_into().ok();
        mac.map(MacAddr).filter(|mac| !mac.is_multicast())
    }

    /// The reply has to go to the port that the request came from.
    pub(super) fn has_port(&self) -> bool {
        self.options.first(codes::RELAY_PORT).is_some()
    }

    /// Bytes that it adds to a reply.
    fn length(&self) -> usize {
        let echoed = self.echoed().map(|(_, value)| value.len() + 4);
        HEADER + 4 + echoed.sum::<usize>()
    }

    fn echoed(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let codes = [codes::INTERFACE_ID, codes::RELAY_PORT];
        codes
            .into_iter()
            .filter_map(|code| Some((code, self.options.first(code)?)))
    }
}

/// Bytes that all of them add.
pub(super) fn length(relays: &[Relay<'_>]) -> usize {
    relays.iter().map(Relay::length).sum()
}

/// A reply for the outermost relay, each layer as the request had it.
pub(super) fn wrap(relays: &[Relay<'_>], message: Vec<u8>) -> Vec<u8> {
    let around = |inner: Vec<u8>, relay: &Relay<'_>| {
        let mut out = Vec::with_capacity(inner.len() + relay.length());
        out.extend([codes::RELAY_REPLY, relay.hops]);
        out.extend(relay.link.octets());
        out.extend(relay.peer.octets());
        for (code, value) in relay.echoed() {
            put(&mut out, code, |out| out.extend(value));
        }
        put(&mut out, codes::RELAY_MESSAGE, |out| out.extend(inner));
        out
    };
    relays.iter().rev().fold(message, around)
}
