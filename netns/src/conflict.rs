//! What stands in the way of a wish and is not ours to change.

use std::fmt;

use ipnet::IpNet;

use crate::names::DevName;
use crate::spec::Place;

/// Why a part of a Spec cannot be had at the moment, and what to do about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Conflict {
    /// A device that someone else makes is not there.
    Missing { dev: DevName },
    /// A device of this name is there, is none of ours, and is not what was asked for.
    Foreign {
        dev: DevName,
        found: String,
        wanted: String,
    },
    /// The far end's name is taken by a device that is none of ours.
    PeerTaken {
        dev: DevName,
        peer: DevName,
        place: Place,
        found: String,
    },
    /// A device that someone gave an address would lose its traffic to the bridge: the host may hang on it.
    Addressed {
        dev: DevName,
        address: IpNet,
        master: DevName,
    },
    /// The namespace for the far end is not there.
    NoPlace { dev: DevName, place: Place },
}

impl Conflict {
    /// The device that cannot be had.
    pub fn dev(&self) -> &DevName {
        match self {
            Self::Missing { dev }
            | Self::Foreign { dev, .. }
            | Self::PeerTaken { dev, .. }
            | Self::Addressed { dev, .. }
            | Self::NoPlace { dev, .. } => dev,
        }
    }

    /// True when others may clear it away without our doing.
    pub(crate) fn may_pass(&self) -> bool {
        match self {
            Self::Missing { .. } | Self::Addressed { .. } | Self::NoPlace { .. } => true,
            Self::Foreign { .. } | Self::PeerTaken { .. } => false,
        }
    }
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing { dev } => write!(
                f,
                "there is no device {dev}; whatever provides it must come first"
            ),
            Self::Foreign { dev, found, wanted } => write!(
                f,
                "{dev} is a {found} that someone else made, not a {wanted}; rename or remove it, or name another"
            ),
            Self::PeerTaken {
                dev,
                peer,
                place,
                found,
            } => write!(
                f,
                "the far end of {dev} cannot be called {peer}: in {place} that is a {found} that someone else made; \
                 rename or remove it"
            ),
            Self::Addressed {
                dev,
                address,
                master,
            } => write!(
                f,
                "{dev} has the address {address}, which would go dead when {dev} becomes a port of bridge {master}; \
                 name a device without addresses, or move its addresses to {master} first"
            ),
            Self::NoPlace { dev, place } => {
                write!(
                    f,
                    "the far end of {dev} belongs in {place}, which does not exist; create it first"
                )
            }
        }
    }
}
