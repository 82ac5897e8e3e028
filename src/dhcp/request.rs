//! What came in: one packet, checked so far that reading it can't go wrong. Nothing of it is copied, unless it came in pieces.

use std::net::Ipv4Addr;

use dhcproto::v4::{MAGIC, MessageType};

use super::codes;
use super::options_in::OptionsIn;
use crate::model::MacAddr;

/// Up to the magic cookie and with it; what follows are options.
pub(super) const HEADER: usize = 240;
pub(super) const SNAME: std::ops::Range<usize> = 44..108;
pub(super) const FILE: std::ops::Range<usize> = 108..236;

/// How a packet came: a client renews by unicast and rebinds by broadcast, with otherwise equal messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    Unicast,
    Broadcast,
}

/// A DHCP or BOOTP request.
#[derive(Debug)]
pub struct Request<'a> {
    packet: &'a [u8],
    options: OptionsIn<'a>,
    /// What the client wants.
    pub ask: Ask,
    /// Sender in the IP header.
    pub source: Ipv4Addr,
}

/// What a client wants (RFC 2131 section 4.3); a REQUEST means four things, told apart by table 4 there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Discover,
    /// REQUEST in state SELECTING: this offer of this server.
    Select {
        server: Ipv4Addr,
        address: Ipv4Addr,
    },
    /// REQUEST in state INIT-REBOOT: may I go on with this address?
    Reboot {
        address: Ipv4Addr,
    },
    /// REQUEST in state RENEWING, to the server that it knows.
    Renew {
        address: Ipv4Addr,
    },
    /// REQUEST in state REBINDING, to any server.
    Rebind {
        address: Ipv4Addr,
    },
    /// Has an address, wants the rest.
    Inform {
        address: Ipv4Addr,
    },
    Release {
        server: Ipv4Addr,
        address: Ipv4Addr,
    },
    /// Found the address in use by someone else.
    Decline {
        server: Ipv4Addr,
        address: Ipv4Addr,
    },
    /// No DHCP at all (RFC 951).
    Bootp,
}

/// Why a packet is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("shorter than a DHCP header, or longer than the link carries")]
    Length,
    #[error("no request (op {0})")]
    NoRequest(u8),
    #[error("hardware type {0} with {1} bytes of address; only Ethernet is served")]
    Hardware(u8, u8),
    #[error("client address is a group address")]
    GroupAddress,
    #[error("no DHCP magic cookie")]
    Cookie,
    #[error("no message of a client (type {0})")]
    MessageType(u8),
    #[error("an option that belongs to the message is missing or malformed")]
    Incomplete,
}

impl<'a> Request<'a> {
    /// Reads a packet (what UDP carried).
    pub fn decode(packet: &'a [u8], arrived: Arrived, source: Ipv4Addr) -> Result<Self, Malformed> {
        let header: &[u8; HEADER] = packet.first_chunk().ok_or(Malformed::Length)?;
        let [op, hardware, length, ..] = *header;
        if op != 1 {
            return Err(Malformed::NoRequest(op));
        }
        // Also what makes the reading of `chaddr` safe.
        if (hardware, length) != (1, 6) {
            return Err(Malformed::Hardware(hardware, length));
        }
        let options = match &header[236..] {
            cookie if *cookie == MAGIC => OptionsIn::of(packet),
            // RFC 951, from before there were options: what is unused is zero.
            [0, 0, 0, 0] => OptionsIn::none(),
            _ => return Err(Malformed::Cookie),
        };
        let mut request = Self {
            packet,
            options,
            ask: Ask::Bootp,
            source,
        };
        if request.mac().is_multicast() {
            return Err(Malformed::GroupAddress);
        }
        request.ask = Ask::of(&request, arrived)?;
        Ok(request)
    }

    /// As the packet has it, to be given back.
    pub(super) fn xid(&self) -> &'a [u8] {
        &self.packet[4..8]
    }

    pub(super) fn flags(&self) -> &'a [u8] {
        &self.packet[10..12]
    }

    /// All 16 bytes.
    pub(super) fn chaddr(&self) -> &'a [u8] {
        &self.packet[28..44]
    }

    pub(super) fn len(&self) -> usize {
        self.packet.len()
    }

    pub(super) fn wants_broadcast(&self) -> bool {
        self.packet[10] & 0x80 != 0
    }

    pub(super) fn ciaddr(&self) -> Option<Ipv4Addr> {
        self.header_address(12)
    }

    /// The relay that passed it on.
    pub(super) fn giaddr(&self) -> Option<Ipv4Addr> {
        self.header_address(24)
    }

    pub fn mac(&self) -> MacAddr {
        let mut mac = [0; 6];
        mac.copy_from_slice(&self.packet[28..34]);
        MacAddr(mac)
    }

    pub(super) fn option(&self, code: u8) -> Option<&[u8]> {
        self.options.get(code)
    }

    pub(super) fn address(&self, code: u8) -> Option<Ipv4Addr> {
        address(self.option(code)?)
    }

    pub(super) fn number(&self, code: u8) -> Option<u32> {
        self.option(code)?.try_into().ok().map(u32::from_be_bytes)
    }

    /// An address in the relay's own option. Only a relay's word counts: not what a client on the link put there.
    pub(super) fn relay_address(&self, suboption: u8) -> Option<Ipv4Addr> {
        self.giaddr()?;
        let mut rest = self.option(codes::RELAY_AGENT)?;
        while let [code, length, after @ ..] = rest {
            let (value, next) = after.split_at_checked(usize::from(*length))?;
            if *code == suboption {
                return address(value);
            }
            rest = next;
        }
        None
    }

    fn header_address(&self, at: usize) -> Option<Ipv4Addr> {
        address(&self.packet[at..at + 4]).filter(|ip| !ip.is_unspecified())
    }
}

impl Ask {
    fn of(request: &Request<'_>, arrived: Arrived) -> Result<Self, Malformed> {
        let Some(kind) = request.option(codes::MESSAGE_TYPE) else {
            return Ok(Self::Bootp);
        };
        let &[kind] = kind else {
            return Err(Malformed::Incomplete);
        };
        let requested = request.address(codes::REQUESTED_ADDRESS);
        let server = request.address(codes::SERVER_ID);
        let known = |ip: Option<Ipv4Addr>| ip.ok_or(Malformed::Incomplete);
        Ok(match MessageType::from(kind) {
            MessageType::Discover => Self::Discover,
            MessageType::Request => match (server, requested, request.ciaddr()) {
                // Some clients repeat the offer in ciaddr instead.
                (Some(server), requested, ciaddr) => Self::Select {
                    server,
                    address: known(requested.or(ciaddr))?,
                },
                (None, Some(address), _) => Self::Reboot { address },
                // What a relay passes on was broadcast by the client, however it came to us.
                (None, None, Some(address)) => match arrived {
                    Arrived::Unicast if request.giaddr().is_none() => Self::Renew { address },
                    Arrived::Unicast | Arrived::Broadcast => Self::Rebind { address },
                },
                (None, None, None) => return Err(Malformed::Incomplete),
            },
            MessageType::Decline => Self::Decline {
                server: known(server)?,
                address: known(requested)?,
            },
            MessageType::Release => Self::Release {
                server: known(server)?,
                address: known(request.ciaddr())?,
            },
            MessageType::Inform => {
                // Windows has been seen to leave ciaddr empty here.
                let source = Some(request.source).filter(|ip| !ip.is_unspecified());
                Self::Inform {
                    address: known(request.ciaddr().or(source))?,
                }
            }
            _ => return Err(Malformed::MessageType(kind)),
        })
    }
}

fn address(bytes: &[u8]) -> Option<Ipv4Addr> {
    <[u8; 4]>::try_from(bytes).ok().map(Ipv4Addr::from)
}
