//! Which options a reply carries, and what is in them: the port's own first, else the subnet's or the network's, else everybody's.

use std::net::Ipv4Addr;

use super::codes;
use super::reply::Writer;
use super::request::Request;
use crate::model::{DhcpOption, Ipv4Net};
use crate::plan::scope::{DhcpClient, DhcpScope, DhcpSubnet};

/// Where a reply's options come from.
#[derive(Debug, Clone, Copy)]
pub(super) struct Options<'a> {
    pub(super) scope: &'a DhcpScope,
    pub(super) subnet: &'a DhcpSubnet,
    /// `None`: somebody unknown, who gets what everybody gets.
    pub(super) client: Option<&'a DhcpClient>,
    pub(super) request: &'a Request<'a>,
}

/// Written from the network and its subnets, for who asks or says nothing of what it wants. Ascending.
const OF_THE_NETWORK: [u8; 10] = [
    codes::SUBNET_MASK,
    codes::ROUTER,
    codes::DNS_SERVERS,
    codes::HOST_NAME,
    codes::DOMAIN_NAME,
    codes::BROADCAST,
    codes::NTP_SERVERS,
    codes::DOMAIN_SEARCH,
    codes::CLASSLESS_ROUTES,
    codes::CLASSLESS_ROUTES_MS,
];

/// A lease is at least so long, whatever the client wishes: dnsmasq's least.
const SHORTEST_LEASE: u32 = 120;

/// For ever (RFC 2131 section 3.3).
const INFINITE: u32 = u32::MAX;

impl Options<'_> {
    /// The lease that is given, and when it is to be renewed and rebound.
    pub(super) fn times(&self, out: &mut Writer<'_>, wish: Option<u32>) {
        let lease = self
            .scope
            .lease
            .min(wish.map_or(INFINITE, |wish| wish.max(SHORTEST_LEASE)));
        out.number(codes::LEASE_TIME, lease);
        if lease == INFINITE {
            return;
        }
        let set = |code, of_network: Option<u32>| {
            let given = self
                .of_port(code)
                .or_else(|| self.of_all(code))
                .and_then(|value| value.try_into().ok())
                .map(u32::from_be_bytes);
            given
                .or(of_network)
                .filter(|seconds| (3..lease).contains(seconds))
        };
        let rebinding =
            set(codes::REBINDING_TIME, self.scope.rebinding).unwrap_or(lease - lease.div_ceil(8));
        let renewal = set(codes::RENEWAL_TIME, self.scope.renewal)
            .unwrap_or(lease / 2)
            .min(rebinding.saturating_sub(1));
        out.number(codes::RENEWAL_TIME, renewal);
        out.number(codes::REBINDING_TIME, rebinding);
    }

    /// `siaddr`: where a boot file is.
    pub(super) fn siaddr(&self, own: Ipv4Addr) -> Ipv4Addr {
        let given = self
            .of_port(codes::SERVER_IP_ADDRESS)
            .or_else(|| self.of_all(codes::SERVER_IP_ADDRESS))
            .and_then(|value| <[u8; 4]>::try_from(value).ok());
        given.map_or(own, Ipv4Addr::from)
    }

    /// Everything but what the protocol itself needs: the MTU always, the rest if asked for. A client without a
    /// parameter list gets all there is, in the order of codes.
    pub(super) fn put_all(&self, out: &mut Writer<'_>) {
        let list = self.request.option(codes::PARAMETER_LIST);
        self.boot(list, out);
        self.put(codes::MTU, out);
        self.fqdn(out);
        if let Some(list) = list {
            // RFC 2132 section 9.8: in the client's order, as far as there is room. Each once.
            let mut done = [false; 256];
            done[usize::from(codes::MTU)] = true;
            let forced = self.scope.options.iter().filter(|common| common.forced);
            let forced = forced.filter_map(|common| u8::try_from(common.option.code).ok());
            for code in list.iter().copied().chain(forced) {
                if !std::mem::replace(&mut done[usize::from(code)], true) {
                    self.put(code, out);
                }
            }
            return;
        }
        let of_port = self.client.map_or(&[][..], |client| &client.options);
        let common = self.scope.options.iter().map(|common| &common.option);
        let given = of_port
            .iter()
            .chain(common)
            .filter_map(|option| u8::try_from(option.code).ok());
        let mut codes: Vec<u8> = OF_THE_NETWORK.into_iter().chain(given).collect();
        codes.sort_unstable();
        codes.dedup();
        let boot = [codes::MTU, codes::SERVER_NAME, codes::BOOT_FILE];
        codes
            .iter()
            .filter(|code| !boot.contains(code))
            .for_each(|code| self.put(*code, out));
    }

    /// Boot file and server go into their fields, unless they are asked for as options (dnsmasq: `do_options`).
    fn boot(&self, list: Option<&[u8]>, out: &mut Writer<'_>) {
        let listed = |code| list.is_some_and(|list| list.contains(&code));
        let given = |code| self.of_port(code).or_else(|| self.of_all(code));
        let for_field = |code| given(code).filter(|_| !listed(code));
        if let Some(name) = for_field(codes::BOOT_FILE)
            && !out.file(name)
        {
            out.bytes(codes::BOOT_FILE, name);
        }
        if let Some(name) = for_field(codes::SERVER_NAME)
            && !out.sname(name)
        {
            out.bytes(codes::SERVER_NAME, name);
        }
    }

    /// One option, if there is a value for it.
    fn put(&self, code: u8, out: &mut Writer<'_>) {
        if is_the_protocols(code) {
            return;
        }
        if let Some(value) = self.of_port(code) {
            // Blank means "not at all", but blank routes are sent: for them a client ignores option 3.
            if !value.is_empty() || code == codes::CLASSLESS_ROUTES {
                out.bytes(code, value);
            }
            return;
        }
        match self.of_all(code) {
            Some(value) if !is_the_subnets(code) => out.bytes(code, value),
            _ => self.put_own(code, out),
        }
    }

    /// What the network and the subnet say.
    fn put_own(&self, code: u8, out: &mut Writer<'_>) {
        let (scope, subnet) = (self.scope, self.subnet);
        match code {
            codes::SUBNET_MASK => out.addresses(code, &[subnet.cidr.netmask()]),
            codes::BROADCAST => out.addresses(code, &[subnet.cidr.broadcast()]),
            codes::ROUTER => out.addresses(code, subnet.router.as_slice()),
            codes::DNS_SERVERS => out.addresses(code, &subnet.dns),
            codes::NTP_SERVERS => out.addresses(code, &subnet.ntp),
            codes::MTU => {
                if let Some(mtu) = scope.mtu {
                    out.bytes(code, &mtu.to_be_bytes());
                }
            }
            codes::HOST_NAME => {
                if let Some(name) = self.client.and_then(|client| client.hostname.as_deref()) {
                    out.bytes(code, name.as_bytes());
                }
            }
            codes::DOMAIN_NAME => {
                if let Some(domain) = &scope.domain {
                    out.bytes(code, domain.as_bytes());
                }
            }
            codes::DOMAIN_SEARCH if !scope.search.is_empty() => out.option(code, |out| {
                scope.search.iter().for_each(|domain| labels(domain, out));
            }),
            codes::CLASSLESS_ROUTES | codes::CLASSLESS_ROUTES_MS
                if !subnet.classless_routes.is_empty() =>
            {
                out.option(code, |out| routes(&subnet.classless_routes, out));
            }
            _ => {}
        }
    }

    /// The answer to a client's own idea of its name (RFC 4702): ours, and that we see to the DNS. As dnsmasq does.
    fn fqdn(&self, out: &mut Writer<'_>) {
        // Bits of the flags (S, O and E of section 2.1).
        const SERVER_UPDATES: u8 = 1;
        const OVERRIDDEN: u8 = 2;
        const WIRE_FORM: u8 = 4;
        let Some(&[flags, _, _, ..]) = self.request.option(codes::CLIENT_FQDN) else {
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
            // The two result codes are of no meaning any more, and 255 from a server.
            out.extend([ours | flags & WIRE_FORM, 255, 255]);
            if flags & WIRE_FORM != 0 {
                labels(name, out);
            } else {
                out.extend(name.as_bytes());
            }
        });
    }

    /// The port's value: of several with one code and with tags that hold, the last.
    fn of_port(&self, code: u8) -> Option<&[u8]> {
        let options = &self.client?.options;
        let mut last = options.iter().rev();
        last.find(|option| self.fits(option, code))
            .map(|option| option.value.as_slice())
    }

    /// What holds for all clients, chosen the same way.
    fn of_all(&self, code: u8) -> Option<&[u8]> {
        let mut last = self.scope.options.iter().rev();
        last.find(|common| self.fits(&common.option, code))
            .map(|common| common.option.value.as_slice())
    }

    fn fits(&self, option: &DhcpOption, code: u8) -> bool {
        if option.code != u16::from(code) {
            return false;
        }
        let is_ipxe = self.request.option(codes::IPXE).is_some();
        let present: &[&str] = if is_ipxe { &["ipxe"] } else { &[] };
        option.tags.iter().all(|tag| tag.holds(present))
    }
}

/// Neutron tells it, or that there is none, with each subnet (`dhcp.py: _generate_opts_per_subnet`).
fn is_the_subnets(code: u8) -> bool {
    matches!(
        code,
        codes::SUBNET_MASK
            | codes::ROUTER
            | codes::DNS_SERVERS
            | codes::HOST_NAME
            | codes::BROADCAST
            | codes::CLASSLESS_ROUTES
            | codes::CLASSLESS_ROUTES_MS
    )
}

/// Written elsewhere, if at all: never because a client lists it, nor because a port has it.
fn is_the_protocols(code: u8) -> bool {
    matches!(
        code,
        0 | codes::REQUESTED_ADDRESS..=codes::PARAMETER_LIST
            | codes::MAX_MESSAGE_SIZE..=codes::REBINDING_TIME
            | codes::CLIENT_ID
            | codes::CLIENT_FQDN
            | codes::RELAY_AGENT
            | codes::SUBNET_SELECTION
            | codes::END
    )
}

/// A name in wire form (RFC 1035 section 3.1).
pub(super) fn labels(name: &str, out: &mut Vec<u8>) {
    for label in name.split('.').filter(|label| !label.is_empty()) {
        let label = &label.as_bytes()[..label.len().min(63)];
        out.extend(u8::try_from(label.len()));
        out.extend(label);
    }
    out.push(0);
}

/// RFC 3442: the width, the bytes of the destination that count, the router.
fn routes(list: &[(Ipv4Net, Ipv4Addr)], out: &mut Vec<u8>) {
    for (destination, router) in list {
        let significant = usize::from(destination.prefix_len()).div_ceil(8);
        out.push(destination.prefix_len());
        out.extend(&destination.network().octets()[..significant]);
        out.extend(router.octets());
    }
}
