//! What came in: one message, checked so far that reading it can't go wrong (section 16). Nothing of it is copied.

use std::net::{Ipv6Addr, SocketAddrV6};

use super::codes;
use super::relay::{self, Relay};
use super::wire::Options;

/// A DUID's length: its type and at least one byte, at most 128 (section 11.1).
const DUID: std::ops::RangeInclusive<usize> = 3..=130;
/// Identity associations that are read of one message; a machine has one or two.
const MOST_ASSOCIATIONS: usize = 16;

/// How a packet came: clients speak to everybody, unless they were told an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arrived {
    Unicast,
    Multicast,
}

/// A client's message, and the relays that it came by.
#[derive(Debug)]
pub struct Request<'a> {
    /// What the client wants.
    pub ask: Ask,
    /// Who sent it to us, the client or a relay.
    pub source: SocketAddrV6,
    pub(super) arrived: Arrived,
    /// Outermost first.
    pub(super) relays: Vec<Relay<'a>>,
    message: &'a [u8],
    pub(super) associations: Vec<Association<'a>>,
}

/// Type of a client's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ask {
    Solicit,
    Request,
    Confirm,
    Renew,
    Rebind,
    Release,
    Decline,
    Information,
}

/// An identity association (section 12).
#[derive(Debug, Clone, Copy)]
pub(super) struct Association<'a> {
    /// [`codes::IA_NA`], [`codes::IA_TA`] or [`codes::IA_PD`].
    pub(super) code: u16,
    pub(super) id: [u8; 4],
    options: Options<'a>,
}

/// An address in an association, with the lifetimes that the client would like; 0: no wish.
#[derive(Debug, Clone, Copy)]
pub(super) struct Named {
    pub(super) address: Ipv6Addr,
    pub(super) preferred: u32,
    pub(super) valid: u32,
}

/// Why a packet is dropped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    #[error("shorter than a DHCPv6 message, or longer than any that is read")]
    Length,
    #[error("no message of a client (type {0})")]
    MessageType(u8),
    #[error("relayed too often, or a relay passed on nothing")]
    Relays,
    #[error("an option runs over the end of what it is in")]
    Options,
    #[error("no client id, or none that is a DUID")]
    ClientId,
    #[error("a server id where none may be, or none where one must be")]
    ServerId,
    #[error("an identity association in an INFORMATION-REQUEST")]
    Association,
    #[error("sent to one server, which a client may not do with this message")]
    Unicast,
    #[error("from an address that is not of the link")]
    Source,
}

impl<'a> Request<'a> {
    /// Reads a packet (what UDP carried).
    pub fn decode(
        packet: &'a [u8],
        arrived: Arrived,
        source: SocketAddrV6,
    ) -> Result<Self, Malformed> {
        let (relays, message) = relay::unwrap(packet)?;
        let [kind, _, _, _, options @ ..] = message else {
            return Err(Malformed::Length);
        };
        let ask = Ask::of(*kind).ok_or(Malformed::MessageType(*kind))?;
        let options = Options(options);
        if !options.are_whole() {
            return Err(Malformed::Options);
        }
        let mut request = Self {
            ask,
            source,
            arrived,
            relays,
            message,
            associations: Vec::new(),
        };
        let associations = options.filter_map(|(code, value)| Association::of(code, value));
        for association in associations.take(MOST_ASSOCIATIONS) {
            request.associations.push(association?);
        }
        request.check()?;
        Ok(request)
    }

    /// What section 16 asks of each message. Whose server id it is, is another question.
    fn check(&self) -> Result<(), Malformed> {
        let client_id = self.option(codes::CLIENT_ID);
        let may_be_nameless = client_id.is_none() && self.ask == Ask::Information;
        if !may_be_nameless && !client_id.is_some_and(|id| DUID.contains(&id.len())) {
            return Err(Malformed::ClientId);
        }
        let has_server = self.server_id().is_some();
        let for_all = match self.ask {
            Ask::Solicit | Ask::Confirm | Ask::Rebind if has_server => {
                return Err(Malformed::ServerId);
            }
            Ask::Request | Ask::Renew | Ask::Release | Ask::Decline if !has_server => {
                return Err(Malformed::ServerId);
            }
            Ask::Information if !self.associations.is_empty() => {
                return Err(Malformed::Association);
            }
            Ask::Solicit | Ask::Confirm | Ask::Rebind | Ask::Information => true,
            Ask::Request | Ask::Renew | Ask::Release | Ask::Decline => false,
        };
        if !self.relays.is_empty() {
            return Ok(());
        }
        match self.arrived {
            Arrived::Unicast if for_all => Err(Malformed::Unicast),
            // It is answered "use multicast", wherever it comes from.
            Arrived::Unicast => Ok(()),
            Arrived::Multicast if !self.source.ip().is_unicast_link_local() => {
                Err(Malformed::Source)
            }
            Arrived::Multicast => Ok(()),
        }
    }

    /// As the packet has it, to be given back.
    pub(super) fn transaction(&self) -> &'a [u8] {
        &self.message[1..4]
    }

    pub(super) fn option(&self, code: u16) -> Option<&'a [u8]> {
        Options(&self.message[4..]).first(code)
    }

    /// All of this code.
    pub(super) fn options(&self, code: u16) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let all = Options(&self.message[4..]);
        all.filter_map(move |(of, value)| (of == code).then_some(value))
    }

    pub(super) fn server_id(&self) -> Option<&'a [u8]> {
        self.option(codes::SERVER_ID)
    }

    /// Codes that the client would like to hear of, in its order; `None`: it does not say.
    pub(super) fn wanted(&self) -> Option<impl Iterator<Item = u16>> {
        let pairs = self.option(codes::OPTION_REQUEST)?.chunks_exact(2);
        Some(pairs.map(|pair| u16::from_be_bytes([pair[0], pair[1]])))
    }

    /// Every address that it names.
    pub(super) fn named(&self) -> impl Iterator<Item = Ipv6Addr> {
        let all = self.associations.iter().flat_map(Association::named);
        all.map(|named| named.address)
    }
}

impl Ask {
    fn of(kind: u8) -> Option<Self> {
        Some(match kind {
            1 => Self::Solicit,
            3 => Self::Request,
            4 => Self::Confirm,
            5 => Self::Renew,
            6 => Self::Rebind,
            8 => Self::Release,
            9 => Self::Decline,
            11 => Self::Information,
            _ => return None,
        })
    }
}

impl<'a> Association<'a> {
    /// `None`: another option.
    fn of(code: u16, value: &'a [u8]) -> Option<Result<Self, Malformed>> {
        // The id, and (but for temporary addresses) two times.
        let header = match code {
            codes::IA_NA | codes::IA_PD => 12,
            codes::IA_TA => 4,
            _ => return None,
        };
        let Some((header, options)) = value.split_at_checked(header) else {
            return Some(Err(Malformed::Options));
        };
        let options = Options(options);
        if !options.are_whole() {
            return Some(Err(Malformed::Options));
        }
        let mut id = [0; 4];
        id.copy_from_slice(&header[..4]);
        Some(Ok(Self { code, id, options }))
    }

    /// The addresses in it; none that is cut short, and not the unspecified one, by which a client only wishes for lifetimes.
    pub(super) fn named(&self) -> impl Iterator<Item = Named> + use<'a> {
        self.all().filter(|named| !named.address.is_unspecified())
    }

    /// What the client would like for this address, else for any.
    pub(super) fn wish(&self, address: Ipv6Addr) -> Option<Named> {
        let of = |wanted: Ipv6Addr| self.all().find(|named| named.address == wanted);
        of(address).or_else(|| of(Ipv6Addr::UNSPECIFIED))
    }

    fn all(&self) -> impl Iterator<Item = Named> + use<'a> {
        let values = self
            .options
            .filter(|(code, _)| *code == codes::IA_ADDRESS)
            .map(|(_, value)| value);
        values.filter_map(|value| {
            let (octets, rest) = value.split_first_chunk::<16>()?;
            let (preferred, rest) = rest.split_first_chunk()?;
            let (valid, _) = rest.split_first_chunk()?;
            Some(Named {
                address: Ipv6Addr::from(*octets),
                preferred: u32::from_be_bytes(*preferred),
                valid: u32::from_be_bytes(*valid),
            })
        })
    }
}
