//! Where there is no IPv4 (RFC 8925): a client that says it can do without is told to, and no longer asks.

use std::net::Ipv4Addr;

use dhcproto::v4::MessageType;

use super::codes;
use super::link::TO_ALL;
use super::reply::{Header, Kind, Reply, Writer};
use super::request::{Ask, Request};

/// "IPv4 dummy address" (RFC 7600): who speaks IPv4 and has no address.
const DUMMY: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
/// Seconds; the client's own default, since nobody chose any (section 3.1).
const WAIT: u32 = 0;
/// No link-local address of IPv4 either (RFC 2563 section 2.3).
const DO_NOT: u8 = 0;
/// All that a message of these few options may have.
const LIMIT: usize = 548;

/// An offer of no address, to a DISCOVER that lists the option. `None`: no such client.
pub(super) fn only_v6(request: &Request<'_>) -> Option<Reply> {
    let listed = request.option(codes::PARAMETER_LIST)?;
    let is_new = request.ask == Ask::Discover && request.giaddr().is_none();
    if !is_new || !listed.contains(&codes::V6_ONLY) {
        return None;
    }
    let none = Ipv4Addr::UNSPECIFIED;
    let header = Header {
        ciaddr: none,
        yiaddr: none,
        siaddr: none,
        broadcast: false,
    };
    let mut out = Writer::new(request, header, LIMIT).without_overload();
    out.bytes(codes::MESSAGE_TYPE, &[MessageType::Offer.into()]);
    out.addresses(codes::SERVER_ID, &[DUMMY]);
    if let Some(id) = request.option(codes::CLIENT_ID) {
        out.bytes(codes::CLIENT_ID, id);
    }
    out.number(codes::V6_ONLY, WAIT);
    if request.option(codes::AUTO_CONFIGURE).is_some() {
        out.bytes(codes::AUTO_CONFIGURE, &[DO_NOT]);
    }
    Some(Reply {
        kind: Kind::Offer,
        message: out.finish(),
        from: DUMMY,
        to: TO_ALL,
    })
}
