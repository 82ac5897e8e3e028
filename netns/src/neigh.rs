//! Permanent neighbours, and the remote ends that a tunnel floods to (entries of its forwarding table for the
//! all-zero address): dump -> word, step -> request.

use std::collections::BTreeMap;
use std::net::IpAddr;

use rtnetlink::packet_core::{NLM_F_APPEND, NLM_F_CREATE, NLM_F_REPLACE, Parseable};
use rtnetlink::packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use rtnetlink::packet_route::route::RouteProtocol;
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Refusal;
use crate::names::{DevName, MacAddr};
use crate::spec::Neighbour;
use crate::wire::Request;

/// Forwarding table key of what has no entry of its own: broadcast, multicast, unknown.
const FLOOD: MacAddr = MacAddr([0; 6]);

/// Asks for the neighbours of one device, or of all (0).
pub(crate) fn list(family: AddressFamily, index: u32) -> Request {
    let mut message = NeighbourMessage::default();
    message.header.family = family;
    if index != 0 {
        message.attributes.push(NeighbourAttribute::IfIndex(index));
    }
    Request::new(&RouteNetlinkMessage::GetNeighbour(message), 0)
}

/// `None`: learned, or not of this protocol, so not ours; or on a device without a name.
pub(crate) fn parse(
    body: &[u8],
    protocol: u8,
    names: &BTreeMap<u32, DevName>,
) -> Result<Option<Neighbour>, Refusal> {
    let message = NeighbourMessage::parse(body).map_err(std::io::Error::other)?;
    let permanent = message.header.state == NeighbourState::Permanent;
    let (mut address, mut mac, mut ours) = (None, None, false);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(found) => address = ip(found),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = mac_of(bytes),
            NeighbourAttribute::Protocol(found) => ours = u8::from(*found) == protocol,
            _ => {}
        }
    }
    let parts = (names.get(&message.header.ifindex), address, mac);
    let (Some(dev), Some(address), Some(mac)) = parts else {
        return Ok(None);
    };
    Ok((permanent && ours).then(|| Neighbour {
        dev: dev.clone(),
        address,
        mac,
    }))
}

pub(crate) fn set(index: u32, neighbour: &Neighbour, protocol: u8) -> Request {
    let mut message = message(index, neighbour);
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(
            neighbour.mac.0.to_vec(),
        ));
    message
        .attributes
        .push(NeighbourAttribute::Protocol(RouteProtocol::from(protocol)));
    // Replace: the kernel may have learned one of this address in between.
    Request::new(
        &RouteNetlinkMessage::NewNeighbour(message),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
}

pub(crate) fn delete(index: u32, neighbour: &Neighbour) -> Request {
    Request::new(
        &RouteNetlinkMessage::DelNeighbour(message(index, neighbour)),
        0,
    )
}

fn message(index: u32, neighbour: &Neighbour) -> NeighbourMessage {
    question(index, neighbour.address)
}

/// Names one address on one device.
pub(crate) fn question(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = match address {
        IpAddr::V4(_) => AddressFamily::Inet,
        IpAddr::V6(_) => AddressFamily::Inet6,
    };
    message.header.ifindex = index;
    message
        .attributes
        .push(NeighbourAttribute::Destination(address.into()));
    message
}

/// Asks for the forwarding table of a tunnel.
pub(crate) fn floods(index: u32) -> Request {
    list(AddressFamily::Bridge, index)
}

/// Index of the tunnel and remote end, of an entry for what has no other.
pub(crate) fn parse_flood(body: &[u8]) -> Result<Option<(u32, IpAddr)>, Refusal> {
    let message = NeighbourMessage::parse(body).map_err(std::io::Error::other)?;
    let (mut remote, mut mac) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            NeighbourAttribute::Destination(found) => remote = ip(found),
            NeighbourAttribute::LinkLayerAddress(bytes) => mac = mac_of(bytes),
            _ => {}
        }
    }
    Ok(remote
        .filter(|_| mac == Some(FLOOD))
        .map(|remote| (message.header.ifindex, remote)))
}

pub(crate) fn add_flood(index: u32, remote: IpAddr) -> Request {
    // Append: each remote end is one more destination of the one entry.
    Request::new(
        &RouteNetlinkMessage::NewNeighbour(flood(index, remote)),
        NLM_F_CREATE | NLM_F_APPEND,
    )
}

pub(crate) fn delete_flood(index: u32, remote: IpAddr) -> Request {
    Request::new(&RouteNetlinkMessage::DelNeighbour(flood(index, remote)), 0)
}

fn flood(index: u32, remote: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = index;
    message.header.flags = NeighbourFlags::Own;
    message.header.state = NeighbourState::Permanent;
    message
        .attributes
        .push(NeighbourAttribute::LinkLayerAddress(FLOOD.0.to_vec()));
    message
        .attributes
        .push(NeighbourAttribute::Destination(remote.into()));
    message
}

pub(crate) fn mac_of(bytes: &[u8]) -> Option<MacAddr> {
    bytes.try_into().ok().map(MacAddr)
}

/// In the forwarding table the family is the bridge's, and the length tells.
pub(crate) fn ip(address: &NeighbourAddress) -> Option<IpAddr> {
    match address {
        NeighbourAddress::Inet(address) => Some((*address).into()),
        NeighbourAddress::Inet6(address) => Some((*address).into()),
        NeighbourAddress::Other(bytes) => match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes.as_slice()).ok().map(IpAddr::from),
            16 => <[u8; 16]>::try_from(bytes.as_slice())
                .ok()
                .map(IpAddr::from),
            _ => None,
        },
        _ => None,
    }
}
