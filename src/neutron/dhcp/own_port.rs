//! The port that we serve a network from: found, adopted or made (`agent/linux/dhcp.py: setup_dhcp_port`).

use std::collections::BTreeSet;
use std::sync::Arc;

use super::super::bus::CallError;
use super::super::decode::{self, DecodeError, Naming};
use super::super::server::{PortChange, Server, WantedIp};
use crate::model::{Network, Port, PortId, SubnetId};

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub(crate) enum PortError {
    #[error(
        "have a port of our own: the server gives none; another agent may just have taken it, or the network is going"
    )]
    Refused,
    #[error(
        "have a port of our own with an address on each subnet with DHCP: {missing} of them gave none; are their pools used up?"
    )]
    Incomplete { missing: usize },
    #[error("have a port of our own")]
    Call(#[from] CallError),
    #[error("take in what the server says of our own port")]
    Answer(#[from] DecodeError),
}

/// What is next towards an own port that has an address on every subnet with DHCP.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    /// It is there, and right.
    Keep,
    Update(PortId, PortChange),
    Create,
}

/// Subnets that are to be served from here, of either IP version.
pub(super) fn wanted(network: &Network) -> BTreeSet<SubnetId> {
    let enabled = network.subnets.iter().filter(|subnet| subnet.enable_dhcp);
    enabled.map(|subnet| subnet.id).collect()
}

/// Leaves `network` with its own port.
pub(super) async fn ensure(
    server: &Server,
    naming: &Naming,
    network: &mut Network,
) -> Result<(), PortError> {
    let wanted = wanted(network);
    let mut refused = BTreeSet::new();
    let answer = loop {
        match next(network, &wanted, &refused) {
            Step::Keep => return Ok(()),
            Step::Create => {
                let subnets: Vec<SubnetId> = wanted.iter().copied().collect();
                let device = naming.dhcp_device(network.id);
                let project = network.project.to_string();
                let made = server
                    .create_dhcp_port(network.id, &project, &device, &subnets)
                    .await?;
                break made.ok_or(PortError::Refused)?;
            }
            Step::Update(port, mut change) => {
                if let PortChange::DeviceId(device) = &mut change {
                    *device = naming.dhcp_device(network.id);
                }
                match server.update_dhcp_port(network.id, port, &change).await? {
                    Some(answer) => break answer,
                    None => _ = refused.insert(port),
                }
            }
        }
    };
    let mut port = decode::port(&answer, naming)?.value;
    if missing(&port, &wanted) > 0 {
        // The answer may be older than what it caused.
        if let Some(answer) = server.dhcp_port(port.id).await? {
            port = decode::port(&answer, naming)?.value;
        }
    }
    let missing = missing(&port, &wanted);
    network.ports.remove(&port.id);
    network.dhcp_port = Some(Arc::new(port));
    match missing {
        0 => Ok(()),
        missing => Err(PortError::Incomplete { missing }),
    }
}

/// `refused`: ports that the server said are gone or another's.
fn next(network: &Network, wanted: &BTreeSet<SubnetId>, refused: &BTreeSet<PortId>) -> Step {
    let own = network
        .dhcp_port
        .as_ref()
        .filter(|own| !refused.contains(&own.id));
    if let Some(own) = own {
        let has: BTreeSet<SubnetId> = own.fixed_ips.iter().map(|fixed| fixed.subnet).collect();
        if has == *wanted {
            return Step::Keep;
        }
        let kept = own
            .fixed_ips
            .iter()
            .filter(|fixed| wanted.contains(&fixed.subnet))
            .map(|fixed| WantedIp {
                subnet: fixed.subnet,
                ip: Some(fixed.ip),
            });
        let new = wanted
            .difference(&has)
            .map(|&subnet| WantedIp { subnet, ip: None });
        return Step::Update(own.id, PortChange::FixedIps(kept.chain(new).collect()));
    }
    let reserved = network
        .ports
        .values()
        .find(|port| port.is_reserved() && !refused.contains(&port.id));
    match reserved {
        Some(port) => Step::Update(port.id, PortChange::DeviceId(String::new())),
        None => Step::Create,
    }
}

fn missing(port: &Port, wanted: &BTreeSet<SubnetId>) -> usize {
    let has = |subnet: &&SubnetId| port.fixed_ips.iter().any(|fixed| fixed.subnet == **subnet);
    wanted.iter().filter(|subnet| !has(subnet)).count()
}
