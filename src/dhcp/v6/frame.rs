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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_wire_expects() {
        let end = |last| {
            let mac = MacAddr([2, 0, 0, 0, 0, last]);
            let ip = mac.link_local();
            End { mac, ip }
        };
        for (name, payload, checksum) in [
            // Reckoned by another program.
            ("even", &b"ab"[..], 0x9f2e),
            ("odd", b"abc", 0x3c2c),
        ] {
            let mut frame = vec![1, 2, 3];
            write(&mut frame, end(1), end(2), payload);
            assert_eq!(frame.len(), 62 + payload.len(), "{name}");
            assert_eq!(
                frame[..14],
                [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd],
                "{name}"
            );
            assert_eq!(frame[22..38], end(1).ip.octets(), "{name}");
            assert_eq!(frame[38..54], end(2).ip.octets(), "{name}");
            assert_eq!(frame[54..58], [2, 35, 2, 34], "{name}");
            assert_eq!(frame[62..], *payload, "{name}");
            let at = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            assert_eq!(
                at(18),
                u16::try_from(payload.len() + 8).unwrap_or(0),
                "{name}"
            );
            assert_eq!(at(60), checksum, "{name}");
        }
    }
}
