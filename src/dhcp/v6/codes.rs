//! The numbers that the server itself knows (RFC 8415 unless said otherwise).

/// Message types that a client does not send; the others are in `request`.
pub(super) const ADVERTISE: u8 = 2;
pub(super) const REPLY: u8 = 7;
pub(super) const RELAY_FORWARD: u8 = 12;
pub(super) const RELAY_REPLY: u8 = 13;

pub(super) const CLIENT_ID: u16 = 1;
pub(super) const SERVER_ID: u16 = 2;
pub(super) const IA_NA: u16 = 3;
pub(super) const IA_TA: u16 = 4;
pub(super) const IA_ADDRESS: u16 = 5;
pub(super) const OPTION_REQUEST: u16 = 6;
pub(super) const PREFERENCE: u16 = 7;
pub(super) const RELAY_MESSAGE: u16 = 9;
pub(super) const STATUS: u16 = 13;
pub(super) const RAPID_COMMIT: u16 = 14;
pub(super) const USER_CLASS: u16 = 15;
pub(super) const VENDOR_CLASS: u16 = 16;
pub(super) const INTERFACE_ID: u16 = 18;
/// The last that is the protocol's own, and never a port's.
pub(super) const RECONFIGURE_ACCEPT: u16 = 20;
/// RFC 3646
pub(super) const DNS_SERVERS: u16 = 23;
/// RFC 3646
pub(super) const DOMAIN_SEARCH: u16 = 24;
pub(super) const IA_PD: u16 = 25;
/// RFC 4075
pub(super) const SNTP_SERVERS: u16 = 31;
pub(super) const REFRESH_TIME: u16 = 32;
/// RFC 4704
pub(super) const CLIENT_FQDN: u16 = 39;
/// RFC 5908
pub(super) const NTP_SERVERS: u16 = 56;
/// RFC 5970
pub(super) const BOOT_FILE_URL: u16 = 59;
/// RFC 6939: a relay says which MAC the client has.
pub(super) const CLIENT_MAC: u16 = 79;
/// RFC 8357: a relay that does not use port 547.
pub(super) const RELAY_PORT: u16 = 135;

/// Section 21.13.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u16)]
pub(super) enum Status {
    Success = 0,
    NoAddrsAvail = 2,
    NoBinding = 3,
    NotOnLink = 4,
    UseMulticast = 5,
    NoPrefixAvail = 6,
}

impl Status {
    /// For whoever reads the client's log.
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::NoAddrsAvail => "no address for this client here",
            Self::NoBinding => "no such lease",
            Self::NotOnLink => "address of another link",
            Self::UseMulticast => "use multicast",
            Self::NoPrefixAvail => "no prefixes are delegated",
        }
    }
}
