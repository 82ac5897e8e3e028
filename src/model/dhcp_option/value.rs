//! From a value's text to the bytes on the wire.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;

use super::names::Kind;
use crate::model::Sought;

/// `Err` says what would be right.
pub(super) fn encode(kind: Kind, text: &str) -> Result<Vec<u8>, String> {
    let text = text.trim();
    match (kind, text) {
        // Meant: no router at all (3), no routes at all (121 of no bytes, for which a client ignores 3 as well).
        (Kind::Routers | Kind::Routes, "") => return Ok(Vec::new()),
        (_, "") => {
            return Err("has no value; only router and classless-static-route may be blank".into());
        }
        _ => {}
    }
    match kind {
        Kind::Address => addresses(text, |count| count == 1, "takes one IPv4 address"),
        Kind::Addresses | Kind::Routers => {
            addresses(text, |_| true, "takes IPv4 addresses, with commas between")
        }
        Kind::AddressPairs => {
            let shape = "takes pairs of IPv4 addresses, with commas between";
            addresses(text, |count| count % 2 == 0, shape)
        }
        Kind::Number(1) => {
            number(text, 0, u8::MAX.into()).map(|number| number.to_be_bytes()[7..].to_vec())
        }
        Kind::Number(2) => {
            number(text, 0, u16::MAX.into()).map(|number| number.to_be_bytes()[6..].to_vec())
        }
        Kind::Number(_) => {
            number(text, 0, u32::MAX.into()).map(|number| number.to_be_bytes()[4..].to_vec())
        }
        Kind::Offset => number(text, i32::MIN.into(), i32::MAX.into())
            .map(|number| number.to_be_bytes()[4..].to_vec()),
        Kind::Seconds => seconds(text),
        Kind::Text => Ok(unquoted(text).as_bytes().to_vec()),
        Kind::SearchList => search_list(text),
        Kind::SipServers => sip_servers(text),
        Kind::Routes => routes(text),
        Kind::Free => free(text),
        Kind::Addresses6 => {
            addresses6(text).map(|list| list.iter().flat_map(Ipv6Addr::octets).collect())
        }
        Kind::Names6 => names(text).map(|list| list.concat()),
        Kind::TimeServers6 => addresses6(text).map(|list| {
            // Suboption 1 (a server's unicast address), 16 bytes.
            list.iter()
                .flat_map(|ip| [0, 1, 0, 16].into_iter().chain(ip.octets()))
                .collect()
        }),
        Kind::Texts6 => texts6(text),
    }
}

/// `01:fa:16` -> its bytes; `None`: it isn't that.
pub(super) fn colon_hex(text: &str) -> Option<Vec<u8>> {
    text.contains(':')
        .then(|| text.split(':').map(hex_byte).collect())
        .flatten()
}

fn hex_byte(text: &str) -> Option<u8> {
    let hex = (1..=2).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    hex.then(|| u8::from_str_radix(text, 16).ok()).flatten()
}

/// `fa:16:*`: bytes, and `None` for any. `None`: it isn't that.
pub(in crate::model) fn prefix_of(text: &str) -> Option<Vec<Option<u8>>> {
    let parts = text.split(':').map(|part| match part {
        "*" => Some(None),
        part => hex_byte(part).map(Some),
    });
    text.contains(':').then(|| parts.collect()).flatten()
}

/// What a client's option is looked at for: blank, whether it is there at all.
pub(in crate::model) fn sought(kind: Kind, text: &str) -> Result<Sought, String> {
    if text.is_empty() {
        return Ok(Sought::Anything);
    }
    if let Some(start) = prefix_of(text) {
        return Ok(Sought::Start(start));
    }
    let bytes = encode(kind, text)?;
    let is_text = match kind {
        Kind::Free => bytes == unquoted(text).as_bytes(),
        Kind::Text => true,
        _ => false,
    };
    Ok(if is_text {
        Sought::Part(bytes)
    } else {
        Sought::Element(bytes)
    })
}

/// Without the quotes around it, if both are there.
pub(in crate::model) fn unquoted(text: &str) -> &str {
    text.strip_prefix('"')
        .and_then(|text| text.strip_suffix('"'))
        .unwrap_or(text)
}

fn list(text: &str) -> impl Iterator<Item = &str> {
    text.split(',').map(str::trim)
}

fn addresses(
    text: &str,
    count_fits: impl Fn(usize) -> bool,
    shape: &str,
) -> Result<Vec<u8>, String> {
    let parsed: Result<Vec<Ipv4Addr>, _> = list(text).map(str::parse).collect();
    match parsed {
        Ok(list) if count_fits(list.len()) => Ok(list.iter().flat_map(Ipv4Addr::octets).collect()),
        Ok(_) | Err(_) => Err(shape.into()),
    }
}

fn number(text: &str, least: i64, most: i64) -> Result<i64, String> {
    let parsed = text
        .parse()
        .ok()
        .filter(|number| (least..=most).contains(number));
    parsed.ok_or_else(|| format!("takes a number from {least} to {most}"))
}

/// `90`, `90s`, `10m`, `12h`, `1d`, `2w`.
fn seconds(text: &str) -> Result<Vec<u8>, String> {
    let units = [
        ('s', 1),
        ('m', 60),
        ('h', 3600),
        ('d', 86400),
        ('w', 604_800),
    ];
    let of_unit = |(unit, seconds): (char, u32)| {
        Some((
            text.strip_suffix([unit, unit.to_ascii_uppercase()])?,
            seconds,
        ))
    };
    let (digits, unit) = units.into_iter().find_map(of_unit).unwrap_or((text, 1));
    let seconds = digits
        .parse()
        .ok()
        .and_then(|count: u32| count.checked_mul(unit));
    let seconds = seconds.ok_or("takes seconds, or a number with s, m, h, d or w behind it")?;
    Ok(seconds.to_be_bytes().to_vec())
}

/// One name as labels, each with its length in front, and the root's zero at the end (RFC 1035 section 3.1).
fn labels(name: &str) -> Result<Vec<u8>, String> {
    let wrong = || {
        format!(
            "{name:?} is no domain name: labels of 1 to 63 letters, digits, '-' and '_', 253 bytes in all"
        )
    };
    let mut wire = Vec::with_capacity(name.len() + 2);
    for label in name.strip_suffix('.').unwrap_or(name).split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..=63).contains(length));
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
        if !label.bytes().all(allowed) {
            return Err(wrong());
        }
        wire.push(length.ok_or_else(wrong)?);
        wire.extend(label.bytes());
    }
    wire.push(0);
    if wire.len() > 255 {
        Err(wrong())
    } else {
        Ok(wire)
    }
}

fn names(text: &str) -> Result<Vec<Vec<u8>>, String> {
    list(unquoted(text)).map(labels).collect()
}

/// Names, each ending where it can in a pointer to an earlier one's tail (RFC 3397 with RFC 1035 section 4.1.4).
fn search_list(text: &str) -> Result<Vec<u8>, String> {
    let mut wire: Vec<u8> = Vec::new();
    for name in names(text)? {
        let mut rest = name.as_slice();
        // Label by label, until what is left stands in `wire` already. The root alone is shorter than a pointer.
        while rest.len() > 1 {
            let earlier = wire
                .windows(rest.len())
                .position(|tail| tail.eq_ignore_ascii_case(rest));
            if let Some(pointer) = earlier
                .and_then(|at| u16::try_from(at).ok())
                .filter(|at| *at < 0x4000)
            {
                wire.extend((0xc000 | pointer).to_be_bytes());
                break;
            }
            let (label, after) = rest.split_at(usize::from(rest[0]) + 1);
            wire.extend(label);
            rest = after;
        }
        if rest.len() == 1 {
            wire.push(0);
        }
    }
    Ok(wire)
}

/// RFC 3361: the first byte says whether names (0) or addresses (1) follow.
fn sip_servers(text: &str) -> Result<Vec<u8>, String> {
    let by_address = addresses(text, |_| true, "").map(|list| (1, list));
    let (encoding, list) = match by_address {
        Ok(list) => list,
        Err(_) => (0, names(text)?.concat()),
    };
    Ok([vec![encoding], list].concat())
}

/// `10.0.0.0/8,192.0.2.1,0.0.0.0/0,192.0.2.2`, or the finished bytes in hexadecimal.
fn routes(text: &str) -> Result<Vec<u8>, String> {
    if let Some(bytes) = colon_hex(text) {
        return Ok(bytes);
    }
    let wrong = || "takes pairs of a destination and its router: 10.0.0.0/8,192.0.2.1".to_owned();
    let mut wire = Vec::new();
    let mut parts = list(text);
    while let Some(destination) = parts.next() {
        let router: Ipv4Addr = parts
            .next()
            .and_then(|part| part.parse().ok())
            .ok_or_else(wrong)?;
        wire.extend(descriptor(destination).ok_or_else(wrong)?);
        wire.extend(router.octets());
    }
    Ok(wire)
}

/// `10.1.0.0/16` -> its width and only the bytes that count (RFC 3442). Without a width: a host.
fn descriptor(destination: &str) -> Option<Vec<u8>> {
    let net = match destination.parse::<Ipv4Net>() {
        Ok(net) => net.trunc(),
        Err(_) => Ipv4Net::from(destination.parse::<Ipv4Addr>().ok()?),
    };
    let significant = usize::from(net.prefix_len()).div_ceil(8);
    let mut wire = vec![net.prefix_len()];
    wire.extend(&net.addr().octets()[..significant]);
    Some(wire)
}

/// As dnsmasq guesses: bytes `01:02`, a number, addresses or destinations, else text. Quotes make it text.
fn free(text: &str) -> Result<Vec<u8>, String> {
    if unquoted(text) != text {
        return Ok(unquoted(text).as_bytes().to_vec());
    }
    if let Some(bytes) = colon_hex(text) {
        return Ok(bytes);
    }
    if let Some(bytes) = sized_number(text)? {
        return Ok(bytes);
    }
    let of_addresses = |b: u8| b.is_ascii_digit() || b"./, ".contains(&b);
    if text.bytes().all(of_addresses) && text.contains('.') && !text.starts_with('/') {
        return dotted_quads(text);
    }
    Ok(text.as_bytes().to_vec())
}

/// 1, 2 or 4 bytes, as few as hold it, or as b, s or i behind it says. `None`: no number.
fn sized_number(text: &str) -> Result<Option<Vec<u8>>, String> {
    let sized = |suffix: char, bytes: usize| Some((text.strip_suffix(suffix)?, Some(bytes)));
    let (digits, bytes) = sized('b', 1)
        .or_else(|| sized('s', 2))
        .or_else(|| sized('i', 4))
        .unwrap_or((text, None));
    let unsigned = digits.strip_prefix('-').unwrap_or(digits);
    if unsigned.is_empty() || !unsigned.bytes().all(|b| b.is_ascii_digit()) {
        return Ok(None);
    }
    let needed = |number: i64| match number {
        0..=0xff => 1,
        0x100..=0xffff => 2,
        _ => 4,
    };
    let number = number(digits, i32::MIN.into(), u32::MAX.into())?;
    let bytes = bytes.unwrap_or_else(|| needed(number));
    if bytes < needed(number) {
        return Err(format!("{digits} does not fit into {bytes} bytes"));
    }
    Ok(Some(number.to_be_bytes()[8 - bytes..].to_vec()))
}

fn dotted_quads(text: &str) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    for part in list(text) {
        let bytes = if part.contains('/') {
            descriptor(part)
        } else {
            part.parse().ok().map(|ip: Ipv4Addr| ip.octets().to_vec())
        };
        wire.extend(bytes.ok_or_else(|| {
            format!("{part:?} is no IPv4 address; to send this as text, put it in quotes")
        })?);
    }
    Ok(wire)
}

fn addresses6(text: &str) -> Result<Vec<Ipv6Addr>, String> {
    let bare = |part: &str| {
        part.strip_prefix('[')
            .and_then(|part| part.strip_suffix(']'))
            .unwrap_or(part)
            .parse()
    };
    let parsed: Result<Vec<Ipv6Addr>, _> = list(text).map(bare).collect();
    parsed.map_err(|_| "takes IPv6 addresses, with commas between".into())
}

fn texts6(text: &str) -> Result<Vec<u8>, String> {
    let mut wire = Vec::new();
    for part in list(text).map(unquoted) {
        let length = u16::try_from(part.len()).map_err(|_| "a part is longer than 65535 bytes")?;
        wire.extend(length.to_be_bytes());
        wire.extend(part.bytes());
    }
    Ok(wire)
}
