//! Who is answered, and with what (section 18.3). Pure but for the lease table, which it is given.
//!
//! As for IPv4 there is nothing to allocate, and every port counts as leased already: a client renews at a server that
//! never saw it before, and whichever DUID and IAID it comes with (boot firmware and system differ there).

use std::net::Ipv6Addr;
use std::time::Instant;

use super::Leases;
use super::codes::{self, Status};
use super::identity::{self, Verdict};
use super::options::Options;
use super::reply::{CLIENT_PORT, Delivery, Kind, Reply, SERVER_PORT, Writer, duid};
use super::request::{Arrived, Ask, Request};
use super::tags::tags;
use super::who::{self, Neighbour, Origin};
use crate::dhcp::leases::LeaseState;
use crate::model::MacAddr;
use crate::plan::scope::{Dhcp6Client, Dhcp6Scope, Dhcp6Subnet};

/// The client need not wait for other servers' offers (section 18.2.1): nobody knows better which address a port has.
const PREFERENCE: u8 = 255;

/// An answer to one message, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Reply(Reply),
    /// Nothing is to be said: another server was chosen, or there is nothing to confirm.
    Silence,
    /// From a link that we do not serve.
    Elsewhere,
    /// A machine of the network that poses as a relay.
    Forged,
    /// Who has this address? Then the same request again.
    Ask(Ipv6Addr),
    /// Nobody has the address that it came from.
    Nobody,
}

/// Answers one message. `now` is the time of `leases`.
pub fn answer(
    scope: &Dhcp6Scope,
    request: &Request<'_>,
    neighbour: Neighbour,
    leases: &mut Leases,
    now: Instant,
) -> Answer {
    if who::is_forged(scope, request) {
        return Answer::Forged;
    }
    let Some(link) = Link::of(scope, request) else {
        return Answer::Elsewhere;
    };
    let for_other = request.server_id().is_some_and(|id| id != duid(scope.mac));
    if request.relays.is_empty() && request.arrived == Arrived::Unicast {
        return match for_other {
            true => Answer::Silence,
            false => use_multicast(scope, request),
        };
    }
    let origin = who::origin(request, neighbour);
    let mac = match origin {
        Origin::Mac(mac) | Origin::Duid(mac) => Some(mac),
        Origin::Ask(_) if for_other => return Answer::Silence,
        Origin::Ask(address) => return Answer::Ask(address),
        Origin::Unknown => None,
    };
    let client = who::find(scope, request, origin);
    if for_other {
        if let Some(client) = client {
            leases.forget_offer(client.port);
        }
        return Answer::Silence;
    }
    let to = match (
        request.relays.first(),
        mac.or(client.map(|client| client.mac)),
    ) {
        (Some(relay), _) => {
            let mut to = request.source;
            if !relay.has_port() {
                to.set_port(SERVER_PORT);
            }
            Delivery::Datagram(to)
        }
        (None, Some(mac)) => Delivery::Frame {
            mac,
            ip: *request.source.ip(),
        },
        (None, None) => return Answer::Nobody,
    };
    let session = Session {
        scope,
        request,
        link,
        client,
        mac,
        to,
    };
    match request.ask {
        Ask::Solicit | Ask::Request | Ask::Renew | Ask::Rebind => session.lease(leases, now),
        Ask::Confirm => session.confirm(),
        Ask::Release => session.give_up(LeaseState::Released, leases, now),
        Ask::Decline => session.give_up(LeaseState::Declined, leases, now),
        Ask::Information => session.inform(),
    }
}

/// One message, and who says it from where.
struct Session<'a> {
    scope: &'a Dhcp6Scope,
    request: &'a Request<'a>,
    link: Link<'a>,
    client: Option<&'a Dhcp6Client>,
    mac: Option<MacAddr>,
    to: Delivery,
}

/// Where the client is: on the link of this subnet, which others may be on too.
#[derive(Debug, Clone, Copy)]
struct Link<'a>(&'a Dhcp6Subnet);

impl<'a> Link<'a> {
    /// Section 13.1: the link address nearest to the client says it, else it is our own link. `None`: no subnet of ours is
    /// there.
    fn of(scope: &'a Dhcp6Scope, request: &Request<'_>) -> Option<Self> {
        // A relay on layer 2 has no address there (RFC 6221).
        let mut links = request.relays.iter().rev().map(|relay| relay.link);
        let named = links.find(|link| !link.is_unspecified());
        let is_there = |subnet: &&Dhcp6Subnet| match named {
            Some(address) => subnet.cidr.contains(&address),
            None => subnet.local,
        };
        scope.subnets.iter().find(is_there).map(Self)
    }

    fn has(self, subnet: &Dhcp6Subnet) -> bool {
        (subnet.local, subnet.segment) == (self.0.local, self.0.segment)
    }
}

/// Section 18.4: to one who sends us alone what is for all, and was never told that it may.
fn use_multicast(scope: &Dhcp6Scope, request: &Request<'_>) -> Answer {
    let source = *request.source.ip();
    let of_ours = |subnet: &Dhcp6Subnet| subnet.cidr.contains(&source);
    if !source.is_unicast_link_local() && !scope.subnets.iter().any(of_ours) {
        return Answer::Elsewhere;
    }
    let mut out = Writer::new(Kind::Reply, scope, request);
    put_status(Status::UseMulticast, &mut out);
    let mut to = request.source;
    to.set_port(CLIENT_PORT);
    Answer::Reply(Reply {
        kind: Kind::Reply,
        message: out.finish(request),
        to: Delivery::Datagram(to),
        // Told alike to whoever it is.
        stranger: false,
    })
}

impl<'a> Session<'a> {
    /// SOLICIT, REQUEST, RENEW, REBIND: each association gets what it may have.
    fn lease(&self, leases: &mut Leases, now: Instant) -> Answer {
        let ask = self.request.ask;
        // Who has the address in use is not sent away because somebody, in its name, once declined it.
        let in_use = |ip: Ipv6Addr| {
            matches!(ask, Ask::Renew | Ask::Rebind) && self.request.named().any(|of| of == ip)
        };
        let is_declined = |ip: Ipv6Addr| {
            let port = self.client.map(|client| client.port);
            port.is_some_and(|port| leases.is_declined(port, ip, now))
        };
        let own: Vec<_> = self
            .own()
            .filter(|ip| in_use(*ip) || !is_declined(*ip))
            .collect();
        let associations = &self.request.associations;
        let shares = identity::allot(own, associations);
        let verdicts: Vec<Verdict> = associations
            .iter()
            .zip(shares)
            .map(|(association, share)| {
                identity::judge(ask, association, share, |ip| self.is_on_link(ip))
            })
            .collect();
        let given: Vec<_> = verdicts.iter().flat_map(|of| &of.given).copied().collect();
        let commits = self.request.option(codes::RAPID_COMMIT).is_some() && !given.is_empty();
        let kind = match ask {
            Ask::Solicit if !commits => Kind::Advertise,
            _ => Kind::Reply,
        };
        let mut out = Writer::new(kind, self.scope, self.request);
        if ask == Ask::Solicit && commits {
            out.option(codes::RAPID_COMMIT, |_| {});
        }
        for (association, verdict) in associations.iter().zip(&verdicts) {
            identity::write(&mut out, association, verdict, self.scope.lease);
        }
        match ask {
            // Old clients look for the reason here (RFC 3315), newer ones in the association.
            Ask::Solicit | Ask::Request if given.is_empty() => {
                let mut of_addresses = associations.iter().map(|of| of.code != codes::IA_PD);
                let main = of_addresses.position(|of| of).unwrap_or(0);
                let reason = verdicts.get(main).and_then(|verdict| verdict.status);
                put_status(reason.unwrap_or(Status::NoAddrsAvail), &mut out);
            }
            Ask::Solicit if kind == Kind::Advertise => {
                out.option(codes::PREFERENCE, |out| out.push(PREFERENCE));
            }
            Ask::Solicit | Ask::Request => put_status(Status::Success, &mut out),
            _ => {}
        }
        if let Some(first) = given.first() {
            self.options(Some(*first)).put_all(&mut out);
        }
        if let Some(client) = self.client.filter(|_| !given.is_empty()) {
            let state = match kind {
                Kind::Advertise => LeaseState::Offered,
                Kind::Reply => LeaseState::Bound,
            };
            let who = (client.port, self.mac.unwrap_or(client.mac));
            leases.note(who, given, state, None, now);
        }
        self.reply(kind, out)
    }

    /// Only whether the client is still on the link that its addresses are of.
    fn confirm(&self) -> Answer {
        let mut named = self.request.named().peekable();
        if named.peek().is_none() {
            return Answer::Silence;
        }
        let status = match named.all(|ip| self.is_on_link(ip)) {
            true => Status::Success,
            false => Status::NotOnLink,
        };
        let mut out = Writer::new(Kind::Reply, self.scope, self.request);
        put_status(status, &mut out);
        self.reply(Kind::Reply, out)
    }

    /// RELEASE and DECLINE are answered with success, and those associations named of which we know nothing.
    fn give_up(&self, state: LeaseState, leases: &mut Leases, now: Instant) -> Answer {
        let own: Vec<_> = self.own().collect();
        let mut given_up = Vec::new();
        let mut out = Writer::new(Kind::Reply, self.scope, self.request);
        put_status(Status::Success, &mut out);
        for association in &self.request.associations {
            let named = association.named().map(|named| named.address);
            let before = given_up.len();
            given_up
                .extend(named.filter(|ip| association.code == codes::IA_NA && own.contains(ip)));
            if given_up.len() == before {
                let unknown = Verdict {
                    status: Some(Status::NoBinding),
                    ..Verdict::default()
                };
                identity::write(&mut out, association, &unknown, 0);
            }
        }
        if let Some(client) = self.client.filter(|_| !given_up.is_empty()) {
            let who = (client.port, self.mac.unwrap_or(client.mac));
            leases.note(who, given_up, state, None, now);
        }
        self.reply(Kind::Reply, out)
    }

    /// All but addresses, also to strangers.
    fn inform(&self) -> Answer {
        let mut out = Writer::new(Kind::Reply, self.scope, self.request);
        self.options(None).put_all(&mut out);
        self.reply(Kind::Reply, out)
    }

    /// The client's addresses that it can use where it is.
    fn own(&self) -> impl Iterator<Item = Ipv6Addr> {
        let here = |index: usize| {
            let subnet = self.scope.subnets.get(index);
            subnet.is_some_and(|subnet| subnet.stateful && self.link.has(subnet))
        };
        let all = self.client.into_iter().flat_map(|client| &client.addresses);
        all.filter(move |(subnet, _)| here(*subnet))
            .map(|(_, ip)| *ip)
    }

    fn is_on_link(&self, ip: Ipv6Addr) -> bool {
        let here = |subnet: &Dhcp6Subnet| self.link.has(subnet) && subnet.cidr.contains(&ip);
        self.scope.subnets.iter().any(here)
    }

    /// Those of the subnet of `address`, else of the first that the client has an address of here, else of the link's first.
    fn options(&self, address: Option<Ipv6Addr>) -> Options<'a> {
        let subnets = &self.scope.subnets;
        let here = |subnet: &&Dhcp6Subnet| self.link.has(subnet);
        let of_client = || {
            let mut addresses = self.client?.addresses.iter();
            addresses.find_map(|(index, _)| subnets.get(*index).filter(here))
        };
        let of_address = address.and_then(|ip| {
            let mut all = subnets.iter().filter(here);
            all.find(|subnet| subnet.cidr.contains(&ip))
        });
        let mac = self.mac.or(self.client.map(|client| client.mac));
        let tags = tags(&self.scope.tags, self.request, mac, self.client.is_some());
        Options {
            scope: self.scope,
            subnet: of_address.or_else(of_client).unwrap_or(self.link.0),
            client: self.client,
            request: self.request,
            tags,
        }
    }

    fn reply(&self, kind: Kind, out: Writer) -> Answer {
        Answer::Reply(Reply {
            kind,
            message: out.finish(self.request),
            to: self.to,
            stranger: self.client.is_none(),
        })
    }
}

fn put_status(status: Status, out: &mut Writer) {
    out.option(codes::STATUS, |out| identity::put_status(status, out));
}
