//! What somebody hostile sends, as frames. Many different ones, where the sender makes up names.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use netns::MacAddr;

use super::common::{Udp, Udp6, discover, udp_frame};

/// So many different ones; they are sent in turns.
const MANY: u16 = 4096;

/// DISCOVERs, each of another machine.
pub fn discovers_of_many() -> Vec<Vec<u8>> {
    let of = |number: u16| discover(made_up(number), number.into());
    (0..MANY).map(of).collect()
}

pub fn discovers_of(mac: MacAddr) -> Vec<Vec<u8>> {
    (0..MANY)
        .map(|number| discover(mac, number.into()))
        .collect()
}

/// A DHCPv6 message from a client with this DUID: of SOLICIT with an association, of others without.
pub fn dhcp6(kind: u8, transaction: u32, duid: &[u8]) -> Vec<u8> {
    let mut message = transaction.to_be_bytes().to_vec();
    message[0] = kind;
    message.extend(option6(1, duid));
    if kind == SOLICIT {
        message.extend(option6(3, &[0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0]));
    }
    message
}

/// The DUID of a machine whose MAC is this.
pub fn duid(mac: MacAddr) -> Vec<u8> {
    [&[0, 3, 0, 1][..], &mac.0].concat()
}

/// DHCPv6 messages of one machine, each with a DUID that is made up.
pub fn dhcp6_of(mac: MacAddr, kind: u8) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let message = dhcp6(kind, number.into(), &duid(made_up(number)));
        dhcp6_frame(mac, (mac.link_local(), 546), message)
    };
    (0..MANY).map(of).collect()
}

/// The same, each from another link-local address, of which half tell a MAC and half tell none.
pub fn dhcp6_of_many(kind: u8) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let mac = made_up(number);
        let source = match number % 2 {
            0 => mac.link_local(),
            _ => Ipv6Addr::new(0xfe80, 0, 0, 0, 0x1234, 0, 0, number),
        };
        let message = dhcp6(kind, number.into(), &duid(mac));
        dhcp6_frame(mac, (source, 546), message)
    };
    (0..MANY).map(of).collect()
}

/// The same by a relay that there is not, which says that it was asked on `link`.
pub fn dhcp6_relayed(mac: MacAddr, relay: Ipv6Addr, link: Ipv6Addr, kind: u8) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let client = made_up(number);
        let message = dhcp6(kind, number.into(), &duid(client));
        let mut relayed = vec![12, 0];
        relayed.extend(link.octets());
        relayed.extend(client.link_local().octets());
        relayed.extend(option6(9, &message));
        dhcp6_frame(mac, (relay, 547), relayed)
    };
    (0..MANY).map(of).collect()
}

pub const SOLICIT: u8 = 1;
pub const INFORMATION_REQUEST: u8 = 11;

/// To all servers and relays.
pub fn dhcp6_frame(mac: MacAddr, (source, port): (Ipv6Addr, u16), message: Vec<u8>) -> Vec<u8> {
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
    let datagram = Udp6 {
        to_mac: [0x33, 0x33, 0, 1, 0, 2],
        from_mac: mac.0,
        from: SocketAddrV6::new(source, port, 0, 0),
        to: SocketAddrV6::new(group, 547, 0, 0),
        payload: message,
    };
    datagram.frame()
}

fn option6(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

/// Nobody's.
fn made_up(number: u16) -> MacAddr {
    let [high, low] = number.to_be_bytes();
    MacAddr([0x0a, 0, 0, 0, high, low])
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
    let of = |number| syn(from, to, port, number);
    (0..MANY).map(of).collect()
}

/// The same, each from another address of 10.1.0.0/16 that nobody has: the kernel looks for each, to answer it.
pub fn syns_of_many(from: MacAddr, to: (MacAddr, Ipv4Addr), port: u16) -> Vec<Vec<u8>> {
    let of = |number: u16| {
        let [high, low] = number.to_be_bytes();
        let source = Ipv4Addr::new(10, 1, 16 + high, low);
        syn((from, source), to, port, number)
    };
    (0..MANY).map(of).collect()
}

fn syn(from: (MacAddr, Ipv4Addr), to: (MacAddr, Ipv4Addr), port: u16, number: u16) -> Vec<u8> {
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
