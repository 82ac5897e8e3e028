//! DHCP messages on a wire, read with an eye that is not the daemon's.

use std::net::{Ipv4Addr, SocketAddrV4};

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, OptionCode};
use dhcproto::{Decodable, Decoder, Encodable, Encoder};
use netns::MacAddr;

use super::{Udp, udp_frame};

/// A client's first question, whose answer is to come to everybody, as a frame.
pub fn discover(mac: MacAddr, xid: u32) -> Vec<u8> {
    let any = Ipv4Addr::UNSPECIFIED;
    let mut message = Message::new_with_id(xid, any, any, any, any, &mac.0);
    message.set_flags(Flags::default().set_broadcast());
    message
        .opts_mut()
        .insert(DhcpOption::MessageType(MessageType::Discover));
    let mut payload = Vec::new();
    message.encode(&mut Encoder::new(&mut payload)).unwrap();
    udp_frame(&Udp {
        to_mac: MacAddr::BROADCAST.0,
        from_mac: mac.0,
        from: SocketAddrV4::new(any, 68),
        to: SocketAddrV4::new(Ipv4Addr::BROADCAST, 67),
        payload,
    })
}

/// A DHCPv4 message as it went over the wire.
#[derive(Debug, Clone)]
pub struct Dhcp {
    pub udp: Udp,
    pub message: Message,
}

impl Dhcp {
    /// `None`: not DHCP.
    pub fn parse(frame: &[u8]) -> Option<Self> {
        let udp = Udp::parse(frame)?;
        if !matches!((udp.from.port(), udp.to.port()), (67 | 68, 67 | 68)) {
            return None;
        }
        let message = Message::decode(&mut Decoder::new(&udp.payload)).ok()?;
        Some(Self { udp, message })
    }

    /// For [`super::Wire::recv`]: the next message of this type.
    pub fn of(wanted: MessageType) -> impl FnMut(&[u8]) -> Option<Self> {
        move |frame| Self::parse(frame).filter(|dhcp| dhcp.kind() == Some(wanted))
    }

    pub fn kind(&self) -> Option<MessageType> {
        self.message.opts().msg_type()
    }

    /// Option 54.
    pub fn server_id(&self) -> Option<Ipv4Addr> {
        match self.message.opts().get(OptionCode::ServerIdentifier)? {
            DhcpOption::ServerIdentifier(address) => Some(*address),
            _ => None,
        }
    }

    /// Option 50.
    pub fn requested(&self) -> Option<Ipv4Addr> {
        match self.message.opts().get(OptionCode::RequestedIpAddress)? {
            DhcpOption::RequestedIpAddress(address) => Some(*address),
            _ => None,
        }
    }

    /// To everybody, or to one.
    pub fn is_broadcast(&self) -> bool {
        self.udp.to.ip().is_broadcast()
    }
}
