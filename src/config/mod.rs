//! The configuration of Neutron's agents, taken as it is: their files, read as oslo.config reads them, become the checked
//! settings of warren's parts, and a list of all that is refused, doubtful or without effect in them, with its place.
//!
//! `files` which are read | `ini` their syntax | `sources` which value counts | `substitute` `$option` | `value` types |
//! `options` every option in tables, and what becomes of it (`judge`) | `reader` options by name | `bus` `agents` `nova` `plugging`
//! `logging` `dnsmasq` `limits` options to settings | `transport` the grammar of `transport_url` | `secrets` files that are too open |
//! `flags` those of the agents' command lines.
//!
//! Nothing here shows a secret: neither `Debug` nor a problem.

mod agents;
mod bus;
mod dnsmasq;
mod files;
mod flags;
mod ini;
mod judge;
mod limits;
mod logging;
mod nova;
mod options;
mod plugging;
mod problem;
mod reader;
mod secrets;
mod sources;
mod substitute;
mod transport;
mod value;

#[cfg(test)]
mod documented;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt;
use std::fs;
use std::path::PathBuf;

use crate::metadata::{MetadataSettings, ProxySocket};
use crate::neutron::Role;
use crate::{neutron, plan, plug};

pub use flags::{FLAGS, Flag, Takes};
pub use logging::Logging;
pub use problem::{Code, Place, Problem, Severity};
use reader::{Reader, default};
use sources::Sources;

/// What the command line says of the configuration.
#[derive(Clone)]
pub struct Asked {
    /// In their order: of two that set an option the later one wins.
    pub given: Vec<Given>,
    pub roles: BTreeSet<Role>,
    /// The name under which we were started: that of an agent, or `warren`.
    pub program: String,
    /// A file that holds a secret and is readable by others is refused.
    pub strict_secrets: bool,
    /// The environment: `OS_DEFAULT__HOST` and the like; `HOME`.
    pub variables: BTreeMap<String, String>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Given {
    /// `--config-file`
    File(PathBuf),
    /// `--config-dir`
    Dir(PathBuf),
    Flag {
        /// As it is spelled.
        flag: String,
        /// Of `[DEFAULT]`.
        option: &'static str,
        value: String,
    },
}

/// Everything that the files choose, checked.
#[derive(Debug, Clone)]
pub struct Configured {
    /// With the roles in it.
    pub neutron: neutron::Settings,
    pub plan: plan::Settings,
    /// The plan has the host's resolvers, as they were when this was read.
    pub asks_host: bool,
    pub metadata: MetadataSettings,
    /// Where processes without the metadata role bring their requests; `None`: this is one.
    pub proxies: Option<ProxySocket>,
    /// `None`: no role plugs ports.
    pub driver: Option<plug::Driver>,
    pub logging: Logging,
    /// Neutron's, not warren's own.
    pub state_path: PathBuf,
}

/// What came of reading.
#[derive(Debug)]
pub struct Loaded {
    /// In the order in which they were read.
    pub files: Vec<PathBuf>,
    /// The worst first, then by place.
    pub problems: Vec<Problem>,
    /// `None`: something is refused.
    pub configured: Option<Configured>,
}

/// Not the environment: it may hold secrets.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            given,
            roles,
            program,
            strict_secrets,
            variables: _,
        } = self;
        f.debug_struct("Asked")
            .field("given", given)
            .field("roles", roles)
            .field("program", program)
            .field("strict_secrets", strict_secrets)
            .finish_non_exhaustive()
    }
}

impl Asked {
    /// With the environment of this process.
    pub fn new(given: Vec<Given>, roles: BTreeSet<Role>, program: impl Into<String>) -> Self {
        // What is not UTF-8 is no value that an agent could read.
        let variables = std::env::vars_os();
        let variables = variables.filter_map(|(name, value)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        });
        Self {
            given,
            roles,
            program: program.into(),
            strict_secrets: false,
            variables: variables.collect(),
        }
    }
}

/// The agent's program of a role.
pub fn program(role: Role) -> &'static str {
    match role {
        Role::Dhcp => "neutron-dhcp-agent",
        Role::L3 => "neutron-l3-agent",
        Role::Metadata => "neutron-metadata-agent",
    }
}

/// Reads the files and checks all of them; every problem is told at once.
pub fn load(asked: &Asked) -> Loaded {
    let programs: Vec<_> = asked.roles.iter().map(|role| program(*role)).collect();
    let (layers, problems) = files::read(&asked.given, &programs, &asked.variables);
    let sources = Sources::new(layers, asked.variables.clone());
    let files: Vec<_> = sources.files().map(|path| path.to_path_buf()).collect();
    let mut reader = Reader {
        sources,
        roles: asked.roles.clone(),
        problems,
    };
    let configured = configured(&mut reader, &asked.program);
    reader.judge();
    reader.look_for_strangers();
    let open = secrets::look(&reader.sources, asked.strict_secrets);
    reader.problems.extend(open);
    let problems = sorted(reader.problems, &files);
    let refused = problems
        .iter()
        .any(|problem| problem.severity == Severity::Refused);
    Loaded {
        files,
        problems,
        configured: (!refused).then_some(configured),
    }
}

fn configured(reader: &mut Reader, program: &str) -> Configured {
    let machine = machine();
    let neutron = agents::settings(reader, program, &machine);
    let (plan, asks_host) = agents::plan(reader);
    Configured {
        plan,
        asks_host,
        metadata: nova::settings(reader),
        proxies: nova::proxies(reader),
        driver: plugging::driver(reader),
        logging: logging::logging(reader, program),
        state_path: reader.text(default("state_path")).into(),
        neutron,
    }
}

/// The host's name as the kernel has it, which is what Python's `gethostname` gives.
fn machine() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim();
    if name.is_empty() {
        "localhost".to_owned()
    } else {
        name.to_owned()
    }
}

/// Each once, the worst first, then in the order of reading.
fn sorted(mut problems: Vec<Problem>, files: &[PathBuf]) -> Vec<Problem> {
    let place = |problem: &Problem| match &problem.place {
        Place::Line { path, line } => (files.iter().position(|file| **file == **path), *line),
        Place::Flag { .. } | Place::Variable { .. } | Place::Nowhere {} => (None, 0),
    };
    problems.sort_by_key(|problem| (problem.severity, place(problem)));
    let mut seen = HashSet::new();
    problems.retain(|problem| seen.insert(problem.clone()));
    problems
}
