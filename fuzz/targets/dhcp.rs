//! DHCP requests of clients and relays.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV6};
use std::sync::{LazyLock, Mutex, PoisonError};
use std::time::Instant;

use dhcproto::{Decodable, Decoder, v4, v6};
use warren::dhcp::v6::Neighbour;
use warren::model::MacAddr;
use warren::plan::scope::{Dhcp6Scope, DhcpScope};
use warren::plan::{dhcp_scope, dhcp6_scope};

use super::{LAN, network};

/// Bytes that UDP can carry in one Ethernet frame.
const DATAGRAM: usize = 1500 - 28;

pub(super) fn dhcp4(input: &[u8]) {
    use warren::dhcp::{Answer, Arrived, Leases, Request, answer};

    static SCOPE: LazyLock<DhcpScope> =
        LazyLock::new(|| dhcp_scope(network(), &LAN.settings).expect("it has DHCP"));
    static LEASES: Mutex<Option<Leases>> = Mutex::new(None);

    for (arrived, source) in [
        (Arrived::Broadcast, Ipv4Addr::UNSPECIFIED),
        (Arrived::Unicast, Ipv4Addr::new(10, 0, 0, 10)),
    ] {
        let Ok(request) = Request::decode(input, arrived, source) else {
            continue;
        };
        let mut leases = LEASES.lock().unwrap_or_else(PoisonError::into_inner);
        let leases = leases.get_or_insert_default();
        let Answer::Reply(reply) = answer(&SCOPE, &request, leases, Instant::now()) else {
            continue;
        };
        assert!(reply.message.len() <= DATAGRAM, "{reply:?}");
        let message = v4::Message::decode(&mut Decoder::new(&reply.message)).expect("a message");
        assert_eq!(message.opcode(), v4::Opcode::BootReply);
        assert_eq!(message.xid().to_be_bytes(), input[4..8]);
        assert_eq!(message.chaddr(), &input[28..34]);
    }
}

pub(super) fn dhcp6(input: &[u8]) {
    use warren::dhcp::v6::{Answer, Arrived, Leases, Request, answer};

    static SCOPE: LazyLock<Dhcp6Scope> =
        LazyLock::new(|| dhcp6_scope(network(), &LAN.settings).expect("it has DHCPv6"));
    static LEASES: Mutex<Option<Leases>> = Mutex::new(None);
    const ANN: MacAddr = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 0x0a]);

    let far = Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1);
    for (arrived, source) in [
        (Arrived::Multicast, ANN.link_local()),
        (Arrived::Unicast, far),
    ] {
        let Ok(request) = Request::decode(input, arrived, SocketAddrV6::new(source, 546, 0, 0))
        else {
            continue;
        };
        for neighbour in [Neighbour::Unasked, Neighbour::Is(ANN), Neighbour::Nobody] {
            let mut leases = LEASES.lock().unwrap_or_else(PoisonError::into_inner);
            let leases = leases.get_or_insert_default();
            let said = answer(&SCOPE, &request, neighbour, leases, Instant::now());
            let Answer::Reply(reply) = said else {
                continue;
            };
            let message = from_relays(&reply.message);
            v6::Message::decode(&mut Decoder::new(message)).expect("a message");
        }
    }
}

/// What the innermost relay passes on. dhcproto would read that, too, as a relay's message.
fn from_relays(mut message: &[u8]) -> &[u8] {
    const RELAY_REPLY: u8 = 13;
    const RELAY_HEADER: usize = 34;
    const RELAYED: [u8; 2] = [0, 9];
    while message[0] == RELAY_REPLY {
        let mut options = &message[RELAY_HEADER..];
        message = loop {
            let (head, rest) = options.split_at(4);
            let length = u16::from_be_bytes([head[2], head[3]]);
            let (value, rest) = rest.split_at(length.into());
            if head[..2] == RELAYED {
                break value;
            }
            options = rest;
        };
    }
    message
}
