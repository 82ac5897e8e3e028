//! The server seen from outside of itself: dhcproto reads its replies, so that a mistake of ours in writing is not
//! repeated in reading.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::net::{Ipv6Addr, SocketAddrV6};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhcproto::v6::{DhcpOption, DhcpOptions, Message};
use dhcproto::{Decodable, Decoder};
use uuid::Uuid;

use super::*;
use crate::model::{DevName, MacAddr, NetworkId, PortId, SegmentId, SubnetId};
use crate::plan::scope::{Claims, Dhcp6Client, Dhcp6Scope, Dhcp6Subnet};

mod mutated;
mod options;
mod relays;
mod states;
mod tags;
mod who;

/// Has 2001:db8:1::a.
pub(super) const ANN: u8 = 0xa;
/// Has two addresses in one subnet and one in another of the link.
const BOB: u8 = 0xb;
/// Has 2001:db8:9::c, behind a relay.
const FAR: u8 = 0xc;
/// Has 2001:db8:1::d, and is known by its DUID too.
const IDA: u8 = 0xd;
/// Has an address of the stateless subnet.
const LES: u8 = 0xf;
/// Has nothing.
pub(super) const STRANGER: u8 = 0xe;

const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION: u8 = 11;

pub(super) fn mac(last: u8) -> MacAddr {
    MacAddr([0xfa, 0x16, 0x3e, 0, 0, last])
}

pub(super) fn ip(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

/// The DUID of this server (MAC ..:02), and of another.
pub(super) const US: &[u8] = &[0, 3, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 2];
const THEM: &[u8] = &[0, 3, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 99];
/// What IDA is known by.
const IDAS: &[u8] = b"\0\x02\0\0\x12\x34ida";

/// Stateful ::1 and ::2, stateless ::5 on the link, and 2001:db8:9::/64 behind a relay.
pub(super) fn scope() -> Dhcp6Scope {
    let ann = Dhcp6Client {
        fqdn: Some("ann.example.org".into()),
        ..client(ANN, &[(0, "2001:db8:1::a")])
    };
    let bob = [
        (0, "2001:db8:1::b"),
        (0, "2001:db8:1::bb"),
        (1, "2001:db8:2::b"),
    ];
    let ida = Arc::new(client(IDA, &[(0, "2001:db8:1::d")]));
    let others = [
        ann,
        client(BOB, &bob),
        client(FAR, &[(3, "2001:db8:9::c")]),
        client(LES, &[(2, "2001:db8:5::f")]),
    ];
    let elsewhere = Some(SegmentId(Uuid::from_u128(9)));
    let mut scope = Dhcp6Scope {
        network: NetworkId(Uuid::nil()),
        device: DevName::new("ns-test").unwrap(),
        mac: mac(2),
        lease: 86400,
        mtu: Some(1450),
        search: vec!["example.org".into()],
        every_address: true,
        options: [].into(),
        tags: [].into(),
        subnets: vec![
            Dhcp6Subnet {
                dns: vec![ip("2001:db8:1::53")],
                ntp: vec![ip("2001:db8:1::123")],
                ..subnet("2001:db8:1::/64")
            },
            subnet("2001:db8:2::/64"),
            Dhcp6Subnet {
                stateful: false,
                dns: vec![ip("2001:db8:5::53")],
                ..subnet("2001:db8:5::/64")
            },
            Dhcp6Subnet {
                local: false,
                segment: elsewhere,
                ..subnet("2001:db8:9::/64")
            },
        ],
        clients: others
            .into_iter()
            .map(|client| (client.mac, client.port, Arc::new(client)))
            .collect(),
        by_client_id: [(IDAS.to_vec(), ida.port, Arc::clone(&ida))]
            .into_iter()
            .collect(),
        tenants: Claims::default(),
    };
    scope.clients.insert(ida.mac, ida.port, ida);
    for tenant in [ip("2001:db8:1::a"), mac(ANN).link_local()] {
        scope.tenants.insert(tenant, PortId(Uuid::nil()), ());
    }
    scope
}

fn subnet(cidr: &str) -> Dhcp6Subnet {
    Dhcp6Subnet {
        id: SubnetId(Uuid::nil()),
        cidr: cidr.parse().unwrap(),
        segment: None,
        local: true,
        stateful: true,
        dns: vec![],
        ntp: vec![],
    }
}

fn client(last: u8, addresses: &[(usize, &str)]) -> Dhcp6Client {
    Dhcp6Client {
        port: PortId(Uuid::from_u128(last.into())),
        mac: mac(last),
        addresses: addresses
            .iter()
            .map(|(subnet, of)| (*subnet, ip(of)))
            .collect(),
        fqdn: None,
        options: vec![],
    }
}

/// A client's message in the making, from a client whose link-local address is made of its MAC.
#[derive(Clone)]
pub(super) struct Says {
    kind: u8,
    options: Vec<u8>,
    pub(super) source: SocketAddrV6,
    arrived: Arrived,
    relays: Vec<(String, String, Vec<u8>)>,
    neighbour: Neighbour,
}

/// As a client sends it at first: a DUID-LLT, and what it wants to hear of.
pub(super) fn says(last: u8, kind: u8) -> Says {
    let source = SocketAddrV6::new(mac(last).link_local(), 546, 0, 7);
    let nothing = Says {
        kind,
        options: vec![],
        source,
        arrived: Arrived::Multicast,
        relays: vec![],
        neighbour: Neighbour::Unasked,
    };
    let duid = [&[0, 1, 0, 1, 9, 9, 9, 9][..], &mac(last).0].concat();
    nothing.raw(1, &duid)
}

fn option(code: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap();
    [&code.to_be_bytes()[..], &length.to_be_bytes(), value].concat()
}

fn ia(addresses: &[&str], lifetimes: [u32; 2]) -> Vec<u8> {
    let mut inner = vec![];
    for address in addresses {
        let [preferred, valid] = lifetimes.map(u32::to_be_bytes);
        inner.extend(option(
            5,
            &[&ip(address).octets()[..], &preferred, &valid].concat(),
        ));
    }
    inner
}

impl Says {
    pub(super) fn raw(mut self, code: u16, value: &[u8]) -> Self {
        self.options.extend(option(code, value));
        self
    }

    /// Association 1, with these addresses.
    pub(super) fn na(self, addresses: &[&str]) -> Self {
        self.na_wishing(1, addresses, [0, 0])
    }

    fn na_wishing(self, id: u8, addresses: &[&str], lifetimes: [u32; 2]) -> Self {
        let value = [
            &[0, 0, 0, id, 0, 0, 0, 0, 0, 0, 0, 0][..],
            &ia(addresses, lifetimes),
        ];
        self.raw(3, &value.concat())
    }

    fn ta(self) -> Self {
        self.raw(4, &[0, 0, 0, 8])
    }

    fn pd(self) -> Self {
        self.raw(25, &[0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    fn to(self, server: &[u8]) -> Self {
        self.raw(2, server)
    }

    /// The option request.
    fn wanting(self, codes: &[u16]) -> Self {
        let codes: Vec<u8> = codes.iter().flat_map(|code| code.to_be_bytes()).collect();
        self.raw(6, &codes)
    }

    /// Another DUID instead of its own.
    fn duid(mut self, duid: &[u8]) -> Self {
        let length = usize::from(self.options[3]) + 4;
        self.options.splice(..length, option(1, duid));
        self
    }

    fn nameless(mut self) -> Self {
        let length = usize::from(self.options[3]) + 4;
        self.options.drain(..length);
        self
    }

    fn from(mut self, source: &str) -> Self {
        self.source.set_ip(ip(source));
        self
    }

    fn unicast(mut self) -> Self {
        self.arrived = Arrived::Unicast;
        self
    }

    fn neighbour(mut self, neighbour: Neighbour) -> Self {
        self.neighbour = neighbour;
        self
    }

    /// One relay more around it, which has the source 2001:db8:1::99.
    fn relay(mut self, link: &str, peer: &str, options: &[u8]) -> Self {
        self.relays.push((link.into(), peer.into(), options.into()));
        self.source = SocketAddrV6::new(ip("2001:db8:1::99"), 547, 0, 0);
        self.unicast()
    }

    pub(super) fn packet(&self) -> Vec<u8> {
        let mut message = [&[self.kind, 1, 2, 3][..], &self.options].concat();
        for (hops, (link, peer, options)) in self.relays.iter().enumerate() {
            let header = [12, u8::try_from(hops).unwrap()];
            message = [
                &header[..],
                &ip(link).octets(),
                &ip(peer).octets(),
                options,
                &option(9, &message),
            ]
            .concat();
        }
        message
    }
}

/// A server with its lease table and its time.
struct World {
    scope: Dhcp6Scope,
    leases: Leases,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self::of(scope())
    }

    fn of(scope: Dhcp6Scope) -> Self {
        Self {
            scope,
            leases: Leases::default(),
            now: Instant::now(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn tell(&mut self, says: &Says) -> Answer {
        let packet = says.packet();
        let request = Request::decode(&packet, says.arrived, says.source).unwrap();
        let Self { scope, leases, now } = self;
        answer(scope, &request, says.neighbour, leases, *now)
    }

    fn reply(&mut self, says: &Says) -> Reply {
        match self.tell(says) {
            Answer::Reply(reply) => reply,
            other => panic!("no reply but {other:?}"),
        }
    }

    /// Kind, addresses, statuses and way of the answer, in words.
    fn said(&mut self, says: &Says) -> String {
        let packet = says.packet();
        if let Err(error) = Request::decode(&packet, says.arrived, says.source) {
            return format!("dropped: {error:?}");
        }
        match self.tell(says) {
            Answer::Reply(reply) => words(&reply),
            Answer::Ask(address) => format!("who has {address}"),
            other => format!("{other:?}").to_lowercase(),
        }
    }
}

/// The client's message, out of its relays': dhcproto takes each relayed message for one that a relay sent.
fn decode(mut message: &[u8]) -> Message {
    while message[0] == 13 {
        message = relayed(message);
    }
    Message::decode(&mut Decoder::new(message)).unwrap()
}

/// The value of a relay's option 9.
fn relayed(message: &[u8]) -> &[u8] {
    let all = wire_options(&message[34..]);
    all.into_iter().find(|(code, _)| *code == 9).unwrap().1
}

/// Codes and values, in order.
fn wire_options(mut rest: &[u8]) -> Vec<(u16, &[u8])> {
    let mut all = vec![];
    while !rest.is_empty() {
        let length = usize::from(u16::from_be_bytes([rest[2], rest[3]]));
        all.push((u16::from_be_bytes([rest[0], rest[1]]), &rest[4..4 + length]));
        rest = &rest[4 + length..];
    }
    all
}

fn words(reply: &Reply) -> String {
    let message = decode(&reply.message);
    assert_eq!(message.xid(), [1, 2, 3]);
    let mut words = vec![format!("{:?}", message.msg_type())];
    words.extend(identities(message.opts()));
    words.push(match reply.to {
        Delivery::Frame {
            mac: MacAddr([.., last]),
            ip,
        } => format!("to {last:x} {ip}"),
        Delivery::Datagram(to) => format!("to [{}]:{}", to.ip(), to.port()),
    });
    words.join(" ").to_lowercase()
}

fn identities(options: &DhcpOptions) -> Vec<String> {
    let mut words = vec![];
    for option in options.iter() {
        match option {
            DhcpOption::IANA(ia) => {
                words.push(format!("na{}[{}]", ia.id, identities(&ia.opts).join(" ")));
            }
            DhcpOption::IATA(ia) => {
                words.push(format!("ta{}[{}]", ia.id, identities(&ia.opts).join(" ")));
            }
            DhcpOption::IAPD(ia) => {
                words.push(format!("pd{}[{}]", ia.id, identities(&ia.opts).join(" ")));
            }
            DhcpOption::IAAddr(address) => {
                let gone = if address.valid_life == 0 { "-" } else { "" };
                words.push(format!("{gone}{}", address.addr));
            }
            DhcpOption::StatusCode(status) => words.push(format!("{:?}", status.status)),
            DhcpOption::RapidCommit => words.push("rapid".into()),
            _ => {}
        }
    }
    words
}
