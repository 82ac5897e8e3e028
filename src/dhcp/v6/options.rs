//! Which options a reply carries beside addresses: the port's own first, else the subnet's, else the network's, else what
//! all networks have in common.

use std::net::Ipv6Addr;

use super::codes;
use super::reply::Writer;
use super::request::{Ask, Request};
use super::tags::boots_over_http;
use super::wire::put;
use crate::dhcp::options::labels;
use crate::model::DhcpOption;
use crate::plan::scope::{Dhcp6Client, Dhcp6Scope, Dhcp6Subnet};

/// Where a reply's options come from.
#[derive(Debug)]
pub(super) struct Options<'a> {
    pub(super) scope: &'a Dhcp6Scope,
    pub(super) subnet: &'a Dhcp6Subnet,
    /// `None`: somebody unknown, who gets what everybody gets.
    pub(super) client: Option<&'a Dhcp6Client>,
    pub(super) request: &'a Request<'a>,
    /// What the client has.
    pub(super) tags: Vec<&'a str>,
}

/// Written from the network and its subnets, for who asks or says nothing of what it wants.
const OF_THE_NETWORK: [u16; 4] = [
    codes::DNS_SERVERS,
    codes::DOMAIN_SEARCH,
    codes::SNTP_SERVERS,
    codes::NTP_SERVERS,
];

/// A client that only wants options asks again after the lease, but not more often than this (section 21.23).
const SHORTEST_REFRESH: u32 = 600;
/// Suboption of option 56: a server's address.
const NTP_ADDRESS: u16 = 1;

impl Options<'_> {
    /// What the client asks for, in its order; all there is, if it says nothing (section 21.7).
    pub(super) fn put_all(&self, out: &mut Writer) {
        // It has no other way to learn when to ask again.
        if self.request.ask == Ask::Information {
            self.put(codes::REFRESH_TIME, out);
        }
        self.fqdn(out);
        self.http_class(out);
        let mut done = vec![codes::REFRESH_TIME, codes::CLIENT_FQDN];
        let mut once = |code: u16| {
            let new = !done.contains(&code);
            if new {
                done.push(code);
            }
            new
        };
        if let Some(wanted) = self.request.wanted() {
            for code in wanted.filter(|code| self.has(*code)) {
                if once(code) {
                    self.put(code, out);
                }
            }
            for common in self.scope.options.iter().filter(|common| common.forced) {
                if once(common.option.code) {
                    self.put(common.option.code, out);
                }
            }
            return;
        }
        let of_port = self.client.map_or(&[][..], |client| &client.options);
        let of_port = of_port.iter().map(|option| option.code);
        let common = self.scope.options.iter().map(|common| common.option.code);
        for code in OF_THE_NETWORK.into_iter().chain(of_port).chain(common) {
            if once(code) {
                self.put(code, out);
            }
        }
    }

    /// Keeps the list of what is done short, whatever a client asks for.
    fn has(&self, code: u16) -> bool {
        OF_THE_NETWORK.contains(&code)
            || self.of_port(code).is_some()
            || self.common(code).is_some()
    }

    /// One option, if there is a value for it.
    fn put(&self, code: u16, out: &mut Writer) {
        if is_the_protocols(code) {
            return;
        }
        if let Some(value) = self.of_port(code) {
            out.option(code, |out| out.extend(value));
            return;
        }
        let addresses = |list: &[Ipv6Addr], out: &mut Writer| {
            if !list.is_empty() {
                out.option(code, |out| {
                    out.extend(list.iter().flat_map(Ipv6Addr::octets));
                });
            }
        };
        // What is said for all of them comes before what follows from the lease and the network's domain.
        let common = self.common(code);
        match code {
            codes::DNS_SERVERS => addresses(&self.subnet.dns, out),
            codes::SNTP_SERVERS if !self.subnet.ntp.is_empty() => {
                addresses(&self.subnet.ntp, out);
            }
            codes::NTP_SERVERS if !self.subnet.ntp.is_empty() => out.option(code, |out| {
                for server in &self.subnet.ntp {
                    put(out, NTP_ADDRESS, |out| out.extend(server.octets()));
                }
            }),
            codes::DOMAIN_SEARCH if common.is_none() && !self.scope.search.is_empty() => {
                out.option(code, |out| {
                    let domains = self.scope.search.iter();
                    domains.for_each(|domain| labels(domain, out));
                });
            }
            codes::REFRESH_TIME if common.is_none() => {
                let seconds = self.scope.lease.max(SHORTEST_REFRESH);
                out.option(code, |out| out.extend(seconds.to_be_bytes()));
            }
            _ => {
                if let Some(value) = common {
                    out.option(code, |out| out.extend(value));
                }
            }
        }
    }

    /// The answer to a client's own idea of its name (RFC 4704): ours, and that we see to the DNS.
    fn fqdn(&self, out: &mut Writer) {
        // Bits of the flags (S and O of section 4.1).
        const SERVER_UPDATES: u8 = 1;
        const OVERRIDDEN: u8 = 2;
        let Some(&[flags, ..]) = self.request.option(codes::CLIENT_FQDN) else {
            return;
        };
        let Some(name) = self.client.and_then(|client| client.fqdn.as_deref()) else {
            return;
        };
        let ours = if flags & SERVER_UPDATES != 0 {
            SERVER_UPDATES
        } else {
            SERVER_UPDATES | OVERRIDDEN
        };
        out.option(codes::CLIENT_FQDN, |out| {
            out.push(ours);
            labels(name, out);
        });
    }

    /// A UEFI that boots over HTTP takes a file only from who says what it says of itself (UEFI 2.10 section 24.7).
    fn http_class(&self, out: &mut Writer) {
        let Some(enterprise) = boots_over_http(self.request) else {
            return;
        };
        let file = self.of_port(codes::BOOT_FILE_URL);
        let file = file.or_else(|| self.common(codes::BOOT_FILE_URL));
        let is_http = [&b"http://"[..], b"https://"]
            .iter()
            .any(|start| file.is_some_and(|file| file.starts_with(start)));
        if is_http {
            out.option(codes::VENDOR_CLASS, |out| {
                out.extend(enterprise.to_be_bytes());
                // Behind its length.
                out.extend(b"\0\x0aHTTPClient");
            });
        }
    }

    /// The port's value: of several with one code and with tags that hold, the last.
    fn of_port(&self, code: u16) -> Option<&[u8]> {
        let mut last = self.client?.options.iter().rev();
        let option = last.find(|option| self.fits(option, code))?;
        Some(&option.value)
    }

    /// Of those that all networks have: the last for clients like this one, else for everybody (dnsmasq: `option_filter`).
    fn common(&self, code: u16) -> Option<&[u8]> {
        let fitting = || {
            let last = self.scope.options.iter().rev();
            let last = last.map(|common| &common.option);
            last.filter(move |option| self.fits(option, code))
        };
        let tagged = fitting().find(|option| !option.tags.is_empty());
        let option = tagged.or_else(|| fitting().next())?;
        Some(&option.value)
    }

    fn fits(&self, option: &DhcpOption, code: u16) -> bool {
        option.code == code && option.tags.iter().all(|tag| tag.holds(&self.tags))
    }
}

/// Written elsewhere, if at all: never because a client lists it, nor because a port has it.
fn is_the_protocols(code: u16) -> bool {
    matches!(
        code,
        0..=codes::RECONFIGURE_ACCEPT
            | codes::IA_PD
            | codes::CLIENT_FQDN
            | codes::CLIENT_MAC
            | codes::RELAY_PORT
    )
}
