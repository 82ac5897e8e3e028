//! `warren check`: every mistake of a topology file, or of the agents' configuration files, at once.

use std::process::ExitCode;

use super::tables::{count, table};
use super::{print, print_json};
use crate::config::{self, Asked, Problem};
use crate::topology::{self, Mistake};

pub(super) fn run(arguments: super::Check) -> ExitCode {
    let json = arguments.json.json;
    if let Some(asked) = arguments.neutron.asked() {
        return configuration(&asked, json);
    }
    let path = &arguments.topology.topology;
    match topology::check_file(path) {
        Ok(topology) if json => print_json(&topology.warnings),
        Ok(topology) => {
            for warning in &topology.warnings {
                eprintln!("{warning}");
            }
            print(&format!("{}: no mistakes", path.display()))
        }
        Err(mistakes) => tell(&mistakes, json),
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
        let is_error = |mistake: &&Mistake| mistake.severity == topology::Severity::Error;
        let errors = mistakes.iter().filter(is_error).count();
        eprintln!("{}", count(errors, "mistake"));
    }
    ExitCode::FAILURE
}

/// All that is refused, doubtful or without effect, as one table; status 1 if anything is refused.
fn configuration(asked: &Asked, json: bool) -> ExitCode {
    let loaded = config::load(asked);
    let printed = if json {
        print_json(&loaded.problems)
    } else {
        let rows = loaded.problems.iter().map(|problem| {
            let severity = format!("{}[{}]", problem.severity, problem.code);
            [problem.place.to_string(), severity, problem.sentence()]
        });
        let head = match loaded.files.len() {
            0 => "no configuration file was named or found; defaults are taken".to_owned(),
            files => format!("{} read", count(files, "file")),
        };
        let of = |severity| {
            loaded
                .problems
                .iter()
                .filter(|problem| problem.severity == severity)
                .count()
        };
        let sum = format!(
            "{head}: {} refused, {}, {} ignored",
            of(config::Severity::Refused),
            count(of(config::Severity::Warning), "warning"),
            of(config::Severity::Ignored)
        );
        print(&super::tables::parts([
            table(["PLACE", "WHAT", "OPTION, WHY, WHAT TO DO"], rows),
            sum,
        ]))
    };
    if loaded.configured.is_none() {
        ExitCode::FAILURE
    } else {
        printed
    }
}

/// What a start is refused for.
pub(super) fn tell_refused(problems: &[Problem]) {
    let refused = problems
        .iter()
        .filter(|problem| problem.severity == config::Severity::Refused);
    let mut number = 0;
    for problem in refused {
        eprintln!("{problem}");
        number += 1;
    }
    eprintln!(
        "{} refused; `warren check` tells all about these files",
        count(number, "option")
    );
}
