//! What goes out: one message, written by hand into one buffer.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcproto::v4::{MAGIC, MIN_PACKET_SIZE};

use super::codes;
use super::request::{FILE, HEADER, Request, SNAME};
use crate::model::MacAddr;

/// An answer, and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    pub kind: Kind,
    /// What UDP carries, from port 67.
    pub message: Vec<u8>,
    /// Own address that it comes from.
    pub from: Ipv4Addr,
    pub to: Delivery,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Offer,
    Ack,
    Nak,
    /// To a BOOTP client: no DHCP message.
    Bootp,
}

/// Where a reply goes (RFC 2131 section 4.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// On the link, to port 68, as a frame: a client without an address answers no ARP.
    Frame { mac: MacAddr, ip: Ipv4Addr },
    /// Back to the relay, port 67.
    Relay(SocketAddrV4),
    /// To a client behind a router, port 68.
    Routed(SocketAddrV4),
}

/// The fields of a reply that are not the request's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) ciaddr: Ipv4Addr,
    pub(super) yiaddr: Ipv4Addr,
    pub(super) siaddr: Ipv4Addr,
    /// Asks the relay to broadcast, whatever the client said.
    pub(super) broadcast: bool,
}

/// Writes options as long as there is room: after the cookie, then in `file`, then in `sname` (RFC 2132 section 9.3).
#[derive(Debug)]
pub(super) struct Writer<'a> {
    message: Vec<u8>,
    /// So long may the message become before its end.
    room: usize,
    relay: Option<&'a [u8]>,
    /// `file` and `sname`: bytes used by options. `None`: not free for them.
    spilled: [Option<usize>; 2],
}

/// Length of option 52.
const OVERLOAD_LENGTH: usize = 3;
/// What one option holds.
const PIECE: usize = 255;
/// Where there can be options besides, in the order of `spilled`.
const FIELDS: [std::ops::Range<usize>; 2] = [FILE, SNAME];

impl<'a> Writer<'a> {
    /// For a message of at most `limit` bytes.
    pub(super) fn new(request: &'a Request<'_>, header: Header, limit: usize) -> Self {
        // No relay adds more than one option holds: what is longer was made up, and would leave no room for the answer.
        let relay = request.option(codes::RELAY_AGENT);
        let relay = relay.filter(|value| value.len() <= PIECE);
        // Kept back for what comes last: 52, 82 and the end.
        let of_relay = relay.map_or(0, |value| 2 + value.len());
        let room = limit.saturating_sub(OVERLOAD_LENGTH + of_relay + 1);
        let mut message = Vec::with_capacity(limit);
        message.extend([2, 1, 6, 0]);
        message.extend(request.xid());
        message.extend([0, 0]);
        message.extend(request.flags());
        if header.broadcast {
            message[10] |= 0x80;
        }
        message.extend(header.ciaddr.octets());
        message.extend(header.yiaddr.octets());
        message.extend(header.siaddr.octets());
        message.extend(request.giaddr().unwrap_or(Ipv4Addr::UNSPECIFIED).octets());
        message.extend(request.chaddr());
        message.resize(HEADER - MAGIC.len(), 0);
        message.extend(MAGIC);
        Self {
            message,
            room,
            relay,
            spilled: [Some(0), Some(0)],
        }
    }

    /// Only the options field is for options: BOOTP clients know no other, and a NAK needs no more.
    pub(super) fn without_overload(mut self) -> Self {
        self.spilled = [None, None];
        self.room += OVERLOAD_LENGTH;
        self
    }

    /// Puts a boot file's name into its field. `false`: too long for it.
    pub(super) fn file(&mut self, name: &[u8]) -> bool {
        self.field(0, name)
    }

    /// Puts a boot server's name into its field. `false`: too long for it.
    pub(super) fn sname(&mut self, name: &[u8]) -> bool {
        self.field(1, name)
    }

    pub(super) fn bytes(&mut self, code: u8, value: &[u8]) {
        self.option(code, |out| out.extend(value));
    }

    pub(super) fn number(&mut self, code: u8, value: u32) {
        self.bytes(code, &value.to_be_bytes());
    }

    /// None at all: no option.
    pub(super) fn addresses(&mut self, code: u8, list: &[Ipv4Addr]) {
        if list.is_empty() {
            return;
        }
        self.option(code, |out| {
            out.extend(list.iter().flat_map(Ipv4Addr::octets));
        });
    }

    /// One option, its value written by `value`. Left out if there is no room for it anywhere.
    pub(super) fn option(&mut self, code: u8, value: impl FnOnce(&mut Vec<u8>)) {
        let start = self.message.len();
        self.message.extend([code, 0]);
        value(&mut self.message);
        let Ok(length) = u8::try_from(self.message.len() - start - 2) else {
            let long = self.message.split_off(start + 2);
            self.message.truncate(start);
            self.long(code, &long);
            return;
        };
        self.message[start + 1] = length;
        if self.message.len() > self.room {
            let option = self.message.split_off(start);
            self.spill(&option);
        }
    }

    /// In pieces, wherever there is room for one, in the order in which they are put together again (RFC 3396 section 7).
    fn long(&mut self, code: u8, value: &[u8]) {
        let mut free = vec![self.room.saturating_sub(self.message.len())];
        for (range, used) in FIELDS.iter().zip(self.spilled) {
            free.push(used.map_or(0, |used| range.len().saturating_sub(used + 1)));
        }
        let room = free
            .iter()
            .map(|free| free.saturating_sub(2 * free.div_ceil(PIECE + 2)));
        if room.sum::<usize>() < value.len() {
            return;
        }
        let mut rest = value;
        for (place, mut free) in free.into_iter().enumerate() {
            while free > 2 && !rest.is_empty() {
                let (piece, after) = rest.split_at(rest.len().min(free - 2).min(PIECE));
                let mut option = Vec::with_capacity(piece.len() + 2);
                append_long(&mut option, code, piece);
                match place.checked_sub(1) {
                    None => self.message.extend(&option),
                    Some(field) => self.put_into(field, &option),
                }
                free -= option.len();
                rest = after;
            }
        }
    }

    /// Option 52 if needed, the relay's option last and unchanged (RFC 3046 section 2.2), the end, and BOOTP's least length.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let used = self.spilled.map(|used| used.is_some_and(|used| used > 0));
        let overload = u8::from(used[0]) | u8::from(used[1]) << 1;
        if overload != 0 {
            self.message.extend([codes::OVERLOAD, 1, overload]);
        }
        for (range, used) in FIELDS.into_iter().zip(self.spilled) {
            if let Some(used @ 1..) = used {
                self.message[range.start + used] = codes::END;
            }
        }
        if let Some(relay) = self.relay {
            append_long(&mut self.message, codes::RELAY_AGENT, relay);
        }
        self.message.push(codes::END);
        if self.message.len() < MIN_PACKET_SIZE {
            self.message.resize(MIN_PACKET_SIZE, 0);
        }
        self.message
    }

    /// Ends in a NUL, so it has to be one byte shorter than the field.
    fn field(&mut self, index: usize, name: &[u8]) -> bool {
        let range = &FIELDS[index];
        if name.len() >= range.len() || self.spilled[index].is_some_and(|used| used > 0) {
            return false;
        }
        self.spilled[index] = None;
        self.message[range.start..range.start + name.len()].copy_from_slice(name);
        true
    }

    /// The first of the two fields that has room for the whole option, and for its own end.
    fn spill(&mut self, option: &[u8]) {
        let fits = |(range, used): (&std::ops::Range<usize>, &Option<usize>)| {
            used.is_some_and(|used| used + option.len() < range.len())
        };
        if let Some(field) = FIELDS.iter().zip(&self.spilled).position(fits) {
            self.put_into(field, option);
        }
    }

    /// Behind what is in the field already. There is room for it.
    fn put_into(&mut self, field: usize, option: &[u8]) {
        let used = self.spilled[field].get_or_insert(0);
        let at = FIELDS[field].start + *used;
        self.message[at..at + option.len()].copy_from_slice(option);
        *used += option.len();
    }
}

/// An option of more than 255 bytes is several of the same code, one after the other (RFC 3396).
fn append_long(message: &mut Vec<u8>, code: u8, value: &[u8]) {
    if value.is_empty() {
        message.extend([code, 0]);
    }
    for piece in value.chunks(PIECE) {
        // A chunk's length fits: it was cut so.
        message.extend([code, u8::try_from(piece.len()).unwrap_or(u8::MAX)]);
        message.extend(piece);
    }
}
