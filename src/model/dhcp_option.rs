//! One extra DHCP option of a port (Neutron's `extra_dhcp_opts`), typed and encoded.

use serde::{Deserialize, Serialize};

/// An option ready to be sent: the value is the bytes on the wire.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpOption {
    /// 4 or 6.
    pub ip_version: u8,
    /// RFC 2132 code for version 4; 255 is dnsmasq's `server-ip-address` (sets `siaddr`). RFC 8415 code for version 6.
    pub code: u16,
    /// All must hold for the option to be sent.
    pub tags: Vec<Tag>,
    /// Empty for code 3: do not send a router at all.
    pub value: Vec<u8>,
}

/// `tag:ipxe,` or `tag:!ipxe,` in front of an option's name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tag {
    pub name: String,
    pub negated: bool,
}

/// Why an option can't be sent; says what would be right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("DHCP option {name:?} with value {value:?}: {reason}")]
pub struct OptionError {
    pub name: String,
    pub value: String,
    pub reason: String,
}
