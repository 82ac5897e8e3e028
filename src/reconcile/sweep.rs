//! What warren made and no target wants any more: after the source has said everything, and for `warren cleanup`.

use std::collections::BTreeSet;

use netns::{Namespace, Spec};
use tracing::info;

use crate::adopt::{AdoptError, Predecessor};
use crate::model::{DevName, Kinds, NsName, State, Target};
use crate::plan::{self, MARK, OwnPort, Settings};
use crate::plug::{self, Plug};

/// Names that must stay.
#[derive(Debug, Default)]
pub struct Wanted {
    pub kinds: Kinds,
    pub namespaces: BTreeSet<NsName>,
    pub devices: BTreeSet<DevName>,
    /// Ports of ours, wherever a switch has them.
    pub ports: Vec<OwnPort>,
    /// Namespaces that go although they are not ours.
    pub strangers: BTreeSet<NsName>,
}

/// Things of ours on this host.
#[derive(Debug, Default)]
pub struct Leftovers {
    pub namespaces: BTreeSet<NsName>,
    /// On the host.
    pub devices: BTreeSet<DevName>,
}

/// What was in the way; the text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    #[error(transparent)]
    Kernel(#[from] netns::Error),
    #[error(transparent)]
    Plug(#[from] plug::Error),
    #[error(transparent)]
    Adopt(#[from] AdoptError),
}

impl Wanted {
    pub fn of(state: &State, settings: &Settings) -> Self {
        let networks = state.networks.keys().map(|id| Target::Network(*id));
        let routers = state.routers.keys().map(|id| Target::Router(*id));
        let mut wanted = Self::default();
        for target in networks.chain(routers) {
            let Some(plan) = plan::plan(state, target, settings) else {
                continue;
            };
            wanted
                .namespaces
                .extend(plan.inside.is_some().then(|| plan::namespace(target)));
            wanted.devices.extend(plan.host.links.into_keys());
            wanted.ports.extend(plan.ports);
        }
        wanted
    }
}

/// Looks: namespaces of our names that carry our mark or are named strangers, and the host's devices that carry it. Ports of the switch are looked
/// for by [`sweep`] alone: most of them go with their namespaces.
pub async fn leftovers(home: &Namespace, wanted: &Wanted) -> Result<Leftovers, netns::Error> {
    let mut found = Leftovers::default();
    let ours = Namespace::list()?
        .into_iter()
        .filter(|name| plan::is_ours(name).is_some_and(|target| wanted.kinds.has(target)));
    for name in ours.filter(|name| !wanted.namespaces.contains(name)) {
        let goes = match Namespace::open(&name)? {
            Some(_) if wanted.strangers.contains(&name) => true,
            Some(namespace) => is_marked(&namespace).await?,
            // Half-deleted: an empty file with a name of our kind.
            None => true,
        };
        if goes {
            found.namespaces.insert(name);
        }
    }
    // Whose a device is, its mark does not say. Beside another daemon there are ends of pairs only, which go with the others.
    if wanted.kinds.has_all() {
        let devices = netns::marked_links(home, MARK).await?;
        found.devices = devices.difference(&wanted.devices).cloned().collect();
    }
    Ok(found)
}

/// A namespace of ours has a device or a table of ours; a reference agent's of the same name has neither.
async fn is_marked(namespace: &Namespace) -> Result<bool, netns::Error> {
    let actual = netns::observe(namespace, &plan::everything_of_ours()).await?;
    let mut aliases = actual.links.values().map(|link| link.alias.as_deref());
    Ok(actual.table.is_some() || aliases.any(|alias| alias == Some(MARK)))
}

/// Removes them; goes on after an error, and returns all.
pub async fn remove(home: &Namespace, plug: &Plug, leftovers: &Leftovers) -> Vec<SweepError> {
    let mut errors = Vec::new();
    for name in &leftovers.namespaces {
        if let Err(error) = plug.release(name).await {
            errors.push(error.into());
            continue; // by the devices in it the switch's ports are found
        }
        match Namespace::delete(name) {
            Ok(_) => info!(ns = %name, "removed a namespace that nothing wants"),
            Err(error) => errors.push(error.into()),
        }
    }
    let mut gone = Spec {
        absent: leftovers.devices.clone(),
        ..Spec::default()
    };
    gone.ownership.alias = MARK.into();
    match netns::converge(home, &gone).await {
        Ok(applied) if !applied.steps.is_empty() => info!(
            devices = applied.steps.len(),
            "removed devices that nothing wants"
        ),
        Ok(_) => {}
        Err(error) => errors.push(error.into()),
    }
    errors
}

/// Looks and removes.
pub async fn sweep(
    home: &Namespace,
    plug: &Plug,
    predecessor: Option<&Predecessor>,
    wanted: &Wanted,
) -> Vec<SweepError> {
    let mut errors = match leftovers(home, wanted).await {
        Ok(mut leftovers) => {
            let mut errors = Vec::new();
            if let Some(predecessor) = predecessor {
                let empty = emptied(predecessor, &mut leftovers.namespaces);
                errors = empty.await;
            }
            errors.extend(remove(home, plug, &leftovers).await);
            errors
        }
        Err(error) => vec![error.into()],
    };
    errors.extend(forget_ports(plug, wanted).await.err().map(Into::into));
    errors
}

/// Ends what an agent left in them; in which that fails, those stay.
async fn emptied(predecessor: &Predecessor, names: &mut BTreeSet<NsName>) -> Vec<SweepError> {
    let mut errors = Vec::new();
    for name in names.clone() {
        let (Some(target), Ok(Some(namespace))) = (plan::is_ours(&name), Namespace::open(&name))
        else {
            continue;
        };
        if let Err(error) = predecessor.end_children(&namespace, target).await {
            names.remove(&name);
            errors.push(error.into());
        }
    }
    errors
}

/// Ports of the switch that were made by who has these kinds, and that nothing wants.
pub async fn ports_left(plug: &Plug, wanted: &Wanted) -> Result<BTreeSet<DevName>, plug::Error> {
    plug.leftovers(&wanted.ports, wanted.kinds).await
}

async fn forget_ports(plug: &Plug, wanted: &Wanted) -> Result<(), plug::Error> {
    let ports = ports_left(plug, wanted).await?;
    plug.remove(&ports).await?;
    if !ports.is_empty() {
        info!(
            ports = ports.len(),
            "removed ports of the switch that nothing wants"
        );
    }
    Ok(())
}
