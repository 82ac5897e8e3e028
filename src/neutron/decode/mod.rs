//! Neutron's dicts become the model's values. Pure. Neutron's field names stand here and nowhere else.
//!
//! What a message says wrongly costs as little as possible: an option, a route, a name or a port that makes no sense is
//! left out, and a [`Remark`] says so; where that would harm the rest, the whole object is refused with one
//! [`DecodeError`]. Both say where, what was found and what would be right. Lists, texts and remarks are bounded.
//!
//! `read` how a value is taken out of JSON | `network`, `port`, `router` the server's dicts | `objects` versioned
//! objects | `notice` what the server tells agents unasked | `naming` what we are called

mod naming;
mod network;
mod notice;
mod objects;
mod port;
mod read;
mod router;

use std::fmt;

use serde_json::Value;
use uuid::Uuid;

use crate::model::{InstanceId, NetworkId, ProjectId};

pub use naming::Naming;
pub use network::network;
pub use notice::{DHCP_METHODS, DhcpNotice, L3_METHODS, L3Notice, dhcp_notice, l3_notice};
pub use objects::{port_forwardings, pushed_routers};
pub use port::port;
pub use router::router;

/// An object, and what was left out of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Decoded<T> {
    pub value: T,
    /// At most [`Remark::LIMIT`] and one that counts the rest.
    pub remarks: Vec<Remark>,
}

/// Something that an object said and that is not done; the object is served without it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Remark {
    /// Kind and id: `port 8903fa66-..`
    pub object: String,
    /// What is wrong with which part, and what would be right.
    pub problem: String,
}

/// An object that makes no sense: it stays as it was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "understand {object}: {path} is {found}, where {wanted} is wanted; it stays as it is until Neutron says it otherwise"
)]
pub struct DecodeError {
    /// Kind and id, as far as the id is readable.
    pub object: String,
    /// Keys and indices on the way to the value: `subnets[1].cidr`.
    pub path: String,
    pub found: String,
    pub wanted: String,
}

/// Which object a dict describes; `None`: it does not say so, and can't be told from another.
pub fn id(dict: &Value) -> Option<Uuid> {
    dict.get("id")?.as_str()?.parse().ok()
}

/// Whose port a dict describes: the machine and its project. `None`: nobody's.
pub fn machine(port: &Value) -> Option<(InstanceId, ProjectId)> {
    let text = |key: &str| {
        let text = port.get(key)?.as_str().filter(|text| !text.is_empty());
        text.map(str::to_owned)
    };
    let project = text("project_id").or_else(|| text("tenant_id"))?;
    Some((
        InstanceId::from(text("device_id")?),
        ProjectId::from(project),
    ))
}

/// The network that a port dict is of.
pub fn network_of(port: &Value) -> Option<NetworkId> {
    port.get("network_id")?
        .as_str()?
        .parse()
        .ok()
        .map(NetworkId)
}

impl Remark {
    /// So many are kept of one object.
    pub const LIMIT: usize = 20;
}

impl fmt::Display for Remark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.object, self.problem)
    }
}

#[cfg(test)]
mod tests;
