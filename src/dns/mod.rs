//! DNS for the instances of one network: its own names, and forwarding of everything else.
//!
//! `zone` answers from the plan's [`DnsScope`](crate::plan::scope::DnsScope) and is pure, as are `query`, `reply`,
//! `name` and `resolv_conf`. `forward` asks forwarders, through `sockets` of the right side. `server` joins both for one
//! namespace, behind `udp` and `tcp`; `shared` and `places` bound what all of them hold open.
//! Nothing is cached, so no network can ever see what another one asked for, and a port that changed is right at the
//! next query.

mod forward;
mod name;
mod places;
mod query;
mod reply;
mod resolv_conf;
mod server;
mod shared;
mod sockets;
mod tcp;
mod udp;
mod zone;

pub use query::{Carrier, Query};
pub use reply::Rcode;
pub use resolv_conf::host_resolvers;
pub use server::{Error, Server};
pub use shared::{Bound, Counters, Settings, Shared};
pub use zone::{Verdict, answer};
