//! DNS for the instances of one network: its own names, and forwarding of everything else.
//!
//! `zone` answers from the plan's [`DnsScope`](crate::plan::scope::DnsScope) and is pure, as are `query`, `reply`,
//! `response`, `name`, `rebind` and `resolv_conf`. `forward` decides who of the forwarders is asked, and `ask` asks one,
//! through `sockets` of the right side; `cache` keeps what they said, and `once` gathers those who ask the same. `server`
//! joins all for one namespace, behind `udp` and `tcp`; `shared` and `places` bound what all of them hold open.
//! Each network has a cache of its own, so none can ever see what another one asked for; own names are never cached, so a
//! port that changed is right at the next query.

mod ask;
mod cache;
mod forward;
mod name;
mod once;
mod places;
mod query;
mod rebind;
mod reply;
mod resolv_conf;
mod response;
mod server;
mod shared;
mod sockets;
mod tcp;
mod udp;
mod zone;

pub use cache::Key;
pub use query::{Carrier, Query};
pub use rebind::rebinds;
pub use reply::Rcode;
pub use resolv_conf::{RESOLV_CONF, host_resolvers};
pub use response::{Response, is_answer_to};
pub use server::{Error, Server};
pub use shared::{Bound, Counters, Settings, Shared};
pub use zone::{Verdict, answer};
