//! DHCPv6 (RFC 8415): the same for IPv6, and for machines that want options only.
//!
//! ```text
//! packet -> request::Request -> answer (pure) -> reply::Reply -> frame or datagram
//! ```
//!
//! `request` reads a message, out of its relays' (`relay`), and drops what section 16 drops; `who` finds whose it is;
//! `answer` decides (section 18), `identity` what a client's associations get, `options` what else a reply carries; `reply`
//! writes it. `server` is the loop around `sockets`, and `waiting` keeps those whose MAC the kernel is asked for.
//!
//! Who is believed: a reply with a port's data goes to that port's MAC as a frame, whatever the request said, so who asks
//! in another's name does not hear the answer. No reply waits for neighbour discovery.

mod answer;
mod codes;
mod frame;
mod identity;
mod leases;
mod options;
mod relay;
mod reply;
mod request;
mod server;
mod sockets;
mod waiting;
mod who;
mod wire;

pub use answer::{Answer, answer};
pub use leases::Leases;
pub use reply::{Delivery, Kind, Reply};
pub use request::{Arrived, Ask, Malformed, Request};
pub use server::{Counters, Error, Server};
pub use who::Neighbour;

#[cfg(test)]
mod tests;
