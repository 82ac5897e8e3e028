//! One target: its namespace, its part of the host, its servers.

use std::sync::Arc;

use netns::{Namespace, Spec};
use tokio::sync::Mutex;
use tracing::{debug, info};

use super::aftermath::{self, Announcement};
use super::services::{Ground, Rooms, ServeError, Served};
use crate::model::{NsName, Target};
use crate::plan::Plan;
use crate::plan::scope::Services;

/// The parts that every converging shares.
#[derive(Debug, Clone)]
pub struct Kernel {
    pub home: Namespace,
    /// One change of the host's namespace at a time: two targets may want the same bridge.
    pub host_turn: Arc<Mutex<()>>,
}

/// What came out of it.
#[derive(Debug)]
pub struct Converged {
    pub namespace: Namespace,
    pub served: Served,
    /// New addresses that the neighbours should hear of.
    pub announcement: Option<Announcement>,
}

#[derive(Debug, thiserror::Error)]
pub enum ConvergeError {
    #[error("open namespace {ns}")]
    Open { ns: NsName, #[source] source: netns::Error },
    #[error("set up namespace {ns}")]
    Inside { ns: NsName, #[source] source: netns::Error },
    #[error("set up the host's part of {target}")]
    Host { target: Target, #[source] source: netns::Error },
    #[error("serve in {ns}")]
    Serve { ns: NsName, #[source] source: ServeError },
    #[error("delete namespace {ns}")]
    Delete { ns: NsName, #[source] source: netns::Error },
}

/// Makes the kernel and the servers what the plan says; a flow is cut only if the plan takes its address away.
pub async fn converge(
    kernel: &Kernel,
    rooms: &Rooms,
    target: Target,
    plan: &Plan,
    wanted: &Services,
    mut served: Served,
) -> Result<Converged, ConvergeError> {
    let ns = &plan.namespace;
    let opened = Namespace::ensure(ns).await;
    let (namespace, created) = opened.map_err(|source| ConvergeError::Open { ns: ns.clone(), source })?;
    let inside = netns::converge(&namespace, &plan.inside).await;
    let inside = inside.map_err(|source| ConvergeError::Inside { ns: ns.clone(), source })?;
    let host = {
        let _turn = kernel.host_turn.lock().await;
        netns::converge(&kernel.home, &plan.host).await
    };
    let host = host.map_err(|source| ConvergeError::Host { target, source })?;
    let device = wanted.dhcp.as_ref().and_then(|scope| inside.links.get(&scope.device)).map(|link| link.index);
    let ground = Ground { namespace: namespace.inode(), device };
    let serving = served.settle(&namespace, ground, wanted, rooms).await;
    serving.map_err(|source| ConvergeError::Serve { ns: ns.clone(), source })?;
    for step in inside.steps.iter().chain(&host.steps) {
        debug!(%target, %step, "changed");
    }
    let steps = inside.steps.len() + host.steps.len();
    if created || steps > 0 {
        info!(%target, %ns, created, steps, "converged");
    }
    aftermath::forget_flows(&namespace, &inside.steps).await;
    let announcement = Announcement::of(&namespace, &inside.steps);
    Ok(Converged { namespace, served, announcement })
}

/// Ends a target whose servers are stopped: its namespace, and what the host holds for it alone.
pub async fn remove(kernel: &Kernel, target: Target, ns: &NsName, host: &Spec) -> Result<(), ConvergeError> {
    let removed = Namespace::delete(ns).map_err(|source| ConvergeError::Delete { ns: ns.clone(), source })?;
    let _turn = kernel.host_turn.lock().await;
    let host = netns::converge(&kernel.home, host).await.map_err(|source| ConvergeError::Host { target, source })?;
    info!(%target, %ns, removed, devices = host.steps.len(), "removed");
    Ok(())
}
