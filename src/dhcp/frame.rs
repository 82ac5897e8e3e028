//! A reply as an Ethernet frame. Who has no address yet answers no ARP, so the kernel could not send it.

use std::net::Ipv4Addr;

use super::link::{CLIENT_PORT, SERVER_PORT};
use crate::model::MacAddr;

/// Where a frame comes from, or goes.
#[derive(Debug, Clone, Copy)]
pub(super) struct End {
    pub(super) mac: MacAddr,
    pub(super) ip: Ipv4Addr,
}

const ETHERNET: usize = 14;
const IP: usize = 20;
const UDP: usize = 8;

/// Puts the frame of a UDP datagram from port 67 to port 68 into `out`. Both checksums are filled in: old clients on
/// virtual devices drop what has none.
pub(super) fn write(out: &mut Vec<u8>, from: End, to: End, payload: &[u8]) {
    out.clear();
    out.extend(to.mac.0);
    out.extend(from.mac.0);
    // A reply is bounded by the MTU.
    let udp_length = u16::try_from(payload.len() + UDP).unwrap_or(u16::MAX);
    let ip_length = udp_length.saturating_add(20).to_be_bytes();
    out.extend([0x08, 0x00, 0x45, 0, ip_length[0], ip_length[1]]);
    out.extend([0, 0, 0x40, 0, 64, 17, 0, 0]); // never a fragment; TTL 64; UDP; the checksum comes below
    out.extend(from.ip.octets());
    out.extend(to.ip.octets());
    let checksum = checksum(0, &out[ETHERNET..]);
    out[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&checksum.to_be_bytes());
    out.extend(SERVER_PORT.to_be_bytes());
    out.extend(CLIENT_PORT.to_be_bytes());
    out.extend(udp_length.to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    // Over the addresses, the datagram, and the rest of the pseudo header (RFC 768). Zero would mean "none".
    let pseudo = 17 + u32::from(udp_length);
    let checksum = match self::checksum(pseudo, &out[ETHERNET + 12..]) {
        0 => 0xffff,
        sum => sum,
    };
    out[ETHERNET + IP + 6..ETHERNET + IP + UDP].copy_from_slice(&checksum.to_be_bytes());
}

/// RFC 1071.
pub(super) fn checksum(start: u32, bytes: &[u8]) -> u16 {
    let pairs = bytes.chunks_exact(2);
    let odd = pairs
        .remainder()
        .first()
        .map_or(0, |last| u32::from(*last) << 8);
    let sum: u32 = pairs
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    let mut sum = sum + odd + start;
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX) // it has 16 bits now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_what_the_wire_expects() {
        let from = End {
            mac: MacAddr([2, 0, 0, 0, 0, 1]),
            ip: Ipv4Addr::new(10, 0, 0, 2),
        };
        let to = End {
            mac: MacAddr([2, 0, 0, 0, 0, 2]),
            ip: Ipv4Addr::new(10, 0, 0, 11),
        };
        for (name, payload, ip_checksum, udp_checksum) in [
            // Reckoned by another program.
            ("even", &b"ab"[..], 0x26c3, 0x89e4),
            ("odd", b"abc", 0x26c2, 0x26e2),
            (
                "a sum of zero is written as all ones",
                &[0xeb, 0x46],
                0x26c3,
                0xffff,
            ),
        ] {
            let mut frame = vec![1, 2, 3];
            write(&mut frame, from, to, payload);
            assert_eq!(frame.len(), 42 + payload.len(), "{name}");
            assert_eq!(
                frame[..14],
                [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0],
                "{name}"
            );
            assert_eq!(frame[26..34], [10, 0, 0, 2, 10, 0, 0, 11], "{name}");
            assert_eq!(frame[34..38], [0, 67, 0, 68], "{name}");
            assert_eq!(frame[42..], *payload, "{name}");
            let at = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            assert_eq!((at(24), at(40)), (ip_checksum, udp_checksum), "{name}");
        }
    }
}
