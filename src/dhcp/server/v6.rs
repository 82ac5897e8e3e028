//! DHCPv6 in the server's loop.

use std::net::{IpAddr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Instant;

use netns::datagrams::Received;
use serde::Serialize;

use super::Error;
use super::version::{Ground, Outgoing, Ports, Said, Version, Way};
use crate::dhcp::v6::{
    Answer, Arrived, CLIENT_PORT, Delivery, Kind, Leases, Malformed, Neighbour, Reply, Request,
    SERVER_PORT, answer, sender,
};
use crate::model::{DevName, NetworkId};
use crate::pace::Who;
use crate::plan::scope::Dhcp6Scope;

#[derive(Debug)]
pub struct V6;

/// What came of the messages that were understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counted {
    /// From links that are not served; dropped.
    pub elsewhere: u64,
    /// From machines of the network that posed as relays; dropped.
    pub forged: u64,
    /// From clients whose MAC could not be found out, or when too many waited for that; dropped.
    pub unresolved: u64,
    /// From clients that are no ports of the network, and were told so.
    pub strangers: u64,
    /// Understood, with nothing to be said to it (a choice of another server, nothing to confirm).
    pub silent: u64,
    pub advertises: u64,
    pub replies: u64,
}

impl Version for V6 {
    const NAME: &'static str = "DHCPv6";
    const PORTS: Ports = Ports {
        server: SERVER_PORT,
        client: CLIENT_PORT,
    };
    const ANY: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
    /// `All_DHCP_Relay_Agents_and_Servers` and `All_DHCP_Servers` (section 7.1).
    const GROUPS: &'static [Ipv6Addr] = &[
        Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2),
        Ipv6Addr::new(0xff05, 0, 0, 0, 0, 0, 1, 3),
    ];
    /// One frame's, and what relays put around it.
    const LONGEST: usize = 4096;

    type Scope = Dhcp6Scope;
    type Counted = Counted;
    type Malformed = Malformed;
    type Request<'a> = Request<'a>;
    type Name = Ipv6Addr;

    fn ground(scope: &Dhcp6Scope) -> Ground<'_> {
        Ground {
            network: scope.network,
            device: &scope.device,
            mac: scope.mac,
        }
    }

    fn refused(network: NetworkId, device: DevName, source: netns::Error) -> Error {
        Error::Listen6 {
            network,
            device,
            source,
        }
    }

    fn crowded(counted: &mut Counted) {
        counted.unresolved += 1;
    }

    fn decode(received: Received<'_>) -> Result<Request<'_>, Malformed> {
        let message = received.message.ok_or(Malformed::Length)?;
        let arrived = match received.from.unicast {
            true => Arrived::Unicast,
            false => Arrived::Multicast,
        };
        let source = match received.from.address {
            SocketAddr::V6(source) => source,
            SocketAddr::V4(_) => SocketAddrV6::new(Ipv6Addr::UNSPECIFIED, 0, 0, 0),
        };
        Request::decode(message, arrived, source)
    }

    fn who(scope: &Dhcp6Scope, request: &Request<'_>) -> Who<Ipv6Addr> {
        sender(scope, request)
    }

    fn answer(
        scope: &Dhcp6Scope,
        request: &Request<'_>,
        neighbour: Neighbour,
        leases: &mut Leases,
        counted: &mut Counted,
        now: Instant,
    ) -> Said {
        let (count, said) = match answer(scope, request, neighbour, leases, now) {
            Answer::Ask(address) => return Said::Ask(address),
            Answer::Elsewhere => (&mut counted.elsewhere, Said::Nothing),
            Answer::Forged => (&mut counted.forged, Said::Nothing),
            Answer::Nobody => (&mut counted.unresolved, Said::Nothing),
            Answer::Silence => (&mut counted.silent, Said::Nothing),
            Answer::Reply(reply) => {
                counted.strangers += u64::from(reply.stranger);
                let count = match reply.kind {
                    Kind::Advertise => &mut counted.advertises,
                    Kind::Reply => &mut counted.replies,
                };
                (count, Said::Reply(outgoing(scope, reply)))
            }
        };
        *count += 1;
        said
    }
}

fn outgoing(scope: &Dhcp6Scope, reply: Reply) -> Outgoing {
    let way = match reply.to {
        Delivery::Frame { mac, ip } => Way::Frame {
            from: scope.mac.link_local().into(),
            mac,
            ip: ip.into(),
        },
        Delivery::Datagram(to) => Way::Datagram {
            from: None,
            to: to.into(),
        },
    };
    Outgoing {
        message: reply.message,
        way,
    }
}
