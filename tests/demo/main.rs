//! The main job end to end, as a transcript that a new user can read: `make demo`.
//!
//! It plays every part of `conf/demo.toml` with real clients, in a sandbox, and ends in a table of checks. Exit status 1 on
//! any cross.
#![allow(clippy::print_stdout, reason = "the transcript is the product")]
#![allow(clippy::unwrap_used, reason = "a panic is a cross in the table")]

mod border;
mod cast;
#[path = "../common/mod.rs"]
mod common;
mod life;
mod survive;
mod transcript;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::{Daemon, Host, HttpStub, wait_until};
use transcript::Transcript;

const FILE: &str = "conf/demo.toml";
const METADATA: &str = "http://169.254.169.254";

fn main() -> ExitCode {
    if !wanted(std::env::args().skip(1)) {
        return ExitCode::SUCCESS;
    }
    let begin = Instant::now();
    let before = traces();
    let Some(host) = Host::new("demo") else {
        return ExitCode::SUCCESS;
    };
    // Complaints are part of the transcript; a backtrace is not.
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "warren: one daemon that gives tenant networks DHCP, DNS, routers, floating IPs and metadata."
    );
    println!(
        "Everything below happens in namespaces of its own; this machine's network is not touched."
    );
    let mut say = Transcript::default();
    play(&mut say, &host);
    drop(host);
    say.check("nothing is left on this machine", |_| {
        assert!(
            wait_until(Duration::from_secs(10), || traces() == before),
            "before {before:?}, now {:?}",
            traces()
        );
        ((), "its interfaces and namespaces are as before".to_owned())
    });
    if say.end(begin) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// cargo hands its arguments to every test. `--list`, and filters that do not mean us, are not for us.
fn wanted(arguments: impl Iterator<Item = String>) -> bool {
    let arguments: Vec<String> = arguments.collect();
    let mut filters = arguments
        .iter()
        .filter(|argument| !argument.starts_with('-') && argument.parse::<u32>().is_err());
    !arguments.iter().any(|argument| argument == "--list")
        && filters.all(|filter| "demo".contains(filter))
}

/// Interfaces and named namespaces of the machine.
fn traces() -> (Vec<String>, Vec<String>) {
    let names = |directory: &str| {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    (names("/sys/class/net"), names("/run/netns"))
}

fn play(say: &mut Transcript, host: &Host) {
    let Some(mut daemon) = start(say, host) else {
        return;
    };
    let Some(cast) = say.check("two tenant networks and an external one came up", |say| {
        cast::cast(say, host, &daemon)
    }) else {
        say.tell(&daemon.log());
        return;
    };
    life::boot(say, &cast);
    life::who_am_i(say, &cast);
    life::meet(say, &cast);
    let _web: Vec<HttpStub> = cast.instances.iter().map(border::web).collect();
    border::cross(say, &cast);
    survive::survive(say, &mut daemon, &cast);
}

fn start(say: &mut Transcript, host: &Host) -> Option<Daemon> {
    say.title("One file says what there should be");
    let mut daemon = Daemon::on_file(host, FILE);
    say.check("the file is sound", |say| {
        let check = host.warren(&["check", "--topology", FILE]).ok();
        say.shell("host", &format!("warren check --topology {FILE}"), &check);
        let plan = daemon.plan();
        say.shell("host", &format!("warren plan --topology {FILE}"), &plan);
        ((), format!("a plan of {} lines", plan.lines().count()))
    });
    say.title("One daemon makes it so");
    say.check("the daemon is ready", |say| {
        let begin = Instant::now();
        daemon.start();
        daemon.converged();
        let took = begin.elapsed();
        say.shell("host", &format!("warren run --topology {FILE} &"), "");
        say.shell("host", "warren status", &daemon.warren(&["status"]).ok());
        (daemon, format!("all of it stands after {took:.0?}"))
    })
}
