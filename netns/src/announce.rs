//! Tells the neighbours where an address is now, unasked (gratuitous ARP, RFC 5944 section 4.6, RFC 5227).

use std::io;
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd;

use nix::sys::socket::{MsgFlags, send};

use crate::error::Error;
use crate::link;
use crate::names::{DevName, MacAddr};
use crate::namespace::Namespace;
use crate::socket::packet_here;
use crate::wire::Wire;

/// `ETH_P_ARP`
const ARP: u16 = 0x0806;

/// Says on `dev` that it has `addresses`: for each one a request and a reply, since some neighbours believe the one
/// form, some the other. Once; the caller repeats it, for those who were not listening.
pub async fn announce(ns: &Namespace, dev: &DevName, addresses: &[Ipv4Addr]) -> Result<(), Error> {
    let (place, addresses, on) = (ns.place().clone(), addresses.to_vec(), dev.clone());
    ns.run(move || {
        send_all(&on, &addresses).map_err(|source| Error::Announce {
            place,
            dev: on,
            source,
        })
    })
    .await
}

fn send_all(dev: &DevName, addresses: &[Ipv4Addr]) -> io::Result<()> {
    let answer = Wire::route()?
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
    let socket = packet_here(found.index, 0, false)?;
    for address in addresses {
        for form in [Form::Request, Form::Reply] {
            send(
                socket.as_raw_fd(),
                &frame(form, mac, *address),
                MsgFlags::empty(),
            )?;
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
