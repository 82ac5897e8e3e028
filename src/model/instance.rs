//! What a machine is told about itself: the embedded metadata source serves it, and cloud-init reads it.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{InstanceId, NetworkId, PortId, ProjectId};

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    pub id: InstanceId,
    pub name: String,
    pub project: ProjectId,
    /// Its ports, in the order of its devices.
    pub ports: Box<[(NetworkId, PortId)]>,
    /// Without domain.
    pub hostname: String,
    pub public_keys: Box<[PublicKey]>,
    /// Raw bytes, served unchanged; `None`: 404.
    pub user_data: Option<Box<[u8]>>,
    /// `meta` of `meta_data.json`.
    pub metadata: BTreeMap<String, String>,
    /// The `vendor_data.json` document.
    pub vendor_data: Option<serde_json::Value>,
    pub availability_zone: Box<str>,
    /// Flavor name, EC2's `instance-type`.
    pub instance_type: Box<str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PublicKey {
    pub name: String,
    /// One line of `authorized_keys`.
    pub key: String,
}

/// User data often holds passwords: it never reaches a log.
impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Instance")
            .field("id", &self.id)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
