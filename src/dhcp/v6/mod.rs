//! DHCPv6 (RFC 8415): the same for IPv6, and for machines that want options only.
//!
//! ```text
//! packet -> request::Request -> answer (pure) -> reply::Reply -> frame or datagram
//! ```
//!
//! `request` reads a message, out of its relays' (`relay`), and drops what section 16 drops; `who` finds whose it is;
//! `answer` decides (section 18), `identity` what a client's associations get, `options` what else a reply carries; `reply`
//! writes it. The loop around the sockets is the one of IPv4; it also keeps those whose MAC the kernel is asked for.
//!
//! Who is believed: a reply with a port's data goes to that port's MAC as a frame, whatever the request said, so who asks
//! in another's name does not hear the answer. No reply waits for neighbour discovery.

mod answer;
mod codes;
mod identity;
mod options;
mod relay;
mod reply;
mod request;
mod tags;
mod who;
mod wire;

pub use answer::{Answer, answer};
pub(super) use reply::{CLIENT_PORT, SERVER_PORT};
pub use reply::{Delivery, Kind, Reply};
pub use request::{Arrived, Ask, Malformed, Request};
pub use who::Neighbour;
pub(super) use who::sender;

pub type Server = super::server::Server<super::server::v6::V6>;
pub type Leases = super::leases::Table<crate::plan::scope::Dhcp6Scope>;

#[cfg(test)]
mod tests;
