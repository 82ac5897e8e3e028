//! DHCPv4 in the server's loop.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use netns::datagrams::Received;
use serde::Serialize;

use super::Error;
use super::version::{Ground, Outgoing, Ports, Said, Version, Way};
use crate::dhcp::Leases;
use crate::dhcp::link::{CLIENT_PORT, SERVER_PORT};
use crate::dhcp::reply::{Delivery, Kind, Reply};
use crate::dhcp::request::{Arrived, Malformed, Request};
use crate::dhcp::v4::{Answer, answer, find};
use crate::dhcp::v6::Neighbour;
use crate::model::{DevName, MacAddr, NetworkId};
use crate::pace::Who;
use crate::plan::scope::DhcpScope;

#[derive(Debug)]
pub struct V4;

/// What came of the messages that were understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// From subnets that are not served; dropped.
    pub elsewhere: u64,
    /// From clients that are no ports of the network, and not answered.
    pub strangers: u64,
    /// Understood, with nothing to be said to it (RELEASE, DECLINE, a choice of another server).
    pub silent: u64,
    pub offers: u64,
    pub acks: u64,
    pub naks: u64,
    /// Replies to BOOTP clients.
    pub bootp: u64,
}

impl Version for V4 {
    const NAME: &'static str = "DHCP";
    const PORTS: Ports = Ports {
        server: SERVER_PORT,
        client: CLIENT_PORT,
    };
    const ANY: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    const GROUPS: &'static [Ipv6Addr] = &[];
    /// No Ethernet frame has more, unless it is a jumbo frame, which no client makes of this.
    const LONGEST: usize = 1500;

    type Scope = DhcpScope;
    type Counted = Counted;
    type Malformed = Malformed;
    type Request<'a> = Request<'a>;
    type Name = MacAddr;

    fn ground(scope: &DhcpScope) -> Ground<'_> {
        Ground {
            network: scope.network,
            device: &scope.device,
            mac: scope.mac,
        }
    }

    fn refused(network: NetworkId, device: DevName, source: netns::Error) -> Error {
        Error::Listen {
            network,
            device,
            source,
        }
    }

    fn decode(received: Received<'_>) -> Result<Request<'_>, Malformed> {
        let message = received.message.ok_or(Malformed::Length)?;
        let arrived = match received.from.unicast {
            true => Arrived::Unicast,
            false => Arrived::Broadcast,
        };
        let source = match received.from.address.ip() {
            IpAddr::V4(ip) => ip,
            IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
        };
        Request::decode(message, arrived, source)
    }

    fn who(scope: &DhcpScope, request: &Request<'_>) -> Who<MacAddr> {
        match find(scope, request) {
            Some(client) => Who::Known(client.mac),
            None => Who::Other(request.mac()),
        }
    }

    fn answer(
        scope: &DhcpScope,
        request: &Request<'_>,
        _: Neighbour,
        leases: &mut Leases,
        counted: &mut Counted,
        now: Instant,
    ) -> Said {
        let (count, said) = match answer(scope, request, leases, now) {
            Answer::Elsewhere => (&mut counted.elsewhere, Said::Nothing),
            Answer::Stranger => (&mut counted.strangers, Said::Nothing),
            Answer::Silence => (&mut counted.silent, Said::Nothing),
            Answer::Reply(reply) => {
                let count = match reply.kind {
                    Kind::Offer => &mut counted.offers,
                    Kind::Ack => &mut counted.acks,
                    Kind::Nak => &mut counted.naks,
                    Kind::Bootp => &mut counted.bootp,
                };
                (count, Said::Reply(outgoing(reply)))
            }
        };
        *count += 1;
        said
    }
}

fn outgoing(reply: Reply) -> Outgoing {
    let way = match reply.to {
        Delivery::Frame { mac, ip } => Way::Frame {
            from: reply.from.into(),
            mac,
            ip: ip.into(),
        },
        Delivery::Relay(to) | Delivery::Routed(to) => Way::Datagram {
            from: Some(reply.from),
            to: to.into(),
        },
    };
    Outgoing {
        message: reply.message,
        way,
    }
}
