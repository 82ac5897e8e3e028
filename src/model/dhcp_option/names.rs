//! Which options there are, by dnsmasq's names (its `--help dhcp`), and what their values look like.

/// What a value's text means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::model) enum Kind {
    /// One IPv4 address.
    Address,
    /// IPv4 addresses.
    Addresses,
    /// IPv4 addresses, an even number.
    AddressPairs,
    /// An unsigned number of so many bytes.
    Number(u8),
    /// A signed number of four bytes.
    Offset,
    /// Seconds in four bytes; the text may end in s, m, h, d or w.
    Seconds,
    Text,
    /// Domain names, compressed (RFC 3397).
    SearchList,
    /// SIP servers by name or address (RFC 3361).
    SipServers,
    /// Destinations and their routers (RFC 3442).
    Routes,
    /// Like [`Kind::Addresses`]; blank: never send a router.
    Routers,
    /// No type known: bytes, number, addresses or text, told by its looks.
    Free,
    /// IPv6 addresses.
    Addresses6,
    /// Domain names, not compressed (RFC 8415 section 10).
    Names6,
    /// Time servers (RFC 5908).
    TimeServers6,
    /// Texts, each with its length in two bytes (RFC 5970).
    Texts6,
}

/// What dnsmasq calls "internal": these come from the network, the port and the protocol, never from an option.
const V4_REFUSED: &[(&str, u8, &str)] = &[
    (
        "hostname",
        12,
        "it follows the port's name; by number, 12 overrides it",
    ),
    (
        "broadcast",
        28,
        "it follows from the subnet; by number, 28 overrides it",
    ),
    (
        "vendor-encap",
        43,
        "its content has a vendor's own format; give it by number, 43, in hexadecimal",
    ),
    ("requested-address", 50, "only clients send it"),
    ("lease-time", 51, "the lease is set for all networks"),
    ("option-overload", 52, "it is part of the protocol"),
    ("message-type", 53, "it is part of the protocol"),
    ("server-identifier", 54, "it is part of the protocol"),
    ("parameter-request", 55, "only clients send it"),
    ("message", 56, "it is part of the protocol"),
    ("max-message-size", 57, "only clients send it"),
    (
        "client-id",
        61,
        "it is not sent: it says by which id the client is known; give it as the port's client id",
    ),
    ("FQDN", 81, "it is part of the protocol"),
    ("agent-info", 82, "only relays send it"),
    ("subnet-select", 118, "only clients send it"),
];

/// Numbers that would contradict what the server itself says. (The others of [`V4_REFUSED`] do no harm.)
const V4_REFUSED_NUMBERS: &[u8] = &[51, 52, 53, 54, 57, 61, 81, 82, 118];

const V4: &[(&str, u8, Kind)] = &[
    ("netmask", 1, Kind::Address),
    ("time-offset", 2, Kind::Offset),
    ("router", 3, Kind::Routers),
    ("dns-server", 6, Kind::Addresses),
    ("log-server", 7, Kind::Addresses),
    ("lpr-server", 9, Kind::Addresses),
    ("boot-file-size", 13, Kind::Number(2)),
    ("domain-name", 15, Kind::Text),
    ("swap-server", 16, Kind::Address),
    ("root-path", 17, Kind::Text),
    ("extension-path", 18, Kind::Text),
    ("ip-forward-enable", 19, Kind::Number(1)),
    ("non-local-source-routing", 20, Kind::Number(1)),
    ("policy-filter", 21, Kind::AddressPairs),
    ("max-datagram-reassembly", 22, Kind::Number(2)),
    ("default-ttl", 23, Kind::Number(1)),
    ("mtu", 26, Kind::Number(2)),
    ("all-subnets-local", 27, Kind::Number(1)),
    ("router-discovery", 31, Kind::Number(1)),
    ("router-solicitation", 32, Kind::Address),
    ("static-route", 33, Kind::AddressPairs),
    ("trailer-encapsulation", 34, Kind::Number(1)),
    ("arp-timeout", 35, Kind::Number(4)),
    ("ethernet-encap", 36, Kind::Number(1)),
    ("tcp-ttl", 37, Kind::Number(1)),
    ("tcp-keepalive", 38, Kind::Number(4)),
    ("nis-domain", 40, Kind::Text),
    ("nis-server", 41, Kind::Addresses),
    ("ntp-server", 42, Kind::Addresses),
    ("netbios-ns", 44, Kind::Addresses),
    ("netbios-dd", 45, Kind::Addresses),
    ("netbios-nodetype", 46, Kind::Number(1)),
    ("netbios-scope", 47, Kind::Free),
    ("x-windows-fs", 48, Kind::Addresses),
    ("x-windows-dm", 49, Kind::Addresses),
    ("T1", 58, Kind::Seconds),
    ("T2", 59, Kind::Seconds),
    ("vendor-class", 60, Kind::Free),
    ("nis+-domain", 64, Kind::Text),
    ("nis+-server", 65, Kind::Addresses),
    ("tftp-server", 66, Kind::Text),
    ("bootfile-name", 67, Kind::Text),
    ("mobile-ip-home", 68, Kind::Addresses),
    ("smtp-server", 69, Kind::Addresses),
    ("pop3-server", 70, Kind::Addresses),
    ("nntp-server", 71, Kind::Addresses),
    ("irc-server", 74, Kind::Addresses),
    ("user-class", 77, Kind::Free),
    ("rapid-commit", 80, Kind::Free),
    ("client-arch", 93, Kind::Number(2)),
    ("client-interface-id", 94, Kind::Free),
    ("client-machine-id", 97, Kind::Free),
    ("posix-timezone", 100, Kind::Text),
    ("tzdb-timezone", 101, Kind::Text),
    ("ipv6-only", 108, Kind::Number(4)),
    ("captive-portal", 114, Kind::Text),
    ("domain-search", 119, Kind::SearchList),
    ("sip-server", 120, Kind::SipServers),
    ("classless-static-route", 121, Kind::Routes),
    ("vendor-id-encap", 125, Kind::Free),
    ("tftp-server-address", 150, Kind::Addresses),
    ("server-ip-address", 255, Kind::Address),
];

/// Microsoft's twin of 121 has no name in dnsmasq.
const MICROSOFT_ROUTES: u8 = 249;
pub(super) const VENDOR_OPTIONS: u8 = 43;

const V6: &[(&str, u16, Kind)] = &[
    ("sip-server-domain", 21, Kind::Names6),
    ("sip-server", 22, Kind::Addresses6),
    ("dns-server", 23, Kind::Addresses6),
    ("domain-search", 24, Kind::Names6),
    ("nis-server", 27, Kind::Addresses6),
    ("nis+-server", 28, Kind::Addresses6),
    ("nis-domain", 29, Kind::Names6),
    ("nis+-domain", 30, Kind::Names6),
    ("sntp-server", 31, Kind::Addresses6),
    ("information-refresh-time", 32, Kind::Seconds),
    ("posix-timezone", 41, Kind::Text),
    ("tzdb-timezone", 42, Kind::Text),
    ("ntp-server", 56, Kind::TimeServers6),
    ("bootfile-url", 59, Kind::Text),
    ("bootfile-param", 60, Kind::Texts6),
    ("client-arch", 61, Kind::Number(2)),
    ("client-interface-id", 62, Kind::Free),
    ("captive-portal", 103, Kind::Text),
];

/// Options of the protocol itself (RFC 8415): client and server ids, identity associations, status, relay, and so on.
const V6_REFUSED_NUMBERS: std::ops::RangeInclusive<u16> = 1..=20;

pub(super) fn v4(name: &str) -> Result<(u8, Kind), String> {
    let Some(number) = number(name) else {
        if let Some((_, _, why)) = V4_REFUSED
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name))
        {
            return Err(format!("can't be set: {why}"));
        }
        let known = V4
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        return known
            .map(|(_, code, kind)| (*code, *kind))
            .ok_or_else(|| unknown(name, V4));
    };
    let code = number
        .and_then(|number| u8::try_from(number).ok())
        .filter(|code| *code > 0);
    let code = code.ok_or("DHCPv4 options have numbers from 1 to 255")?;
    if V4_REFUSED_NUMBERS.contains(&code) {
        let why = V4_REFUSED.iter().find(|(_, refused, _)| *refused == code);
        let why = why.map_or("it is part of the protocol", |(_, _, why)| why);
        return Err(format!("can't be set: {why}"));
    }
    let known = V4.iter().find(|(_, known, _)| *known == code);
    let of_unknown = if code == MICROSOFT_ROUTES {
        Kind::Routes
    } else {
        Kind::Free
    };
    Ok((code, known.map_or(of_unknown, |(_, _, kind)| *kind)))
}

/// Neutron tells these with each subnet (`dhcp.py: _generate_opts_per_subnet`), and the host name with each port.
pub(crate) fn is_of_subnets(ip_version: u8, code: u16) -> bool {
    match ip_version {
        4 => matches!(code, 1 | 3 | 6 | 12 | 28 | 121 | 249),
        _ => code == 23,
    }
}

/// Any option that a client can send, by name or number.
pub(in crate::model) fn any_v4(name: &str) -> Result<(u8, Kind), String> {
    if let Some(number) = number(name) {
        let number = number.and_then(|number| u8::try_from(number).ok());
        let code = number.filter(|code| (1..255).contains(code));
        let code = code.ok_or("DHCPv4 options of clients have numbers from 1 to 254")?;
        let known = V4.iter().find(|(_, known, _)| *known == code);
        return Ok((code, known.map_or(Kind::Free, |(_, _, kind)| *kind)));
    }
    let internal = V4_REFUSED
        .iter()
        .map(|(known, code, _)| (*known, *code, Kind::Free));
    let mut all = V4.iter().copied().chain(internal);
    let known = all.find(|(known, ..)| known.eq_ignore_ascii_case(name));
    known
        .map(|(_, code, kind)| (code, kind))
        .ok_or_else(|| unknown(name, V4))
}

/// The same of DHCPv6.
pub(in crate::model) fn any_v6(name: &str) -> Result<(u16, Kind), String> {
    let of_protocol = number(name).flatten();
    let of_protocol = of_protocol.filter(|code| V6_REFUSED_NUMBERS.contains(code));
    of_protocol.map_or_else(|| v6(name), |code| Ok((code, Kind::Free)))
}

/// The code of an option that holds others.
pub(super) fn outer(text: &str) -> Result<u8, String> {
    let code = number(text)
        .flatten()
        .and_then(|code| u8::try_from(code).ok());
    let code = code.filter(|code| (1..255).contains(code) && !V4_REFUSED_NUMBERS.contains(code));
    code.ok_or_else(|| format!("encap:{text} names no option that can be sent: encap:175,190"))
}

/// The code of one inside of another.
pub(super) fn inner(name: &str, ip_version: u8) -> Result<u8, String> {
    if ip_version != 4 {
        return Err("options inside of others are of DHCPv4 only".into());
    }
    let code = number(name)
        .flatten()
        .and_then(|code| u8::try_from(code).ok());
    let code = code.filter(|code| (1..255).contains(code));
    code.ok_or_else(|| "an option inside of another has a number, from 1 to 254".into())
}

pub(super) fn v6(name: &str) -> Result<(u16, Kind), String> {
    let Some(number) = number(name) else {
        let known = V6
            .iter()
            .find(|(known, ..)| known.eq_ignore_ascii_case(name));
        return known
            .map(|(_, code, kind)| (*code, *kind))
            .ok_or_else(|| unknown(name, V6));
    };
    let code = number
        .filter(|code| *code > 0)
        .ok_or("DHCPv6 options have numbers from 1 to 65535")?;
    if V6_REFUSED_NUMBERS.contains(&code) {
        return Err("can't be set: it is part of the protocol".into());
    }
    let known = V6.iter().find(|(_, known, _)| *known == code);
    Ok((code, known.map_or(Kind::Free, |(_, _, kind)| *kind)))
}

/// `None`: not of digits. `Some(None)`: too large to be any option's number.
fn number(name: &str) -> Option<Option<u16>> {
    let digits = !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| name.parse().ok())
}

/// Names the option that was probably meant: one that has the same beginning.
fn unknown<Code>(name: &str, table: &[(&'static str, Code, Kind)]) -> String {
    let beginning = |letters: usize| {
        let start = name.get(..letters)?;
        let same = |known: &str| {
            known
                .get(..letters)
                .is_some_and(|k| k.eq_ignore_ascii_case(start))
        };
        table
            .iter()
            .map(|(known, ..)| *known)
            .find(|known| same(known))
    };
    match (3..=name.len().min(12)).rev().find_map(beginning) {
        Some(near) => format!(
            "there is no option of this name (is {near:?} meant?); any option can be given by its number"
        ),
        None => "there is no option of this name; any option can be given by its number".into(),
    }
}
