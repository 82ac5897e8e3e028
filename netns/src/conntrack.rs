//! Forgets connections: a translation that was taken away goes on working for its established flows until their
//! entries are gone. Change the map first, then forget; else a flow that is just beginning slips through.

use std::net::Ipv4Addr;

use crate::attr::{self, Attributes};
use crate::error::{Error, Refusal};
use crate::namespace::Namespace;
use crate::wire::{Request, Wire};

/// `NFNL_SUBSYS_CTNETLINK`, in the upper byte of the message type; with `IPCTNL_MSG_CT_GET` and `_DELETE`.
const GET: u16 = 1 << 8 | 1;
const DELETE: u16 = 1 << 8 | 2;

/// `CTA_*` (linux/netfilter/nfnetlink_conntrack.h).
mod attribute {
    pub(super) const ORIGINAL: u16 = 1;
    pub(super) const REPLY: u16 = 2;
    pub(super) const ID: u16 = 12;
    pub(super) const ZONE: u16 = 18;
    pub(super) const FILTER: u16 = 25;
    /// Inside of a direction.
    pub(super) const IP: u16 = 1;
    pub(super) const PROTOCOL: u16 = 2;
    pub(super) const IP_V4_DESTINATION: u16 = 2;
    pub(super) const PROTOCOL_NUMBER: u16 = 1;
    pub(super) const DESTINATION_PORT: u16 = 3;
    /// Inside of the filter: which parts of the two directions are to be compared.
    pub(super) const FILTER_ORIGINAL: u16 = 1;
    pub(super) const FILTER_REPLY: u16 = 2;
}

/// `CTA_FILTER_F_CTA_IP_DST`
const COMPARE_DESTINATION: u32 = 1 << 1;

/// Forgets every connection that was first sent to `address`, or whose answers are sent to it: those that came in by a
/// floating IP, and those that went out by it. Returns how many.
pub async fn forget(ns: &Namespace, address: Ipv4Addr) -> Result<usize, Error> {
    let of = address.to_string();
    run(ns, of, move |wire| {
        let mut entries = list(wire, address, Direction::Original)?;
        entries.extend(list(wire, address, Direction::Reply)?);
        delete(wire, &entries)
    })
    .await
}

/// Forgets the connections that were first sent to this address, protocol (6 is TCP) and port. Returns how many.
pub async fn forget_port(
    ns: &Namespace,
    address: Ipv4Addr,
    protocol: u8,
    port: u16,
) -> Result<usize, Error> {
    let of = format!("{address} protocol {protocol} port {port}");
    run(ns, of, move |wire| {
        let mut entries = list(wire, address, Direction::Original)?;
        entries.retain(|body| {
            let sent = entry(body)
                .inside(attribute::ORIGINAL)
                .inside(attribute::PROTOCOL);
            sent.get(attribute::PROTOCOL_NUMBER) == Some(&[protocol])
                && sent.get(attribute::DESTINATION_PORT) == Some(&port.to_be_bytes())
        });
        delete(wire, &entries)
    })
    .await
}

#[derive(Clone, Copy)]
enum Direction {
    Original,
    Reply,
}

async fn run(
    ns: &Namespace,
    of: String,
    f: impl FnOnce(&mut Wire) -> Result<usize, Refusal> + Send + 'static,
) -> Result<usize, Error> {
    let place = ns.place().clone();
    ns.run(move || {
        let done = Wire::netfilter()
            .map_err(Refusal::from)
            .and_then(|mut wire| f(&mut wire));
        done.map_err(|source| Error::Conntrack { place, of, source })
    })
    .await
}

/// `nfgenmsg` of IPv4.
fn header() -> Vec<u8> {
    vec![2, 0, 0, 0] // AF_INET
}

fn entry(body: &[u8]) -> Attributes<'_> {
    Attributes(body.get(4..).unwrap_or_default())
}

/// The entries with this destination in one direction. The kernel (5.8 and later) picks them; all are looked at again,
/// since an older one gives everything.
fn list(wire: &mut Wire, address: Ipv4Addr, direction: Direction) -> Result<Vec<Vec<u8>>, Refusal> {
    let (tuple, filter) = match direction {
        Direction::Original => (attribute::ORIGINAL, attribute::FILTER_ORIGINAL),
        Direction::Reply => (attribute::REPLY, attribute::FILTER_REPLY),
    };
    let mut body = header();
    attr::nest(&mut body, tuple, |tuple| {
        attr::nest(tuple, attribute::IP, |ip| {
            attr::put(ip, attribute::IP_V4_DESTINATION, &address.octets());
        });
    });
    attr::nest(&mut body, attribute::FILTER, |flags| {
        attr::put(flags, filter, &COMPARE_DESTINATION.to_ne_bytes());
    });
    let mut entries = wire.dump(&Request {
        kind: GET,
        flags: 0,
        body,
    })?;
    entries.retain(|body| {
        let ip = entry(body).inside(tuple).inside(attribute::IP);
        ip.get(attribute::IP_V4_DESTINATION) == Some(&address.octets())
    });
    Ok(entries)
}

/// Each by its original direction and number, so that a new connection of the same two ends is not meant.
fn delete(wire: &mut Wire, entries: &[Vec<u8>]) -> Result<usize, Refusal> {
    let requests = entries.iter().map(|found| {
        let mut body = header();
        let found = entry(found);
        for kind in [attribute::ID, attribute::ZONE] {
            if let Some(value) = found.get(kind) {
                attr::put(&mut body, kind, value);
            }
        }
        attr::nest(&mut body, attribute::ORIGINAL, |to| {
            to.extend(found.get(attribute::ORIGINAL).unwrap_or_default());
        });
        Request {
            kind: DELETE,
            flags: 0,
            body,
        }
    });
    let requests: Vec<Request> = requests.collect();
    let mut forgotten = 0;
    for answer in wire.exchange(&requests)? {
        match answer {
            Ok(_) => forgotten += 1,
            Err(refusal) if refusal.errno() == libc::ENOENT => {} // ended by itself, or was in both lists
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(forgotten)
}
