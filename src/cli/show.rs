//! `warren status` and `warren show`: the running daemon's view.

use std::path::Path;
use std::process::ExitCode;

use clap::ValueEnum;

use super::{CliError, block_on, fail, print, print_json, views};
use crate::status::{Ask, Reply, socket};

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(super) enum Kind {
    Network,
    Router,
    Instance,
}

pub(super) fn status(arguments: &super::Status) -> ExitCode {
    let reply = ask(&arguments.socket.socket, &Ask::Status);
    reply.map_or_else(|status| status, |reply| tell(reply, arguments.json.json))
}

pub(super) fn run(arguments: super::Show) -> ExitCode {
    let question = |name| match arguments.kind {
        Kind::Network => Ask::Network(name),
        Kind::Router => Ask::Router(name),
        Kind::Instance => Ask::Instance(name),
    };
    let (socket, json) = (&arguments.socket.socket, arguments.json.json);
    match arguments.name {
        Some(name) => {
            let reply = ask(socket, &question(name));
            reply.map_or_else(|status| status, |reply| tell(reply, json))
        }
        // Nothing is called so: the answer says which names there are.
        None => match ask(socket, &question(String::new())) {
            Ok(Reply::Unknown { known, .. }) if json => print_json(&known),
            Ok(Reply::Unknown { known, .. }) => print(&known.join("\n")),
            Ok(reply) => tell(reply, json),
            Err(status) => status,
        },
    }
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
