//! `warren cleanup`: removes what warren made, and nothing else.

use std::collections::BTreeSet;
use std::error::Error;
use std::path::Path;
use std::process::ExitCode;

use netns::Namespace;
use serde::Serialize;

use super::{CliError, block_on, fail, print, print_json};
use crate::app::{AloneError, be_alone};
use crate::chain;
use crate::config::{self, Loaded};
use crate::model::DevName;
use crate::neutron::Role;
use crate::plan::Settings;
use crate::plug::Plug;
use crate::reconcile::sweep::{self, Kinds, Leftovers, SweepError, Wanted};
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
}

pub(super) fn run(arguments: super::Cleanup) -> ExitCode {
    let super::Cleanup {
        dry_run,
        all,
        state,
        json,
        neutron,
    } = arguments;
    let scope = match neutron.asked() {
        None => Scope {
            roles: Role::ALL.into(),
            plug: Plug::default(),
        },
        Some(asked) => match config::load(&asked) {
            Loaded {
                configured: Some(configured),
                ..
            } => Scope {
                roles: asked.roles,
                plug: configured.driver.map(Plug::new).unwrap_or_default(),
            },
            Loaded { problems, .. } => {
                super::check::tell_refused(&problems);
                return ExitCode::FAILURE;
            }
        },
    };
    match clean(&scope, &state.dir(), all, dry_run) {
        Ok((leftovers, errors)) => tell(&leftovers, &errors, dry_run, json.json),
        Err(error) => fail(&*error),
    }
}

type Errors = Vec<Box<dyn Error>>;
type Found = (Leftovers, BTreeSet<DevName>);

/// What was to be removed, and what could not be.
///
/// Refuses while a daemon runs, for it would lose what it serves, or make it again.
fn clean(
    scope: &Scope,
    dir: &Path,
    all: bool,
    dry_run: bool,
) -> Result<(Found, Errors), Box<dyn Error>> {
    // A directory that no daemon ever used is not made one: what would be wanted by its word is nothing.
    let store = match Store::is_there(dir) {
        true => Some(Store::open(dir)?),
        false if all => None,
        false => return Err(CliError::NoState { dir: dir.into() }.into()),
    };
    // Held until the end, so that none starts meanwhile.
    let _alone = be_alone(&scope.roles).map_err(|error| match error {
        AloneError::NotAlone { .. } => CliError::StillRunning.into(),
        AloneError::Unknown(_) => Box::<dyn Error>::from(error),
    })?;
    let mut wanted = match &store {
        Some(store) if !all => wanted(store, &scope.plug)?,
        _ => Wanted::default(),
    };
    wanted.kinds = Kinds::of(&scope.roles);
    let (found, errors) = block_on(remove(&scope.plug, &wanted, dry_run))??;
    let mut errors: Errors = errors.into_iter().map(Into::into).collect();
    if let Some(store) = store.filter(|_| all && !dry_run) {
        errors.extend(store.forget().into_iter().map(Into::into));
    }
    Ok((found, errors))
}

fn wanted(store: &Store, plug: &Plug) -> Result<Wanted, Box<dyn Error>> {
    let (state, errors) = store.load();
    // What a broken file names would be taken for a leftover.
    match errors.into_iter().next() {
        Some(error) => Err(error.into()),
        None => {
            let settings = Settings {
                plugging: plug.plugging(),
                ..Settings::default()
            };
            Ok(Wanted::of(&state, &settings))
        }
    }
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
