//! `warren cleanup`: removes what warren made, and nothing else.

use std::collections::BTreeSet;
use std::error::Error;
use std::process::ExitCode;

use netns::Namespace;
use serde::Serialize;

use super::places::{Kept, STATE_PATH};
use super::{CliError, block_on, fail, print, print_json};
use crate::app::{AloneError, be_alone};
use crate::chain;
use crate::config::{self, Loaded};
use crate::model::{DevName, Kinds, State};
use crate::neutron::Role;
use crate::plan::Settings;
use crate::plug::Plug;
use crate::reconcile::sweep::{self, Leftovers, SweepError, Wanted};
use crate::store::Store;

#[derive(Debug, Serialize)]
struct Done {
    namespaces: Vec<String>,
    devices: Vec<String>,
    /// Of the switch.
    ports: Vec<String>,
    dry_run: bool,
    errors: Vec<String>,
}

/// Whose leftovers.
struct Scope {
    roles: BTreeSet<Role>,
    plug: Plug,
    kept: Kept,
}

pub(super) fn run(arguments: super::Cleanup) -> ExitCode {
    let super::Cleanup {
        dry_run,
        all,
        state,
        json,
        neutron,
    } = arguments;
    let (roles, plug, state_path) = match neutron.asked() {
        None => (Role::ALL.into(), Plug::default(), STATE_PATH.into()),
        Some(asked) => match config::load(&asked) {
            Loaded {
                configured: Some(configured),
                ..
            } => (
                asked.roles,
                configured.driver.map(Plug::new).unwrap_or_default(),
                configured.state_path,
            ),
            Loaded { problems, .. } => {
                super::check::tell_refused(&problems);
                return ExitCode::FAILURE;
            }
        },
    };
    let kept = state.kept(&roles, &state_path);
    if kept.dirs.is_empty() && !all {
        let dir = state.dir();
        return fail(&CliError::NoState { dir, state_path });
    }
    let scope = Scope { roles, plug, kept };
    match clean(&scope, all, dry_run) {
        Ok((leftovers, errors)) => tell(&leftovers, &errors, dry_run, json.json),
        Err(error) => fail(&*error),
    }
}

type Errors = Vec<Box<dyn Error>>;
type Found = (Leftovers, BTreeSet<DevName>);

/// What was to be removed, and what could not be.
///
/// Refuses while a daemon runs, for it would lose what it serves, or make it again.
fn clean(scope: &Scope, all: bool, dry_run: bool) -> Result<(Found, Errors), Box<dyn Error>> {
    // A directory that no daemon ever used is not made one: what would be wanted by its word is nothing.
    let stores = scope.kept.dirs.iter().map(|dir| Store::open(dir));
    let stores: Vec<Store> = stores.collect::<Result<_, _>>()?;
    // Held until the end, so that none starts meanwhile.
    let _alone = be_alone(&scope.roles).map_err(|error| match error {
        AloneError::NotAlone { .. } => CliError::StillRunning.into(),
        AloneError::Unknown(_) => Box::<dyn Error>::from(error),
    })?;
    let wanted = match all {
        true => Wanted {
            kinds: Kinds::from(&scope.roles),
            ..Wanted::default()
        },
        false => wanted(&stores, scope)?,
    };
    let (found, errors) = block_on(remove(&scope.plug, &wanted, dry_run))??;
    let mut errors: Errors = errors.into_iter().map(Into::into).collect();
    if all && !dry_run {
        let forgotten = stores
            .into_iter()
            .flat_map(|store| store.forget(wanted.kinds));
        errors.extend(forgotten.map(Into::into));
    }
    Ok((found, errors))
}

/// By the word of all of them; of a role that has kept nothing here, nothing is a leftover.
fn wanted(stores: &[Store], scope: &Scope) -> Result<Wanted, Box<dyn Error>> {
    let mut known = State::default();
    for store in stores {
        let (state, errors) = store.load();
        // What a broken file names would be taken for a leftover.
        if let Some(error) = errors.into_iter().next() {
            return Err(error.into());
        }
        known.networks.extend(state.networks);
        known.routers.extend(state.routers);
    }
    let settings = Settings {
        plugging: scope.plug.plugging(),
        ..Settings::default()
    };
    let mut wanted = Wanted::of(&known, &settings);
    wanted.kinds = Kinds::from(&scope.kept.roles);
    Ok(wanted)
}

async fn remove(
    plug: &Plug,
    wanted: &Wanted,
    dry_run: bool,
) -> Result<(Found, Vec<SweepError>), netns::Error> {
    let home = Namespace::home()?;
    let leftovers = sweep::leftovers(&home, wanted).await?;
    let mut errors = Vec::new();
    // Before the namespaces go, for those take most of their ports along.
    let ports = sweep::ports_left(plug, wanted).await;
    let ports = ports.unwrap_or_else(|error| {
        errors.push(error.into());
        BTreeSet::new()
    });
    if !dry_run {
        errors.extend(sweep::remove(&home, plug, &leftovers).await);
        errors.extend(plug.remove(&ports).await.err().map(Into::into));
    }
    Ok(((leftovers, ports), errors))
}

fn tell((leftovers, ports): &Found, errors: &Errors, dry_run: bool, json: bool) -> ExitCode {
    let done = Done {
        namespaces: leftovers
            .namespaces
            .iter()
            .map(ToString::to_string)
            .collect(),
        devices: leftovers.devices.iter().map(ToString::to_string).collect(),
        ports: ports.iter().map(ToString::to_string).collect(),
        dry_run,
        errors: errors.iter().map(|error| chain(&**error)).collect(),
    };
    for error in errors {
        fail(&**error);
    }
    let printed = if json {
        print_json(&done)
    } else {
        print(&sentences(&done))
    };
    if errors.is_empty() {
        printed
    } else {
        ExitCode::FAILURE
    }
}

fn sentences(done: &Done) -> String {
    let verb = if done.dry_run {
        "would remove"
    } else {
        "removed"
    };
    let namespaces = done
        .namespaces
        .iter()
        .map(|name| format!("{verb} namespace {name}"));
    let devices = done
        .devices
        .iter()
        .map(|name| format!("{verb} device {name}"));
    let ports = done
        .ports
        .iter()
        .map(|name| format!("{verb} port {name} of the switch"));
    let lines: Vec<_> = namespaces.chain(devices).chain(ports).collect();
    if lines.is_empty() {
        "nothing of warren's to remove".into()
    } else {
        lines.join("\n")
    }
}
