//! Routes: dump -> word, step -> request.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, Parseable};
use rtnetlink::packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteMessage, RouteNextHop, RouteNextHopFlags,
    RouteProtocol, RouteScope, RouteType,
};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Refusal;
use crate::names::DevName;
use crate::spec::Route;
use crate::wire::Request;

/// A route of ours that the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteSeen {
    /// `dev` is `None` when it leads over several devices, or over one that was not looked at.
    pub route: Route,
    /// Gateway (none: on-link) and index of the device, of each next hop.
    pub hops: BTreeSet<(Option<IpAddr>, u32)>,
    /// It says more than a [`Route`] can (weights, an encapsulation): never what a Spec means.
    pub odd: bool,
    /// As the kernel told it, to be deleted exactly.
    body: Vec<u8>,
}

/// `RT_TABLE_MAIN`
pub(crate) const MAIN: u32 = 254;

/// `RTPROT_RA`
pub(crate) const ADVERTISED: u8 = 9;

/// `IP6_RT_PRIO_USER`: what the kernel makes of metric 0.
const METRIC_V6: u32 = 1024;

/// Asks for the routes of one protocol. Old kernels give all, and `parse` leaves the others out.
pub(crate) fn list(family: AddressFamily, protocol: u8) -> Request {
    let mut message = RouteMessage::default();
    message.header.address_family = family;
    message.header.protocol = RouteProtocol::from(protocol);
    Request::new(&RouteNetlinkMessage::GetRoute(message), 0)
}

/// `None`: not of this protocol, so not ours, or no unicast route, of which a Spec has none.
pub(crate) fn parse(
    body: &[u8],
    protocol: u8,
    names: &BTreeMap<u32, DevName>,
) -> Result<Option<RouteSeen>, Refusal> {
    let message = RouteMessage::parse(body).map_err(std::io::Error::other)?;
    let header = &message.header;
    if u8::from(header.protocol) != protocol || header.kind != RouteType::Unicast {
        return Ok(None);
    }
    let Some(everything) = everything(header.address_family) else {
        return Ok(None);
    };
    let mut route = Route {
        table: u32::from(header.table),
        ..Route::to(everything)
    };
    route.onlink = header.flags.contains(RouteFlags::Onlink);
    let mut odd = header.tos != 0;
    let (mut destination, mut gateway, mut device) = (everything.addr(), None, None);
    let mut hops = BTreeSet::new();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                destination = ip(address).unwrap_or(destination);
            }
            RouteAttribute::PrefSource(address) => route.source = ip(address),
            RouteAttribute::Priority(metric) => route.metric = *metric,
            RouteAttribute::Table(table) => route.table = *table,
            RouteAttribute::Oif(index) => device = Some(*index),
            RouteAttribute::Gateway(address) => gateway = ip(address),
            RouteAttribute::MultiPath(several) => {
                for hop in several {
                    odd |= hop.hops != 0; // a weight
                    route.onlink |= hop.flags.contains(RouteNextHopFlags::Onlink);
                    odd |= hop.attributes.iter().any(says_more);
                    let gateway = hop.attributes.iter().find_map(|attribute| match attribute {
                        RouteAttribute::Gateway(address) => ip(address),
                        _ => None,
                    });
                    hops.insert((gateway, hop.interface_index));
                }
            }
            other => odd |= says_more(other),
        }
    }
    hops.extend(device.map(|device| (gateway, device)));
    let Ok(net) = IpNet::new(destination, header.destination_prefix_length) else {
        return Ok(None);
    };
    route.destination = net;
    route.via = hops.iter().filter_map(|(gateway, _)| *gateway).collect();
    let devices: BTreeSet<u32> = hops.iter().map(|(_, device)| *device).collect();
    if let (Some(device), 1) = (devices.first(), devices.len()) {
        route.dev = names.get(device).cloned();
    }
    Ok(Some(RouteSeen {
        route: canonical(&route),
        hops,
        odd,
        body: body.to_vec(),
    }))
}

fn says_more(attribute: &RouteAttribute) -> bool {
    matches!(
        attribute,
        RouteAttribute::Via(_)
            | RouteAttribute::Encap(_)
            | RouteAttribute::NhId(_)
            | RouteAttribute::Metrics(_)
            | RouteAttribute::Source(_)
    )
}

/// Where two routes cannot both be: the kernel tells them apart by these.
pub(crate) fn key(route: &Route) -> (IpNet, u32, u32) {
    (route.destination, route.table, route.metric)
}

/// As `parse` tells it: defaults left out.
pub(crate) fn canonical(route: &Route) -> Route {
    let mut route = route.clone();
    route.destination = route.destination.trunc();
    route.onlink &= !route.via.is_empty();
    if route.table == MAIN {
        route.table = 0;
    }
    if route.metric == METRIC_V6 && route.destination.addr().is_ipv6() {
        route.metric = 0;
    }
    route
}

/// A next hop that is wished for: gateway (none: on-link), and the device if it is known (else the kernel chooses).
pub(crate) type Hop<D> = (Option<IpAddr>, Option<D>);

pub(crate) fn add(route: &Route, hops: &[Hop<u32>], protocol: u8) -> Request {
    let message = RouteNetlinkMessage::NewRoute(message(route, hops, protocol));
    Request::new(&message, NLM_F_CREATE | NLM_F_EXCL)
}

pub(crate) fn replace(route: &Route, hops: &[Hop<u32>], protocol: u8) -> Request {
    let message = RouteNetlinkMessage::NewRoute(message(route, hops, protocol));
    Request::new(&message, NLM_F_CREATE | NLM_F_REPLACE)
}

/// `ip route flush` does the same: what the dump said, back as a deletion.
pub(crate) fn delete(seen: &RouteSeen) -> Request {
    let kind = Request::new(&RouteNetlinkMessage::DelRoute(RouteMessage::default()), 0).kind;
    Request {
        kind,
        flags: 0,
        body: seen.body.clone(),
    }
}

fn message(route: &Route, hops: &[Hop<u32>], protocol: u8) -> RouteMessage {
    let mut message = RouteMessage::default();
    let header = &mut message.header;
    header.address_family = match route.destination {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    header.destination_prefix_length = route.destination.prefix_len();
    header.protocol = RouteProtocol::from(protocol);
    header.kind = RouteType::Unicast;
    header.scope = if route.via.is_empty() {
        RouteScope::Link
    } else {
        RouteScope::Universe
    };
    if route.onlink {
        header.flags |= RouteFlags::Onlink;
    }
    let attributes = &mut message.attributes;
    attributes.push(RouteAttribute::Destination(
        route.destination.network().into(),
    ));
    attributes.push(RouteAttribute::Table(if route.table == 0 {
        MAIN
    } else {
        route.table
    }));
    if route.metric != 0 {
        attributes.push(RouteAttribute::Priority(route.metric));
    }
    attributes.extend(
        route
            .source
            .map(|source| RouteAttribute::PrefSource(source.into())),
    );
    match hops {
        [(gateway, device)] => {
            attributes.extend(gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
            attributes.extend(device.map(RouteAttribute::Oif));
        }
        several => {
            let hops = several.iter().map(|hop| next_hop(*hop, route.onlink));
            attributes.push(RouteAttribute::MultiPath(hops.collect()));
        }
    }
    message
}

fn next_hop((gateway, device): Hop<u32>, onlink: bool) -> RouteNextHop {
    let mut hop = RouteNextHop::default();
    hop.interface_index = device.unwrap_or(0);
    if onlink {
        hop.flags |= RouteNextHopFlags::Onlink;
    }
    hop.attributes
        .extend(gateway.map(|gateway| RouteAttribute::Gateway(gateway.into())));
    hop
}

fn everything(family: AddressFamily) -> Option<IpNet> {
    match family {
        AddressFamily::Inet => Some(IpNet::V4(ipnet::Ipv4Net::default())),
        AddressFamily::Inet6 => Some(IpNet::V6(ipnet::Ipv6Net::default())),
        _ => None,
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(address) => Some((*address).into()),
        RouteAddress::Inet6(address) => Some((*address).into()),
        _ => None,
    }
}
