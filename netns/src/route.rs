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
    /// Indexes of the devices that it leads over.
    pub over: BTreeSet<u32>,
    /// It says more than a [`Route`] can (weights, an encapsulation): never what a Spec means.
    pub odd: bool,
    /// As the kernel told it, to be deleted exactly.
    body: Vec<u8>,
}

/// `RT_TABLE_MAIN`
const MAIN: u32 = 254;

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
    let mut seen = RouteSeen {
        route: Route {
            table: u32::from(header.table),
            ..Route::to(everything)
        },
        over: BTreeSet::new(),
        odd: header.tos != 0,
        body: body.to_vec(),
    };
    seen.route.onlink = header.flags.contains(RouteFlags::Onlink);
    let mut destination = everything.addr();
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(address) => {
                destination = ip(address).unwrap_or(destination);
            }
            RouteAttribute::PrefSource(address) => seen.route.source = ip(address),
            RouteAttribute::Priority(metric) => seen.route.metric = *metric,
            RouteAttribute::Table(table) => seen.route.table = *table,
            RouteAttribute::Oif(index) => {
                seen.over.insert(*index);
            }
            RouteAttribute::MultiPath(hops) => hops.iter().for_each(|hop| seen.hop(hop)),
            other => seen.next(other),
        }
    }
    let Ok(destination) = IpNet::new(destination, header.destination_prefix_length) else {
        return Ok(None);
    };
    seen.route.destination = destination;
    if let [index] = Vec::from_iter(&seen.over)[..] {
        seen.route.dev = names.get(index).cloned();
    }
    seen.route = canonical(&seen.route);
    Ok(Some(seen))
}

impl RouteSeen {
    fn hop(&mut self, hop: &RouteNextHop) {
        self.over.insert(hop.interface_index);
        self.odd |= hop.hops != 0; // a weight
        self.route.onlink |= hop.flags.contains(RouteNextHopFlags::Onlink);
        hop.attributes
            .iter()
            .for_each(|attribute| self.next(attribute));
    }

    fn next(&mut self, attribute: &RouteAttribute) {
        match attribute {
            RouteAttribute::Gateway(address) => self.route.via.extend(ip(address)),
            RouteAttribute::Via(_)
            | RouteAttribute::Encap(_)
            | RouteAttribute::NhId(_)
            | RouteAttribute::Metrics(_)
            | RouteAttribute::Source(_) => self.odd = true,
            _ => {}
        }
    }
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

/// True when the kernel's route is what was wished: a wish that names no device takes the one that the kernel chose.
pub(crate) fn fits(wish: &Route, seen: &RouteSeen) -> bool {
    let found = &seen.route;
    let same_device = wish.dev.is_none() || wish.dev == found.dev;
    !seen.odd
        && same_device
        && Route {
            dev: None,
            ..wish.clone()
        } == Route {
            dev: None,
            ..found.clone()
        }
}

pub(crate) fn add(route: &Route, protocol: u8, dev: Option<u32>) -> Request {
    Request::new(
        &RouteNetlinkMessage::NewRoute(message(route, protocol, dev)),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

pub(crate) fn replace(route: &Route, protocol: u8, dev: Option<u32>) -> Request {
    Request::new(
        &RouteNetlinkMessage::NewRoute(message(route, protocol, dev)),
        NLM_F_CREATE | NLM_F_REPLACE,
    )
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

fn message(route: &Route, protocol: u8, dev: Option<u32>) -> RouteMessage {
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
    if route.via.len() > 1 {
        let hops = route
            .via
            .iter()
            .map(|gateway| next_hop(*gateway, route.onlink, dev))
            .collect();
        attributes.push(RouteAttribute::MultiPath(hops));
    } else {
        attributes.extend(
            route
                .via
                .iter()
                .map(|gateway| RouteAttribute::Gateway((*gateway).into())),
        );
        attributes.extend(dev.map(RouteAttribute::Oif));
    }
    message
}

fn next_hop(gateway: IpAddr, onlink: bool, dev: Option<u32>) -> RouteNextHop {
    let mut hop = RouteNextHop::default();
    hop.interface_index = dev.unwrap_or(0);
    if onlink {
        hop.flags |= RouteNextHopFlags::Onlink;
    }
    hop.attributes.push(RouteAttribute::Gateway(gateway.into()));
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
