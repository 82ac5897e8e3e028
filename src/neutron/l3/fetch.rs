//! Routers as the server describes them now, with what belongs to them and is told apart.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::{Value, json};

use super::super::bus::CallError;
use super::super::decode::{self, DecodeError, Decoded};
use super::super::server::Server;
use crate::model::{Router, RouterId};

/// Routers in one question (`agent/l3/agent.py: SYNC_ROUTERS_MAX_CHUNK_SIZE`).
pub(super) const MOST: usize = 256;
/// Of `port_forwarding.py: PortForwardingAgentExtension`.
const PORT_FORWARDING: &str = "port_forwarding";

#[derive(Debug, thiserror::Error)]
pub(super) enum FetchError {
    #[error("ask for router {router}")]
    Call {
        router: RouterId,
        #[source]
        source: Arc<CallError>,
    },
    #[error("ask for the port forwardings of router {router}")]
    Forwardings {
        router: RouterId,
        #[source]
        source: CallError,
    },
    #[error("take in what the server says")]
    Answer(#[from] DecodeError),
}

impl FetchError {
    /// Nobody has looked at it yet.
    pub(super) fn is_transient(&self) -> bool {
        match self {
            Self::Call { source, .. } => source.is_transient(),
            Self::Forwardings { source, .. } => source.is_transient(),
            Self::Answer(_) => false,
        }
    }
}

/// What became of the question about one router; `None`: it is not this host's.
pub(super) type Fetched = (RouterId, Result<Option<Box<Decoded<Router>>>, FetchError>);

/// Each of `ids`, and whatever else the server says belongs to them. Never more than [`MOST`] ids.
pub(super) async fn fetch(
    server: &Server,
    ids: &BTreeSet<RouterId>,
    extensions: &BTreeSet<String>,
) -> Vec<Fetched> {
    let all: Vec<RouterId> = ids.iter().copied().collect();
    let dicts = match server.routers(&all).await {
        Ok(dicts) => dicts,
        // One of them may be what the server stumbles over: the others shall not wait for that.
        Err(CallError::Remote(_)) if all.len() > 1 => {
            let mut fetched = Vec::with_capacity(all.len());
            for id in all {
                fetched.extend(Box::pin(fetch(server, &[id].into(), extensions)).await);
            }
            return fetched;
        }
        Err(source) => {
            let source = Arc::new(source);
            let failed = |router| {
                let source = Arc::clone(&source);
                (router, Err(FetchError::Call { router, source }))
            };
            return all.into_iter().map(failed).collect();
        }
    };
    let mut missing = ids.clone();
    let mut fetched = Vec::with_capacity(dicts.len());
    for dict in dicts {
        let Some(id) = decode::id(&dict).map(RouterId) else {
            continue;
        };
        missing.remove(&id);
        let router = router(server, id, &dict, extensions).await;
        fetched.push((id, router.map(|router| Some(Box::new(router)))));
    }
    fetched.extend(missing.into_iter().map(|id| (id, Ok(None))));
    fetched
}

async fn router(
    server: &Server,
    router: RouterId,
    dict: &Value,
    extensions: &BTreeSet<String>,
) -> Result<Decoded<Router>, FetchError> {
    let mut decoded = decode::router(dict)?;
    if decoded.value.forwarded.is_empty() || !extensions.contains(PORT_FORWARDING) {
        return Ok(decoded);
    }
    let filter = json!({ "floatingip_id": decoded.value.forwarded });
    let objects = server.objects("PortForwarding", "1.3", filter).await;
    let objects = objects.map_err(|source| FetchError::Forwardings { router, source })?;
    let forwardings = decode::port_forwardings(&Value::Array(objects))?;
    let own = forwardings
        .value
        .into_iter()
        .filter(|(of, _)| *of == router);
    decoded.value.port_forwardings = own.map(|(_, forwarding)| forwarding).collect();
    decoded.remarks.extend(forwardings.remarks);
    Ok(decoded)
}
