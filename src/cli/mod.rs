//! The command line: one file per subcommand. Tables for people, `--json` for programs.

mod check;
mod cleanup;
mod plan;
mod run;
mod show;
mod tables;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

/// DHCP, DNS, routing and metadata for tenant networks, in one daemon.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, arg_required_else_help = true)]
#[command(
    after_help = "Start here:\n  warren check --topology /etc/warren/topology.toml\n  warren run --topology /etc/warren/topology.toml"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the daemon: make what the topology says, serve it, keep it so.
    #[command(
        after_help = "Example:\n  warren run --topology /etc/warren/topology.toml --state-dir /var/lib/warren\n\n\
        Logs go to standard error; RUST_LOG=warren=debug says more. SIGHUP or a change of the file loads it again.\n\
        SIGTERM stops the daemon; namespaces, routes and NAT stay, and established flows go on."
    )]
    Run(Run),
    /// Tell every mistake of a topology file at once; exit status 1 if there is one.
    #[command(after_help = "Example:\n  warren check --topology /etc/warren/topology.toml")]
    Check(Check),
    /// Tell what `run` would change on this host now; touches nothing.
    #[command(after_help = "Example:\n  warren plan --topology /etc/warren/topology.toml")]
    Plan(Plan),
    /// How the running daemon is doing.
    #[command(after_help = "Example:\n  warren status\n  warren status --json | jq .targets")]
    Status(Status),
    /// One object as the running daemon knows it, by name or id.
    #[command(
        after_help = "Examples:\n  warren show network blue\n  warren show router r1 --json\n  warren show instance blue1"
    )]
    Show(Show),
    /// Remove what warren made on this host and no topology wants any more; nothing else is touched.
    #[command(
        after_help = "Examples:\n  warren cleanup --dry-run\n  warren cleanup --all      # before uninstalling: everything that warren made"
    )]
    Cleanup(Cleanup),
}

#[derive(Debug, Args)]
struct Topology {
    /// The topology file (docs/topology.md)
    #[arg(long, value_name = "FILE", default_value = "/etc/warren/topology.toml")]
    topology: PathBuf,
}

#[derive(Debug, Args)]
struct StateDir {
    /// Where the last known state and the chosen addresses are kept
    #[arg(long, value_name = "DIR", default_value = "/var/lib/warren")]
    state_dir: PathBuf,
}

#[derive(Debug, Args)]
struct Socket {
    /// The running daemon's socket
    #[arg(long, value_name = "PATH", default_value = "/run/warren/warren.sock")]
    socket: PathBuf,
}

#[derive(Debug, Args)]
struct Json {
    /// Print JSON instead of tables
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
struct Run {
    #[command(flatten)]
    topology: Topology,
    #[command(flatten)]
    state: StateDir,
    #[command(flatten)]
    socket: Socket,
    /// Log as JSON, one object per line
    #[arg(long)]
    log_json: bool,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    topology: Topology,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Plan {
    #[command(flatten)]
    topology: Topology,
    #[command(flatten)]
    state: StateDir,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Status {
    #[command(flatten)]
    socket: Socket,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Show {
    kind: show::Kind,
    /// Name or id
    name: String,
    #[command(flatten)]
    socket: Socket,
    #[command(flatten)]
    json: Json,
}

#[derive(Debug, Args)]
struct Cleanup {
    /// Only tell what would be removed
    #[arg(long)]
    dry_run: bool,
    /// Everything that warren made, wanted or not, and the state directory's content
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    state: StateDir,
    #[command(flatten)]
    json: Json,
}

impl Arguments {
    pub fn parse_or_exit() -> Self {
        Self::parse()
    }

    /// Does what was asked; what went wrong has been told when this returns.
    pub fn execute(self) -> ExitCode {
        match self.command {
            Command::Run(arguments) => run::run(arguments),
            Command::Check(arguments) => check::run(&arguments),
            Command::Plan(arguments) => plan::run(&arguments),
            Command::Status(arguments) => show::status(&arguments),
            Command::Show(arguments) => show::run(arguments),
            Command::Cleanup(arguments) => cleanup::run(&arguments),
        }
    }
}

/// Tells an error with all of its causes, as "failed to X: Y: Z", and answers status 1.
fn fail(error: &dyn std::error::Error) -> ExitCode {
    eprintln!("warren: failed to {}", crate::chain(error));
    ExitCode::FAILURE
}

/// Prints to standard output; a closed pipe (`| head`) ends the program in peace.
fn print(text: &str) -> ExitCode {
    use std::io::Write;
    let mut out = std::io::stdout().lock();
    match out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => fail(&error),
        _ => ExitCode::SUCCESS,
    }
}

fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&text),
        Err(error) => fail(&error),
    }
}

/// A runtime for the short commands.
fn block_on<T>(work: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    Ok(runtime.block_on(work))
}
