//! A reply as an Ethernet frame. Who has no address yet answers no ARP, so the kernel could not send it; and who has one
//! for IPv6 need not be looked for.

use std::net::IpAddr;

use super::version::Ports;
use crate::model::MacAddr;

const ETHERNET: usize = 14;
/// Of the IPv4 header, its checksum.
const IP_CHECKSUM: usize = ETHERNET + 10;
/// Of the UDP header, its checksum.
const UDP_CHECKSUM: usize = 6;
const UDP: u8 = 17;
const HOPS: u8 = 64;

/// Puts the frame of a UDP datagram from the server's port to the client's behind what is in `out`. All checksums are
/// filled in: old clients on virtual devices drop what has none.
pub(super) fn append(
    out: &mut Vec<u8>,
    from: (MacAddr, IpAddr),
    to: (MacAddr, IpAddr),
    ports: Ports,
    payload: &[u8],
) {
    let start = out.len();
    out.extend(to.0.0);
    out.extend(from.0.0);
    // A reply is bounded by the MTU.
    let udp_length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let addresses = match (from.1, to.1) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            let length = udp_length.saturating_add(20).to_be_bytes();
            out.extend([0x08, 0x00, 0x45, 0, length[0], length[1]]);
            out.extend([0, 0, 0x40, 0, HOPS, UDP, 0, 0]); // never a fragment
            out.extend(from.octets());
            out.extend(to.octets());
            let checksum = checksum(0, &out[start + ETHERNET..]);
            let at = start + IP_CHECKSUM;
            out[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
            4 + 4
        }
        (from, to) => {
            out.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
            out.extend(udp_length.to_be_bytes());
            out.extend([UDP, HOPS]);
            for ip in [from, to] {
                let ip = match ip {
                    IpAddr::V4(ip) => ip.to_ipv6_mapped(),
                    IpAddr::V6(ip) => ip,
                };
                out.extend(ip.octets());
            }
            16 + 16
        }
    };
    let udp = out.len();
    out.extend(ports.server.to_be_bytes());
    out.extend(ports.client.to_be_bytes());
    out.extend(udp_length.to_be_bytes());
    out.extend([0, 0]);
    out.extend(payload);
    // Over the addresses, the datagram, and the rest of the pseudo header (RFC 768, RFC 8200 section 8.1). Zero would mean
    // "none".
    let pseudo = u32::from(UDP) + u32::from(udp_length);
    let checksum = match checksum(pseudo, &out[udp - addresses..]) {
        0 => 0xffff,
        sum => sum,
    };
    let at = udp + UDP_CHECKSUM;
    out[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
}

/// RFC 1071.
fn checksum(start: u32, bytes: &[u8]) -> u16 {
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
    use std::net::Ipv4Addr;

    use super::*;

    /// With something before it.
    fn frame(from: (MacAddr, IpAddr), to: (MacAddr, IpAddr), server: u16, load: &[u8]) -> Vec<u8> {
        let mut out = vec![1, 2, 3];
        let client = if server == 67 { 68 } else { 546 };
        append(&mut out, from, to, Ports { server, client }, load);
        out.split_off(3)
    }

    fn mac(last: u8) -> MacAddr {
        MacAddr([2, 0, 0, 0, 0, last])
    }

    #[test]
    fn an_ipv4_frame_is_what_the_wire_expects() {
        let from = (mac(1), Ipv4Addr::new(10, 0, 0, 2).into());
        let to = (mac(2), Ipv4Addr::new(10, 0, 0, 11).into());
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
            let frame = frame(from, to, 67, payload);
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

    #[test]
    fn an_ipv6_frame_is_what_the_wire_expects() {
        let ip = |last| mac(last).link_local();
        for (name, payload, checksum) in [
            // Reckoned by another program.
            ("even", &b"ab"[..], 0x9f2e),
            ("odd", b"abc", 0x3c2c),
        ] {
            let end = |last| (mac(last), ip(last).into());
            let frame = frame(end(1), end(2), 547, payload);
            assert_eq!(frame.len(), 62 + payload.len(), "{name}");
            assert_eq!(
                frame[..14],
                [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd],
                "{name}"
            );
            assert_eq!(frame[22..38], ip(1).octets(), "{name}");
            assert_eq!(frame[38..54], ip(2).octets(), "{name}");
            assert_eq!(frame[54..58], [2, 35, 2, 34], "{name}");
            assert_eq!(frame[62..], *payload, "{name}");
            let at = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
            assert_eq!(usize::from(at(18)), payload.len() + 8, "{name}");
            assert_eq!(at(60), checksum, "{name}");
        }
    }
}
