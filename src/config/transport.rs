//! The grammar of `transport_url` (`oslo_messaging.transport: TransportURL.parse`).
//!
//! `scheme://[user[:password]@]host[:port][,...][/vhost][?option=value&...]`. No error repeats the text: it holds
//! passwords.

use std::fmt::Write;
use std::net::Ipv6Addr;

use crate::neutron::bus::{Broker, Password};

const PORT: u16 = 5672;
/// What a broker that was not told otherwise knows.
const GUEST: &str = "guest";
/// A cluster has a handful.
const MOST_BROKERS: usize = 64;

#[derive(Debug, PartialEq)]
pub(super) struct Transport {
    pub(super) brokers: Vec<Broker>,
    pub(super) vhost: String,
    /// Options of `[oslo_messaging_rabbit]`.
    pub(super) query: Vec<(String, String)>,
    /// Some hosts have a user, others have none: it is not inherited.
    pub(super) mixed: bool,
}

/// What is wrong, and what to write.
pub(super) type Wrong = (String, &'static str);

const EXAMPLE: &str = "write rabbit://USER:PASSWORD@HOST:PORT/VHOST";
const ENCODE: &str = "write `/`, `?`, `#`, `@`, `,` and `%` inside user and password as %2F, %3F, %23, %40, %2C, %25";

pub(super) fn parse(url: &str) -> Result<Transport, Wrong> {
    let (scheme, rest) = url
        .split_once("://")
        .ok_or(("it has no scheme".to_owned(), EXAMPLE))?;
    match scheme.to_ascii_lowercase().as_str() {
        "rabbit" => {}
        "kombu" | "kombu+memory" | "amqp" | "kafka" | "zmq" | "qpid" | "fake" | "http"
        | "https" => {
            return Err((
                format!("brokers of the kind {scheme} are not spoken to"),
                EXAMPLE,
            ));
        }
        _ => return Err(("its scheme is not rabbit".to_owned(), EXAMPLE)),
    }
    let (rest, fragment) = rest
        .split_once('#')
        .map_or((rest, None), |(rest, behind)| (rest, Some(behind)));
    if fragment.is_some() {
        return Err((
            "it has a `#`, which cuts off what is behind it".to_owned(),
            ENCODE,
        ));
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (hosts, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut brokers = Vec::new();
    let mut without = 0;
    for text in hosts.split(',').filter(|text| !text.is_empty()) {
        brokers.push(broker(text, &mut without)?);
        if brokers.len() > MOST_BROKERS {
            return Err((
                format!("it has more than {MOST_BROKERS} hosts"),
                "name some of them",
            ));
        }
    }
    let mixed = without > 0 && without < brokers.len();
    if brokers.is_empty() {
        brokers.push(broker("localhost", &mut without)?);
    }
    let vhost = match decoded(path)?.as_str() {
        // `//` and `/%2F` mean the same as none.
        "" | "/" => "/".to_owned(),
        vhost => vhost.to_owned(),
    };
    Ok(Transport {
        brokers,
        vhost,
        query: options(query)?,
        mixed,
    })
}

fn broker(text: &str, without: &mut usize) -> Result<Broker, Wrong> {
    let (user, address) = text
        .rsplit_once('@')
        .map_or((None, text), |(user, address)| (Some(user), address));
    let (user, password) = match user.map(|user| user.split_once(':').unwrap_or((user, ""))) {
        Some((user, password)) => (decoded(user)?, decoded(password)?),
        None => Default::default(),
    };
    if user.is_empty() {
        *without += 1;
    }
    let (host, port) = match address.strip_prefix('[') {
        Some(inside) => {
            let (host, behind) = inside
                .split_once(']')
                .ok_or(("a `[` of an IPv6 address is not closed".to_owned(), EXAMPLE))?;
            if host.parse::<Ipv6Addr>().is_err() {
                return Err((
                    "what is in `[` and `]` is no IPv6 address".to_owned(),
                    EXAMPLE,
                ));
            }
            let port = match behind {
                "" => "",
                behind => behind.strip_prefix(':').ok_or((
                    "behind the `]` of an IPv6 address is something other than a port".to_owned(),
                    EXAMPLE,
                ))?,
            };
            (host, port)
        }
        None => address.split_once(':').unwrap_or((address, "")),
    };
    // A password with a raw `@` or `,` ends up here: never repeat it.
    let name = |c: char| c.is_alphanumeric() || "-._:%".contains(c);
    if !host.chars().all(name) {
        return Err((
            "a host's name has characters that no name has".to_owned(),
            ENCODE,
        ));
    }
    let port = match port {
        "" => PORT,
        port => port.parse().ok().filter(|port| *port > 0).ok_or((
            "a host's port is no number from 1 to 65535".to_owned(),
            ENCODE,
        ))?,
    };
    let or = |text: String, default: &str| {
        if text.is_empty() {
            default.to_owned()
        } else {
            text
        }
    };
    Ok(Broker {
        host: or(host.to_owned(), "localhost"),
        port,
        user: or(user, GUEST),
        password: Password(or(password, GUEST)),
    })
}

/// As Python's `parse_qs`: `+` is a space, what has no value is dropped, and what is repeated is joined.
fn options(query: &str) -> Result<Vec<(String, String)>, Wrong> {
    let mut options: Vec<(String, String)> = Vec::new();
    for pair in query.split('&') {
        let Some((name, value)) = pair.split_once('=').filter(|(_, value)| !value.is_empty())
        else {
            continue;
        };
        let (name, value) = (
            decoded(&name.replace('+', " "))?,
            decoded(&value.replace('+', " "))?,
        );
        match options.iter_mut().find(|(known, _)| *known == name) {
            Some((_, known)) => {
                known.push(',');
                known.push_str(&value);
            }
            None => options.push((name, value)),
        }
    }
    Ok(options)
}

/// Percent-decoded; a `%` without two digits behind stays.
fn decoded(text: &str) -> Result<String, Wrong> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, behind)) = rest.split_first() {
        let coded = match behind {
            [high, low, ..] if byte == b'%' => digit(*high).zip(digit(*low)),
            _ => None,
        };
        if let Some((high, low)) = coded {
            bytes.push(high << 4 | low);
            rest = &behind[2..];
        } else {
            bytes.push(byte);
            rest = behind;
        }
    }
    String::from_utf8(bytes)
        .map_err(|_| ("what it percent-encodes is not UTF-8".to_owned(), ENCODE))
}

fn digit(hex: u8) -> Option<u8> {
    let digit = char::from(hex).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// For a URL that is shown: what could be taken for a part of it is percent-encoded.
pub(super) fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a `String` does not fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `user:password@host:port` of each, and the virtual host.
    fn read(url: &str) -> String {
        match parse(url) {
            Ok(transport) => {
                let brokers = transport.brokers.iter().map(|broker| {
                    let Broker {
                        host,
                        port,
                        user,
                        password,
                    } = broker;
                    format!("{user}:{}@{host}:{port}", password.0)
                });
                let query = transport
                    .query
                    .iter()
                    .map(|(name, value)| format!(" {name}={value}"));
                let mixed = if transport.mixed { " mixed" } else { "" };
                let brokers: Vec<_> = brokers.collect();
                format!(
                    "{} {}{}{mixed}",
                    brokers.join(" "),
                    transport.vhost,
                    query.collect::<String>()
                )
            }
            Err((why, _)) => why,
        }
    }

    #[test]
    fn urls_are_read_as_oslo_messaging_reads_them() {
        for (url, want) in [
            ("rabbit://", "guest:guest@localhost:5672 /"),
            (
                "rabbit:///openstack",
                "guest:guest@localhost:5672 openstack",
            ),
            ("rabbit://u:p@h", "u:p@h:5672 /"),
            ("RABBIT://u:p@h", "u:p@h:5672 /"),
            ("rabbit://u:p@h:5671/", "u:p@h:5671 /"),
            ("rabbit://u:p@h:/x", "u:p@h:5672 x"),
            ("rabbit://u:p@h//", "u:p@h:5672 /"),
            ("rabbit://u:p@h/%2F", "u:p@h:5672 /"),
            ("rabbit://u:p@h/%2Fx", "u:p@h:5672 /x"),
            ("rabbit://u:p@h/a/b", "u:p@h:5672 a/b"),
            ("rabbit://u%40d:p%3A%2f%25@h", "u@d:p:/%@h:5672 /"),
            ("rabbit://u:a:b@h", "u:a:b@h:5672 /"),
            ("rabbit://u:p@x@h", "u:p@x@h:5672 /"),
            ("rabbit://u:100%@h", "u:100%@h:5672 /"),
            ("rabbit://a:1@h1,b:2@h2:5673/v", "a:1@h1:5672 b:2@h2:5673 v"),
            (
                "rabbit://a:1@h1,h2",
                "a:1@h1:5672 guest:guest@h2:5672 / mixed",
            ),
            (
                "rabbit://h1,,h2,",
                "guest:guest@h1:5672 guest:guest@h2:5672 /",
            ),
            (
                "rabbit://u:p@[2001:db8::1]:5673/v",
                "u:p@2001:db8::1:5673 v",
            ),
            ("rabbit://u:p@[2001:db8::1]", "u:p@2001:db8::1:5672 /"),
            (
                "rabbit://u:p@[2001:db8::1",
                "a `[` of an IPv6 address is not closed",
            ),
            (
                "rabbit://u:p@[h]",
                "what is in `[` and `]` is no IPv6 address",
            ),
            (
                "rabbit://u:p@h/?ssl=true&heartbeat_rate=3",
                "u:p@h:5672 / ssl=true heartbeat_rate=3",
            ),
            (
                "rabbit://u:p@h/v?a=1&a=2&b=&c&d=x%20y+z",
                "u:p@h:5672 v a=1,2 d=x y z",
            ),
            ("rabbit://u:p@h?a=1", "u:p@h:5672 / a=1"),
            (
                "rabbit://u:p#w@h",
                "it has a `#`, which cuts off what is behind it",
            ),
            (
                "rabbit://u:p/w@h",
                "a host's port is no number from 1 to 65535",
            ),
            (
                "rabbit://u:p,w@h",
                "a host's port is no number from 1 to 65535",
            ),
            (
                "rabbit://u:p@h:0",
                "a host's port is no number from 1 to 65535",
            ),
            (
                "rabbit://u:p@h:65536",
                "a host's port is no number from 1 to 65535",
            ),
            (
                "rabbit://u:p w@h h",
                "a host's name has characters that no name has",
            ),
            ("rabbit://%ff:p@h", "what it percent-encodes is not UTF-8"),
            (
                "kombu+memory://",
                "brokers of the kind kombu+memory are not spoken to",
            ),
            ("amqp://u:p@h", "brokers of the kind amqp are not spoken to"),
            ("u:p@h", "it has no scheme"),
            ("", "it has no scheme"),
            ("secret://u:p@h", "its scheme is not rabbit"),
        ] {
            assert_eq!(read(url), want, "{url}");
        }
    }

    #[test]
    fn what_is_encoded_reads_the_same() {
        for text in ["plain", "a b/c?d#e@f,g%h:i+j&k=l", "ä€"] {
            assert_eq!(decoded(&encoded(text)), Ok(text.to_owned()));
        }
    }
}
