//! Responses of forwarders: read through once, kept without what belongs to one transport (OPT), written for each client.
//!
//! What they say is never changed: records and signatures go to the client as they came. Only TTLs count down, and that of an
//! SOA beside nothing is as long as the nothing holds (RFC 2308 section 5).

use super::name;
use super::query::{A, AAAA, ANY, Carrier, HEADER, OPT, Query, SOA, u16_at};
use super::reply::{OUR_SIZE, Reply, push_opt};

/// Transaction signatures are the transport's too (RFC 8945).
const TSIG: u16 = 250;

/// The option for extended errors (RFC 8914), and how much of it is passed on.
const EXTENDED_ERROR: u16 = 15;
const LONGEST_ERROR: usize = 256;

/// Two names that are the root, and five numbers.
const SHORTEST_SOA: usize = 22;

const NO_ERROR: u16 = 0;
const SERVFAIL: u16 = 2;
const NX_DOMAIN: u16 = 3;
const REFUSED: u16 = 5;

/// The longest that a response is kept: a day, or if it says that there is nothing, three hours (RFC 2308 section 5).
const LONGEST_LIFE: u32 = 86_400;
const LONGEST_ABSENCE: u32 = 10_800;

/// A whole response.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// Header, question and records; neither OPT nor what stood after it.
    message: Box<[u8]>,
    question_end: usize,
    /// Where the TTL of each record is. A message is shorter than 64 KiB.
    ttls: Box<[u16]>,
    life: u32,
    /// The header's code, and the OPT record's part of it.
    rcode: u16,
    /// Options for the client's own OPT record.
    errors: Box<[u8]>,
}

/// One record, as far as a forwarder looks at it.
struct Record {
    kind: u16,
    ttl_at: usize,
    data: std::ops::Range<usize>,
}

/// A response to this question: the same type and class, and the same name in whatever case.
pub fn is_answer_to(message: &[u8], query: &Query<'_>) -> bool {
    let (name, kind_and_class) = query.question().split_at(query.name().len());
    let Some((header, rest)) = message.split_first_chunk::<HEADER>() else {
        return false;
    };
    let Some((its_name, rest)) = rest.split_at_checked(name.len()) else {
        return false;
    };
    header[2] & 0xf8 == 0x80
        && header[4..6] == [0, 1]
        && its_name.eq_ignore_ascii_case(name)
        && rest.starts_with(kind_and_class)
}

/// A header and nothing else, of who can't or won't read questions: FORMERR, SERVFAIL, NOTIMP or REFUSED.
pub(super) fn is_bare_refusal(message: &[u8]) -> bool {
    matches!(message, [_, _, flags, code, 0, 0, 0, 0, 0, 0, 0, 0]
        if flags & 0xf8 == 0x80 && matches!(code & 0x0f, 1 | 2 | 4 | 5))
}

impl Response {
    /// Of a message that [`is_answer_to`] the query. `None`: its records are not whole.
    pub fn read(mut message: Vec<u8>, query: &Query<'_>) -> Option<Self> {
        let question_end = query.head().len();
        let mut response = Self {
            question_end,
            ttls: Box::default(),
            life: LONGEST_LIFE,
            rcode: u16::from(*message.get(3)? & 0x0f),
            errors: Box::default(),
            message: Box::default(),
        };
        let (mut at, mut ttls) = (question_end, Vec::new());
        let (mut answered, mut absent) = (false, false);
        'sections: for section in [6, 8, 10] {
            for number in 0..u16_at(&message, section)? {
                let record = record(&message, at)?;
                if matches!(record.kind, OPT | TSIG) {
                    if section != 10 {
                        return None;
                    }
                    if record.kind == OPT {
                        response.take_opt(&message, &record);
                    }
                    message[10..12].copy_from_slice(&number.to_be_bytes());
                    break 'sections;
                }
                answered |= section == 6 && [record.kind, ANY].contains(&query.kind());
                let mut ttl = ttl(&message, record.ttl_at)?;
                if record.kind == SOA && section == 8 {
                    // RFC 2308 section 5: so long there is nothing.
                    absent = record.data.len() >= SHORTEST_SOA;
                    absent.then_some(())?;
                    ttl = ttl.min(u32_at(&message, record.data.end - 4)?);
                    ttl = ttl.min(LONGEST_ABSENCE);
                    message[record.ttl_at..record.ttl_at + 4].copy_from_slice(&ttl.to_be_bytes());
                }
                response.life = response.life.min(ttl);
                ttls.push(u16::try_from(record.ttl_at).ok()?);
                at = record.data.end;
            }
        }
        message.truncate(at);
        // An alias alone says that there is none of the type, and does not say for how long (RFC 2308 section 5).
        let says_something = match response.rcode {
            NO_ERROR => absent || answered,
            NX_DOMAIN => absent,
            _ => false,
        };
        if !says_something {
            response.life = 0;
        }
        response.ttls = ttls.into();
        response.message = message.into();
        Some(response)
    }

    fn take_opt(&mut self, message: &[u8], opt: &Record) {
        self.rcode |= u16::from(message[opt.ttl_at]) << 4;
        let mut rest = &message[opt.data.clone()];
        let mut errors = Vec::new();
        while let (Some(code), Some(length)) = (u16_at(rest, 0), u16_at(rest, 2))
            && let Some(option) = rest.get(..4 + usize::from(length))
        {
            if code == EXTENDED_ERROR && errors.len() + option.len() <= LONGEST_ERROR {
                errors.extend_from_slice(option);
            }
            rest = &rest[option.len()..];
        }
        self.errors = errors.into();
    }

    /// SERVFAIL, REFUSED, or a code of EDNS, which is about our way to ask: no answer if another forwarder has one.
    pub(super) fn is_refusal(&self) -> bool {
        matches!(self.rcode, SERVFAIL | REFUSED | 16..)
    }

    /// Seconds that it may be kept; 0: not at all.
    pub fn life(&self) -> u32 {
        self.life
    }

    /// Length of what is kept of the message.
    pub(super) fn length(&self) -> usize {
        self.message.len()
    }

    /// Bytes that it takes.
    pub(super) fn size(&self) -> usize {
        size_of::<Self>() + self.message.len() + 2 * self.ttls.len() + self.errors.len()
    }

    /// The addresses that it answers with, as bytes: 4 or 16.
    pub fn addresses(&self) -> impl Iterator<Item = &[u8]> {
        let answers = usize::from(u16_at(&self.message, 6).unwrap_or(0));
        self.ttls.iter().take(answers).filter_map(|ttl_at| {
            let record = fixed_part(&self.message, usize::from(*ttl_at) - 4)?;
            let data = &self.message[record.data];
            let whole = matches!((record.kind, data.len()), (A, 4) | (AAAA, 16));
            whole.then_some(data)
        })
    }

    /// Writes the reply to `query`, which asks the same, `age` seconds after this was heard.
    pub fn answer(&self, query: &Query<'_>, carrier: Carrier, age: u32, out: &mut Vec<u8>) {
        let edns = query.edns();
        let opt = edns.map_or(0, |_| 11 + self.errors.len());
        let own = match carrier {
            Carrier::Udp => usize::from(OUR_SIZE),
            Carrier::Tcp => usize::from(u16::MAX),
        };
        if self.message.len() + opt > query.takes(carrier).min(own) {
            return Reply::to(query, out).truncated();
        }
        out.clear();
        // The client's own question, in its own case: the names of the records point into it.
        out.extend_from_slice(query.head());
        out.extend_from_slice(&self.message[self.question_end..]);
        let asked = query.head();
        // We are no authority for it (no AA), and we recurse (RA). AD is the forwarder's word.
        out[2] = 0x80 | (asked[2] & 0x01);
        let rcode = u8::try_from(self.rcode).ok().filter(|code| *code < 16);
        out[3] = 0x80 | (asked[3] & 0x10) | (self.message[3] & 0x20) | rcode.unwrap_or(2);
        out[4..HEADER].copy_from_slice(&self.message[4..HEADER]);
        if age > 0 {
            for at in &self.ttls {
                let at = usize::from(*at);
                let left = ttl(out, at).unwrap_or(0).saturating_sub(age);
                out[at..at + 4].copy_from_slice(&left.to_be_bytes());
            }
        }
        if let Some(edns) = edns {
            // Never more than 65,535 records: another one had to fit, too.
            let records = u16_at(out, 10).unwrap_or(0).saturating_add(1);
            out[10..HEADER].copy_from_slice(&records.to_be_bytes());
            push_opt(out, 0, edns.dnssec_ok, &self.errors);
        }
    }
}

fn record(message: &[u8], at: usize) -> Option<Record> {
    fixed_part(message, name::end_of_any(message, at)?)
}

/// What follows the owner's name: type, class, TTL and data.
fn fixed_part(message: &[u8], at: usize) -> Option<Record> {
    let start = at + 10;
    let end = start + usize::from(u16_at(message, at + 8)?);
    (end <= message.len()).then_some(())?;
    Some(Record {
        kind: u16_at(message, at)?,
        ttl_at: at + 4,
        data: start..end,
    })
}

/// With its highest bit set it is none (RFC 2181 section 8).
fn ttl(message: &[u8], at: usize) -> Option<u32> {
    u32_at(message, at).map(|ttl| {
        if ttl > i32::MAX.cast_unsigned() {
            0
        } else {
            ttl
        }
    })
}

fn u32_at(message: &[u8], at: usize) -> Option<u32> {
    let bytes = message.get(at..)?.first_chunk()?;
    Some(u32::from_be_bytes(*bytes))
}

#[cfg(test)]
mod tests;
