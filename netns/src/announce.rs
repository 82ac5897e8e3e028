//! Tells the neighbours where an address is now, unasked: gratuitous ARP (RFC 5944 section 4.6, RFC 5227), and for IPv6
//! unsolicited neighbour advertisements (RFC 4861 section 7.2.6).

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, SockFlag, sendto};

use crate::aside;
use crate::error::Error;
use crate::icmp6::HOP_LIMIT;
use crate::link;
use crate::names::{DevName, MacAddr};
use crate::namespace::Namespace;
use crate::socket::{link_address, packet_here};
use crate::wire::Wire;

/// `ETH_P_ARP`, `ETH_P_IPV6`
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
/// Next header, and type of a neighbour advertisement.
const ICMPV6: u8 = 58;
const ADVERTISEMENT: u8 = 136;
/// From a router; what was known before is wrong (section 4.4).
const ROUTER_AND_OVERRIDE: u8 = 0x80 | 0x20;
const TARGET_LINK_ADDRESS: u8 = 2;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
const ALL_NODES_MAC: MacAddr = MacAddr([0x33, 0x33, 0, 0, 0, 1]);

/// Says on each device, as a router, that it has these addresses: for each one of IPv4 a request and a reply, since some
/// neighbours believe the one form, some the other. Once; the caller repeats it, for those who were not listening. A device that
/// fails does not keep the others from it.
pub async fn announce(
    ns: &Namespace,
    addresses: &BTreeMap<DevName, Vec<IpAddr>>,
) -> Result<(), Error> {
    let (place, addresses) = (ns.place().clone(), addresses.clone());
    ns.run(move || {
        let sockets = Wire::route().and_then(|wire| Ok((wire, packet_here(SockFlag::empty())?)));
        let (mut wire, packets) = sockets.map_err(|source| Error::Socket {
            place: place.clone(),
            what: "announcements".into(),
            source,
        })?;
        let mut errors = Vec::new();
        for (dev, addresses) in addresses {
            if let Err(source) = send_all(&mut wire, &packets, &dev, &addresses) {
                let place = place.clone();
                errors.push(Error::Announce { place, dev, source });
            }
        }
        aside::close(packets);
        Error::check(errors)
    })
    .await
}

fn send_all(
    wire: &mut Wire,
    packets: &OwnedFd,
    dev: &DevName,
    addresses: &[IpAddr],
) -> io::Result<()> {
    let answer = wire
        .ask(&link::get(dev))
        .map_err(|refusal| refusal.source)?;
    let found = answer
        .map(|body| link::parse(&body))
        .transpose()
        .map_err(|refusal| refusal.source)?
        .flatten();
    let (_, found) = found.ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))?;
    let mac = found
        .mac
        .ok_or_else(|| io::Error::other("the device has no Ethernet address"))?;
    let to = link_address(found.index, 0)?;
    for address in addresses {
        let say = |frame: &[u8]| sendto(packets.as_raw_fd(), frame, &to, MsgFlags::empty());
        match address {
            IpAddr::V4(address) => {
                for form in [Form::Request, Form::Reply] {
                    say(&frame(form, mac, *address))?;
                }
            }
            IpAddr::V6(address) => _ = say(&advertisement(mac, *address))?,
        }
    }
    Ok(())
}

#[derive(Debug, Clone, Copy)]
enum Form {
    Request,
    Reply,
}

/// An Ethernet frame to everyone, with sender and target address the same, which makes it an announcement.
fn frame(form: Form, mac: MacAddr, address: Ipv4Addr) -> [u8; 42] {
    let (operation, target) = match form {
        Form::Request => (1, MacAddr([0; 6])), // the target's address is what a request asks for
        Form::Reply => (2, mac),
    };
    let mut frame = [0; 42];
    let mut at = 0;
    let mut put = |bytes: &[u8]| {
        frame[at..at + bytes.len()].copy_from_slice(bytes);
        at += bytes.len();
    };
    put(&MacAddr::BROADCAST.0);
    put(&mac.0);
    put(&ARP.to_be_bytes());
    put(&[0, 1, 8, 0, 6, 4, 0, operation]); // Ethernet, IPv4, lengths of their addresses
    put(&mac.0);
    put(&address.octets());
    put(&target.0);
    put(&address.octets());
    frame
}

/// An Ethernet frame to all nodes, from the address that it is about.
fn advertisement(mac: MacAddr, address: Ipv6Addr) -> Vec<u8> {
    const LENGTH: u16 = 32;
    let mut message = vec![ADVERTISEMENT, 0, 0, 0, ROUTER_AND_OVERRIDE, 0, 0, 0];
    message.extend(address.octets());
    message.extend([TARGET_LINK_ADDRESS, 1]); // in units of eight bytes
    message.extend(mac.0);
    let length = LENGTH.to_be_bytes();
    let sum = checksum([
        &address.octets()[..],
        &ALL_NODES.octets(),
        &length,
        &[0, ICMPV6],
        &message,
    ]);
    message[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = Vec::with_capacity(14 + 40 + message.len());
    frame.extend(ALL_NODES_MAC.0);
    frame.extend(mac.0);
    frame.extend(IPV6.to_be_bytes());
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length);
    frame.extend([ICMPV6, HOP_LIMIT]);
    frame.extend(address.octets());
    frame.extend(ALL_NODES.octets());
    frame.extend(message);
    frame
}

/// RFC 1071, over parts that are whole words.
fn checksum<const N: usize>(parts: [&[u8]; N]) -> u16 {
    let words = parts.into_iter().flat_map(|part| part.chunks(2));
    let mut sum: u32 = words
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]))
        .sum();
    while sum > 0xffff {
        sum = (sum >> 16) + (sum & 0xffff);
    }
    !u16::try_from(sum).unwrap_or(u16::MAX) // it has 16 bits now
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_advertisement_is_what_a_neighbour_believes() {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
        let frame = advertisement(mac, "2001:db8::5".parse().expect("an address"));
        let want = "333300000001 fa163e000001 86dd 60000000 0020 3a ff \
                    20010db8000000000000000000000005 ff020000000000000000000000000001 \
                    88 00 SUMS a0000000 20010db8000000000000000000000005 0201fa163e000001";
        let sums = format!("{:02x}{:02x}", frame[56], frame[57]);
        let want = want.replace("SUMS", &sums).replace(' ', "");
        let got: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(got, want);
        // Over everything, the sum included, it is zero.
        let pseudo = [&frame[22..54], &frame[18..20], &[0, ICMPV6], &frame[54..]];
        assert_eq!(checksum(pseudo), 0);
    }

    #[test]
    fn both_forms_say_who_has_the_address() {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 1]);
        let request = frame(Form::Request, mac, Ipv4Addr::new(203, 0, 113, 9));
        let reply = frame(Form::Reply, mac, Ipv4Addr::new(203, 0, 113, 9));
        assert_eq!(
            request[..22],
            [
                255, 255, 255, 255, 255, 255, 0xfa, 0x16, 0x3e, 0, 0, 1, 8, 6, 0, 1, 8, 0, 6, 4, 0,
                1
            ]
        );
        assert_eq!(
            request[22..],
            [
                0xfa, 0x16, 0x3e, 0, 0, 1, 203, 0, 113, 9, 0, 0, 0, 0, 0, 0, 203, 0, 113, 9
            ]
        );
        assert_eq!(reply[21], 2);
        assert_eq!(
            reply[22..],
            [
                0xfa, 0x16, 0x3e, 0, 0, 1, 203, 0, 113, 9, 0xfa, 0x16, 0x3e, 0, 0, 1, 203, 0, 113,
                9
            ]
        );
    }
}
