//! The command line of Neutron's agents: `--config-file`, `--config-dir`, and the flags of their log, in one order.

use std::path::PathBuf;

use clap::builder::ValueParser;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches, Parser};

use super::places::{Socket, StateDir};
use crate::config::{self, Asked, FLAGS, Given, Takes};
use crate::neutron::Role;

const FILE: &str = "config-file";
const DIR: &str = "config-dir";
const HEADING: &str = "Beside Neutron, as its agents";

/// As started under the name of an agent.
#[derive(Debug, Parser)]
#[command(version, infer_long_args = true, max_term_width = 110)]
pub(super) struct Agent {
    #[command(flatten)]
    pub(super) flags: AgentFlags,
    #[command(flatten)]
    pub(super) secrets: Secrets,
    #[command(flatten)]
    pub(super) state: StateDir,
    #[command(flatten)]
    pub(super) socket: Socket,
}

/// `warren run` and `warren check` beside Neutron.
#[derive(Debug, Args)]
pub(super) struct Neutron {
    #[command(flatten)]
    flags: AgentFlags,
    #[command(flatten)]
    secrets: Secrets,
    /// Whose place to take: dhcp, l3, metadata; all of them when only files are named
    #[arg(long, value_name = "ROLES", value_delimiter = ',', value_parser = role, help_heading = HEADING, conflicts_with = "topology")]
    roles: Vec<Role>,
    /// The agent as which we were started.
    #[arg(skip)]
    pub(super) agent: Option<Role>,
}

/// A command about what a daemon beside Neutron has made.
#[derive(Debug, Args)]
pub(super) struct Beside {
    #[command(flatten)]
    flags: AgentFlags,
    /// In whose place it was: dhcp, l3, metadata; all of them when only files are named
    #[arg(long, value_name = "ROLES", value_delimiter = ',', value_parser = role, help_heading = HEADING)]
    roles: Vec<Role>,
}

impl Beside {
    /// `None`: nothing of it was given, so it was a topology file's.
    pub(super) fn asked(self) -> Option<Asked> {
        asked(self.flags, self.roles, "warren")
    }
}

#[derive(Debug, Args)]
pub(super) struct Secrets {
    /// Refuse files that hold a secret and that others may read, instead of a warning
    #[arg(long, help_heading = HEADING)]
    strict_secrets: bool,
}

/// In the order of the command line: of two that set an option the later one wins.
#[derive(Debug)]
pub(super) struct AgentFlags(Vec<Given>);

impl AgentFlags {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn into_given(self) -> Vec<Given> {
        self.0
    }
}

impl Neutron {
    pub(super) fn of_agent(flags: AgentFlags, secrets: Secrets, role: Role) -> Self {
        Self {
            flags,
            secrets,
            roles: vec![role],
            agent: Some(role),
        }
    }

    /// `None`: nothing of it was given, so a topology file says what to do.
    pub(super) fn asked(self) -> Option<Asked> {
        let program = self.agent.map_or("warren", config::program);
        let mut asked = asked(self.flags, self.roles, program)?;
        asked.strict_secrets = self.secrets.strict_secrets;
        Some(asked)
    }
}

fn asked(flags: AgentFlags, roles: Vec<Role>, program: &str) -> Option<Asked> {
    if flags.0.is_empty() && roles.is_empty() {
        return None;
    }
    let roles = match roles {
        roles if roles.is_empty() => Role::ALL.into(),
        roles => roles.into_iter().collect(),
    };
    Some(Asked::new(flags.0, roles, program))
}

pub(super) fn role(name: &str) -> Result<Role, &'static str> {
    match name {
        "dhcp" => Ok(Role::Dhcp),
        "l3" => Ok(Role::L3),
        "metadata" => Ok(Role::Metadata),
        _ => Err("the roles are dhcp, l3 and metadata"),
    }
}

impl Args for AgentFlags {
    fn augment_args(command: Command) -> Command {
        let path = |name: &'static str, value: &'static str, help: &'static str| {
            let arg = Arg::new(name)
                .long(name)
                .value_name(value)
                .help(help)
                .action(ArgAction::Append);
            arg.value_parser(ValueParser::path_buf())
        };
        let paths = [
            path(
                FILE,
                "FILE",
                "A configuration file of the agents; may be repeated, the later wins",
            ),
            path(
                DIR,
                "DIR",
                "A directory of such files (*.conf), in the order of their names; may be repeated",
            ),
        ];
        let flags = FLAGS.iter().map(|flag| {
            let (name, others) = (flag.names[0], &flag.names[1..]);
            let arg = Arg::new(name)
                .long(name)
                .aliases(others)
                .help(flag.help)
                .action(ArgAction::Append);
            let arg = match flag.takes {
                Takes::Value(name) => arg.value_name(name),
                Takes::Nothing(value) => arg.num_args(0).default_missing_value(value),
            };
            match flag.short {
                Some(short) => arg.short(short),
                None => arg,
            }
        });
        let topology = command
            .get_arguments()
            .any(|arg| arg.get_id() == "topology");
        let all = paths.into_iter().chain(flags).map(|arg| {
            let arg = arg.help_heading(HEADING);
            if topology {
                arg.conflicts_with("topology")
            } else {
                arg
            }
        });
        command.args(all)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for AgentFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut given = Vec::new();
        for (name, make) in [
            (FILE, Given::File as fn(PathBuf) -> Given),
            (DIR, Given::Dir),
        ] {
            let paths = matches.get_many::<PathBuf>(name).into_iter().flatten();
            given.extend(indices(matches, name).zip(paths.map(|path| make(path.clone()))));
        }
        for flag in FLAGS {
            let name = flag.names[0];
            let values = matches.get_many::<String>(name).into_iter().flatten();
            let values = values.map(|value| Given::Flag {
                flag: format!("--{name}"),
                option: flag.option,
                value: value.clone(),
            });
            given.extend(indices(matches, name).zip(values));
        }
        given.sort_by_key(|(index, _)| *index);
        Ok(Self(given.into_iter().map(|(_, given)| given).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn indices<'m>(matches: &'m ArgMatches, name: &str) -> impl Iterator<Item = usize> + use<'m> {
    matches.indices_of(name).into_iter().flatten()
}
