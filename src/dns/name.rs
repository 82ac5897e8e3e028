//! Names: their ends in a message, their text for look-ups, and those that stand for an address.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;

/// The longest name on the wire, with its root label (RFC 1035 section 2.3.4).
const LONGEST: usize = 255;

/// Offset just after the name at `at` that may not be compressed: a question's.
pub(super) fn end_of_plain(message: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let length = usize::from(*message.get(end)?);
        end += 1 + length;
        if length > 63 || end - at > LONGEST {
            return None;
        }
        if length == 0 {
            return Some(end);
        }
    }
}

/// Offset just after the name at `at`, where a pointer ends it as well. Pointers are not followed.
pub(super) fn end_of_any(message: &[u8], at: usize) -> Option<usize> {
    let mut end = at;
    loop {
        let length = *message.get(end)?;
        match length {
            0 => return Some(end + 1),
            1..=63 => end += 1 + usize::from(length),
            0xc0.. => return Some(end + 2),
            _ => return None,
        }
    }
}

/// A name as the zones' keys are written: lower case, dots between, none at the end.
///
/// Byte `n` of the text is byte `n + 1` of the wire form: a label that starts at `n` has its length there.
pub(super) struct Text {
    bytes: [u8; LONGEST],
    length: usize,
}

impl Text {
    /// Of a name that [`end_of_plain`] accepted. Bytes that no key has (a dot inside a label, anything beyond ASCII)
    /// become NUL, so that such a name equals no key, while its end may still lie in a domain of ours.
    pub(super) fn of(wire: &[u8]) -> Self {
        let mut bytes = [0; LONGEST];
        let mut length = 0;
        let mut rest = wire;
        while let [label, tail @ ..] = rest {
            let label = usize::from(*label).min(tail.len());
            if label == 0 {
                break;
            }
            if length > 0 {
                bytes[length] = b'.';
                length += 1;
            }
            for (slot, byte) in bytes[length..].iter_mut().zip(&tail[..label]) {
                *slot = match byte {
                    b'.' | 0x80.. => 0,
                    byte => byte.to_ascii_lowercase(),
                };
                length += 1;
            }
            rest = &tail[label..];
        }
        Self { bytes, length }
    }

    pub(super) fn as_str(&self) -> &str {
        // All bytes are ASCII by construction.
        str::from_utf8(&self.bytes[..self.length]).unwrap_or_default()
    }
}

/// Where `domain` starts in `name`, if it is that name or one above it.
pub(super) fn below(name: &str, domain: &str) -> Option<usize> {
    let label = name.len().checked_sub(domain.len())?;
    let boundary = label == 0 || name.as_bytes()[label - 1] == b'.';
    (boundary && !domain.is_empty() && name.as_bytes()[label..] == *domain.as_bytes())
        .then_some(label)
}

/// Appends the wire form of a zone's name, uncompressed. `false`, and nothing appended: it is no host name.
pub(super) fn push_wire(name: &str, out: &mut Vec<u8>) -> bool {
    let start = out.len();
    for label in name.split('.') {
        match u8::try_from(label.len()) {
            Ok(length @ 1..=63) => {
                out.push(length);
                out.extend_from_slice(label.as_bytes());
            }
            _ => {
                out.truncate(start);
                return false;
            }
        }
    }
    out.push(0);
    let fits = out.len() - start <= LONGEST;
    if !fits {
        out.truncate(start);
    }
    fits
}

/// The addresses that a name below `in-addr.arpa` or `ip6.arpa` stands for: one, or with labels missing a range.
pub(super) fn reverse(name: &str) -> Option<IpNet> {
    if let Some(labels) = name.strip_suffix(".in-addr.arpa") {
        let mut octets = [0; 4];
        let mut bits = 0;
        for label in labels.rsplit('.') {
            let canonical = !label.starts_with('0') || label == "0";
            let octet = label
                .parse()
                .ok()
                .filter(|_| canonical && !label.starts_with('+'))?;
            *octets.get_mut(usize::from(bits / 8))? = octet;
            bits += 8;
        }
        return IpNet::new(Ipv4Addr::from(octets).into(), bits).ok();
    }
    let labels = name.strip_suffix(".ip6.arpa")?;
    let mut address = 0u128;
    let mut bits = 0;
    for label in labels.rsplit('.') {
        let [digit] = label.as_bytes() else {
            return None;
        };
        let nibble = char::from(*digit).to_digit(16)?;
        if bits == 128 {
            return None;
        }
        bits += 4;
        address |= u128::from(nibble) << (128 - u32::from(bits));
    }
    IpNet::new(Ipv6Addr::from(address).into(), bits).ok()
}

/// Where the reverse zone of subnet `own` starts in `name`, which stands for `asked`; `None`: not in that subnet.
///
/// A prefix that ends inside a label has its zone at the next label, which is wholly ours; one that leaves no label
/// below the zone, at the last label but one, so that an address is never a zone of its own.
pub(super) fn reverse_zone(name: &str, asked: &IpNet, own: &IpNet) -> Option<usize> {
    if own.prefix_len() == 0 || !own.contains(asked) {
        return None;
    }
    let per_label = match own.addr() {
        IpAddr::V4(_) => 8,
        IpAddr::V6(_) => 4,
    };
    let zone = (own.prefix_len().next_multiple_of(per_label)).min(own.max_prefix_len() - per_label);
    let labels_below = asked.prefix_len().saturating_sub(zone) / per_label;
    if labels_below == 0 {
        return Some(0);
    }
    let (dot, _) = name.match_indices('.').nth(usize::from(labels_below) - 1)?;
    Some(dot + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_reverse_names() {
        for (name, want) in [
            ("4.3.2.1.in-addr.arpa", Some("1.2.3.4/32")),
            ("2.1.in-addr.arpa", Some("1.2.0.0/16")),
            ("0.0.0.0.in-addr.arpa", Some("0.0.0.0/32")),
            ("256.2.1.in-addr.arpa", None),
            ("+4.3.2.1.in-addr.arpa", None),
            ("04.3.2.1.in-addr.arpa", None),
            (".2.1.in-addr.arpa", None),
            ("in-addr.arpa", None),
            ("1in-addr.arpa", None),
            ("d.f.ip6.arpa", Some("fd00::/8")),
            ("g.f.ip6.arpa", None),
            ("ip6.arpa", None),
        ] {
            let want = want.and_then(|text| text.parse().ok());
            assert_eq!(reverse(name), want, "{name}");
        }
    }

    #[test]
    fn names_below_a_domain() {
        for (name, domain, want) in [
            ("web.demo", "demo", Some(4)),
            ("demo", "demo", Some(0)),
            ("xdemo", "demo", None),
            ("mo", "demo", None),
            ("web", "", None),
            ("", "", None),
        ] {
            assert_eq!(below(name, domain), want, "{name:?} below {domain:?}");
        }
    }
}
