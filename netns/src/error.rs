//! Every error says four things: which object, which operation, why, and what to do about it.
//!
//! The text of an error is object, operation and advice; the reason stands in its `source`.

use std::fmt;
use std::io;

use crate::conflict::Conflict;
use crate::names::NsName;
use crate::spec::Place;
use crate::step::Step;

/// Something did not work. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("open {place} (needs CAP_SYS_ADMIN; `ip netns list` tells which there are)")]
    Open { place: Place, source: io::Error },
    #[error(
        "create namespace {name} (needs CAP_SYS_ADMIN, and a /run/netns that can be mounted on)"
    )]
    Create { name: NsName, source: io::Error },
    #[error("delete namespace {name} (needs CAP_SYS_ADMIN)")]
    Delete { name: NsName, source: io::Error },
    #[error("list the namespaces in /run/netns (needs a directory there that can be read)")]
    List { source: io::Error },
    #[error("start the threads that enter namespaces (free memory, processes or open files)")]
    Workers { source: io::Error },
    #[error(
        "enter {place} (needs CAP_SYS_ADMIN; a namespace that was deleted must be opened again)"
    )]
    Enter { place: Place, source: io::Error },
    /// The work's own error, whose words say what it lacks.
    #[error("work inside {place}")]
    Inside { place: Place, source: io::Error },
    #[error(
        "work inside {place}: the work panicked; this is a bug, please report it with the log lines before this one"
    )]
    Panicked { place: Place },
    #[error("use the specification for {place}: {mistake}")]
    Mistake { place: Place, mistake: Mistake },
    #[error("look at the {what} of {place} (needs CAP_NET_ADMIN, and free memory)")]
    Look {
        place: Place,
        what: &'static str,
        source: Refusal,
    },
    /// One step was refused; the kernel's words are in `source`.
    #[error("{step} in {place}{}", crate::advice::text(step, source))]
    Step {
        place: Place,
        step: Box<Step>,
        source: Refusal,
    },
    /// Something that is not ours stands in the way, or something that we need is not there.
    #[error("use {place} as specified: {conflict}")]
    Conflict { place: Place, conflict: Conflict },
    #[error(
        "settle {place}: after {rounds} rounds there is still this to do: {left} (does something else change it all the time?)"
    )]
    Unsettled {
        place: Place,
        rounds: usize,
        left: String,
    },
    #[error("open a {what} socket in {place} ({})", crate::advice::socket(source))]
    Socket {
        place: Place,
        what: String,
        source: io::Error,
    },
    #[error(
        "forget the connections of {of} in {place} (needs CAP_NET_ADMIN; they end by themselves, or by `conntrack -D`)"
    )]
    Conntrack {
        place: Place,
        of: String,
        source: Refusal,
    },
    #[error("announce {dev} in {place} (needs CAP_NET_RAW; neighbours also learn by asking)")]
    Announce {
        place: Place,
        dev: crate::DevName,
        source: io::Error,
    },
    #[error("move {dev} from {from} to {to} (see the reason; the device may have gone)")]
    Give {
        dev: crate::DevName,
        from: Place,
        to: Place,
        source: Refusal,
    },
    #[error("keep checksums from being left to {dev} in {place} (needs CAP_NET_ADMIN)")]
    Offload {
        place: Place,
        dev: crate::DevName,
        source: io::Error,
    },
    #[error(
        "take away the iptables rules in {place} that another program left (see the reason; rules of the older kind need iptables-legacy-save and -restore)"
    )]
    Iptables { place: Place, source: Refusal },
    #[error("watch {place} (free open files and inotify instances)")]
    Watch { place: Place, source: io::Error },
    /// More than one, each of its own; what could be done was done.
    #[error("{}", list(.0))]
    Several(Vec<Error>),
}

/// What is wrong with a [`Spec`](crate::Spec) itself, whatever the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{object}: {why}; {instead}")]
pub struct Mistake {
    pub object: String,
    pub why: &'static str,
    pub instead: &'static str,
}

/// The kernel (or `nft`) said no.
#[derive(Debug)]
pub struct Refusal {
    pub source: io::Error,
    /// The kernel's own words (netlink extended acknowledgement, or what `nft` printed), when it had any.
    pub words: Option<String>,
}

impl Error {
    /// True when the same wish may succeed later without anyone changing it.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Mistake { .. } | Self::Panicked { .. } => false,
            Self::Conflict { conflict, .. } => conflict.may_pass(),
            Self::Several(all) => all.iter().all(Self::is_transient),
            Self::Step { source, .. }
            | Self::Look { source, .. }
            | Self::Give { source, .. }
            | Self::Iptables { source, .. }
            | Self::Conntrack { source, .. } => source.may_pass(),
            Self::Unsettled { .. }
            | Self::Open { .. }
            | Self::Create { .. }
            | Self::Delete { .. }
            | Self::List { .. }
            | Self::Workers { .. }
            | Self::Enter { .. }
            | Self::Inside { .. }
            | Self::Socket { .. }
            | Self::Announce { .. }
            | Self::Offload { .. }
            | Self::Watch { .. } => true,
        }
    }

    /// `Ok` for none, the error itself for one.
    pub(crate) fn check(mut all: Vec<Self>) -> Result<(), Self> {
        match all.len() {
            0 => Ok(()),
            1 => Err(all.remove(0)),
            _ => Err(Self::Several(all)),
        }
    }
}

impl Refusal {
    pub(crate) fn errno(&self) -> i32 {
        self.source.raw_os_error().unwrap_or(0)
    }

    fn may_pass(&self) -> bool {
        !matches!(
            self.errno(),
            libc::EPERM | libc::EACCES | libc::EOPNOTSUPP | libc::EINVAL | libc::ERANGE
        )
    }
}

impl From<io::Error> for Refusal {
    fn from(source: io::Error) -> Self {
        Self {
            source,
            words: None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.words {
            Some(words) => write!(f, "{} ({words})", self.source),
            None => self.source.fmt(f),
        }
    }
}

impl std::error::Error for Refusal {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.source()
    }
}

/// All of them with their reasons, since a list has no one source.
fn list(errors: &[Error]) -> String {
    let text = |error: &Error| match std::error::Error::source(error) {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    };
    errors
        .iter()
        .map(text)
        .collect::<Vec<_>>()
        .join("; also failed to ")
}
