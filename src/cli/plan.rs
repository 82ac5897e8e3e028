//! `warren plan`: what `run` would change on this host now. Looks, and touches nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

use netns::spec::{LinkKind, Place};
use netns::{Actual, Namespace, Spec, Step};
use serde::Serialize;

use super::{block_on, fail, print, print_json};
use crate::model::{DevName, State, Target};
use crate::plan::{self, Settings};
use crate::reconcile::sweep::{self, Wanted};
use crate::topology;

/// The changes of one namespace.
#[derive(Debug, Serialize)]
struct Changes {
    /// A namespace's name, or `host`.
    place: String,
    /// What it is for.
    of: String,
    changes: Vec<String>,
}

pub(super) fn run(arguments: &super::Plan) -> ExitCode {
    let loaded = match topology::load(&arguments.topology.topology, &arguments.state.dir()) {
        Ok(loaded) => loaded,
        Err(mistakes) => return super::check::tell(&mistakes, arguments.json.json),
    };
    let changes = match block_on(changes(&loaded.state, &loaded.settings)) {
        Ok(Ok(changes)) => changes,
        Ok(Err(error)) => return fail(&error),
        Err(error) => return fail(&error),
    };
    if arguments.json.json {
        return print_json(&changes);
    }
    let number: usize = changes.iter().map(|place| place.changes.len()).sum();
    let mut text = String::new();
    for Changes { place, of, changes } in &changes {
        text += &format!("{place} ({of})\n");
        text.extend(changes.iter().map(|change| format!("  {change}\n")));
        text.push('\n');
    }
    match number {
        0 => print("nothing to do"),
        1 => print(&format!("{text}1 change")),
        _ => print(&format!(
            "{text}{number} changes in {} places",
            changes.len()
        )),
    }
}

async fn changes(state: &State, settings: &Settings) -> Result<Vec<Changes>, netns::Error> {
    let home = Namespace::home()?;
    let mut all = Vec::new();
    let mut host = Spec::default();
    let mut to_come = BTreeSet::new();
    for (target, of) in targets(state) {
        let Some(plan) = plan::plan(state, target, settings) else {
            continue;
        };
        if let Some(inside) = &plan.inside {
            let name = plan::namespace(target);
            let (steps, mut changes) = match Namespace::open(&name)? {
                Some(namespace) => {
                    let actual = netns::observe(&namespace, inside).await?;
                    (netns::diff(inside, &actual), Vec::new())
                }
                None => (
                    netns::diff(inside, &Actual::empty(Place::Named(name.clone()))),
                    vec!["create namespace".to_owned()],
                ),
            };
            to_come.extend(steps.iter().filter_map(far_end));
            changes.extend(steps.iter().map(ToString::to_string));
            if !changes.is_empty() {
                all.push(Changes {
                    place: name.to_string(),
                    of,
                    changes,
                });
            }
        }
        host.ownership = plan.host.ownership;
        host.links.extend(plan.host.links);
        host.sysctls.extend(plan.host.sysctls);
    }
    let leftovers = sweep::leftovers(&home, &Wanted::of(state, settings)).await?;
    for name in leftovers.namespaces {
        let changes = vec!["delete namespace".to_owned()];
        all.push(Changes {
            place: name.to_string(),
            of: "nothing wants it".into(),
            changes,
        });
    }
    host.absent = leftovers.devices;
    let changes = host_changes(&home, host, &to_come).await?;
    if !changes.is_empty() {
        all.push(Changes {
            place: "host".into(),
            of: "bridges and far ends".into(),
            changes,
        });
    }
    Ok(all)
}

/// A far end that is still to come can't be looked at: then its changes are those of a bare device.
async fn host_changes(
    home: &Namespace,
    mut host: Spec,
    to_come: &BTreeSet<DevName>,
) -> Result<Vec<String>, netns::Error> {
    let coming: BTreeMap<_, _> = to_come
        .iter()
        .filter_map(|name| host.links.remove_entry(name))
        .collect();
    host.sysctls.retain(|path, _| {
        !to_come
            .iter()
            .any(|name| path.contains(&format!("/{name}/")))
    });
    let actual = netns::observe(home, &host).await?;
    let mut changes: Vec<String> = netns::diff(&host, &actual)
        .iter()
        .map(ToString::to_string)
        .collect();
    let plugged = coming
        .iter()
        .filter_map(|(name, link)| Some((name, link.master.as_ref()?)));
    changes.extend(plugged.map(|(name, bridge)| format!("put {name} into bridge {bridge}")));
    Ok(changes)
}

fn far_end(step: &Step) -> Option<DevName> {
    match step {
        Step::CreateLink { link, .. } => match &link.kind {
            LinkKind::Veth { peer, .. } => Some(peer.clone()),
            _ => None,
        },
        _ => None,
    }
}

fn targets(state: &State) -> Vec<(Target, String)> {
    let networks = state.networks.values().map(|network| {
        (
            Target::Network(network.id),
            format!("network {}", network.name),
        )
    });
    let routers = state
        .routers
        .values()
        .map(|router| (Target::Router(router.id), format!("router {}", router.name)));
    networks.chain(routers).collect()
}
