//! DHCPv4 (RFC 2131): the ports of a network get their addresses, and what else a machine needs to start.
//!
//! ```text
//! packet -> request::Request -> v4::answer (pure) -> reply::Reply -> frame or datagram
//! ```
//!
//! Addresses come from the model, so there is no allocator and no lease file. `v4` decides who is answered, `options`
//! what a reply carries (and `tags` which of several), `only_v6` what is said where there is no IPv4, `reply` how it is written,
//! `link` which way it takes; `server` is the loop around the sockets.
//! Which addresses and options a network has is decided in `plan::dhcp`, and what an extra option's text means in
//! `model::dhcp_option`. `v6` is the same for IPv6; the loop is the same one.

mod codes;
mod leases;
mod link;
mod only_v6;
mod options;
mod options_in;
mod reply;
mod request;
mod server;
mod tags;
mod v4;
pub mod v6;

pub use leases::{DECLINED_FOR, Lease, LeaseState};
pub use reply::{Delivery, Kind, Reply};
pub use request::{Arrived, Ask, Malformed, Request};
pub use server::{Error, Shared};
pub use v4::{Answer, answer};

pub type Server = server::Server<server::v4::V4>;
pub type Leases = leases::Table<crate::plan::scope::DhcpScope>;

#[cfg(test)]
mod tests;
