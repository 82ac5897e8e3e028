//! Who is answered, and with what (RFC 2131 section 4.3). Pure but for the lease table, which it is given.
//!
//! There is nothing to allocate: an address is a client's because its port has it. So every port counts as leased
//! already, which is what dnsmasq with Neutron's lease file says too, and renewals go on at a server that never saw
//! the client before.

use std::net::Ipv4Addr;
use std::time::Instant;

use dhcproto::v4::MessageType;

use super::Leases;
use super::codes;
use super::leases::LeaseState;
use super::link::Link;
use super::only_v6::only_v6;
use super::options::Options;
use super::reply::{Header, Kind, Reply, Writer};
use super::request::{Ask, Request};
use crate::plan::scope::{DhcpClient, DhcpScope, DhcpSubnet};

/// IP and UDP headers, which are part of what option 57 bounds.
const IP_AND_UDP: usize = 28;
/// What every client can take (RFC 2131 section 2), so the least that option 57 can mean.
const LEAST_DATAGRAM: u16 = 576;
const ETHERNET_MTU: u16 = 1500;
/// A BOOTP message with its vendor area (RFC 951).
const BOOTP_MESSAGE: usize = 300;

/// An answer to one request, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    Reply(Reply),
    /// Nothing is to be said: another server's offer was taken, a RELEASE, a DECLINE, nothing to offer.
    Silence,
    /// Nobody whom we know, and nothing to say to it.
    Stranger,
    /// From a subnet that we do not serve.
    Elsewhere,
}

/// Answers one request. `now` is the time of `leases`.
pub fn answer(
    scope: &DhcpScope,
    request: &Request<'_>,
    leases: &mut Leases,
    now: Instant,
) -> Answer {
    if scope.only_v6 {
        return only_v6(request).map_or(Answer::Elsewhere, Answer::Reply);
    }
    let Some(link) = Link::of(scope, request) else {
        return Answer::Elsewhere;
    };
    match find(scope, request) {
        Some(client) => link.known(client, leases, now),
        None => link.unknown(),
    }
}

/// By MAC; one that is no port's, by the id that a port has beside its own. Which that is, is for the port's tenant to say:
/// it may be another machine's.
pub(super) fn find<'a>(scope: &'a DhcpScope, request: &Request<'_>) -> Option<&'a DhcpClient> {
    let by_id = || {
        let id = request
            .option(codes::CLIENT_ID)
            .filter(|_| !scope.by_client_id.is_empty())?;
        let found = scope.by_client_id.get(id);
        // dhcpcd puts a zero (the type "no hardware") before text.
        found.or_else(|| scope.by_client_id.get(id.strip_prefix(&[0])?))
    };
    let by_mac = scope.clients.get(&request.mac());
    by_mac.or_else(by_id).map(AsRef::as_ref)
}

impl<'a> Link<'a> {
    fn known(&self, client: &'a DhcpClient, leases: &mut Leases, now: Instant) -> Answer {
        let of_client = || {
            client
                .addresses
                .iter()
                .rev()
                .filter(|(subnet, _)| self.reaches(*subnet))
                .copied()
        };
        let wanted = of_client().next();
        let offered = of_client().find(|(_, ip)| !leases.is_declined(client.port, *ip, now));
        let who = (client.port, self.request.mac());
        let wish = self.request.number(codes::LEASE_TIME);
        match self.request.ask {
            Ask::Discover => {
                let Some((subnet, ip)) = offered else {
                    return Answer::Silence;
                };
                leases.note(who, [ip], LeaseState::Offered, wish, now);
                self.lease(Kind::Offer, client, subnet, ip, wish)
            }
            Ask::Select { server, .. } if !self.is_us(server) => {
                leases.forget_offer(client.port);
                Answer::Silence
            }
            Ask::Select { address, .. } | Ask::Reboot { address } => {
                let granted = offered.filter(|(_, ip)| *ip == address);
                self.grant(client, granted, wish, leases, now)
            }
            // Who has the address in use is not sent away because somebody, in its name, once declined it.
            Ask::Renew { address } | Ask::Rebind { address } => {
                let granted = [offered, wanted]
                    .into_iter()
                    .flatten()
                    .find(|(_, ip)| *ip == address);
                self.grant(client, granted, wish, leases, now)
            }
            Ask::Inform { .. } => self.inform(Some(client)),
            Ask::Release { server, address } | Ask::Decline { server, address } => {
                if self.is_us(server) && client.addresses.iter().any(|(_, ip)| *ip == address) {
                    let declined = matches!(self.request.ask, Ask::Decline { .. });
                    let state = if declined {
                        LeaseState::Declined
                    } else {
                        LeaseState::Released
                    };
                    leases.note(who, [address], state, None, now);
                }
                Answer::Silence
            }
            Ask::Bootp => {
                let Some((subnet, ip)) = offered else {
                    return Answer::Silence;
                };
                leases.note(who, [ip], LeaseState::Bound, None, now);
                self.bootp(client, subnet, ip)
            }
        }
    }

    /// A wrong choice of ours, and who renews with us, hear that they are wrong. Else others may know better.
    fn unknown(&self) -> Answer {
        match self.request.ask {
            Ask::Select { server, .. } if self.is_us(server) => self.nak(None, "no such client"),
            Ask::Renew { .. } => self.nak(None, "no such client"),
            Ask::Inform { .. } => self.inform(None),
            Ask::Discover
            | Ask::Select { .. }
            | Ask::Reboot { .. }
            | Ask::Rebind { .. }
            | Ask::Release { .. }
            | Ask::Decline { .. }
            | Ask::Bootp => Answer::Stranger,
        }
    }

    /// ACK if the address asked for is the client's here, else NAK.
    fn grant(
        &self,
        client: &DhcpClient,
        granted: Option<(usize, Ipv4Addr)>,
        wish: Option<u32>,
        leases: &mut Leases,
        now: Instant,
    ) -> Answer {
        let Some((subnet, ip)) = granted else {
            return self.nak(Some(client), "wrong address");
        };
        // An offer's length holds, also when the REQUEST does not repeat the wish for it.
        let wish = wish.or_else(|| leases.wish(client.port));
        let who = (client.port, self.request.mac());
        leases.note(who, [ip], LeaseState::Bound, None, now);
        self.lease(Kind::Ack, client, subnet, ip, wish)
    }

    /// OFFER or ACK with an address.
    fn lease(
        &self,
        kind: Kind,
        client: &DhcpClient,
        subnet: usize,
        ip: Ipv4Addr,
        wish: Option<u32>,
    ) -> Answer {
        let subnet = &self.scope.subnets[subnet];
        let options = self.options(Some(client), subnet);
        let own = subnet.server.unwrap_or(self.fallback);
        // RFC 2131 table 3: ciaddr is given back in an ACK; only who renews or rebinds has any business to set it.
        let ciaddr = match self.request.ask {
            Ask::Renew { address } | Ask::Rebind { address } => address,
            _ => Ipv4Addr::UNSPECIFIED,
        };
        let header = Header {
            ciaddr,
            yiaddr: ip,
            siaddr: options.siaddr(own),
            broadcast: self.scope.broadcast_reply,
        };
        let mut out = Writer::new(self.request, header, self.limit());
        self.begin(&mut out, kind, own);
        options.times(&mut out, wish);
        options.put_all(&mut out);
        let to = if ciaddr.is_unspecified() {
            self.to_new(ip)
        } else {
            self.to_configured(ciaddr)
        };
        Answer::Reply(Reply {
            kind,
            message: out.finish(),
            from: own,
            to,
        })
    }

    /// All but an address and its lease.
    fn inform(&self, client: Option<&DhcpClient>) -> Answer {
        let (Some(subnet), Ask::Inform { address }) = (self.only, self.request.ask) else {
            return Answer::Elsewhere;
        };
        let subnet = &self.scope.subnets[subnet];
        let options = self.options(client, subnet);
        let own = subnet.server.unwrap_or(self.fallback);
        let ciaddr = self.request.ciaddr().unwrap_or(Ipv4Addr::UNSPECIFIED);
        let header = Header {
            ciaddr,
            yiaddr: Ipv4Addr::UNSPECIFIED,
            siaddr: options.siaddr(own),
            broadcast: false,
        };
        let mut out = Writer::new(self.request, header, self.limit());
        self.begin(&mut out, Kind::Ack, own);
        options.put_all(&mut out);
        let to = self.to_configured(address);
        Answer::Reply(Reply {
            kind: Kind::Ack,
            message: out.finish(),
            from: own,
            to,
        })
    }

    /// An address for ever, in a message as BOOTP knows it.
    fn bootp(&self, client: &DhcpClient, subnet: usize, ip: Ipv4Addr) -> Answer {
        let subnet = &self.scope.subnets[subnet];
        let options = self.options(Some(client), subnet);
        let own = subnet.server.unwrap_or(self.fallback);
        let header = Header {
            ciaddr: Ipv4Addr::UNSPECIFIED,
            yiaddr: ip,
            siaddr: options.siaddr(own),
            broadcast: self.scope.broadcast_reply,
        };
        let limit = self
            .request
            .len()
            .clamp(BOOTP_MESSAGE, usize::from(LEAST_DATAGRAM) - IP_AND_UDP);
        let mut out = Writer::new(self.request, header, limit).without_overload();
        options.put_all(&mut out);
        Answer::Reply(Reply {
            kind: Kind::Bootp,
            message: out.finish(),
            from: own,
            to: self.to_new(ip),
        })
    }

    fn nak(&self, client: Option<&DhcpClient>, why: &str) -> Answer {
        let own = self.refuser(client);
        let none = Ipv4Addr::UNSPECIFIED;
        // RFC 2131 section 4.3.2: a relay has to broadcast it, since the client's address may be of another subnet.
        let broadcast = self.request.giaddr().is_some();
        let header = Header {
            ciaddr: none,
            yiaddr: none,
            siaddr: none,
            broadcast,
        };
        let mut out = Writer::new(self.request, header, self.limit()).without_overload();
        self.begin(&mut out, Kind::Nak, own);
        out.bytes(codes::MESSAGE, why.as_bytes());
        Answer::Reply(Reply {
            kind: Kind::Nak,
            message: out.finish(),
            from: own,
            to: self.to_refused(),
        })
    }

    /// What every DHCP message of ours has, and what is only an echo.
    fn begin(&self, out: &mut Writer<'_>, kind: Kind, own: Ipv4Addr) {
        let kind = match kind {
            Kind::Offer => MessageType::Offer,
            Kind::Ack | Kind::Bootp => MessageType::Ack,
            Kind::Nak => MessageType::Nak,
        };
        out.bytes(codes::MESSAGE_TYPE, &[kind.into()]);
        let id = self
            .request
            .relay_address(codes::RELAY_SERVER_ID)
            .unwrap_or(own);
        out.addresses(codes::SERVER_ID, &[id]);
        // RFC 6842: also in a NAK, byte for byte (an id by RFC 4361 as well).
        if let Some(id) = self.request.option(codes::CLIENT_ID) {
            out.bytes(codes::CLIENT_ID, id);
        }
        // RFC 3011: given back, so that the client sees that we know it.
        if let Some(subnet) = self.request.address(codes::SUBNET_SELECTION) {
            out.addresses(codes::SUBNET_SELECTION, &[subnet]);
        }
    }

    fn options(&self, client: Option<&'a DhcpClient>, subnet: &'a DhcpSubnet) -> Options<'a> {
        Options::new(self.scope, subnet, client, self.request)
    }

    /// Bytes that the message may have.
    fn limit(&self) -> usize {
        let most = self
            .scope
            .mtu
            .unwrap_or(ETHERNET_MTU)
            .clamp(LEAST_DATAGRAM, ETHERNET_MTU);
        let size = self
            .request
            .option(codes::MAX_MESSAGE_SIZE)
            .and_then(|value| value.try_into().ok());
        let size = size.map_or(LEAST_DATAGRAM, u16::from_be_bytes);
        usize::from(size.clamp(LEAST_DATAGRAM, most)) - IP_AND_UDP
    }
}
