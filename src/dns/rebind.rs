//! Protection against DNS rebinding: a name of elsewhere must not lead to where only insiders get.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name::{Text, below};
use super::query::Query;
use super::response::Response;
use crate::plan::scope::{DnsScope, NoRebind};

/// Whether the network is protected, and this answer has an address that the name must not have.
pub fn rebinds(scope: &DnsScope, query: &Query<'_>, response: &Response) -> bool {
    let Some(rule) = &scope.no_rebind else {
        return false;
    };
    let name = Text::of(query.name());
    let excepted = |domain: &String| below(name.as_str(), domain).is_some();
    response.addresses().any(|address| is_inside(address, rule))
        && !rule.except.iter().any(excepted)
}

/// The addresses that dnsmasq's `stop-dns-rebind` means, and all unique local ones.
fn is_inside(address: &[u8], rule: &NoRebind) -> bool {
    if let Ok(octets) = <[u8; 4]>::try_from(address) {
        return is_inside_v4(octets.into(), rule);
    }
    let Ok(octets) = <[u8; 16]>::try_from(address) else {
        return false;
    };
    let v6 = Ipv6Addr::from(octets);
    if let IpAddr::V4(v4) = v6.to_canonical() {
        return is_inside_v4(v4, rule);
    }
    let site_local = octets[0] == 0xfe && octets[1] & 0xc0 == 0xc0;
    let documentation = octets[..4] == [0x20, 1, 0x0d, 0xb8];
    (v6.is_loopback() || v6.is_unspecified()) && !rule.loopback_ok
        || v6.is_unicast_link_local()
        || v6.is_unique_local()
        || site_local
        || documentation
}

fn is_inside_v4(address: Ipv4Addr, rule: &NoRebind) -> bool {
    let this_host = address.is_loopback() || address.octets()[0] == 0;
    this_host && !rule.loopback_ok
        || address.is_private()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_broadcast()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)] // a test may panic

    use super::*;

    #[test]
    fn addresses_inside() {
        for (address, loopback_ok, want) in [
            ("10.0.0.1", false, true),
            ("172.31.255.255", false, true),
            ("172.32.0.1", false, false),
            ("192.168.0.1", false, true),
            ("169.254.169.254", false, true),
            ("127.0.0.1", false, true),
            ("127.0.0.1", true, false),
            ("0.0.0.0", false, true),
            ("0.0.0.0", true, false),
            ("203.0.113.1", false, true),
            ("255.255.255.255", false, true),
            ("9.9.9.9", false, false),
            ("::1", false, true),
            ("::1", true, false),
            ("::", false, true),
            ("fe80::1", false, true),
            ("fec0::1", false, true),
            ("fc00::1", false, true),
            ("fd00::1", true, true),
            ("2001:db8::1", false, true),
            ("2620:fe::fe", false, false),
            ("::ffff:10.0.0.1", false, true),
            ("::ffff:127.0.0.1", true, false),
            ("::ffff:9.9.9.9", false, false),
        ] {
            let rule = NoRebind {
                except: Vec::new(),
                loopback_ok,
            };
            let bytes = match address.parse().unwrap() {
                IpAddr::V4(v4) => v4.octets().to_vec(),
                IpAddr::V6(v6) => v6.octets().to_vec(),
            };
            assert_eq!(is_inside(&bytes, &rule), want, "{address} {loopback_ok}");
        }
    }
}
