//! `warren cleanup`: removes what warren made, and nothing else.

use std::error::Error;
use std::process::ExitCode;

use netns::Namespace;
use serde::Serialize;

use super::{CliError, block_on, fail, print, print_json};
use crate::app::{AloneError, be_alone};
use crate::chain;
use crate::neutron::Role;
use crate::plan::Settings;
use crate::plug::Plug;
use crate::reconcile::sweep::{self, Leftovers, SweepError, Wanted};
use crate::store::Store;

#[derive(Debug, Serialize)]
struct Done {
    namespaces: Vec<String>,
    devices: Vec<String>,
    dry_run: bool,
    errors: Vec<String>,
}

pub(super) fn run(arguments: &super::Cleanup) -> ExitCode {
    match clean(arguments) {
        Ok((leftovers, errors)) => tell(&leftovers, &errors, arguments),
        Err(error) => fail(&*error),
    }
}

type Errors = Vec<Box<dyn Error>>;

/// What was to be removed, and what could not be.
///
/// Refuses while a daemon runs, for it would lose what it serves, or make it again.
fn clean(arguments: &super::Cleanup) -> Result<(Leftovers, Errors), Box<dyn Error>> {
    let dir = &arguments.state.dir();
    // A directory that no daemon ever used is not made one: what would be wanted by its word is nothing.
    let store = match Store::is_there(dir) {
        true => Some(Store::open(dir)?),
        false if arguments.all => None,
        false => return Err(CliError::NoState { dir: dir.clone() }.into()),
    };
    // Held until the end, so that none starts meanwhile.
    let _alone = be_alone(&Role::ALL.into()).map_err(|error| match error {
        AloneError::NotAlone { .. } => CliError::StillRunning.into(),
        AloneError::Unknown(_) => Box::<dyn Error>::from(error),
    })?;
    let wanted = match &store {
        Some(store) if !arguments.all => wanted(store)?,
        _ => Wanted::default(),
    };
    let (leftovers, errors) = block_on(remove(&wanted, arguments.dry_run))??;
    let mut errors: Errors = errors.into_iter().map(Into::into).collect();
    if let Some(store) = store.filter(|_| arguments.all && !arguments.dry_run) {
        errors.extend(store.forget().into_iter().map(Into::into));
    }
    Ok((leftovers, errors))
}

fn wanted(store: &Store) -> Result<Wanted, Box<dyn Error>> {
    let (state, errors) = store.load();
    // What a broken file names would be taken for a leftover.
    match errors.into_iter().next() {
        Some(error) => Err(error.into()),
        None => Ok(Wanted::of(&state, &Settings::default())),
    }
}

async fn remove(
    wanted: &Wanted,
    dry_run: bool,
) -> Result<(Leftovers, Vec<SweepError>), netns::Error> {
    let home = Namespace::home()?;
    let leftovers = sweep::leftovers(&home, wanted).await?;
    let errors = if dry_run {
        Vec::new()
    } else {
        sweep::remove(&home, &Plug::default(), &leftovers).await
    };
    Ok((leftovers, errors))
}

fn tell(leftovers: &Leftovers, errors: &Errors, arguments: &super::Cleanup) -> ExitCode {
    let done = Done {
        namespaces: leftovers
            .namespaces
            .iter()
            .map(ToString::to_string)
            .collect(),
        devices: leftovers.devices.iter().map(ToString::to_string).collect(),
        dry_run: arguments.dry_run,
        errors: errors.iter().map(|error| chain(&**error)).collect(),
    };
    for error in errors {
        fail(&**error);
    }
    let printed = if arguments.json.json {
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
    let lines: Vec<_> = namespaces.chain(devices).collect();
    if lines.is_empty() {
        "nothing of warren's to remove".into()
    } else {
        lines.join("\n")
    }
}
