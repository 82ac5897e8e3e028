//! Which options a reply carries, and what is in them: the port's own first, else the subnet's or the network's, else everybody's.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::codes;
use super::reply::Writer;
use super::request::Request;
use super::tags::tags;
use crate::model::{DhcpOption, Ipv4Net, Within, is_of_subnets};
use crate::plan::CommonOption;
use crate::plan::scope::{DhcpClient, DhcpScope, DhcpSubnet};

/// Where a reply's options come from.
#[derive(Debug)]
pub(super) struct Options<'a> {
    scope: &'a DhcpScope,
    subnet: &'a DhcpSubnet,
    /// `None`: somebody unknown, who gets what everybody gets.
    client: Option<&'a DhcpClient>,
    request: &'a Request<'a>,
    /// What the client has.
    tags: Vec<&'a str>,
}

/// Told to everybody, asked for or not, and first: the mask has to stand before the router (RFC 2132 section 3.3).
const ALWAYS: [u8; 3] = [codes::SUBNET_MASK, codes::BROADCAST, codes::MTU];

/// Written from the network and its subnets, for who asks or says nothing of what it wants. Ascending.
const OF_THE_NETWORK: [u8; 8] = [
    codes::ROUTER,
    codes::DNS_SERVERS,
    codes::HOST_NAME,
    codes::DOMAIN_NAME,
    codes::NTP_SERVERS,
    codes::DOMAIN_SEARCH,
    codes::CLASSLESS_ROUTES,
    codes::CLASSLESS_ROUTES_MS,
];

/// What a UEFI that boots over HTTP says of itself, and wants to be told (UEFI 2.10 section 24.7.3.1).
const HTTP_CLIENT: &[u8] = b"HTTPClient";

/// A lease is at least so long, whatever the client wishes: dnsmasq's least.
const SHORTEST_LEASE: u32 = 120;

/// For ever (RFC 2131 section 3.3).
const INFINITE: u32 = u32::MAX;

impl<'a> Options<'a> {
    pub(super) fn new(
        scope: &'a DhcpScope,
        subnet: &'a DhcpSubnet,
        client: Option<&'a DhcpClient>,
        request: &'a Request<'a>,
    ) -> Self {
        Self {
            scope,
            subnet,
            client,
            request,
            tags: tags(&scope.tags, request, client.is_some()),
        }
    }

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
                .given(code)
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
            .given(codes::SERVER_IP_ADDRESS)
            .and_then(|value| <[u8; 4]>::try_from(value).ok());
        given.map_or(own, Ipv4Addr::from)
    }

    /// Everything but what the protocol itself needs: some always, the rest if asked for. A client without a parameter list
    /// gets all there is, in the order of codes.
    pub(super) fn put_all(&self, out: &mut Writer<'_>) {
        let list = self.request.option(codes::PARAMETER_LIST);
        self.boot(list, out);
        for code in ALWAYS {
            self.put(code, out);
        }
        self.fqdn(out);
        if let Some(list) = list {
            // RFC 2132 section 9.8: in the client's order, as far as there is room. Each once.
            let mut done = [false; 256];
            for code in ALWAYS {
                done[usize::from(code)] = true;
            }
            let forced = self.scope.options.iter().filter(|common| common.forced);
            let forced = forced.filter_map(|common| u8::try_from(common.option.outer_code()).ok());
            let class = self.owes_class(list).then_some(codes::VENDOR_CLASS);
            for code in list.iter().copied().chain(forced).chain(class) {
                if !std::mem::replace(&mut done[usize::from(code)], true) {
                    self.put(code, out);
                }
            }
            return;
        }
        let given = self
            .all()
            .filter_map(|option| u8::try_from(option.outer_code()).ok());
        let own = OF_THE_NETWORK.into_iter().chain([codes::VENDOR_CLASS]);
        let mut codes: Vec<u8> = own.chain(given).collect();
        codes.sort_unstable();
        codes.dedup();
        let boot = [codes::SERVER_NAME, codes::BOOT_FILE];
        codes
            .iter()
            .filter(|code| !boot.contains(code) && !ALWAYS.contains(code))
            .for_each(|code| self.put(*code, out));
    }

    /// Boot file and server go into their fields, unless they are asked for as options or forced to be such (dnsmasq:
    /// `do_options`).
    fn boot(&self, list: Option<&[u8]>, out: &mut Writer<'_>) {
        let listed = |code| list.is_some_and(|list| list.contains(&code));
        let forced = |code| {
            self.of_port(code).is_none() && self.common(code).is_some_and(|common| common.forced)
        };
        let for_field = |code| self.given(code).filter(|_| !listed(code) && !forced(code));
        if let Some(name) = for_field(codes::BOOT_FILE)
            && !out.file(name)
        {
            terminated(codes::BOOT_FILE, name, out);
        }
        if let Some(name) = for_field(codes::SERVER_NAME)
            && !out.sname(name)
        {
            terminated(codes::SERVER_NAME, name, out);
        }
    }

    /// One option, if there is a value for it.
    fn put(&self, code: u8, out: &mut Writer<'_>) {
        if is_the_protocols(code) {
            return;
        }
        let value = match self.of_port(code) {
            // Blank means "not at all", but blank routes are sent: for them a client ignores option 3.
            Some([]) if code != codes::CLASSLESS_ROUTES => return,
            None if !is_of_subnets(4, code.into()) => self.of_all(code),
            of_port => of_port,
        };
        match value {
            Some(name) if matches!(code, codes::SERVER_NAME | codes::BOOT_FILE) => {
                terminated(code, name, out);
            }
            Some(value) => out.bytes(code, value),
            None => self.put_own(code, out),
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
                if let Some(name) = self.client.and_then(|client| client.hostname()) {
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
            codes::VENDOR_CLASS => {
                if let Some(class) = self.class() {
                    out.bytes(code, class);
                }
            }
            _ => self.put_parts(code, out),
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

    /// An option that is made of others, with an end of its own (RFC 2132 section 8.4). Of several with one code the last.
    fn put_parts(&self, code: u8, out: &mut Writer<'_>) {
        let parts: BTreeMap<u16, &[u8]> = self
            .parts_of(code)
            .map(|option| (option.code, option.value.as_slice()))
            .collect();
        if parts.is_empty() {
            return;
        }
        out.option(code, |out| {
            for (code, value) in parts {
                // Checked where it was parsed: neither is more than a byte.
                out.extend(u8::try_from(code));
                out.extend(u8::try_from(value.len()));
                out.extend(value);
            }
            out.push(codes::END);
        });
    }

    /// The vendor class that the client waits for, where nobody said which: its own, if it is told options of that vendor
    /// (as dnsmasq does), or if it boots over HTTP and is told from where.
    fn class(&self) -> Option<&[u8]> {
        let class = self.request.option(codes::VENDOR_CLASS)?;
        if self.is_http() {
            return Some(HTTP_CLIENT);
        }
        let mut told = self.parts_of(codes::VENDOR_OPTIONS);
        told.next().map(|_| class)
    }

    /// Whether the class is told unasked.
    fn owes_class(&self, list: &[u8]) -> bool {
        let told = list.contains(&codes::VENDOR_OPTIONS) && self.class().is_some();
        told || self.is_http()
    }

    /// A client that boots over HTTP, and a place on the web for it.
    fn is_http(&self) -> bool {
        let class = self.request.option(codes::VENDOR_CLASS);
        let file = || self.given(codes::BOOT_FILE).unwrap_or_default();
        let is_web = |file: &[u8]| file.starts_with(b"http://") || file.starts_with(b"https://");
        class.is_some_and(|class| class.starts_with(HTTP_CLIENT)) && is_web(file())
    }

    /// The port's value, else everybody's.
    fn given(&self, code: u8) -> Option<&[u8]> {
        self.of_port(code).or_else(|| self.of_all(code))
    }

    /// The port's value: of several with one code and with tags that hold, the last.
    fn of_port(&self, code: u8) -> Option<&[u8]> {
        let options = &self.client?.options;
        let mut last = options.iter().rev();
        last.find(|option| self.fits(option, code))
            .map(|option| option.value.as_slice())
    }

    /// What holds for all clients. Blank is nothing.
    fn of_all(&self, code: u8) -> Option<&[u8]> {
        let common = self.common(code)?;
        Some(common.option.value.as_slice()).filter(|value| !value.is_empty())
    }

    /// The last of those for clients like this one, else of those for everybody (dnsmasq: `option_filter`). A port's own
    /// are all for one client.
    fn common(&self, code: u8) -> Option<&CommonOption> {
        let fitting = || {
            let last = self.scope.options.iter().rev();
            last.filter(move |common| self.fits(&common.option, code))
        };
        let tagged = fitting().find(|common| !common.option.tags.is_empty());
        tagged.or_else(|| fitting().next())
    }

    /// All that there are, those that count more later.
    fn all(&self) -> impl Iterator<Item = &DhcpOption> {
        let common = self.scope.options.iter().map(|common| &common.option);
        common.chain(self.client.map_or(&[][..], |client| &client.options))
    }

    /// The options that are this one's content.
    fn parts_of(&self, code: u8) -> impl Iterator<Item = &DhcpOption> {
        self.all().filter(move |option| {
            let within = match &option.within {
                Some(Within::Vendor(class)) => {
                    code == codes::VENDOR_OPTIONS && self.is_of_class(class.as_bytes())
                }
                Some(Within::Option(outer)) => *outer == code,
                None => false,
            };
            within && self.has_tags(option)
        })
    }

    /// Whether this is a part of what the client calls itself, or of what it is called.
    fn is_of_class(&self, part: &[u8]) -> bool {
        let said = self.request.option(codes::VENDOR_CLASS);
        let told = self.given(codes::VENDOR_CLASS);
        let has = |class: &[u8]| {
            class
                .windows(part.len().max(1))
                .any(|window| window == part)
        };
        said.is_some_and(has) || told.is_some_and(has)
    }

    fn fits(&self, option: &DhcpOption, code: u8) -> bool {
        option.code == u16::from(code) && option.within.is_none() && self.has_tags(option)
    }

    fn has_tags(&self, option: &DhcpOption) -> bool {
        option.tags.iter().all(|tag| tag.holds(&self.tags))
    }
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

/// A name for a boot ROM, of which some go on reading until there is a zero (dnsmasq's experience).
fn terminated(code: u8, name: &[u8], out: &mut Writer<'_>) {
    out.option(code, |out| {
        out.extend(name);
        // One more byte would make two pieces of it, which these understand even less.
        if name.len() != 255 && name.last() != Some(&0) {
            out.push(0);
        }
    });
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
