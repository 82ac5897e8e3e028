//! DHCPv4 (RFC 2131): the ports of a network get their addresses, and what else a machine needs to start.
//!
//!     packet -> request::Request -> v4::answer (pure) -> reply::Reply -> frame or datagram
//!
//! Addresses come from the model, so there is no allocator and no lease file. `v4` decides who is answered, `options`
//! what a reply carries, `reply` how it is written; `server` has the sockets. Which addresses and options a network
//! has is decided in `plan::dhcp`, and what an extra option's text means in `model::dhcp_option`.

mod codes;
pub mod leases;
mod link;
mod options;
pub mod reply;
pub mod request;
pub mod v4;

#[cfg(test)]
mod tests;
