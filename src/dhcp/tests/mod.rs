//! The server seen from outside of itself: dhcproto reads its replies, so that a mistake of ours in writing is not
//! repeated in reading.
#![allow(clippy::unwrap_used)] // a failed unwrap is a failed test

use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dhcproto::v4::{Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use uuid::Uuid;

use super::Leases;
use super::reply::{Delivery, Reply};
use super::request::{Arrived, Request};
use super::v4::{Answer, answer};
use crate::model::{DevName, MacAddr, NetworkId, PortId, SubnetId};
use crate::plan::scope::{Claims, DhcpClient, DhcpScope, DhcpSubnet};

mod boot;
mod leases;
mod mutated;
mod options;
mod packet;
mod requests;
mod states;
mod times;
mod traps;

/// Has 10.0.0.10.
pub(super) const ANN: u8 = 0xa;
/// Has 10.0.0.11 and, on the same link, 10.1.0.11.
const BOB: u8 = 0xb;
/// Has 10.9.0.12, behind a relay.
const FAR: u8 = 0xc;
/// Has 10.0.0.13 and is known by its client id `ib-7` too.
const IDA: u8 = 0xd;
/// Has nothing.
pub(super) const STRANGER: u8 = 0xe;

pub(super) fn mac(last: u8) -> MacAddr {
    MacAddr([0xfa, 0x16, 0x3e, 0, 0, last])
}

pub(super) fn ip(text: &str) -> Ipv4Addr {
    text.parse().unwrap()
}

/// Two subnets on the link (we are .2 in each), one behind a relay.
pub(super) fn scope() -> DhcpScope {
    let ann = DhcpClient {
        fqdn: Some("ann.example.org".into()),
        ..client(ANN, &[(0, "10.0.0.10")])
    };
    let ida = Arc::new(client(IDA, &[(0, "10.0.0.13")]));
    let by_mac = [
        ann,
        client(BOB, &[(0, "10.0.0.11"), (1, "10.1.0.11")]),
        client(FAR, &[(2, "10.9.0.12")]),
    ];
    let mut scope = DhcpScope {
        network: NetworkId(Uuid::nil()),
        device: DevName::new("ns-test").unwrap(),
        mac: mac(2),
        lease: 86400,
        renewal: None,
        rebinding: None,
        mtu: Some(1450),
        domain: Some("example.org".into()),
        search: vec!["example.org".into(), "corp.example".into()],
        options: [].into(),
        tags: [].into(),
        broadcast_reply: false,
        only_v6: false,
        subnets: vec![
            DhcpSubnet {
                router: Some(ip("10.0.0.1")),
                dns: vec![ip("10.0.0.2")],
                ntp: vec![ip("10.0.0.3")],
                classless_routes: vec![
                    ("10.1.0.0/24".parse().unwrap(), Ipv4Addr::UNSPECIFIED),
                    ("169.254.169.254/32".parse().unwrap(), ip("10.0.0.2")),
                    ("0.0.0.0/0".parse().unwrap(), ip("10.0.0.1")),
                ],
                ..subnet("10.0.0.0/24", Some("10.0.0.2"))
            },
            subnet("10.1.0.0/24", Some("10.1.0.2")),
            subnet("10.9.0.0/24", None),
        ],
        clients: by_mac
            .into_iter()
            .map(|client| (client.mac, client.port, Arc::new(client)))
            .collect(),
        by_client_id: [(b"ib-7".to_vec(), ida.port, Arc::clone(&ida))]
            .into_iter()
            .collect(),
    };
    scope.clients.insert(ida.mac, ida.port, ida);
    scope
}

fn subnet(cidr: &str, server: Option<&str>) -> DhcpSubnet {
    DhcpSubnet {
        id: SubnetId(Uuid::nil()),
        cidr: cidr.parse().unwrap(),
        server: server.map(ip),
        router: None,
        dns: vec![],
        ntp: vec![],
        classless_routes: vec![],
    }
}

fn client(last: u8, addresses: &[(usize, &str)]) -> DhcpClient {
    DhcpClient {
        port: PortId(Uuid::from_u128(last.into())),
        mac: mac(last),
        addresses: addresses
            .iter()
            .map(|(subnet, of)| (*subnet, ip(of)))
            .collect(),
        fqdn: None,
        options: [].into(),
    }
}

/// A client's message in the making.
#[derive(Clone)]
pub(super) struct Ask {
    mac: MacAddr,
    broadcast: bool,
    ciaddr: Ipv4Addr,
    giaddr: Ipv4Addr,
    options: Vec<(u8, Vec<u8>)>,
    arrived: Arrived,
    source: Ipv4Addr,
}

fn bootp(last: u8) -> Ask {
    let none = Ipv4Addr::UNSPECIFIED;
    Ask {
        mac: mac(last),
        broadcast: false,
        ciaddr: none,
        giaddr: none,
        options: vec![],
        arrived: Arrived::Broadcast,
        source: none,
    }
}

fn ask(last: u8, kind: MessageType) -> Ask {
    bootp(last).raw(53, &[kind.into()])
}

pub(super) fn discover(last: u8) -> Ask {
    ask(last, MessageType::Discover)
}

/// REQUEST, SELECTING.
pub(super) fn select(last: u8, server: &str, address: &str) -> Ask {
    ask(last, MessageType::Request)
        .server(server)
        .requested(address)
}

/// REQUEST, INIT-REBOOT.
fn reboot(last: u8, address: &str) -> Ask {
    ask(last, MessageType::Request).requested(address)
}

/// REQUEST, RENEWING.
pub(super) fn renew(last: u8, address: &str) -> Ask {
    rebind(last, address).unicast()
}

/// REQUEST, REBINDING.
pub(super) fn rebind(last: u8, address: &str) -> Ask {
    ask(last, MessageType::Request).ciaddr(address)
}

fn inform(last: u8, address: &str) -> Ask {
    ask(last, MessageType::Inform).ciaddr(address)
}

impl Ask {
    fn raw(mut self, code: u8, value: &[u8]) -> Self {
        self.options.push((code, value.to_vec()));
        self
    }

    fn list(self, codes: &[u8]) -> Self {
        self.raw(55, codes)
    }

    fn max_size(self, bytes: u16) -> Self {
        self.raw(57, &bytes.to_be_bytes())
    }

    fn wish(self, seconds: u32) -> Self {
        self.raw(51, &seconds.to_be_bytes())
    }

    fn server(self, id: &str) -> Self {
        self.raw(54, &ip(id).octets())
    }

    fn requested(self, address: &str) -> Self {
        self.raw(50, &ip(address).octets())
    }

    fn ciaddr(mut self, address: &str) -> Self {
        self.ciaddr = ip(address);
        self
    }

    pub(super) fn relay(mut self, giaddr: &str) -> Self {
        self.giaddr = ip(giaddr);
        self.unicast() // that is how a relay passes it on
    }

    fn unicast(mut self) -> Self {
        self.arrived = Arrived::Unicast;
        self
    }

    pub(super) fn is_unicast(&self) -> bool {
        self.arrived == Arrived::Unicast
    }

    pub(super) fn broadcast_flag(mut self) -> Self {
        self.broadcast = true;
        self
    }

    fn from(mut self, source: &str) -> Self {
        self.source = ip(source);
        self
    }

    pub(super) fn packet(&self) -> Vec<u8> {
        let mut packet = vec![1, 1, 6, 0, 1, 2, 3, 4, 0, 9];
        packet.extend([u8::from(self.broadcast) << 7, 0]);
        packet.extend(self.ciaddr.octets());
        packet.extend([0; 8]);
        packet.extend(self.giaddr.octets());
        packet.extend(self.mac.0);
        packet.resize(236, 0);
        packet.extend([99, 130, 83, 99]);
        for (code, value) in &self.options {
            packet.extend([*code, u8::try_from(value.len()).unwrap()]);
            packet.extend(value);
        }
        packet.push(255);
        packet.resize(packet.len().max(300), 0);
        packet
    }
}

/// A server with its lease table and its time.
struct World {
    scope: DhcpScope,
    leases: Leases,
    now: Instant,
}

impl World {
    fn new() -> Self {
        Self::of(scope())
    }

    fn of(scope: DhcpScope) -> Self {
        Self {
            scope,
            leases: Leases::default(),
            now: Instant::now(),
        }
    }

    fn wait(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }

    fn tell(&mut self, ask: &Ask) -> Answer {
        let packet = ask.packet();
        let request = Request::decode(&packet, ask.arrived, ask.source).unwrap();
        answer(&self.scope, &request, &mut self.leases, self.now)
    }

    fn reply(&mut self, ask: &Ask) -> Reply {
        match self.tell(ask) {
            Answer::Reply(reply) => reply,
            other => panic!("no reply but {other:?}"),
        }
    }

    /// Kind, address and way of the answer, in words.
    fn said(&mut self, ask: &Ask) -> String {
        let reply = match self.tell(ask) {
            Answer::Reply(reply) => reply,
            other => return format!("{other:?}").to_lowercase(),
        };
        let message = decode(&reply.message);
        let to = match reply.to {
            Delivery::Frame {
                mac: MacAddr::BROADCAST,
                ip,
            } => format!("all {ip}"),
            Delivery::Frame {
                mac: MacAddr([.., last]),
                ip,
            } => format!("{last:x} {ip}"),
            Delivery::Relay(relay) => format!("relay {relay}"),
            Delivery::Routed(address) => format!("routed {address}"),
        };
        let kind = message
            .opts()
            .msg_type()
            .map_or("Bootp".into(), |kind| format!("{kind:?}"));
        assert_eq!(kind, format!("{:?}", reply.kind));
        format!("{kind} {} from {} to {to}", message.yiaddr(), reply.from).to_lowercase()
    }
}

/// Checks what holds for every reply.
fn decode(reply: &[u8]) -> Message {
    assert!(reply.len() >= 300, "BOOTP's least length");
    let message = Message::decode(&mut Decoder::new(reply)).unwrap();
    assert_eq!(message.opcode(), dhcproto::v4::Opcode::BootReply);
    assert_eq!(
        (message.xid(), message.hops(), message.secs()),
        (0x0102_0304, 0, 0)
    );
    message
}

/// The bytes of one option.
fn value(message: &Message, code: u8) -> Option<Vec<u8>> {
    let option = message.opts().get(OptionCode::from(code))?;
    let mut wire = Vec::new();
    option.encode(&mut Encoder::new(&mut wire)).unwrap();
    Some(wire.get(2..).unwrap_or_default().to_vec()) // dhcproto writes nothing of an empty option
}

/// The codes in the order in which they stand in the options field, end excluded.
fn order(reply: &[u8]) -> Vec<u8> {
    let mut rest = &reply[240..];
    let mut codes = Vec::new();
    while let [code, length, after @ ..] = rest {
        if *code == 255 {
            break;
        }
        codes.push(*code);
        rest = &after[usize::from(*length)..];
    }
    codes
}
