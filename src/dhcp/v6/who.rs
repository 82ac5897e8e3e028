//! Whose a message is: found by MAC, as Neutron's ports are known; one that is no port's, by the DUID that a port has beside
//! its own. Which that is, is for the port's tenant to say: it may be another machine's.
//!
//! | the message came | the MAC is that |
//! |---|---|
//! | from the client, whose link-local address is made of its MAC | of the address: a switch with Neutron's anti-spoofing lets no other address out of that port |
//! | from the client, with another link-local address | of the neighbour who has that address, which the kernel is asked for |
//! | by a relay | that the relay nearest to the client says (option 79), else of the client's address as the relay saw it |
//! | all else failing | in the DUID, if that is made of one |
//!
//! The DUID comes last, since whoever likes can write another's into it. It may do no harm even then: to a client on the
//! link the reply goes as a frame to the MAC by which its port was found.

use std::net::Ipv6Addr;

use super::codes;
use super::request::Request;
use crate::model::MacAddr;
use crate::pace::Who;
use crate::plan::scope::{Dhcp6Client, Dhcp6Scope};

/// What the kernel said about who has the source address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Neighbour {
    /// It was not asked yet.
    Unasked,
    Is(MacAddr),
    /// Nobody answered.
    Nobody,
}

/// Where a message comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    Mac(MacAddr),
    /// Only a neighbour's MAC would tell.
    Ask(Ipv6Addr),
    /// In the DUID, and nowhere better.
    Duid(MacAddr),
    Unknown,
}

pub(super) fn origin(request: &Request<'_>, neighbour: Neighbour) -> Origin {
    let by_duid = || {
        let duid = request.option(codes::CLIENT_ID)?;
        mac_of_duid(duid).map(Origin::Duid)
    };
    let found = match request.relays.last() {
        Some(relay) => relay
            .client_mac()
            .or_else(|| MacAddr::of_link_local(relay.peer))
            .map(Origin::Mac),
        None => match (MacAddr::of_link_local(*request.source.ip()), neighbour) {
            (Some(mac), _) | (None, Neighbour::Is(mac)) => Some(Origin::Mac(mac)),
            (None, Neighbour::Unasked) => Some(Origin::Ask(*request.source.ip())),
            (None, Neighbour::Nobody) => None,
        },
    };
    found.or_else(by_duid).unwrap_or(Origin::Unknown)
}

/// By MAC, else by the DUID that a port has for its client id, and last by the MAC in a DUID. `None` also while it is to be
/// asked whose MAC it is.
pub(super) fn find<'a>(
    scope: &'a Dhcp6Scope,
    request: &Request<'_>,
    origin: Origin,
) -> Option<&'a Dhcp6Client> {
    let by_id = || {
        let id = request
            .option(codes::CLIENT_ID)
            .filter(|_| !scope.by_client_id.is_empty())?;
        scope.by_client_id.get(id)
    };
    let found = match origin {
        Origin::Mac(mac) => scope.clients.get(&mac).or_else(by_id),
        Origin::Duid(mac) => by_id().or_else(|| scope.clients.get(&mac)),
        Origin::Unknown => by_id(),
        Origin::Ask(_) => None,
    };
    found.map(AsRef::as_ref)
}

/// Whose budget a message is of. Nobody is asked for that: a link-local address of its owner's own making may be that of a
/// port, whose machine would else share with all strangers when a whole network boots.
pub(in crate::dhcp) fn sender(scope: &Dhcp6Scope, request: &Request<'_>) -> Who<Ipv6Addr> {
    let origin = origin(request, Neighbour::Unasked);
    match (find(scope, request, origin), origin) {
        (Some(client), _) => Who::Known(client.mac.link_local()),
        (None, Origin::Ask(source)) => Who::Newcomer(source),
        // Of a relay's message too: the clients may be made up by whoever sends it.
        (None, _) => Who::Other(*request.source.ip()),
    }
}

/// A tenant's machine that poses as a relay would be told what is others' (Neutron lets it send from port 547). What it
/// may have as source we know.
pub(super) fn is_forged(scope: &Dhcp6Scope, request: &Request<'_>) -> bool {
    !request.relays.is_empty() && scope.tenants.get(request.source.ip()).is_some()
}

/// DUID-LLT and DUID-LL of Ethernet (sections 11.2 and 11.4).
fn mac_of_duid(duid: &[u8]) -> Option<MacAddr> {
    let ([0, 1, 0, 1, _, _, _, _, mac @ ..] | [0, 3, 0, 1, mac @ ..]) = duid else {
        return None;
    };
    let mac = mac.try_into().ok().map(MacAddr);
    mac.filter(|mac| !mac.is_multicast())
}
