//! Router advertisements: how IPv6 machines learn their prefix, their way out and their name servers (RFC 4861).
//!
//! `advert` what is said, and what a solicitation must be like | `timer` when it is said | `server` the socket of one link
//!
//! The first two are pure. A link is one device of a router; each has a socket of its own, so that a flood on one of them
//! is no neighbour's.

mod advert;
mod server;
mod timer;

pub use advert::{Ending, is_solicitation, messages};
pub use server::{Counters, Error, Server, Shared};
