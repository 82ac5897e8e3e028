//! Tells the neighbours where an address is now, unasked (gratuitous ARP, RFC 5944 section 4.6, RFC 5227).

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv4Addr;
use std::os::fd::{AsRawFd, OwnedFd};

use nix::sys::socket::{MsgFlags, SockFlag, sendto};

use crate::aside;
use crate::error::Error;
use crate::link;
use crate::names::{DevName, MacAddr};
use crate::namespace::Namespace;
use crate::socket::{link_address, packet_here};
use crate::wire::Wire;

/// `ETH_P_ARP`
const ARP: u16 = 0x0806;

/// Says on each device that it has these addresses: for each one a request and a reply, since some neighbours believe
/// the one form, some the other. Once; the caller repeats it, for those who were not listening. A device that fails does not
/// keep the others from it.
pub async fn announce(
    ns: &Namespace,
    addresses: &BTreeMap<DevName, Vec<Ipv4Addr>>,
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
    addresses: &[Ipv4Addr],
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
        for form in [Form::Request, Form::Reply] {
            let frame = frame(form, mac, *address);
            sendto(packets.as_raw_fd(), &frame, &to, MsgFlags::empty())?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
