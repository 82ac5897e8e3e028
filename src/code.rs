//! Codes of what can fail: they keep their meaning, so that they can be searched for and alerted on. `docs/errors.md`
//! says of each what to do. Mistakes in the topology file have codes of their own (`topology::Code`).
//!
//! This is the one place where errors meet their codes: the rooms' errors say what went wrong, and know no numbers.

use std::error::Error;
use std::iter::successors;

use crate::adopt::{AdoptError, GiveBackError};
use crate::app::{AloneError, AppError};
use crate::cli::CliError;
use crate::neutron::decode::DecodeError;
use crate::neutron::{PortError, bus};
use crate::reconcile::Panicked;
use crate::status::socket::SocketError;
use crate::store::StoreError;
use crate::{dhcp, dns, metadata, plug, ra};

/// An enum of codes; each has a text.
macro_rules! codes {
    ($(#[$about:meta])* pub enum Code { $($(#[$doc:meta])* $name:ident = $text:literal),* $(,)? }) => {
        $(#[$about])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Code { $($(#[$doc])* $name),* }

        impl Code {
            pub const ALL: &[Self] = &[$(Self::$name),*];

            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text),* }
            }
        }

        impl std::fmt::Display for Code {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl serde::Serialize for Code {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }
    };
}
pub(crate) use codes;

codes! {
    /// What failed, for people and programs that look for it.
    pub enum Code {
        // The command line.
        /// The answer can't be printed.
        Print = "W1001",
        /// The command can't start its event loop.
        Runtime = "W1002",
        /// Nothing of that kind has this name.
        UnknownName = "W1003",
        /// Nobody answers at the daemon's socket.
        NoDaemon = "W1004",
        /// The daemon does not answer in time.
        Late = "W1005",
        /// The daemon and the command do not understand each other.
        Misunderstood = "W1006",
        /// A daemon runs, and would make again what was to be removed.
        StillRunning = "W1007",
        /// There is no state to tell leftovers by.
        NoState = "W1008",
        /// The log can't be written where the configuration says.
        Log = "W1009",
        // The state directory.
        /// The state directory can't be made, read or locked.
        StateDir = "W1101",
        /// Another process uses the state directory.
        StateTaken = "W1102",
        /// A stored object can't be understood.
        StateBroken = "W1103",
        /// A stored object can't be written.
        StateUnwritten = "W1104",
        // The daemon's own life.
        /// Another warren runs on this host.
        NotAlone = "W1201",
        /// Whether another warren runs can't be found out.
        MaybeAlone = "W1202",
        /// The socket for `warren status` can't be made.
        Listen = "W1203",
        /// Signals can't be listened for.
        Signals = "W1204",
        /// There is neither a topology without mistakes nor a state of an earlier run.
        NothingToServe = "W1205",
        /// A part of the daemon ended; a bug.
        Ended = "W1206",
        // Nodes where Neutron's agents ran.
        /// An agent whose place is to be taken runs.
        AgentRuns = "W1211",
        /// What agents left running can't be found or ended.
        LeftRunning = "W1212",
        /// The agents have not taken over what is given back.
        NotTaken = "W1213",
        // Namespaces and the kernel.
        /// A namespace can't be made, opened, entered or deleted.
        Namespace = "W1301",
        /// The kernel does not tell what a namespace holds.
        Look = "W1302",
        /// The kernel (or nft) refused a change.
        Refused = "W1303",
        /// Something that is not warren's stands in the way.
        Conflict = "W1304",
        /// Something else changes what warren sets, all the time.
        Unsettled = "W1305",
        /// A socket can't be opened inside a namespace.
        Socket = "W1306",
        /// Connections of an address that went can't be ended.
        Conntrack = "W1307",
        /// New addresses can't be announced.
        Announce = "W1308",
        /// A namespace can't be watched.
        Watch = "W1309",
        /// A plan that makes no sense, or work that panicked; a bug.
        Bug = "W1310",
        // What instances are served.
        /// DHCP can't be served on a network.
        Dhcp = "W1401",
        /// DNS can't be served on a network.
        Dns = "W1402",
        /// Metadata can't be served in a namespace.
        Metadata = "W1403",
        /// The secret shared with Nova can't be used.
        Secret = "W1404",
        /// Nova can't be asked as configured.
        Nova = "W1405",
        /// Router advertisements can't be sent on a link.
        Ra = "W1406",
        /// DHCPv6 can't be served on a network.
        Dhcp6 = "W1407",
        // How ports reach their networks.
        /// Open vSwitch's database can't be used.
        Ovsdb = "W1501",
        /// A port can't be plugged or unplugged.
        Plug = "W1502",
        // The message bus.
        /// No broker can be used.
        Broker = "W1601",
        /// The server does not answer in time.
        Unanswered = "W1602",
        /// The server answers with a failure.
        ServerFailed = "W1603",
        // What the server says.
        /// An object, a notice or an answer makes no sense.
        Nonsense = "W1604",
        /// The server gives a network no port of ours, or one with too few addresses.
        OwnPort = "W1605",
    }
}

/// The code of an error, or of the nearest cause that has one.
pub fn of(error: &(dyn Error + 'static)) -> Option<Code> {
    successors(Some(error), |&error| error.source()).find_map(own)
}

/// An error and all that caused it, in one line: "do X: because Y: because Z".
pub fn causes(error: &(dyn Error + 'static)) -> String {
    let causes = successors(error.source(), |&cause| cause.source());
    // Some errors repeat their cause in their own text.
    causes.fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.contains(&cause) {
            text
        } else {
            format!("{text}: {cause}")
        }
    })
}

fn own(error: &(dyn Error + 'static)) -> Option<Code> {
    (error.downcast_ref().and_then(app))
        .or_else(|| error.downcast_ref().map(netns))
        .or_else(|| error.downcast_ref().map(store))
        .or_else(|| error.downcast_ref().map(socket))
        .or_else(|| error.downcast_ref().map(cli))
        .or_else(|| error.downcast_ref().map(alone))
        .or_else(|| error.downcast_ref().map(metadata))
        .or_else(|| error.downcast_ref().map(call))
        .or_else(|| error.is::<bus::LinkError>().then_some(Code::Broker))
        .or_else(|| error.is::<DecodeError>().then_some(Code::Nonsense))
        .or_else(|| error.downcast_ref().and_then(own_port))
        .or_else(|| error.is::<metadata::SecretError>().then_some(Code::Secret))
        .or_else(|| error.downcast_ref().and_then(adopt))
        .or_else(|| error.downcast_ref().and_then(give_back))
        .or_else(|| error.downcast_ref().and_then(plug))
        .or_else(|| error.downcast_ref().map(dhcp))
        .or_else(|| error.is::<Panicked>().then_some(Code::Bug))
        .or_else(|| error.is::<dns::Error>().then_some(Code::Dns))
        .or_else(|| error.is::<ra::Error>().then_some(Code::Ra))
}

/// Those that only pass an error on leave it its own code.
fn app(error: &AppError) -> Option<Code> {
    match error {
        AppError::Store(error) => Some(store(error)),
        AppError::Alone(error) => Some(alone(error)),
        AppError::Adopt(error) => adopt(error),
        AppError::Socket(error) => Some(socket(error)),
        AppError::Home(_) | AppError::Metadata(_) => None,
        AppError::Signals(_) => Some(Code::Signals),
        AppError::Topology { .. } => Some(Code::NothingToServe),
        AppError::Ended { .. } => Some(Code::Ended),
    }
}

fn netns(error: &netns::Error) -> Code {
    use netns::Error;
    match error {
        Error::Open { .. }
        | Error::Create { .. }
        | Error::Delete { .. }
        | Error::List { .. }
        | Error::Workers { .. }
        | Error::Enter { .. }
        | Error::Inside { .. } => Code::Namespace,
        Error::Look { .. } => Code::Look,
        Error::Step { .. }
        | Error::Give { .. }
        | Error::Offload { .. }
        | Error::Iptables { .. } => Code::Refused,
        Error::Conflict { .. } => Code::Conflict,
        Error::Unsettled { .. } => Code::Unsettled,
        Error::Socket { .. } => Code::Socket,
        Error::Conntrack { .. } => Code::Conntrack,
        Error::Announce { .. } => Code::Announce,
        Error::Watch { .. } => Code::Watch,
        Error::Mistake { .. } | Error::Panicked { .. } => Code::Bug,
        Error::Several(all) => all.first().map_or(Code::Bug, netns),
    }
}

fn store(error: &StoreError) -> Code {
    match error {
        StoreError::Dir { .. } => Code::StateDir,
        StoreError::Taken { .. } => Code::StateTaken,
        StoreError::Broken { .. } => Code::StateBroken,
        StoreError::Write { .. } => Code::StateUnwritten,
    }
}

fn socket(error: &SocketError) -> Code {
    match error {
        SocketError::Listen { .. } => Code::Listen,
        SocketError::Ask { .. } => Code::NoDaemon,
        SocketError::Late { .. } => Code::Late,
        SocketError::Answer { .. } => Code::Misunderstood,
    }
}

fn cli(error: &CliError) -> Code {
    match error {
        CliError::Print(_) => Code::Print,
        CliError::Runtime(_) => Code::Runtime,
        CliError::Unknown { .. } => Code::UnknownName,
        CliError::Refused { .. } => Code::Misunderstood,
        CliError::StillRunning | CliError::StillServing { .. } => Code::StillRunning,
        CliError::NoState { .. } => Code::NoState,
        CliError::Log { .. } => Code::Log,
    }
}

fn alone(error: &AloneError) -> Code {
    match error {
        AloneError::NotAlone { .. } => Code::NotAlone,
        AloneError::Unknown(_) => Code::MaybeAlone,
    }
}

fn adopt(error: &AdoptError) -> Option<Code> {
    match error {
        AdoptError::AgentRuns { .. } => Some(Code::AgentRuns),
        AdoptError::Processes(_) | AdoptError::End { .. } | AdoptError::GoesOn { .. } => {
            Some(Code::LeftRunning)
        }
        AdoptError::Kernel(error) => Some(netns(error)),
    }
}

fn give_back(error: &GiveBackError) -> Option<Code> {
    match error {
        GiveBackError::Kernel(error) => Some(netns(error)),
        GiveBackError::Plug(error) => plug(error),
        GiveBackError::NotTaken(_) | GiveBackError::NotHeard(_) | GiveBackError::Connect { .. } => {
            Some(Code::NotTaken)
        }
    }
}

fn call(error: &bus::CallError) -> Code {
    use bus::CallError;
    match error {
        CallError::Away { .. } | CallError::NotSent { .. } | CallError::Lost { .. } => Code::Broker,
        CallError::TimedOut { .. } => Code::Unanswered,
        CallError::Remote(_) => Code::ServerFailed,
    }
}

/// The server's failures keep their own.
fn own_port(error: &PortError) -> Option<Code> {
    match error {
        PortError::Refused | PortError::Incomplete { .. } => Some(Code::OwnPort),
        PortError::Call(_) | PortError::Answer(_) => None,
    }
}

fn metadata(error: &metadata::Error) -> Code {
    use metadata::Error;
    match error {
        Error::Listen(_) | Error::Socket { .. } => Code::Metadata,
        Error::Tls(_) | Error::Host { .. } => Code::Nova,
    }
}

/// What only passes the kernel's error on leaves it its own code.
fn dhcp(error: &dhcp::Error) -> Code {
    match error {
        dhcp::Error::Listen { .. } => Code::Dhcp,
        dhcp::Error::Listen6 { .. } => Code::Dhcp6,
    }
}

fn plug(error: &plug::Error) -> Option<Code> {
    use plug::Error;
    match error {
        Error::Database(_) => Some(Code::Ovsdb),
        Error::Kernel(error) => Some(netns(error)),
        Error::NoBridge { .. }
        | Error::Refused { .. }
        | Error::NotDone { .. }
        | Error::NoDevice { .. } => Some(Code::Plug),
        Error::Several(all) => all.first().and_then(plug),
    }
}

#[cfg(test)]
mod tests;
