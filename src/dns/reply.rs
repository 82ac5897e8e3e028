//! Replies: the question's bytes, and records that point into them.
//!
//! So the case in which a client wrote a name (0x20) is kept, and a reply is written into a buffer that is kept too.

use super::name;
use super::query::{CLASS_IN, Carrier, DO, HEADER, NS, OPT, PTR, Query, SOA};

/// The largest reply of our own by UDP, and what our OPT says that we take: what passes everywhere unfragmented.
pub(super) const OUR_SIZE: u16 = 1232;

/// Response codes that we give (RFC 1035 section 4.1.1, RFC 6891 section 9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rcode {
    NoError,
    FormErr,
    ServFail,
    NxDomain,
    NotImp,
    Refused,
    BadVers,
}

impl Rcode {
    /// Low four bits for the header, high eight for the OPT record.
    const fn split(self) -> (u8, u8) {
        match self {
            Self::NoError => (0, 0),
            Self::FormErr => (1, 0),
            Self::ServFail => (2, 0),
            Self::NxDomain => (3, 0),
            Self::NotImp => (4, 0),
            Self::Refused => (5, 0),
            Self::BadVers => (0, 1),
        }
    }
}

/// A reply in the making. Our own data never grows old (TTL 0), so that a port that changed is right at once.
pub(super) struct Reply<'q, 'm, 'o> {
    query: &'q Query<'m>,
    out: &'o mut Vec<u8>,
    answers: u16,
    authority: u16,
}

impl<'q, 'm, 'o> Reply<'q, 'm, 'o> {
    /// Starts over in `out`.
    pub(super) fn to(query: &'q Query<'m>, out: &'o mut Vec<u8>) -> Self {
        out.clear();
        out.extend_from_slice(query.head());
        Self {
            query,
            out,
            answers: 0,
            authority: 0,
        }
    }

    /// An answer whose owner starts `label` bytes into the name that was asked for.
    pub(super) fn answer(&mut self, label: usize, kind: u16, data: &[u8]) {
        self.record(label, kind, data);
        self.answers = self.answers.saturating_add(1);
    }

    /// The SOA of the zone that starts `label` bytes into the name asked for: as the answer, or as proof that there
    /// is none (RFC 2308 section 3). Our server has no name but the zone's own, and nobody transfers the zone.
    pub(super) fn soa(&mut self, label: usize, as_answer: bool) {
        let [high, low] = pointer(label);
        let mut data = [0; 35];
        data[..2].copy_from_slice(&[high, low]);
        data[2..13].copy_from_slice(b"\x0ahostmaster");
        data[13..15].copy_from_slice(&[high, low]);
        // Serial, refresh, retry, expire, and how long an absence may be remembered: not at all.
        for (slot, seconds) in data[15..]
            .chunks_exact_mut(4)
            .zip([1u32, 3600, 600, 86400, 0])
        {
            slot.copy_from_slice(&seconds.to_be_bytes());
        }
        self.record(label, SOA, &data);
        if as_answer {
            self.answers = self.answers.saturating_add(1);
        } else {
            self.authority = self.authority.saturating_add(1);
        }
    }

    /// The NS record that belongs to [`Reply::soa`].
    pub(super) fn name_server(&mut self, label: usize) {
        self.answer(label, NS, &pointer(label));
    }

    /// A PTR record for the name asked for. Left out where `target` is no host name.
    pub(super) fn pointer_to(&mut self, target: &str) {
        let start = self.out.len();
        self.record(0, PTR, &[]);
        let data = self.out.len();
        if !name::push_wire(target, self.out) {
            self.out.truncate(start);
            return;
        }
        // A name has at most 255 bytes.
        let length = u16::try_from(self.out.len() - data).unwrap_or(u16::MAX);
        self.out[data - 2..data].copy_from_slice(&length.to_be_bytes());
        self.answers = self.answers.saturating_add(1);
    }

    pub(super) fn answers(&self) -> u16 {
        self.answers
    }

    fn record(&mut self, label: usize, kind: u16, data: &[u8]) {
        // Data is an address, a name or the SOA above: it fits in 16 bits.
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        let mut head = [0; 12];
        head[..2].copy_from_slice(&pointer(label));
        head[2..4].copy_from_slice(&kind.to_be_bytes());
        head[4..6].copy_from_slice(&CLASS_IN.to_be_bytes());
        head[10..].copy_from_slice(&length.to_be_bytes());
        self.out.extend_from_slice(&head);
        self.out.extend_from_slice(data);
    }

    /// Ends a reply from our own data; cut to nothing but a "come by TCP" where it is too long.
    pub(super) fn finish(mut self, rcode: Rcode, carrier: Carrier) {
        let own = match carrier {
            Carrier::Udp => usize::from(OUR_SIZE),
            Carrier::Tcp => usize::from(u16::MAX),
        };
        let limit = self.query.takes(carrier).min(own);
        let opt = if self.query.edns().is_some() { 11 } else { 0 };
        if self.out.len() + opt > limit {
            return self.truncated();
        }
        self.close(rcode, 0x04);
    }

    /// Ends a reply that says no more than `rcode`.
    pub(super) fn fail(mut self, rcode: Rcode) {
        self.clear_records();
        self.close(rcode, 0);
    }

    /// Ends a reply that says: ask again by TCP.
    pub(super) fn truncated(mut self) {
        self.clear_records();
        self.close(Rcode::NoError, 0x02);
    }

    fn clear_records(&mut self) {
        self.out.truncate(self.query.head().len());
        self.answers = 0;
        self.authority = 0;
    }

    /// Header and OPT. `bits` are AA or TC. Opcode, RD and CD are the client's (RFC 4035 section 3.2.2); we recurse (RA).
    fn close(&mut self, rcode: Rcode, bits: u8) {
        let (low, high) = rcode.split();
        let asked = self.query.head();
        let questions = u8::from(asked.len() > HEADER);
        let [an_high, an_low] = self.answers.to_be_bytes();
        let [ns_high, ns_low] = self.authority.to_be_bytes();
        let additional = u8::from(self.query.edns().is_some());
        self.out[2..HEADER].copy_from_slice(&[
            0x80 | (asked[2] & 0x79) | bits,
            0x80 | (asked[3] & 0x10) | low,
            0,
            questions,
            an_high,
            an_low,
            ns_high,
            ns_low,
            0,
            additional,
        ]);
        if let Some(edns) = self.query.edns() {
            push_opt(self.out, high, edns.dnssec_ok, &[]);
        }
    }
}

/// Our OPT record. `high` are the upper bits of the code; DO is said back (RFC 3225); options fit in 16 bits.
pub(super) fn push_opt(out: &mut Vec<u8>, high: u8, dnssec_ok: bool, options: &[u8]) {
    let [size_high, size_low] = OUR_SIZE.to_be_bytes();
    let flags = if dnssec_ok { DO } else { 0 };
    let [_, kind] = OPT.to_be_bytes();
    let length = u16::try_from(options.len()).unwrap_or(0);
    let [length_high, length_low] = length.to_be_bytes();
    out.extend_from_slice(&[0, 0, kind, size_high, size_low, high, 0, flags, 0]);
    out.extend_from_slice(&[length_high, length_low]);
    out.extend_from_slice(&options[..length.into()]);
}

/// A compression pointer to `label` bytes into the name of the question. A name has at most 255 bytes.
fn pointer(label: usize) -> [u8; 2] {
    let offset = u16::try_from(HEADER + label).unwrap_or(0) | 0xc000;
    offset.to_be_bytes()
}
