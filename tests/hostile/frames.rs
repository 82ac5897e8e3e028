//! What somebody hostile sends, as frames. Many different ones, where the sender makes up names.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use netns::MacAddr;

use super::common::{Udp, discover, udp_frame};

/// So many different ones; they are sent in turns.
const MANY: u16 = 4096;

/// DISCOVERs, each of another machine.
pub fn discovers_of_many() -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let [high, low] = number.to_be_bytes();
        discover(MacAddr([0x0a, 0, 0, 0, high, low]), number.into())
    };
    (0..MANY).map(of).collect()
}

pub fn discovers_of(mac: MacAddr) -> Vec<Vec<u8>> {
    (0..MANY)
        .map(|number| discover(mac, number.into()))
        .collect()
}

/// A query for the address of `name`.
pub fn query(number: u16, name: &str) -> Vec<u8> {
    let mut message = number.to_be_bytes().to_vec();
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 0]); // recursion desired, one question
    for label in name.split('.') {
        message.extend(u8::try_from(label.len()));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

/// Queries by UDP for a name of the network's own.
pub fn queries(from: (MacAddr, Ipv4Addr), to: (MacAddr, Ipv4Addr), name: &str) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        udp_frame(&Udp {
            to_mac: to.0.0,
            from_mac: from.0.0,
            from: SocketAddrV4::new(from.1, 1024 + number),
            to: SocketAddrV4::new(to.1, 53),
            payload: query(number, name),
        })
    };
    (0..MANY).map(of).collect()
}

/// The same, each from another address of 10.1.0.0/16 that nobody has.
pub fn queries_of_many(from: MacAddr, to: (MacAddr, Ipv4Addr), name: &str) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let [high, low] = number.to_be_bytes();
        udp_frame(&Udp {
            to_mac: to.0.0,
            from_mac: from.0,
            from: SocketAddrV4::new(Ipv4Addr::new(10, 1, 16 + high, low), 1024),
            to: SocketAddrV4::new(to.1, 53),
            payload: query(number, name),
        })
    };
    (0..MANY).map(of).collect()
}

/// SYNs, each of another connection.
pub fn syns(from: (MacAddr, Ipv4Addr), to: (MacAddr, Ipv4Addr), port: u16) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let mut segment = (1024 + number).to_be_bytes().to_vec();
        segment.extend(port.to_be_bytes());
        segment.extend(u32::from(number).to_be_bytes());
        segment.extend([0, 0, 0, 0, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0]);
        let pseudo = [&from.1.octets()[..], &to.1.octets(), &[0, 6, 0, 20]].concat();
        let sum = checksum(&[&pseudo, &segment[..]].concat());
        segment[16..18].copy_from_slice(&sum);
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0x40, 0, 64, 6, 0, 0];
        packet.extend(from.1.octets());
        packet.extend(to.1.octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum);
        [&to.0.0[..], &from.0.0, &[8, 0], &packet, &segment].concat()
    };
    (0..MANY).map(of).collect()
}

/// A router solicitation.
pub fn solicitation(from: MacAddr) -> Vec<u8> {
    let all_routers = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 2).octets();
    let source = from.link_local().octets();
    let mut message = vec![133, 0, 0, 0, 0, 0, 0, 0, 1, 1];
    message.extend(from.0);
    let length = u8::try_from(message.len()).unwrap();
    let pseudo = [&source[..], &all_routers, &[0, 0, 0, length, 0, 0, 0, 58]].concat();
    let sum = checksum(&[&pseudo, &message[..]].concat());
    message[2..4].copy_from_slice(&sum);
    let mut frame = vec![0x33, 0x33, 0, 0, 0, 2];
    frame.extend(from.0);
    frame.extend([0x86, 0xdd, 0x60, 0, 0, 0, 0, length, 58, 255]);
    frame.extend(source);
    frame.extend(all_routers);
    frame.extend(message);
    frame
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let words = bytes.chunks(2);
    let words = words.map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}
