//! One extra DHCP option of a port (Neutron's `extra_dhcp_opts`), typed and encoded.
//!
//! Names and values are written as dnsmasq writes them, since that is what every Neutron driver (Ironic above all)
//! emits. The text becomes bytes here, once; nothing of it reaches a packet uninterpreted.

use std::fmt;

use serde::{Deserialize, Serialize};

mod names;
mod value;

pub(crate) use names::is_of_subnets;
pub(super) use names::{any_v4, any_v6};
pub(super) use value::{prefix_of, sought, unquoted};

/// The longest name accepted, tags included, in bytes.
const NAME_LIMIT: usize = 255;
/// The longest text of a value accepted, in bytes. Neutron's own bound is 255.
const TEXT_LIMIT: usize = 2048;
/// What is left for one DHCPv4 option in a packet with the others. More than 255 bytes go in pieces (RFC 3396).
const V4_LIMIT: usize = 1024;
/// The length of an option inside of another is one byte.
const INNER_LIMIT: usize = 253;
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
    /// Empty: there is none (but routes, 121, of which none are told).
    pub value: Vec<u8>,
    /// `code` is that of a part of another option's value.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub within: Option<Within>,
}

/// What an option is a part of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Within {
    /// Option 43, for clients whose vendor class (option 60) has this in it: `vendor:PXEClient,`.
    Vendor(String),
    /// Option of this code: `encap:175,`.
    Option(u8),
}

/// `tag:ipxe,` or `tag:!ipxe,` in front of an option's name. Which tags a client has, [`super::DhcpTag`] says; besides, `ipxe`
/// is who sends option 175, `known` whose port is known, `bootp` who does not know DHCP.
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

    /// A DHCPv4 option that says that there is none, whatever others say.
    pub fn blank_v4(name_or_number: &str) -> Result<Self, OptionError> {
        let refused = |reason: String| OptionError::new(name_or_number, "", reason);
        check_text(name_or_number, "").map_err(refused)?;
        let Prefixes { tags, within, name } = Prefixes::of(name_or_number).map_err(refused)?;
        let (code, _) = names::v4(name).map_err(refused)?;
        Ok(Self {
            ip_version: 4,
            code: code.into(),
            tags,
            value: Vec::new(),
            within,
        })
    }

    /// A DHCPv6 option by dnsmasq's name (without `option6:`) or by number, with tags in front if any.
    pub fn parse_v6(name_or_number: &str, value: &str) -> Result<Self, OptionError> {
        Self::parse(6, name_or_number, value)
    }

    fn parse(ip_version: u8, full_name: &str, text: &str) -> Result<Self, OptionError> {
        let refused = |reason: String| OptionError::new(full_name, text, reason);
        check_text(full_name, text).map_err(refused)?;
        let Prefixes { tags, within, name } = Prefixes::of(full_name).map_err(refused)?;
        let (code, limit, kind) = if within.is_some() {
            let code = names::inner(name, ip_version).map_err(refused)?;
            (u16::from(code), INNER_LIMIT, names::Kind::Free)
        } else if ip_version == 4 {
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
            within,
        })
    }

    /// The code under which it goes out: of version 4, that of the option that it is a part of.
    pub fn outer_code(&self) -> u16 {
        match &self.within {
            None => self.code,
            Some(Within::Vendor(_)) => names::VENDOR_OPTIONS.into(),
            Some(Within::Option(code)) => (*code).into(),
        }
    }

    /// Told for each subnet or each port, or that there is none: what is for all has no say there.
    pub fn is_of_subnets(&self) -> bool {
        names::is_of_subnets(self.ip_version, self.outer_code())
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
    /// `TAG` or `!TAG`.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let (negated, name) = match text.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, text),
        };
        is_tag(name)?;
        Ok(Self {
            name: name.to_owned(),
            negated,
        })
    }

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

/// `Err` says what a tag is.
pub(super) fn is_tag(name: &str) -> Result<(), String> {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    if name.is_empty() || !name.bytes().all(allowed) {
        return Err(format!(
            "{name:?} is no tag; tags are of letters, digits, '-', '_' and '.'"
        ));
    }
    Ok(())
}

/// `tag:a,tag:!b,vendor:c,NAME`: what stands in front of an option's name, and the name.
struct Prefixes<'a> {
    tags: Vec<Tag>,
    within: Option<Within>,
    name: &'a str,
}

impl<'a> Prefixes<'a> {
    fn of(full_name: &'a str) -> Result<Self, String> {
        let mut prefixes = Self {
            tags: Vec::new(),
            within: None,
            name: full_name,
        };
        while let Some((kind, _)) = prefixes.name.split_once(':')
            && matches!(kind, "tag" | "vendor" | "encap" | "vi-encap")
        {
            let Some((prefix, rest)) = prefixes.name.split_once(',') else {
                return Err(format!(
                    "{kind}: is followed by a comma and the option: tag:ipxe,bootfile-name"
                ));
            };
            prefixes.take(kind, &prefix[kind.len() + 1..])?;
            prefixes.name = rest;
        }
        Ok(prefixes)
    }

    fn take(&mut self, kind: &str, said: &str) -> Result<(), String> {
        let within = match kind {
            "tag" => {
                self.tags.push(Tag::parse(said)?);
                return Ok(());
            }
            "vendor" if said.is_empty() => {
                return Err(
                    "vendor: needs a part of the client's vendor class: vendor:PXEClient,6".into(),
                );
            }
            "vendor" => Within::Vendor(said.to_owned()),
            "encap" => Within::Option(names::outer(said)?),
            _ => {
                return Err(
                    "vi-encap: is not served; give all of option 125 in hexadecimal".into(),
                );
            }
        };
        if self.within.replace(within).is_some() {
            return Err("an option can be inside of one other only".into());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
