//! Lines of DHCP: what clients are told, and what they are told apart by.

use super::Told;
use super::remark::Remark;
use crate::config::problem::quoted;
use crate::model::{DhcpOption, DhcpTag};
use crate::plan::CommonOption;

const MTU: u16 = 26;

/// To dnsmasq they are the address that it answers from, but not inside of a vendor's options.
const OWN_ADDRESSES: &[&str] = &["0.0.0.0", "[::]", "[fe80::]", "[fd00::]"];

impl Told {
    /// `[tag:TAG,][option:]NAME,VALUE` or `[tag:TAG,]option6:NAME,VALUE`, as dnsmasq's `dhcp-option`.
    pub(super) fn option(&mut self, text: &str, forced: bool) -> Option<Remark> {
        let (tags, rest) = prefixes(text);
        let (name, value) = rest.split_once(',').unwrap_or((rest, ""));
        let name = name.trim();
        let parsed = match name.strip_prefix("option6:") {
            Some(name) => DhcpOption::parse_v6(&format!("{tags}{name}"), value.trim()),
            None => {
                let name = name.strip_prefix("option:").unwrap_or(name);
                DhcpOption::parse_v4(&format!("{tags}{name}"), value.trim())
            }
        };
        let option = match parsed {
            Ok(option) => option,
            Err(error) => {
                return Some(Remark::refused(
                    error.to_string(),
                    "correct the line, or leave it out",
                ));
            }
        };
        let mut parts = value.split(',');
        if option.within.is_none() && parts.any(|part| OWN_ADDRESSES.contains(&part.trim())) {
            return Some(Remark::refused(
                "0.0.0.0 and the like in place of our own address are not understood",
                "leave it out, or write the address",
            ));
        }
        if option.is_of_subnets() {
            return Some(Remark::warning(
                "each subnet says this itself, or that there is none",
                "leave it out; set the subnets' gateway_ip, dns_nameservers and host_routes, or dnsmasq_dns_servers",
            ));
        }
        let is_mtu = (option.ip_version, option.outer_code()) == (4, MTU);
        let remark = is_mtu.then(|| {
            Remark::warning(
                "told to every client, whatever its network's own `mtu` is",
                "leave it out, and set the networks' mtu, or global_physnet_mtu at the server",
            )
        });
        self.dhcp_options.push(CommonOption { option, forced });
        remark
    }

    /// `[tag:TAG,]FILE[,SERVER[,ADDRESS]]`: three options at once. What a line leaves out, no other says in its place.
    pub(super) fn boot(&mut self, text: &str) -> Option<Remark> {
        let (tags, rest) = prefixes(text);
        let names = ["bootfile-name", "tftp-server", "server-ip-address"];
        let values = rest.splitn(names.len(), ',').map(str::trim);
        let values = values.chain(std::iter::repeat(""));
        let told = names.iter().zip(values).map(|(name, value)| {
            if value.is_empty() {
                let blank = DhcpOption::blank_v4(&format!("{tags}{name}"));
                let forced = false;
                let blank = blank.map(|option| CommonOption { option, forced });
                // What is wrong with the tags is said of the value that is there.
                self.dhcp_options.extend(blank);
                return None;
            }
            self.option(&format!("{tags}{name},{value}"), false)
        });
        told.fold(None, Option::or)
    }

    /// What clients with a tag have in common.
    pub(super) fn tags(&mut self, name: &str, value: &str) -> Option<Remark> {
        let one = |tag| vec![tag];
        let tags = match name {
            "dhcp-match" => DhcpTag::parse_match(value).map(one),
            "dhcp-vendorclass" => DhcpTag::parse_vendor_class(value).map(one),
            "dhcp-userclass" => DhcpTag::parse_user_class(value).map(Vec::from),
            "dhcp-mac" => DhcpTag::parse_mac(value).map(one),
            _ => DhcpTag::parse_if(value),
        };
        match tags {
            Ok(tags) => {
                self.dhcp_tags.extend(tags);
                None
            }
            Err(why) => Some(Remark::refused(
                format!("{}: {why}", quoted(value)),
                "correct the line, or leave it out",
            )),
        }
    }
}

/// `tag:a,vendor:b,REST`: what stands in front, with its commas, and the rest.
fn prefixes(text: &str) -> (&str, &str) {
    const KINDS: [&str; 4] = ["tag:", "vendor:", "encap:", "vi-encap:"];
    let mut end = 0;
    while KINDS.iter().any(|kind| text[end..].starts_with(kind))
        && let Some(comma) = text[end..].find(',')
    {
        end += comma + 1;
    }
    text.split_at(end)
}
