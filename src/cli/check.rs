//! `warren check`: every mistake of a topology file at once.

use std::process::ExitCode;

use super::tables::count;
use super::{print, print_json};
use crate::topology::{self, Mistake, Severity};

pub(super) fn run(arguments: &super::Check) -> ExitCode {
    let path = &arguments.topology.topology;
    match topology::check_file(path) {
        Ok(topology) if arguments.json.json => print_json(&topology.warnings),
        Ok(topology) => {
            for warning in &topology.warnings {
                eprintln!("{warning}");
            }
            print(&format!("{}: no mistakes", path.display()))
        }
        Err(mistakes) => tell(&mistakes, arguments.json.json),
    }
}

/// Prints them where they belong; answers status 1.
pub(super) fn tell(mistakes: &[Mistake], json: bool) -> ExitCode {
    if json {
        print_json(&mistakes);
    } else {
        for mistake in mistakes {
            eprintln!("{mistake}");
        }
        let is_error = |mistake: &&Mistake| mistake.severity == Severity::Error;
        let errors = mistakes.iter().filter(is_error).count();
        eprintln!("{}", count(errors, "mistake"));
    }
    ExitCode::FAILURE
}
