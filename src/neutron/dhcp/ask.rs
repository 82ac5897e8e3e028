//! The question about one network: what the server says of it, with the port that we serve it from; and what to do when
//! it has no good answer.

use serde_json::Value;

use super::super::bus::CallError;
use super::super::decode::{self, DecodeError, Naming};
use super::super::server::Server;
use super::own_port::{self, PortError};
use crate::model::{Network, NetworkId};

/// What the server calls a failure that lasts until somebody frees an address.
const NO_ADDRESS: &str = "IpAddressGenerationFailure";
/// What it says to who does not host the network: it is gone, or going.
const NO_NETWORK: &str = "NetworkNotFound";

/// A network that we are to serve.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) network: Network,
    pub(super) remarks: Vec<decode::Remark>,
    /// It can be served, but is not all that was wanted.
    pub(super) trouble: Option<PortError>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum AskError {
    #[error("ask for network {network}")]
    Call {
        network: NetworkId,
        #[source]
        source: CallError,
    },
    #[error("take in what the server says")]
    Answer(#[from] DecodeError),
    #[error("serve network {network}")]
    Port {
        network: NetworkId,
        #[source]
        source: PortError,
    },
}

/// What to do about a network that could not be asked about, or has no port of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing: news of it will come if it can be served after all.
    Leave,
    /// Nothing until an address is freed.
    Starved,
    AgainQuietly,
    Again,
}

impl AskError {
    fn call(&self) -> Option<&CallError> {
        match self {
            Self::Call { source, .. }
            | Self::Port {
                source: PortError::Call(source),
                ..
            } => Some(source),
            Self::Answer(_) | Self::Port { .. } => None,
        }
    }

    /// `dhcp/agent.py: call_driver`
    pub(super) fn verdict(&self) -> Verdict {
        match self.call() {
            Some(CallError::Remote(failure)) if failure.class == NO_ADDRESS => Verdict::Starved,
            Some(CallError::Remote(failure)) if failure.class.starts_with(NO_NETWORK) => {
                Verdict::AgainQuietly
            }
            None if matches!(
                self,
                Self::Port {
                    source: PortError::Refused,
                    ..
                }
            ) =>
            {
                Verdict::Leave
            }
            _ => Verdict::Again,
        }
    }

    /// Nobody has looked at it yet.
    pub(super) fn is_transient(&self) -> bool {
        self.call().is_some_and(CallError::is_transient)
    }
}

/// A network as it is to be served from here; `None`: it is not.
pub(super) async fn ask(
    server: &Server,
    naming: &Naming,
    id: NetworkId,
    given: Option<Value>,
) -> Result<Option<Box<Asked>>, AskError> {
    let dict = match given {
        Some(dict) => Some(dict),
        None => server.network(id).await.map_err(|source| AskError::Call {
            network: id,
            source,
        })?,
    };
    let Some(dict) = dict else { return Ok(None) };
    let decode::Decoded {
        value: mut network,
        remarks,
    } = decode::network(&dict, naming)?;
    if !network.admin_state_up || own_port::wanted(&network).is_empty() {
        return Ok(None);
    }
    let trouble = match own_port::ensure(server, naming, &mut network).await {
        Ok(()) => None,
        Err(error @ PortError::Incomplete { .. }) => Some(error),
        Err(source) => {
            return Err(AskError::Port {
                network: id,
                source,
            });
        }
    };
    Ok(Some(Box::new(Asked {
        network,
        remarks,
        trouble,
    })))
}
