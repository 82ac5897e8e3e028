//! What goes out: one message, written by hand into one buffer.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::codes;
use super::relay;
use super::request::Request;
use super::wire::put;
use crate::model::MacAddr;
use crate::plan::scope::Dhcp6Scope;

pub(in crate::dhcp) const SERVER_PORT: u16 = 547;
pub(in crate::dhcp) const CLIENT_PORT: u16 = 546;

/// IPv6 and UDP headers.
const IP_AND_UDP: usize = 48;
/// What every IPv6 link carries (RFC 8200 section 5), and what Ethernet does.
const MTUS: (u16, u16) = (1280, 1500);
/// What is left for a message at least, however much its relays add: the kernel cuts what is too long for a frame.
const LEAST: usize = 512;
/// Hardly a message is longer.
const USUAL: usize = 384;

/// An answer, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub kind: Kind,
    /// What UDP carries, from port 547.
    pub message: Vec<u8>,
    pub to: Delivery,
    /// To a client that is no port of the network, and is told what that means for it.
    pub stranger: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Advertise,
    Reply,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// On the link, to port 546, as a frame: there is no waiting for who is not in the neighbour table, and nobody but this
    /// MAC hears it.
    Frame { mac: MacAddr, ip: Ipv6Addr },
    /// Back to the relay, or to who speaks from afar.
    Datagram(SocketAddrV6),
}

/// Writes options as long as there is room.
#[derive(Debug)]
pub(super) struct Writer {
    message: Vec<u8>,
    limit: usize,
}

impl Writer {
    /// With the ids of both.
    pub(super) fn new(kind: Kind, scope: &Dhcp6Scope, request: &Request<'_>) -> Self {
        let (least, most) = MTUS;
        let mtu = scope.mtu.unwrap_or(most).clamp(least, most);
        let taken = IP_AND_UDP + relay::length(&request.relays);
        let limit = usize::from(mtu).saturating_sub(taken).max(LEAST);
        let mut message = Vec::with_capacity(USUAL);
        message.push(match kind {
            Kind::Advertise => codes::ADVERTISE,
            Kind::Reply => codes::REPLY,
        });
        message.extend(request.transaction());
        let mut out = Self { message, limit };
        if let Some(id) = request.option(codes::CLIENT_ID) {
            out.option(codes::CLIENT_ID, |out| out.extend(id));
        }
        out.option(codes::SERVER_ID, |out| out.extend(duid(scope.mac)));
        out
    }

    /// One option, its value written by `value`. Left out if there is no room for it.
    pub(super) fn option(&mut self, code: u16, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.message.len();
        put(&mut self.message, code, value);
        if self.message.len() > self.limit {
            self.message.truncate(start);
        }
    }

    /// The whole of it, with the relays around it.
    pub(super) fn finish(self, request: &Request<'_>) -> Vec<u8> {
        relay::wrap(&request.relays, self.message)
    }
}

/// Our own DUID: of the DHCP port's MAC (DUID-LL, section 11.4), so it is the same after a restart.
pub(super) fn duid(MacAddr(mac): MacAddr) -> [u8; 10] {
    let [a, b, c, d, e, f] = mac;
    [0, 3, 0, 1, a, b, c, d, e, f]
}
