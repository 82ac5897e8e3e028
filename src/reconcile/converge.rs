//! One target: its namespace, its part of the host, its servers.

use std::collections::BTreeSet;
use std::sync::Arc;

use netns::spec::Link;
use netns::{Applied, Namespace, Place, Spec, Step, Watcher};
use tokio::sync::Mutex;
use tracing::{debug, info, warn};

use super::Panicked;
use super::aftermath::{self, Announcement};
use super::services::{Ground, Indexes, Rooms, ServeError, Served};
use crate::adopt::{AdoptError, Predecessor};
use crate::chain;
use crate::model::{DevName, NsName, Target};
use crate::plan::scope::Services;
use crate::plan::{self, OwnPort, Plan};
use crate::plug::{self, Plug};

/// The parts that every converging shares.
#[derive(Debug, Clone)]
pub(super) struct Kernel {
    pub(super) home: Namespace,
    pub(super) watcher: Arc<Watcher>,
    /// One change of the host's namespace at a time: two targets may want the same bridge.
    pub(super) host_turn: Arc<Mutex<()>>,
    pub(super) plug: Arc<Plug>,
    pub(super) predecessor: Option<Arc<Predecessor>>,
}

/// What came out of it.
#[derive(Debug, Default)]
pub(super) struct Converged {
    pub(super) served: Served,
    /// New addresses that the neighbours should hear of.
    pub(super) announcement: Option<Announcement>,
    /// What is not as it should be all the same; tried again later.
    pub(super) trouble: Option<ConvergeError>,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ConvergeError {
    #[error("open namespace {ns}")]
    Open {
        ns: NsName,
        #[source]
        source: netns::Error,
    },
    #[error("set up namespace {ns}")]
    Inside {
        ns: NsName,
        #[source]
        source: netns::Error,
    },
    #[error("set up the host's part of {target}")]
    Host {
        target: Target,
        #[source]
        source: netns::Error,
    },
    #[error("bring the ports of {ns} to their networks")]
    Plug {
        ns: NsName,
        #[source]
        source: plug::Error,
    },
    #[error("serve in {ns}")]
    Serve {
        ns: NsName,
        #[source]
        source: ServeError,
    },
    #[error("take over {ns} from another agent")]
    Adopt {
        ns: NsName,
        #[source]
        source: AdoptError,
    },
    #[error("work on {target}")]
    Panicked {
        target: Target,
        #[source]
        source: Panicked,
    },
    #[error("delete namespace {ns}")]
    Delete {
        ns: NsName,
        #[source]
        source: netns::Error,
    },
}

/// Makes the kernel and the servers what the plan says, and the host's part what `host` says; a flow is cut only if the plan
/// takes its address away.
///
/// # Errors
/// The namespace can't be had, or not be looked at. What fails after that is [`Converged::trouble`]: a missing uplink, a
/// route that somebody else has set, or one server that can't start, does not keep the others from serving.
pub(super) async fn converge(
    kernel: &Kernel,
    rooms: &Rooms,
    target: Target,
    plan: &Plan,
    host: &Spec,
    wanted: &Services,
    mut served: Served,
) -> Result<Converged, ConvergeError> {
    let ns = plan::namespace(target);
    let held = match &plan.inside {
        Some(spec) => Some(hold(kernel, &ns, spec, &plan.ports).await?),
        None => {
            delete(kernel, &ns).await?;
            None
        }
    };
    let host = converge_host(kernel, target, host).await;
    let inside = held.as_ref().map(|held| &held.applied.steps);
    let steps = inside
        .into_iter()
        .chain(host.as_ref().ok().map(|applied| &applied.steps));
    let steps: Vec<&Step> = steps.flatten().collect();
    for step in &steps {
        debug!(%target, %step, "changed");
    }
    if !steps.is_empty() {
        info!(%target, %ns, steps = steps.len(), "converged");
    }
    let Some(Held {
        namespace,
        applied,
        is_whole,
        trouble,
    }) = held
    else {
        return Ok(Converged {
            trouble: host.err(),
            ..Converged::default()
        });
    };
    // Only now: the ends on the host are as they shall be before frames come.
    let attached = kernel.plug.attach(&namespace, &plan.ports).await;
    let attached = attached.map_err(|source| not_plugged(&ns, source));
    let mut trouble = trouble.or(attached.err()).or(host.err());
    let adopted = |result: Result<(), AdoptError>| {
        let (ns, source) = (ns.clone(), result.err()?);
        Some(ConvergeError::Adopt { ns, source })
    };
    // He goes on until we have all that he had.
    let predecessor = kernel.predecessor.as_ref().filter(|_| is_whole);
    if let Some(predecessor) = predecessor {
        let ended = predecessor.end_children(&namespace, target).await;
        trouble = adopted(ended).or(trouble);
    }
    let serving = served
        .settle(
            &namespace,
            ground(&namespace, &applied, wanted),
            &indexes(&applied),
            wanted,
            rooms,
        )
        .await;
    trouble = trouble.or(serving.err().map(|source| ConvergeError::Serve {
        ns: ns.clone(),
        source,
    }));
    // Last: until now both translate, and the services wait for nothing.
    if let Some(predecessor) = predecessor {
        trouble = trouble.or(adopted(predecessor.remove_rules(&namespace).await));
    }
    aftermath::forget_flows(&namespace, plan, &applied.steps).await;
    let announcement = Announcement::of(&namespace, &applied.steps);
    Ok(Converged {
        served,
        announcement,
        trouble,
    })
}

/// Where the servers stand now.
fn ground(namespace: &Namespace, applied: &Applied, wanted: &Services) -> Ground {
    let device = wanted
        .dhcp
        .as_ref()
        .and_then(|scope| applied.links.get(&scope.device));
    Ground {
        namespace: namespace.inode(),
        device: device.map(|link| link.index),
    }
}

fn indexes(applied: &Applied) -> Indexes {
    let links = applied.links.iter();
    links
        .map(|(device, link)| (device.clone(), link.index))
        .collect()
}

/// A namespace that holds what it should, but for the trouble.
struct Held {
    namespace: Namespace,
    applied: Applied,
    /// Nothing was refused.
    is_whole: bool,
    trouble: Option<ConvergeError>,
}

fn not_plugged(ns: &NsName, source: plug::Error) -> ConvergeError {
    let ns = ns.clone();
    ConvergeError::Plug { ns, source }
}

async fn hold(
    kernel: &Kernel,
    ns: &NsName,
    spec: &Spec,
    ports: &[OwnPort],
) -> Result<Held, ConvergeError> {
    let opened = Namespace::ensure(ns).await;
    let (namespace, _) = opened.map_err(|source| ConvergeError::Open {
        ns: ns.clone(),
        source,
    })?;
    // Before looking, so that nothing is missed between.
    let watching = kernel.watcher.watch(&namespace).await;
    let prepared = kernel.plug.prepare(&kernel.home, &namespace, ports).await;
    let unplugged = prepared.err();
    let attempt = match unplugged.as_ref().map(|trouble| &trouble.stuck) {
        None => netns::attempt(&namespace, spec).await,
        Some(stuck) => netns::attempt(&namespace, &sparing(spec, stuck)).await,
    };
    let inside = |source| ConvergeError::Inside {
        ns: ns.clone(),
        source,
    };
    let (applied, refused) = attempt.map_err(inside)?;
    let is_whole = refused.is_none();
    // If a device is missing it is one that could not be plugged.
    let unplugged = unplugged.map(|trouble| not_plugged(ns, trouble.error));
    let trouble = unplugged.or(refused.map(inside));
    let watching = match watching {
        Ok(()) => kernel.watcher.watch_settings(&namespace, spec).await,
        failed => failed,
    };
    if let Err(error) = watching {
        warn!(%ns, error = %chain(&error), "changes by others are seen by the regular look only");
    }
    Ok(Held {
        namespace,
        applied,
        is_whole,
        trouble,
    })
}

/// The kernel can't delete these: they are kept down.
fn sparing(spec: &Spec, stuck: &BTreeSet<DevName>) -> Spec {
    let mut spec = spec.clone();
    for device in stuck {
        let mut link = Link::existing();
        link.up = false;
        spec.links.insert(device.clone(), link);
    }
    spec
}

async fn converge_host(
    kernel: &Kernel,
    target: Target,
    spec: &Spec,
) -> Result<Applied, ConvergeError> {
    let _turn = kernel.host_turn.lock().await;
    netns::converge(&kernel.home, spec)
        .await
        .map_err(|source| ConvergeError::Host { target, source })
}

/// Ends a target whose servers are stopped: its namespace, and what the host holds for it alone.
pub(super) async fn remove(
    kernel: &Kernel,
    target: Target,
    ns: &NsName,
    host: &Spec,
) -> Result<(), ConvergeError> {
    let removed = delete(kernel, ns).await?;
    let host = converge_host(kernel, target, host).await?;
    info!(%target, %ns, removed, devices = host.steps.len(), "removed");
    Ok(())
}

async fn delete(kernel: &Kernel, ns: &NsName) -> Result<bool, ConvergeError> {
    // Who listens in it keeps it alive, without its name.
    kernel.watcher.unwatch(&Place::Named(ns.clone()));
    // Before its devices go: by their names the switch's ports are found.
    let released = kernel.plug.release(ns).await;
    released.map_err(|source| not_plugged(ns, source))?;
    Namespace::delete(ns).map_err(|source| ConvergeError::Delete {
        ns: ns.clone(),
        source,
    })
}
