//! The option codes that the server itself knows (RFC 2132 unless said otherwise).

pub(super) const PAD: u8 = 0;
pub(super) const SUBNET_MASK: u8 = 1;
pub(super) const ROUTER: u8 = 3;
pub(super) const DNS_SERVERS: u8 = 6;
pub(super) const HOST_NAME: u8 = 12;
pub(super) const DOMAIN_NAME: u8 = 15;
pub(super) const MTU: u8 = 26;
pub(super) const BROADCAST: u8 = 28;
pub(super) const NTP_SERVERS: u8 = 42;
pub(super) const VENDOR_OPTIONS: u8 = 43;
pub(super) const REQUESTED_ADDRESS: u8 = 50;
pub(super) const LEASE_TIME: u8 = 51;
pub(super) const OVERLOAD: u8 = 52;
pub(super) const MESSAGE_TYPE: u8 = 53;
pub(super) const SERVER_ID: u8 = 54;
pub(super) const PARAMETER_LIST: u8 = 55;
pub(super) const MESSAGE: u8 = 56;
pub(super) const MAX_MESSAGE_SIZE: u8 = 57;
pub(super) const RENEWAL_TIME: u8 = 58;
pub(super) const REBINDING_TIME: u8 = 59;
pub(super) const VENDOR_CLASS: u8 = 60;
pub(super) const CLIENT_ID: u8 = 61;
pub(super) const SERVER_NAME: u8 = 66;
pub(super) const BOOT_FILE: u8 = 67;
/// RFC 4702
pub(super) const CLIENT_FQDN: u8 = 81;
/// RFC 3046
pub(super) const RELAY_AGENT: u8 = 82;
/// RFC 8925: IPv6 alone is preferred.
pub(super) const V6_ONLY: u8 = 108;
/// RFC 2563
pub(super) const AUTO_CONFIGURE: u8 = 116;
/// RFC 3011
pub(super) const SUBNET_SELECTION: u8 = 118;
/// RFC 3397
pub(super) const DOMAIN_SEARCH: u8 = 119;
/// RFC 3442
pub(super) const CLASSLESS_ROUTES: u8 = 121;
/// "Etherboot": iPXE is known by it.
pub(super) const IPXE: u8 = 175;
/// Microsoft's twin of 121.
pub(super) const CLASSLESS_ROUTES_MS: u8 = 249;
/// As an option of a port only: sets `siaddr`. On the wire it is the end.
pub(super) const SERVER_IP_ADDRESS: u8 = 255;
pub(super) const END: u8 = 255;

/// Suboptions of [`RELAY_AGENT`]: RFC 3527 and RFC 5107.
pub(super) const RELAY_LINK_SELECTION: u8 = 5;
pub(super) const RELAY_SERVER_ID: u8 = 11;
