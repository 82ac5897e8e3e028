//! The names that the kernel and `ip netns` know: devices, namespaces, hardware addresses.

use std::net::Ipv6Addr;
use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Why a text is not one of these names.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{value:?} is no {what}: {rule}")]
pub struct NameError {
    pub what: &'static str,
    pub value: String,
    pub rule: &'static str,
}

/// Name of a network device: 1 to 15 bytes, no slash, no white space (`dev_valid_name` in the kernel).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DevName(String);

/// Name of a namespace as `ip netns` lists it: a file name under `/run/netns`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NsName(String);

/// A 48-bit hardware address, written `fa:16:3e:00:00:01`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// What a host makes of this prefix, 64 bits of it, and its MAC (RFC 4291 appendix A).
    pub fn eui64(self, prefix: Ipv6Addr) -> Ipv6Addr {
        let Self([a, b, c, d, e, f]) = self;
        let host = u64::from_be_bytes([a ^ 2, b, c, 0xff, 0xfe, d, e, f]);
        Ipv6Addr::from(u128::from(prefix) >> 64 << 64 | u128::from(host))
    }

    /// As [`Self::eui64`], for its own link.
    pub fn link_local(self) -> Ipv6Addr {
        self.eui64(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0))
    }

    /// The one that this link-local address is made of; `None`: it is of another kind, or made in another way.
    pub fn of_link_local(address: Ipv6Addr) -> Option<Self> {
        let [.., a, b, c, _, _, d, e, f] = address.octets();
        let mac = Self([a ^ 2, b, c, d, e, f]);
        (mac.link_local() == address && !mac.is_multicast()).then_some(mac)
    }
}

impl DevName {
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let value = name.into();
        let printable = value
            .bytes()
            .all(|b| b.is_ascii_graphic() && b != b'/' && b != b':');
        if value.is_empty() || value.len() > 15 || !printable || value == "." || value == ".." {
            let rule = "1 to 15 printable bytes without '/' and ':'";
            return Err(NameError {
                what: "device name",
                value,
                rule,
            });
        }
        Ok(Self(value))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl NsName {
    pub fn new(name: impl Into<String>) -> Result<Self, NameError> {
        let value = name.into();
        let printable = value.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
        if value.is_empty() || value.len() > 255 || !printable || value == "." || value == ".." {
            let rule = "1 to 255 printable bytes without '/'";
            return Err(NameError {
                what: "namespace name",
                value,
                rule,
            });
        }
        Ok(Self(value))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl MacAddr {
    pub const BROADCAST: Self = Self([0xff; 6]);

    pub fn is_multicast(self) -> bool {
        self.0[0] & 1 == 1
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let wrong = || NameError {
            what: "hardware address",
            value: text.to_owned(),
            rule: "six pairs of hexadecimal digits with colons between",
        };
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().ok_or_else(wrong)?;
            if part.len() != 2 || !part.bytes().all(|b| b.is_ascii_hexdigit()) {
                return Err(wrong());
            }
            *byte = u8::from_str_radix(part, 16).map_err(|_| wrong())?;
        }
        if parts.next().is_some() {
            Err(wrong())
        } else {
            Ok(Self(bytes))
        }
    }
}

impl FromStr for DevName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl FromStr for NsName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl fmt::Display for DevName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NsName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// All three are plain text in JSON and TOML.
macro_rules! text_in_serde {
    ($($name:ty),*) => {$(
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
    )*};
}
text_in_serde!(DevName, NsName, MacAddr);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_local_address_tells_the_mac_that_it_is_made_of() {
        let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 7]);
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0xf816, 0x3eff, 0xfe00, 7);
        assert_eq!(mac.link_local(), address);
        for (name, address, want) in [
            ("made of a MAC", "fe80::f816:3eff:fe00:7", Some(mac)),
            ("another prefix", "2001:db8::f816:3eff:fe00:7", None),
            ("not all of the prefix", "fe80:1::f816:3eff:fe00:7", None),
            ("random", "fe80::1234:5678:9abc:def0", None),
            ("a group's MAC", "fe80::100:5eff:fe00:1", None),
            ("by hand", "fe80::1", None),
        ] {
            let got = address.parse().ok().and_then(MacAddr::of_link_local);
            assert_eq!(got, want, "{name}");
        }
    }
}
