//! `warren cleanup`: removes what warren made, and nothing else.

use std::process::ExitCode;

use netns::Namespace;
use serde::Serialize;

use super::{block_on, fail, print, print_json};
use crate::chain;
use crate::plan::Settings;
use crate::reconcile::sweep::{self, Leftovers, Wanted};
use crate::store::Store;

#[derive(Debug, Serialize)]
struct Done {
    namespaces: Vec<String>,
    devices: Vec<String>,
    dry_run: bool,
    errors: Vec<String>,
}

/// A running daemon holds the state directory: then this refuses, for it would only make everything again.
pub(super) fn run(arguments: &super::Cleanup) -> ExitCode {
    let store = match Store::open(&arguments.state.state_dir) {
        Ok(store) => store,
        Err(error) => return fail(&error),
    };
    let wanted = if arguments.all {
        Wanted::default()
    } else {
        let (state, errors) = store.load();
        // What a broken file names would be taken for a leftover.
        if let Some(error) = errors.first() {
            return fail(error);
        }
        Wanted::of(&state, &Settings::default())
    };
    let outcome = block_on(async {
        let home = Namespace::home()?;
        let leftovers = sweep::leftovers(&home, &wanted).await?;
        let errors = if arguments.dry_run {
            Vec::new()
        } else {
            sweep::remove(&home, &leftovers).await
        };
        Ok::<_, netns::Error>((leftovers, errors))
    });
    let (leftovers, errors) = match outcome {
        Ok(Ok(outcome)) => outcome,
        Ok(Err(error)) => return fail(&error),
        Err(error) => return fail(&error),
    };
    let forgotten = if arguments.all && !arguments.dry_run {
        store.forget()
    } else {
        Vec::new()
    };
    let errors = errors
        .iter()
        .map(|error| chain(error))
        .chain(forgotten.iter().map(|error| chain(error)));
    tell(&leftovers, errors.collect(), arguments)
}

fn tell(leftovers: &Leftovers, errors: Vec<String>, arguments: &super::Cleanup) -> ExitCode {
    let text = |items: &mut dyn Iterator<Item = String>| items.collect::<Vec<_>>();
    let done = Done {
        namespaces: text(&mut leftovers.namespaces.iter().map(ToString::to_string)),
        devices: text(&mut leftovers.devices.iter().map(ToString::to_string)),
        dry_run: arguments.dry_run,
        errors,
    };
    for error in &done.errors {
        eprintln!("warren: failed to {error}");
    }
    let printed = if arguments.json.json {
        print_json(&done)
    } else {
        print(&sentence(&done))
    };
    if done.errors.is_empty() {
        printed
    } else {
        ExitCode::FAILURE
    }
}

fn sentence(done: &Done) -> String {
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
