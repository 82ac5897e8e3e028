//! What can go wrong with a port's way to its network.

use std::time::Duration;

use super::ovsdb;
use crate::model::DevName;

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(transparent)]
    Database(#[from] ovsdb::Error),
    #[error(
        "plug ports into Open vSwitch's bridge {bridge}: there is no such bridge; neutron-openvswitch-agent makes it: is it running, and is integration_bridge the same in its configuration?"
    )]
    NoBridge { bridge: String },
    #[error(
        "plug {device} into Open vSwitch's bridge {bridge}: ovs-vswitchd says {why}; its log may have more"
    )]
    Refused {
        device: DevName,
        bridge: String,
        why: String,
    },
    #[error(
        "have ovs-vswitchd take up a change within {}s (is it running? its log tells what it does)",
        waited.as_secs()
    )]
    NotDone { waited: Duration },
    #[error(
        "find the device {device} that ovs-vswitchd made, within {}s (does it run in another network namespace than warren?)",
        waited.as_secs()
    )]
    NoDevice { device: DevName, waited: Duration },
    #[error(transparent)]
    Kernel(#[from] netns::Error),
    /// More than one, each of its own port.
    #[error("{}", list(.0))]
    Several(Vec<Error>),
}

impl Error {
    /// `Ok` for none, the error itself for one.
    pub(super) fn check(mut all: Vec<Self>) -> Result<(), Self> {
        match all.len() {
            0 => Ok(()),
            1 => Err(all.remove(0)),
            _ => Err(Self::Several(all)),
        }
    }
}

fn list(errors: &[Error]) -> String {
    let each: Vec<String> = errors
        .iter()
        .map(|error| crate::code::causes(error))
        .collect();
    each.join("; also failed to ")
}
