//! A reply as an Ethernet frame.

use std::net::Ipv6Addr;

use super::reply::{CLIENT_PORT, SERVER_PORT};
use crate::dhcp::frame::checksum;
use crate::model::MacAddr;

/// Where a frame comes from, or goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) mac: MacAddr,
    pub(super) ip: Ipv6Addr,
}

const ETHERNET: usize = 14;
const IP: usize = 40;
const UDP: usize = 8;

/// Puts the frame of a UDP datagram from port 547 to port 546 into `out`.
pub(super) fn write(out: &mut Vec<u8>, from: End, to: End, payload: &[u8]) {
    out.clear();
    out.extend(to.mac.0);
    out.extend(from.mac.0);
    out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
    // A reply is bounded by the MTU.
    let length = u16::try_from(payload.len() + UDP).unwrap_or(u16::MAX);
    out.extend(length.to_be_bytes());
    out.extend([17, 64]); // UDP; hop limit
    out.extend(from.ip.octets());
    out.extend(to.ip.octets());
    out.extend(SERVER_PORT.to_be_bytes());
    out.extend(CLIENT_PORT.to_be_bytes());
    out.extend(length.to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    // Over the addresses, the datagram, and the rest of the pseudo header (RFC 8200 section 8.1). Zero is not allowed.
    let pseudo = 17 + u32::from(length);
    let checksum = match checksum(pseudo, &out[ETHERNET + 8..]) {
        0 => 0xffff,
        sum => sum,
    };
    out[ETHERNET + IP + 6..ETHERNET + IP + UDP].copy_from_slice(&checksum.to_be_bytes());
}
