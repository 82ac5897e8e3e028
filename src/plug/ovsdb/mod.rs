//! A client of Open vSwitch's database (RFC 7047), as small as plugging needs it: connect, do transactions, hang up.
//!
//! `split` where a JSON value ends in the stream | `message` requests and what comes back, pure | `session` one connection | `error`
//!
//! A connection lives as long as one piece of work: none is idle, so nobody has to answer probes in between, and a
//! restarted server is met by connecting anew.

mod error;
mod message;
mod session;
mod split;

pub use error::Error;
pub(super) use message::Rows;
pub(super) use session::Session;
