//! Queries, as far as a responder reads them (RFC 1035 section 4, EDNS of RFC 6891).
//!
//! By hand: a query stays the bytes that came, and nothing is allocated for one.

use std::fmt;

use super::name;
use super::reply::Rcode;

/// Length of the header.
pub(super) const HEADER: usize = 12;

/// What everyone takes by UDP (RFC 1035 section 4.2.1).
const PLAIN_SIZE: u16 = 512;

pub(super) const A: u16 = 1;
pub(super) const NS: u16 = 2;
pub(super) const SOA: u16 = 6;
pub(super) const PTR: u16 = 12;
pub(super) const TXT: u16 = 16;
pub(super) const AAAA: u16 = 28;
pub(super) const OPT: u16 = 41;
pub(super) const ANY: u16 = 255;
pub(super) const CLASS_IN: u16 = 1;

/// Bits of [`Query::bits`]: the first where the header's third byte has it, the next two where its fourth has them.
pub(super) const RD: u8 = 0x01;
pub(super) const CD: u8 = 0x10;
pub(super) const AD: u8 = 0x20;
pub(super) const DO: u8 = 0x80;

/// TKEY, TSIG, IXFR, AXFR, MAILB, MAILA: operations rather than data, and nothing that we do or pass on.
const NOT_DATA: std::ops::RangeInclusive<u16> = 249..=254;

/// How a query came, and so how large its reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Carrier {
    Udp,
    Tcp,
}

/// A client's OPT record (RFC 6891 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edns {
    size: u16,
    version: u8,
    pub(super) dnssec_ok: bool,
}

/// A query as it came.
#[derive(Clone, Copy)]
pub struct Query<'m> {
    message: &'m [u8],
    /// Where the question ends; [`HEADER`] where there is none that could be read.
    question_end: usize,
    kind: u16,
    edns: Option<Edns>,
    fault: Option<Rcode>,
}

impl fmt::Debug for Query<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Query")
            .field("question", &self.question())
            .field("edns", &self.edns)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

impl<'m> Query<'m> {
    /// `None`: no query at all (cut short, or a response), and no reply is due. What is wrong with a query that is
    /// due a reply stands in [`Query::fault`].
    pub(super) fn read(message: &'m [u8]) -> Option<Self> {
        if message.len() < HEADER || message[2] & 0x80 != 0 {
            return None;
        }
        let mut query = Self {
            message,
            question_end: HEADER,
            kind: 0,
            edns: None,
            fault: None,
        };
        query.fault = query.read_on().err();
        Some(query)
    }

    fn read_on(&mut self) -> Result<(), Rcode> {
        let message = self.message;
        if message[2] & 0x78 != 0 {
            return Err(Rcode::NotImp); // an opcode other than QUERY
        }
        if u16_at(message, 4) != Some(1) {
            return Err(Rcode::FormErr); // RFC 9619: one question
        }
        let name_end = name::end_of_plain(message, HEADER).ok_or(Rcode::FormErr)?;
        self.kind = u16_at(message, name_end).ok_or(Rcode::FormErr)?;
        let class = u16_at(message, name_end + 2).ok_or(Rcode::FormErr)?;
        self.question_end = name_end + 4;
        self.read_records()?;
        if self.edns.is_some_and(|edns| edns.version != 0) {
            return Err(Rcode::BadVers);
        }
        if self.kind == OPT {
            return Err(Rcode::FormErr);
        }
        if class != CLASS_IN || NOT_DATA.contains(&self.kind) {
            return Err(Rcode::Refused);
        }
        Ok(())
    }

    /// Walks all records after the question to the end of the message, and takes the OPT record up.
    fn read_records(&mut self) -> Result<(), Rcode> {
        let message = self.message;
        let mut at = self.question_end;
        for (section, additional) in [(6, false), (8, false), (10, true)] {
            for _ in 0..u16_at(message, section).unwrap_or(0) {
                let owner = at;
                at = name::end_of_any(message, owner).ok_or(Rcode::FormErr)?;
                let kind = u16_at(message, at).ok_or(Rcode::FormErr)?;
                let data = u16_at(message, at + 8).ok_or(Rcode::FormErr)?;
                let end = at + 10 + usize::from(data);
                if end > message.len() {
                    return Err(Rcode::FormErr);
                }
                if kind == OPT {
                    if !additional || at != owner + 1 || self.edns.is_some() {
                        return Err(Rcode::FormErr); // RFC 6891 section 6.1.1
                    }
                    self.edns = Some(Edns {
                        size: u16_at(message, at + 2).unwrap_or(0),
                        version: message[at + 5],
                        dnssec_ok: message[at + 6] & 0x80 != 0,
                    });
                }
                at = end;
            }
        }
        if at == message.len() {
            Ok(())
        } else {
            Err(Rcode::FormErr)
        }
    }

    /// Why it is not to be looked up, and what the client is told.
    pub(super) fn fault(&self) -> Option<Rcode> {
        self.fault
    }

    /// Header and question: what a reply begins with.
    pub(super) fn head(&self) -> &'m [u8] {
        &self.message[..self.question_end]
    }

    /// Name, type and class as they came; empty where they could not be read.
    pub(super) fn question(&self) -> &'m [u8] {
        &self.message[HEADER..self.question_end]
    }

    /// The name alone, with its root label. Only of a query without fault.
    pub(super) fn name(&self) -> &'m [u8] {
        let question = self.question();
        &question[..question.len().saturating_sub(4)]
    }

    pub(super) fn edns(&self) -> Option<Edns> {
        self.edns
    }

    /// The type asked for.
    pub(super) fn kind(&self) -> u16 {
        self.kind
    }

    /// What of the header and the OPT record is the client's and for the forwarder as well: RD, AD, CD and DO.
    pub(super) fn bits(&self) -> u8 {
        let dnssec_ok = self.edns.is_some_and(|edns| edns.dnssec_ok);
        let [_, _, flags, more, ..] = self.message else {
            return 0;
        };
        (flags & RD) | (more & (AD | CD)) | if dnssec_ok { DO } else { 0 }
    }

    /// The largest message that the client takes back on this way.
    pub(super) fn takes(&self, carrier: Carrier) -> usize {
        match carrier {
            Carrier::Udp => usize::from(
                self.edns
                    .map_or(PLAIN_SIZE, |edns| edns.size.max(PLAIN_SIZE)),
            ),
            Carrier::Tcp => usize::from(u16::MAX),
        }
    }
}

pub(super) fn u16_at(message: &[u8], at: usize) -> Option<u16> {
    let bytes = message.get(at..at + 2)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}
