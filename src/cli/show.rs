//! `warren status` and `warren show`: the running daemon's view.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use super::places::Asked;
use super::{CliError, block_on, fail, print, print_json, views};
use crate::status::{Ask, Reply, socket};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    Network,
    Router,
    Instance,
}

/// Of each daemon that is asked. One that is named, or that is the only one and no agent, has its view alone.
pub(super) fn status(arguments: &super::Status) -> ExitCode {
    let json = arguments.json.json;
    let asked = arguments.socket.asked();
    if let [Asked { name: None, path }] = &asked[..] {
        return ask(path, &Ask::Status).map_or_else(|status| status, |reply| tell(reply, json));
    }
    let mut views = BTreeMap::new();
    let mut silent = false;
    for Asked { name, path } in asked {
        match ask(&path, &Ask::Status) {
            Ok(Reply::Status(view)) => {
                views.insert(name.unwrap_or_else(|| "warren".into()), view);
            }
            Ok(reply) => return tell(reply, json),
            Err(_) => silent = true,
        }
    }
    let printed = if json {
        print_json(&views)
    } else {
        let texts = views
            .iter()
            .map(|(name, view)| format!("== {name}\n{}", views::status(view)));
        print(&texts.collect::<Vec<_>>().join("\n\n"))
    };
    if silent { ExitCode::FAILURE } else { printed }
}

pub(super) fn run(arguments: &super::Show) -> ExitCode {
    let question = |name| match arguments.kind {
        Kind::Network => Ask::Network(name),
        Kind::Router => Ask::Router(name),
        Kind::Instance => Ask::Instance(name),
    };
    let json = arguments.json.json;
    // Nothing is called "": the answer says which names there are.
    let asked = question(arguments.name.clone().unwrap_or_default());
    let mut unknown: Option<(String, String, BTreeSet<String>)> = None;
    let mut silent = None;
    for Asked { path, .. } in arguments.socket.asked() {
        match ask(&path, &asked) {
            Ok(Reply::Unknown { kind, name, known }) => {
                let (_, _, all) = unknown.get_or_insert((kind, name, BTreeSet::new()));
                all.extend(known);
            }
            Ok(reply) => return tell(reply, json),
            Err(status) => silent = Some(status),
        }
    }
    let Some((kind, name, known)) = unknown else {
        return silent.unwrap_or(ExitCode::FAILURE);
    };
    let known: Vec<String> = known.into_iter().collect();
    let told = match &arguments.name {
        Some(_) => tell(Reply::Unknown { kind, name, known }, json),
        None if json => print_json(&known),
        None => print(&known.join("\n")),
    };
    silent.unwrap_or(told)
}

/// The daemon's reply; what kept it away has been told.
fn ask(path: &Path, question: &Ask) -> Result<Reply, ExitCode> {
    match block_on(socket::ask(path, question)) {
        Ok(Ok(reply)) => Ok(reply),
        Ok(Err(error)) => Err(fail(&error)),
        Err(error) => Err(fail(&error)),
    }
}

fn tell(reply: Reply, json: bool) -> ExitCode {
    match reply {
        Reply::Alive => print("alive"),
        Reply::Status(view) if json => print_json(&view),
        Reply::Status(view) => print(&views::status(&view)),
        Reply::Network(view) if json => print_json(&view),
        Reply::Network(view) => print(&views::network(&view)),
        Reply::Router(view) if json => print_json(&view),
        Reply::Router(view) => print(&views::router(&view)),
        Reply::Instance(view) if json => print_json(&view),
        Reply::Instance(view) => print(&views::instance(&view)),
        Reply::Unknown { kind, name, known } => fail(&CliError::Unknown { kind, name, known }),
        Reply::Refused { reason } => fail(&CliError::Refused { reason }),
    }
}
