//! Addresses: dump -> word, step -> request.

use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_REPLACE, Parseable};
use rtnetlink::packet_route::address::{
    AddressAttribute, AddressFlags, AddressMessage, AddressScope,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Refusal;
use crate::wire::Request;

/// An address that a device has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AddrSeen {
    /// The far address of a point-to-point one; such are never what a Spec means.
    pub peer: Option<IpAddr>,
    /// It ends by itself some time; such are not what a Spec means either.
    pub fleeting: bool,
    /// The kernel made it by itself (link-local, autoconfigured, the loopback's).
    pub automatic: bool,
}

/// `IFA_PROTO` of an address that the kernel made for itself: loopback, router advertisement, link-local.
const MADE_BY_KERNEL: std::ops::RangeInclusive<u8> = 1..=3;

/// Asks for the addresses of one device, or of all (0).
pub(crate) fn list(index: u32) -> Request {
    let mut message = AddressMessage::default();
    message.header.index = index;
    Request::new(&RouteNetlinkMessage::GetAddress(message), 0)
}

/// Index of the device, and the address.
pub(crate) fn parse(body: &[u8]) -> Result<Option<(u32, IpNet, AddrSeen)>, Refusal> {
    let message = AddressMessage::parse(body).map_err(std::io::Error::other)?;
    let (mut address, mut local, mut proto, mut flags) = (None, None, 0, AddressFlags::empty());
    for attribute in &message.attributes {
        match attribute {
            AddressAttribute::Address(found) => address = Some(*found),
            AddressAttribute::Local(found) => local = Some(*found),
            AddressAttribute::Protocol(found) => proto = u8::from(*found),
            AddressAttribute::Flags(found) => flags = *found,
            _ => {}
        }
    }
    // For a plain IPv4 address both are the same; IPv6 gives only the first, point-to-point both.
    let Some(own) = local.or(address) else {
        return Ok(None);
    };
    let Ok(net) = IpNet::new(own, message.header.prefix_len) else {
        return Ok(None);
    };
    let peer = address.filter(|far| local.is_some() && *far != own);
    let fleeting = !flags.contains(AddressFlags::Permanent);
    let automatic = match own {
        IpAddr::V4(own) => own.is_loopback() && message.header.scope == AddressScope::Host,
        IpAddr::V6(own) => {
            // One of another length is someone's.
            (own.is_unicast_link_local() && message.header.prefix_len == 64)
                || own.is_loopback()
                || fleeting
                || MADE_BY_KERNEL.contains(&proto)
        }
    };
    Ok(Some((
        message.header.index,
        net,
        AddrSeen {
            peer,
            fleeting,
            automatic,
        },
    )))
}

/// IPv6 addresses skip duplicate detection: they are given out centrally, and no tenant shall be able to deny one.
pub(crate) fn add(index: u32, net: IpNet) -> Request {
    let mut message = message(index, net, net.addr());
    match net {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            message
                .attributes
                .push(AddressAttribute::Broadcast(net.broadcast()));
        }
        IpNet::V4(_) => {}
        IpNet::V6(_) => message
            .attributes
            .push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    // Replace: one that came back by itself in between (a promoted secondary) is no error.
    Request::new(
        &RouteNetlinkMessage::NewAddress(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

pub(crate) fn delete(index: u32, net: IpNet, seen: Option<&AddrSeen>) -> Request {
    let far = seen.and_then(|seen| seen.peer).unwrap_or(net.addr());
    Request::new(
        &RouteNetlinkMessage::DelAddress(message(index, net, far)),
        0,
    )
}

fn message(index: u32, net: IpNet, far: IpAddr) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match net {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = net.prefix_len();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Address(far));
    message.attributes.push(AddressAttribute::Local(net.addr()));
    message
}
