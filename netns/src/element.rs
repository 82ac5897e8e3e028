//! Elements of maps and sets: dump -> word, word -> JSON for `nft`, change -> messages of one transaction.
//!
//! How the kernel writes a key: its parts one after the other, each padded to four bytes when there are several.
//! Addresses, ports and protocols are in network order, marks in the machine's own, device names fill 16 bytes.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use nftables::expr::{Expression, NamedExpression, Prefix};
use rtnetlink::packet_core::NLM_F_CREATE;

use crate::attr::{self, Attributes};
use crate::error::Mistake;
use crate::ruleset::{Element, ElementType, Map, MapChange};
use crate::wire::Request;

/// The elements of one map or set.
pub(crate) type Elements = BTreeMap<Vec<Element>, Option<Element>>;

/// `NFTA_SET_ELEM_LIST_*` and what is inside of them (linux/netfilter/nf_tables.h).
mod attribute {
    pub(super) const TABLE: u16 = 1;
    pub(super) const SET: u16 = 2;
    pub(super) const ELEMENTS: u16 = 3;
    pub(super) const LIST_ELEM: u16 = 1;
    pub(super) const KEY: u16 = 1;
    pub(super) const DATA: u16 = 2;
    pub(super) const FLAGS: u16 = 3;
    pub(super) const KEY_END: u16 = 10;
    pub(super) const VALUE: u16 = 1;
}

/// `NFT_SET_ELEM_INTERVAL_END`: not an element, but the first address behind one.
const INTERVAL_END: u32 = 1;

const DEVICE_BYTES: usize = 16;

/// Elements in one message; the list's length field has 16 bits, and an element takes up to 120 bytes.
const PER_MESSAGE: usize = 400;

/// `NFT_MSG_*SETELEM` of the subsystem.
const NEW: u16 = crate::nft::SUBSYSTEM | 12;
const GET: u16 = crate::nft::SUBSYSTEM | 13;
const DELETE: u16 = crate::nft::SUBSYSTEM | 14;

/// Asks for all elements of one map.
pub(crate) fn list(table: &str, map: &str) -> Request {
    let mut body = crate::nft::header();
    attr::put_text(&mut body, attribute::TABLE, table);
    attr::put_text(&mut body, attribute::SET, map);
    Request {
        kind: GET,
        flags: 0,
        body,
    }
}

/// What a dump says, in the words of `declared`. `None`: the kernel's map holds what no such map of ours could.
pub(crate) fn parse(bodies: &[Vec<u8>], declared: &Map) -> Option<Elements> {
    let raw = bodies.iter().flat_map(|body| {
        let list = Attributes(body.get(4..).unwrap_or_default()).inside(attribute::ELEMENTS);
        list.filter(|(kind, _)| *kind == attribute::LIST_ELEM)
            .map(|(_, element)| Raw::parse(&Attributes(element)))
    });
    if declared.interval && declared.key.len() == 1 {
        return ranges(raw.collect::<Option<Vec<_>>>()?, declared);
    }
    raw.map(|element| {
        let element = element?;
        let low = parts(element.key, &declared.key)?;
        let key = match element.key_end {
            None => low,
            Some(end) => low
                .into_iter()
                .zip(parts(end, &declared.key)?)
                .map(|(low, high)| range(low, &high))
                .collect::<Option<_>>()?,
        };
        Some((key, element.value(declared)?))
    })
    .collect()
}

/// One element as the kernel tells it.
struct Raw<'a> {
    key: &'a [u8],
    key_end: Option<&'a [u8]>,
    data: Option<&'a [u8]>,
    is_end: bool,
}

impl<'a> Raw<'a> {
    fn parse(element: &Attributes<'a>) -> Option<Self> {
        Some(Self {
            key: element.inside(attribute::KEY).get(attribute::VALUE)?,
            key_end: element.inside(attribute::KEY_END).get(attribute::VALUE),
            data: element.inside(attribute::DATA).get(attribute::VALUE),
            is_end: element.be32(attribute::FLAGS).unwrap_or(0) & INTERVAL_END != 0,
        })
    }

    /// Outer `None`: not what was declared.
    fn value(&self, declared: &Map) -> Option<Option<Element>> {
        match (declared.data, self.data) {
            (None, None) => Some(None),
            (Some(kind), Some(bytes)) => part(bytes, kind).map(Some),
            (None, Some(_)) | (Some(_), None) => None,
        }
    }
}

/// A map of address ranges is told as starts, and ends (the first address behind); the last may be open.
fn ranges(mut raw: Vec<Raw<'_>>, declared: &Map) -> Option<Elements> {
    // Where one range ends and the next begins at the same address, the end comes first.
    raw.sort_by_key(|element| (element.key, !element.is_end));
    let mut elements = Elements::new();
    let mut rest = raw.iter().peekable();
    // `nft` puts an end at zero in front of a first range that begins later.
    while let Some(start) = rest.next() {
        if start.is_end {
            if start.key.iter().any(|byte| *byte != 0) {
                return None;
            }
            continue;
        }
        let (Element::Ipv4(low), end) = (
            part(start.key, ElementType::Ipv4)?,
            rest.next_if(|next| next.is_end),
        ) else {
            return None;
        };
        let high = match end.map(|end| part(end.key, ElementType::Ipv4)) {
            Some(Some(Element::Ipv4(behind))) => Ipv4Addr::from(u32::from(behind).checked_sub(1)?),
            Some(_) => return None,
            None if rest.peek().is_none() => Ipv4Addr::BROADCAST,
            None => return None,
        };
        let key = vec![range(Element::Ipv4(low), &Element::Ipv4(high))?];
        elements.insert(key, start.value(declared)?);
    }
    Some(elements)
}

/// One part of a key from its lowest and highest value; only of addresses they may differ, by a prefix.
fn range(low: Element, high: &Element) -> Option<Element> {
    match (&low, high) {
        _ if low == *high => Some(low),
        (Element::Ipv4(first), Element::Ipv4(last)) => {
            let (first, last) = (u32::from(*first), u32::from(*last));
            let host_bits = (first ^ last).trailing_ones();
            let mask = u32::MAX.checked_shr(32 - host_bits).unwrap_or(0);
            let whole = first & mask == 0 && first | mask == last;
            let length = u8::try_from(32 - host_bits).ok()?;
            whole.then_some(Element::Net(first.into(), length))
        }
        _ => None,
    }
}

fn parts(bytes: &[u8], kinds: &[ElementType]) -> Option<Vec<Element>> {
    if let [kind] = kinds {
        return Some(vec![part(bytes, *kind)?]);
    }
    let mut left = bytes;
    let mut elements = Vec::with_capacity(kinds.len());
    for kind in kinds {
        let length = length(*kind);
        elements.push(part(left.get(..length)?, *kind)?);
        left = left.get(length.next_multiple_of(4)..)?;
    }
    left.is_empty().then_some(elements)
}

fn part(bytes: &[u8], kind: ElementType) -> Option<Element> {
    Some(match kind {
        ElementType::Ipv4 => Element::Ipv4(<[u8; 4]>::try_from(bytes).ok()?.into()),
        ElementType::Protocol => Element::Protocol(<[u8; 1]>::try_from(bytes).ok()?[0]),
        ElementType::Port => Element::Port(u16::from_be_bytes(bytes.try_into().ok()?)),
        ElementType::Mark => Element::Mark(u32::from_ne_bytes(bytes.try_into().ok()?)),
        ElementType::Device => {
            let name = bytes.split(|byte| *byte == 0).next()?;
            Element::Device(
                std::str::from_utf8(name)
                    .ok()
                    .filter(|_| bytes.len() == DEVICE_BYTES)?
                    .to_owned(),
            )
        }
    })
}

fn length(kind: ElementType) -> usize {
    match kind {
        ElementType::Ipv4 | ElementType::Mark => 4,
        ElementType::Protocol => 1,
        ElementType::Port => 2,
        ElementType::Device => DEVICE_BYTES,
    }
}

/// The messages for one change of one map without ranges: removals first, since a new value for a key is both.
pub(crate) fn change(table: &str, map: &str, change: &MapChange) -> Vec<Request> {
    let removed: Vec<_> = change.remove.iter().map(|key| (key, None)).collect();
    let added: Vec<_> = change
        .add
        .iter()
        .map(|(key, data)| (key, data.as_ref()))
        .collect();
    let removals = removed
        .chunks(PER_MESSAGE)
        .map(|some| message(DELETE, 0, table, map, some));
    let additions = added
        .chunks(PER_MESSAGE)
        .map(|some| message(NEW, NLM_F_CREATE, table, map, some));
    removals.chain(additions).collect()
}

fn message(
    kind: u16,
    flags: u16,
    table: &str,
    map: &str,
    elements: &[(&Vec<Element>, Option<&Element>)],
) -> Request {
    let mut body = crate::nft::header();
    attr::put_text(&mut body, attribute::TABLE, table);
    attr::put_text(&mut body, attribute::SET, map);
    attr::nest(&mut body, attribute::ELEMENTS, |list| {
        for (key, data) in elements {
            attr::nest(list, attribute::LIST_ELEM, |element| {
                attr::nest(element, attribute::KEY, |value| {
                    attr::put(value, attribute::VALUE, &key_bytes(key));
                });
                if let Some(data) = data {
                    attr::nest(element, attribute::DATA, |value| {
                        attr::put(value, attribute::VALUE, &bytes(data));
                    });
                }
            });
        }
    });
    Request { kind, flags, body }
}

fn key_bytes(key: &[Element]) -> Vec<u8> {
    if let [single] = key {
        return bytes(single);
    }
    let mut all = Vec::new();
    for part in key {
        all.extend(bytes(part));
        all.resize(all.len().next_multiple_of(4), 0);
    }
    all
}

fn bytes(element: &Element) -> Vec<u8> {
    match element {
        Element::Ipv4(address) | Element::Net(address, _) => address.octets().to_vec(),
        Element::Protocol(number) => vec![*number],
        Element::Port(number) => number.to_be_bytes().to_vec(),
        Element::Mark(mark) => mark.to_ne_bytes().to_vec(),
        Element::Device(name) => {
            let mut bytes = name.as_bytes().to_vec();
            bytes.resize(DEVICE_BYTES, 0);
            bytes
        }
    }
}

/// As `parse` tells them: a prefix without host bits, a prefix of one address as that address.
pub(crate) fn canonical(map: &Map) -> Cow<'_, Elements> {
    if !map.interval {
        return Cow::Borrowed(&map.elements);
    }
    let part = |element: &Element| match element {
        Element::Net(address, 32) => Element::Ipv4(*address),
        Element::Net(address, length) => {
            let mask = u32::MAX.checked_shl(32 - u32::from(*length)).unwrap_or(0);
            Element::Net((u32::from(*address) & mask).into(), *length)
        }
        other => other.clone(),
    };
    let elements = map.elements.iter();
    Cow::Owned(
        elements
            .map(|(key, data)| (key.iter().map(part).collect(), data.clone()))
            .collect(),
    )
}

/// All elements for the JSON of `nft`.
pub(crate) fn json(map: &Map) -> Vec<Expression<'static>> {
    let elements = canonical(map);
    let each = elements.iter().map(|(key, data)| {
        let key = match &key[..] {
            [single] => expression(single),
            several => Expression::Named(NamedExpression::Concat(
                several.iter().map(expression).collect(),
            )),
        };
        match data {
            None => key,
            Some(data) => Expression::List(vec![key, expression(data)]),
        }
    });
    each.collect()
}

fn expression(element: &Element) -> Expression<'static> {
    let text = |text: String| Expression::String(text.into());
    match element {
        Element::Ipv4(address) => text(address.to_string()),
        Element::Net(address, length) => Expression::Named(NamedExpression::Prefix(Prefix {
            addr: Box::new(text(address.to_string())),
            len: (*length).into(),
        })),
        Element::Protocol(number) => Expression::Number((*number).into()),
        Element::Port(number) => Expression::Number((*number).into()),
        Element::Mark(mark) => Expression::Number(*mark),
        Element::Device(name) => text(name.clone()),
    }
}

/// Every element as its map declares them, and nothing that would be read as something else.
pub(crate) fn check(name: &str, map: &Map) -> Result<(), Mistake> {
    let wrong = |why, instead| {
        Err(Mistake {
            object: format!("map {name}"),
            why,
            instead,
        })
    };
    if !crate::nft::is_word(name) {
        return wrong(
            "has a name that nft cannot read",
            "use up to 31 letters, digits and underscores",
        );
    }
    if map.key.is_empty() {
        return wrong("has a key without parts", "name the type of at least one");
    }
    if map.interval && map.key.len() == 1 && map.key[0] != ElementType::Ipv4 {
        return wrong(
            "has ranges of something else than addresses",
            "leave interval out",
        );
    }
    for (key, data) in &map.elements {
        let fits = key.len() == map.key.len()
            && key
                .iter()
                .zip(&map.key)
                .all(|(part, kind)| is_a(part, *kind, map.interval));
        if !fits {
            return wrong(
                "has an element whose key is not what it declares",
                "use the declared types, in that order",
            );
        }
        let value_fits = match (data, map.data) {
            (None, None) => true,
            (Some(data), Some(kind)) => is_a(data, kind, false),
            (Some(_), None) | (None, Some(_)) => false,
        };
        if !value_fits {
            return wrong(
                "has an element whose value is not what it declares",
                "use the declared type; a set has none",
            );
        }
    }
    Ok(())
}

fn is_a(element: &Element, kind: ElementType, ranges: bool) -> bool {
    match (element, kind) {
        (Element::Ipv4(_), ElementType::Ipv4)
        | (Element::Protocol(_), ElementType::Protocol)
        | (Element::Port(_), ElementType::Port)
        | (Element::Mark(_), ElementType::Mark) => true,
        (Element::Net(_, length), ElementType::Ipv4) => ranges && *length <= 32,
        // A star would make it a pattern.
        (Element::Device(name), ElementType::Device) => {
            crate::DevName::new(name.as_str()).is_ok() && !name.contains(['*', '"', '\\', '@'])
        }
        (_, _) => false,
    }
}

#[cfg(test)]
mod tests;
