//! What machines learn about themselves at 169.254.169.254.
//!
//! A request's way: `server` (one listener per namespace; `limits`) -> `guest` (one request) -> `route` (who asks:
//! namespace and source address, nothing else; `lookup`: where the model does not know) -> either `local`, the embedded source, or `nova`, which asks Nova in
//! the machine's name with headers that are all our own, signed by `sign`, over connections that `link` keeps.
//!
//! Where the metadata role is another process, a request goes to that one (`agent`), by the socket that Neutron's haproxys
//! use; there `proxies` takes it in, and from `guest` on its way is the same.
//!
//! The listener's address is put on a device, and traffic is brought to it, by `plan` and `netns`: nothing of that is here.

mod agent;
mod body;
mod counters;
mod error;
mod guest;
mod limits;
mod link;
mod local;
mod lookup;
mod nova;
mod passwords;
mod path;
mod patience;
mod proxied;
mod proxies;
mod pulse;
mod rate;
mod relay;
mod route;
#[cfg(test)]
mod sample;
mod secret;
mod server;
mod settings;
mod shared;
mod sign;
#[cfg(test)]
mod tests;
mod wire;

pub use counters::Counters;
pub use error::Error;
pub use lookup::{Answer, Found, Lookup, Networks};
pub use proxies::Proxies;
pub use secret::{Secret, SecretError};
pub use server::Server;
pub use settings::{
    Limits, MetadataSettings, NovaProtocol, NovaSettings, ProxySocket, RateLimit, Upstream, Window,
};
pub use shared::Shared;
