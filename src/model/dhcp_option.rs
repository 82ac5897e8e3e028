//! One extra DHCP option of a port (Neutron's `extra_dhcp_opts`), typed and encoded.
//!
//! Names and values are written as dnsmasq writes them, since that is what every Neutron driver (Ironic above all)
//! emits. The text becomes bytes here, once; nothing of it reaches a packet uninterpreted.

use std::fmt;

use serde::{Deserialize, Serialize};

mod names;
mod value;

/// The longest name accepted, tags included, in bytes.
const NAME_LIMIT: usize = 255;
/// The longest text of a value accepted, in bytes. Neutron's own bound is 255.
const TEXT_LIMIT: usize = 2048;
/// What one DHCPv4 option holds (its length is one byte).
const V4_LIMIT: usize = 255;
/// A DHCPv6 option could be longer, but has to fit into one packet with the others.
const V6_LIMIT: usize = 1024;

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

impl DhcpOption {
    /// A DHCPv4 option by dnsmasq's name or by number, with tags in front if any.
    ///
    /// `client-id` is not an option that is sent: see [`parse_client_id`].
    pub fn parse_v4(name_or_number: &str, value: &str) -> Result<Self, OptionError> {
        Self::parse(4, name_or_number, value)
    }

    /// A DHCPv6 option by dnsmasq's name (without `option6:`) or by number, with tags in front if any.
    pub fn parse_v6(name_or_number: &str, value: &str) -> Result<Self, OptionError> {
        Self::parse(6, name_or_number, value)
    }

    fn parse(ip_version: u8, full_name: &str, text: &str) -> Result<Self, OptionError> {
        let refused = |reason: String| OptionError::new(full_name, text, reason);
        check_text(full_name, text).map_err(refused)?;
        let (tags, name) = split_tags(full_name).map_err(refused)?;
        let (code, limit, kind) = if ip_version == 4 {
            let (code, kind) = names::v4(name).map_err(refused)?;
            (u16::from(code), V4_LIMIT, kind)
        } else {
            let (code, kind) = names::v6(name).map_err(refused)?;
            (code, V6_LIMIT, kind)
        };
        let value = value::encode(kind, text).map_err(refused)?;
        if value.len() > limit {
            return Err(refused(format!(
                "takes {} bytes, an option has room for {limit}",
                value.len()
            )));
        }
        Ok(Self {
            ip_version,
            code,
            tags,
            value,
        })
    }
}

/// The value of a port's `client-id` (option 61): text, or hexadecimal bytes with colons between, as clients send it.
///
/// Empty for `*`, which means: never mind client ids, know the client by its MAC.
pub fn parse_client_id(value: &str) -> Vec<u8> {
    if value == "*" {
        return Vec::new();
    }
    value::colon_hex(value).unwrap_or_else(|| value::unquoted(value).as_bytes().to_vec())
}

impl Tag {
    /// Whether it holds for a client that has the `present` tags.
    pub fn holds(&self, present: &[&str]) -> bool {
        present.contains(&self.name.as_str()) != self.negated
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.negated { "!" } else { "" };
        write!(f, "tag:{not}{}", self.name)
    }
}

impl OptionError {
    fn new(name: &str, value: &str, reason: String) -> Self {
        let cut = |text: &str| text.chars().take(80).collect();
        Self {
            name: cut(name),
            value: cut(value),
            reason,
        }
    }
}

/// A line break would be a second line to dnsmasq; here no control character ever passes.
fn check_text(name: &str, text: &str) -> Result<(), String> {
    if name.len() > NAME_LIMIT {
        return Err(format!("the name is longer than {NAME_LIMIT} bytes"));
    }
    if text.len() > TEXT_LIMIT {
        return Err(format!("the value is longer than {TEXT_LIMIT} bytes"));
    }
    if name.chars().chain(text.chars()).any(char::is_control) {
        return Err("holds a control character or a line break; give one line of text".into());
    }
    Ok(())
}

/// `tag:a,tag:!b,NAME` -> the tags, and `NAME`.
fn split_tags(full_name: &str) -> Result<(Vec<Tag>, &str), String> {
    let mut tags = Vec::new();
    let mut rest = full_name;
    while let Some(after) = rest.strip_prefix("tag:") {
        let Some((tag, name)) = after.split_once(',') else {
            return Err(
                "a tag is followed by a comma and the option: tag:ipxe,bootfile-name".into(),
            );
        };
        let (negated, tag) = match tag.strip_prefix('!') {
            Some(tag) => (true, tag),
            None => (false, tag),
        };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
        if tag.is_empty() || !tag.bytes().all(allowed) {
            return Err(format!(
                "{tag:?} is no tag; tags are of letters, digits, '-', '_' and '.'"
            ));
        }
        tags.push(Tag {
            name: tag.to_owned(),
            negated,
        });
        rest = name;
    }
    Ok((tags, rest))
}

#[cfg(test)]
mod tests;
