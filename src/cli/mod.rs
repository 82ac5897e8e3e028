//! The command line: one file per subcommand. Tables for people, `--json` for programs.

mod adopt;
mod agent;
mod check;
mod cleanup;
mod datagrams;
mod log;
mod places;
mod plan;
mod run;
mod show;
mod tables;
mod views;

use std::collections::BTreeSet;
use std::error::Error;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand};

use crate::config;
use crate::neutron::Role;
use agent::{Agent, AgentFlags, Beside, Neutron};
use places::{Socket, StateDir};

/// DHCP, DNS, routing and metadata for tenant networks, in one daemon.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 110, arg_required_else_help = true)]
#[command(
    after_help = "Exit status: 0 done, 1 failed (the message has a code: docs/errors.md), 2 not understood.\n\nStart here:\n  warren check --topology /etc/warren/topology.toml\n  warren run --topology /etc/warren/topology.toml"
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Be the daemon: make what the topology or Neutron says, serve it, keep it so.
    #[command(
        after_help = "Examples:\n  warren run --topology /etc/warren/topology.toml --state-dir /var/lib/warren\n  \
        warren run --config-file /etc/neutron/neutron.conf --config-file /etc/neutron/dhcp_agent.ini --roles dhcp\n\n\
        Logs go to standard error; RUST_LOG=warren=debug says more. SIGHUP or a change of the file loads it again.\n\
        SIGTERM stops the daemon; namespaces, routes and NAT stay, and established flows go on."
    )]
    Run(Run),
    /// Tell every mistake of a topology file, or of the agents' configuration files, at once; exit status 1 if there is one.
    #[command(
        after_help = "Examples:\n  warren check --topology /etc/warren/topology.toml\n  \
        warren check --config-file /etc/neutron/neutron.conf --config-file /etc/neutron/l3_agent.ini --roles l3"
    )]
    Check(Check),
    /// Tell what `run` would change on this host now; touches nothing.
    #[command(after_help = "Example:\n  warren plan --topology /etc/warren/topology.toml")]
    Plan(Plan),
    /// How the running daemon is doing.
    #[command(
        after_help = "Example:\n  warren status\n  warren status --json | jq .targets\n\n\
        Under the agents' names there is one daemon per agent: without --socket all of them are asked, and --json has an object by agent."
    )]
    Status(Status),
    /// One object as the running daemon knows it, by name or id.
    #[command(
        after_help = "Examples:\n  warren show network\n  warren show network blue\n  warren show router r1 --json\n  warren show instance blue1"
    )]
    Show(Show),
    /// Remove what warren made on this host and its state does not want any more; nothing else is touched.
    #[command(
        after_help = "Examples:\n  warren cleanup --dry-run\n  warren cleanup --all      # before uninstalling: everything that warren made\n  \
        warren cleanup --all --config-file /etc/neutron/neutron.conf --config-file /etc/neutron/l3_agent.ini --roles l3\n\n\
        The daemon must not run: it removes such leftovers itself, and would make the rest again."
    )]
    Cleanup(Cleanup),
    /// A node where Neutron's agents ran: tell what `run` takes over, or give the node back to them.
    #[command(after_help = "Examples:\n  warren adopt --dry-run\n  \
        systemctl stop warren && systemctl start neutron-dhcp-agent neutron-l3-agent neutron-metadata-agent && warren adopt --undo\n  \
        warren adopt --undo --roles l3      # warren goes on, without the L3 role\n\n\
        Nothing else is needed to take over: stop the agents, start warren with their configuration files.\n\
        On the way back start the agents first: rules of warren's go as soon as theirs do the same, so that flows go on.\n\
        Where the agents' files are not in /etc/neutron, name them: --config-file ...")]
    Adopt(Adopt),
}

/// Where packages put it.
const TOPOLOGY: &str = "/etc/warren/topology.toml";

#[derive(Debug, Args)]
struct Topology {
    /// The topology file (docs/topology.md)
    #[arg(long, value_name = "FILE", default_value = TOPOLOGY)]
    topology: PathBuf,
}

impl Default for Topology {
    fn default() -> Self {
        Self {
            topology: TOPOLOGY.into(),
        }
    }
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
    #[command(flatten)]
    neutron: Neutron,
}

#[derive(Debug, Args)]
struct Check {
    #[command(flatten)]
    topology: Topology,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    neutron: Neutron,
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
    /// Name or id; without it: the names that there are
    name: Option<String>,
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
    /// Everything that warren made, wanted or not, and what the state directory holds
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    state: StateDir,
    #[command(flatten)]
    json: Json,
    #[command(flatten)]
    neutron: Beside,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("what").required(true))]
struct Adopt {
    /// Tell what `warren run` would keep, end and remove; touches nothing
    #[arg(long, group = "what")]
    dry_run: bool,
    /// Give the node back to the agents, which have been started again; warren must not run in these roles
    #[arg(long, group = "what")]
    undo: bool,
    /// How long --undo waits for the agents to take everything over
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    wait: u64,
    /// Whose part: dhcp, l3, metadata; all of them when none is named
    #[arg(long, value_name = "ROLES", value_delimiter = ',', value_parser = agent::role)]
    roles: Vec<Role>,
    #[command(flatten)]
    flags: AgentFlags,
    #[command(flatten)]
    state: StateDir,
    #[command(flatten)]
    json: Json,
}

impl Adopt {
    fn roles(&self) -> BTreeSet<Role> {
        match self.roles.is_empty() {
            true => Role::ALL.into(),
            false => self.roles.iter().copied().collect(),
        }
    }
}

impl Arguments {
    pub fn parse_or_exit() -> Self {
        Self::from_command_line(std::env::args_os()).unwrap_or_else(|error| error.exit())
    }

    /// Under the name of one of Neutron's agents its flags are understood, and its role is taken. Flags without a
    /// command mean `run`.
    ///
    /// # Errors
    /// What was not understood; also the help and the version that were asked for.
    pub fn from_command_line(
        arguments: impl IntoIterator<Item = OsString>,
    ) -> Result<Self, clap::Error> {
        let mut arguments: Vec<_> = arguments.into_iter().collect();
        let name = arguments.first().map(Path::new).and_then(Path::file_name);
        let role = [Role::Dhcp, Role::L3, Role::Metadata]
            .into_iter()
            .find(|role| name.is_some_and(|name| name == config::program(*role)));
        if let Some(role) = role {
            let agent = Agent::try_parse_from(arguments)?;
            let command = Command::Run(Run {
                topology: Topology::default(),
                state: agent.state,
                socket: agent.socket,
                log_json: false,
                neutron: Neutron::of_agent(agent.flags, agent.secrets, role),
            });
            return Ok(Self { command });
        }
        let first = arguments.get(1).map(|first| first.as_encoded_bytes());
        let about = [&b"-h"[..], b"--help", b"-V", b"--version"];
        if first.is_some_and(|first| first.starts_with(b"-") && !about.contains(&first)) {
            arguments.insert(1, "run".into());
        }
        Self::try_parse_from(arguments)
    }

    /// Does what was asked; what went wrong has been told when this returns.
    pub fn execute(self) -> ExitCode {
        match self.command {
            Command::Run(arguments) => run::run(arguments),
            Command::Check(arguments) => check::run(arguments),
            Command::Plan(arguments) => plan::run(&arguments),
            Command::Status(arguments) => show::status(&arguments),
            Command::Show(arguments) => show::run(&arguments),
            Command::Cleanup(arguments) => cleanup::run(arguments),
            Command::Adopt(arguments) => adopt::run(arguments),
        }
    }
}

/// What a command itself can't do. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    #[error("print the answer: {0}; is there room where it is written to?")]
    Print(io::Error),
    #[error("start: {0}; is the system out of memory, processes or open files?")]
    Runtime(io::Error),
    #[error("write the log to {}: {source}; correct log_file, use_syslog or use_journal, or let warren write there", place.display())]
    Log { place: PathBuf, source: io::Error },
    #[error(
        "show {kind} {:?}: no single {kind} has this name or id; {}",
        short(name),
        there_are(known)
    )]
    Unknown {
        kind: String,
        name: String,
        known: Vec<String>,
    },
    #[error("ask the daemon: it refused: {reason}; are both of one version?")]
    Refused { reason: String },
    #[error(
        "remove anything: a warren runs on this host, and would lose what it serves; stop it first"
    )]
    StillRunning,
    #[error(
        "give back the role {role}: a warren runs on this host in this role, and would take it again; stop it first (without this role it may go on: --roles), start the agent, then try again"
    )]
    StillServing { role: Role },
    #[error(
        "tell leftovers: no warren has used {} as its state directory, nor one in {}; name it with --state-dir, or remove everything with --all",
        dir.display(), state_path.display()
    )]
    NoState { dir: PathBuf, state_path: PathBuf },
}

/// Enough to find a misspelt name; `warren show network` lists them all.
const MOST_NAMES: usize = 12;

fn short(name: &str) -> String {
    name.chars().take(64).collect()
}

fn there_are(known: &[String]) -> String {
    let some = tables::list(known.iter().take(MOST_NAMES));
    match known.len() {
        0 => "there is none at all".into(),
        1..=MOST_NAMES => format!("there are: {some}"),
        all => format!("there are: {some} and {} more", all - MOST_NAMES),
    }
}

/// Tells an error with its code and all of its causes, and answers status 1.
fn fail(error: &(dyn Error + 'static)) -> ExitCode {
    let code = crate::code::of(error).map(|code| format!("error[{code}]: "));
    let causes = crate::code::causes(error);
    eprintln!("warren: {}failed to {causes}", code.unwrap_or_default());
    ExitCode::FAILURE
}

/// Prints to standard output; a closed pipe (`| head`) ends the program in peace.
fn print(text: &str) -> ExitCode {
    use io::Write;
    let mut out = io::stdout().lock();
    let printed = out
        .write_all(text.as_bytes())
        .and_then(|()| out.write_all(b"\n"))
        .and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&CliError::Print(error)),
        _ => ExitCode::SUCCESS,
    }
}

fn print_json(value: &impl serde::Serialize) -> ExitCode {
    match serde_json::to_string_pretty(value) {
        Ok(text) => print(&text),
        Err(error) => fail(&CliError::Print(error.into())),
    }
}

/// A runtime for the short commands.
fn block_on<T>(work: impl Future<Output = T>) -> Result<T, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(CliError::Runtime)?;
    Ok(runtime.block_on(work))
}
