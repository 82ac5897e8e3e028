//! DNS for the instances of one network: its own names, and forwarding of everything else.
//!
//! `zone` answers from the plan's [`DnsScope`](crate::plan::scope::DnsScope) and is pure, as are `query`,
//! `reply`, `name` and `resolv_conf`. Nothing is cached, so no network can ever see what another one asked for, and a port
//! that changed is right at the next query.

mod name;
mod query;
mod reply;
mod resolv_conf;
mod zone;

pub use query::{Carrier, Query};
pub use reply::Rcode;
pub use resolv_conf::host_resolvers;
pub use zone::{Verdict, answer};
