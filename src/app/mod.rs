//! Builds the parts, joins them by channels, and stops them in order.

mod alone;
mod follow;
mod kernel_parts;
mod systemd;

use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::config::Configured;
use crate::model::State;
use crate::reconcile::{Parts, Reconciler, Rooms};
use crate::status::socket;
use crate::store::{Store, StoreError};
use crate::{chain, dns, metadata};

pub(crate) use alone::{AloneError, take as be_alone};
use follow::{Follower, Kept};

/// Words of the source that wait for the loop; a faster source waits.
const WORDS: usize = 16;
/// Questions of operators; more wait in their sockets.
const QUESTIONS: usize = 16;
/// Descriptors: 4 to 8 per namespace, and one per connection of an instance.
const DESCRIPTORS: u64 = 524_288;

/// Where things are, as the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    pub source: Source,
    pub state_dir: PathBuf,
    pub socket: PathBuf,
}

/// Who tells what to make and to serve.
#[derive(Debug, Clone)]
pub enum Source {
    /// A topology file.
    Topology(PathBuf),
    /// A Neutron server, as the agents' configuration files say.
    Neutron(Box<Configured>),
}

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Alone(#[from] alone::AloneError),
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    #[error("open the host's namespace")]
    Home(#[source] netns::Error),
    #[error("prepare the metadata service")]
    Metadata(#[source] metadata::Error),
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error(
        "start from {path}: it has {mistakes} mistakes (told above), and there is no state of an earlier run to serve meanwhile",
        path = path.display()
    )]
    Topology { path: PathBuf, mistakes: usize },
    #[error(
        "serve a Neutron server: this version can only check the configuration for it (warren check --config-file ...)"
    )]
    NoNeutron,
    #[error(
        "go on: {part} ended; this is a bug, please report it with the log lines before this one"
    )]
    Ended { part: &'static str },
}

/// The daemon, until SIGTERM or SIGINT. The data plane stays when it returns.
pub async fn run(options: Options) -> Result<(), AppError> {
    let topology = match &options.source {
        Source::Topology(path) => path,
        Source::Neutron(_) => return Err(AppError::NoNeutron),
    };
    let mut stop = Stop::listen().map_err(AppError::Signals)?;
    let reload = signal(SignalKind::hangup()).map_err(AppError::Signals)?;
    raise_descriptor_limit();
    let store = Arc::new(Store::open(&options.state_dir)?);
    let _alone = alone::take()?;
    let (stored, broken) = store.load();
    for error in &broken {
        error!(error = %chain(error), "an object of the last known state is lost");
    }
    let kept = Kept::of(&store);
    let shared_state = Arc::new(ArcSwap::from_pointee(State::default()));
    let upstream = metadata::Shared::new(
        metadata::MetadataSettings {
            upstream: kept.upstream(),
            limits: metadata::Limits::default(),
        },
        Arc::clone(&shared_state),
    );
    let rooms = Rooms {
        dhcp: Arc::default(),
        dns: dns::Shared::new(),
        metadata: upstream.map_err(AppError::Metadata)?,
    };
    let listener = socket::listen(&options.socket)?;
    let (ready, is_ready) = oneshot::channel();
    let parts = Parts {
        store: Arc::clone(&store),
        settings: kept.plan(),
        rooms: rooms.clone(),
        shared_state,
        ready,
    };
    let (words, heard) = mpsc::channel(WORDS);
    let (ask, asked) = mpsc::channel(QUESTIONS);
    // What was known is served before the source is even looked at.
    let reconciler = Reconciler::new(parts, stored.clone()).map_err(AppError::Home)?;
    let mut reconciling = tokio::spawn(reconciler.run(heard, asked));
    let follower =
        Follower::open(topology, &options.state_dir, store, rooms, words, stored).await?;
    let mut others = JoinSet::new();
    let probing = tokio::spawn(kernel_parts::report());
    others.spawn(socket::serve(listener, ask.clone()));
    others.spawn(follower.follow(reload));
    others.spawn(systemd::tell(is_ready, ask));
    info!(topology = %topology.display(), "running");
    let ended = tokio::select! {
        () = stop.recv() => Ok(()),
        _ = &mut reconciling => return Err(AppError::Ended { part: "the main loop" }),
        Some(Err(error)) = others.join_next() => {
            error!(%error, "a part broke");
            Err(AppError::Ended { part: "a part" })
        }
    };
    info!("stopping");
    probing.abort();
    // With the follower the last sender of words goes: the loop writes what is unsaved, and ends.
    others.shutdown().await;
    reconciling.await.map_err(|_| AppError::Ended {
        part: "the main loop",
    })?;
    ended
}

/// SIGTERM or SIGINT, whichever is first.
struct Stop(Signal, Signal);

impl Stop {
    fn listen() -> std::io::Result<Self> {
        Ok(Self(
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ))
    }

    async fn recv(&mut self) {
        tokio::select! {
            _ = self.0.recv() => {}
            _ = self.1.recv() => {}
        }
    }
}

/// As far as the hard limit allows; a limit that stays low is told, for it is met at some number of networks.
fn raise_descriptor_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE).and_then(|(_, hard)| {
        setrlimit(Resource::RLIMIT_NOFILE, DESCRIPTORS, DESCRIPTORS.max(hard))
            .or_else(|_| setrlimit(Resource::RLIMIT_NOFILE, hard, hard))?;
        getrlimit(Resource::RLIMIT_NOFILE)
    });
    match raised {
        Ok((soft, _)) if soft < DESCRIPTORS => {
            warn!(
                limit = soft,
                wanted = DESCRIPTORS,
                "few file descriptors are allowed; each network needs up to 8"
            );
        }
        Ok(_) => {}
        Err(error) => warn!(%error, "the limit of file descriptors could not be raised"),
    }
}
