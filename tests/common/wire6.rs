//! UDP over IPv6 in frames.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::checksum;

/// A UDP datagram in a frame, as seen on the wire.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Udp6 {
    pub to_mac: [u8; 6],
    pub from_mac: [u8; 6],
    pub from: SocketAddrV6,
    pub to: SocketAddrV6,
    pub payload: Vec<u8>,
}

const HEADERS: usize = 14 + 40 + 8;

impl Udp6 {
    /// `None`: not UDP over IPv6, or with a header between (a fragment), or cut short. Checksums are not looked at: on a
    /// veth they are often not filled in.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        if frame.get(12..14)? != [0x86, 0xdd] || frame.get(20)? != &17 || frame.len() < HEADERS {
            return None;
        }
        let pair = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
        let address = |at: usize| {
            let mut octets = [0; 16];
            octets.copy_from_slice(&frame[at..at + 16]);
            Ipv6Addr::from(octets)
        };
        Some(Self {
            to_mac: frame[..6].try_into().ok()?,
            from_mac: frame[6..12].try_into().ok()?,
            from: SocketAddrV6::new(address(22), pair(54), 0, 0),
            to: SocketAddrV6::new(address(38), pair(56), 0, 0),
            payload: frame
                .get(HEADERS..HEADERS - 8 + usize::from(pair(58)))?
                .to_vec(),
        })
    }

    /// An Ethernet frame with it, checksum filled in.
    pub fn frame(&self) -> Vec<u8> {
        let length = u16::try_from(self.payload.len() + 8).expect("fits a datagram");
        let mut frame = Vec::with_capacity(HEADERS + self.payload.len());
        frame.extend(self.to_mac);
        frame.extend(self.from_mac);
        frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
        frame.extend(length.to_be_bytes());
        frame.extend([17, 255]);
        frame.extend(self.from.ip().octets());
        frame.extend(self.to.ip().octets());
        frame.extend(self.from.port().to_be_bytes());
        frame.extend(self.to.port().to_be_bytes());
        frame.extend(length.to_be_bytes());
        frame.extend([0, 0]);
        frame.extend(&self.payload);
        // Addresses and datagram, and the rest of the pseudo header.
        let sum = match checksum(17 + u32::from(length), &frame[22..]) {
            0 => 0xffff, // zero would say "no checksum"
            sum => sum,
        };
        frame[60..62].copy_from_slice(&sum.to_be_bytes());
        frame
    }
}
