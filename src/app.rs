//! Builds the parts, joins them by channels, and stops them in order.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::model::State;
use crate::reconcile::{Parts, Reconciler, Rooms, Word};
use crate::status::{Ask, SourceView, socket};
use crate::store::{Store, StoreError};
use crate::topology::{self, Loaded, Mistake, Source};
use crate::{chain, dhcp, dns, metadata};

/// Words of the source that wait for the loop; a faster source waits.
const WORDS: usize = 16;
/// Questions of operators; more wait in their sockets.
const QUESTIONS: usize = 16;

/// Where things are, as the command line says.
#[derive(Debug, Clone)]
pub struct Options {
    pub topology: PathBuf,
    pub state_dir: PathBuf,
    pub socket: PathBuf,
}

#[derive(Debug, thiserror::Error)]
pub enum AppError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    #[error("open the host's namespace")]
    Home(#[source] netns::Error),
    #[error("prepare the metadata service")]
    Metadata(#[source] metadata::Error),
    #[error("listen for signals")]
    Signals(#[source] std::io::Error),
    #[error("start from {path}: {count} mistakes in it, and no state of an earlier run to serve meanwhile")]
    Topology { path: PathBuf, count: usize },
    #[error("go on: the main loop ended; this is a bug, please report it with the log lines before this one")]
    LoopEnded,
}

/// The daemon, until SIGTERM or SIGINT. The data plane stays when it returns.
pub async fn run(options: Options) -> Result<(), AppError> {
    let mut stop = Stop::listen().map_err(AppError::Signals)?;
    raise_descriptor_limit();
    let store = Arc::new(Store::open(&options.state_dir)?);
    let (stored, broken) = store.load();
    for error in &broken {
        error!(error = %chain(error), "a stored object is lost until the topology names it again");
    }
    let had_state = !stored.networks.is_empty() || !stored.routers.is_empty();
    let settings = store.settings().unwrap_or_default();
    let shared_state = Arc::new(ArcSwap::from_pointee(State::default()));
    let upstream = metadata::Shared::new(settings.metadata.clone(), Arc::clone(&shared_state));
    let rooms = Rooms {
        dhcp: dhcp::Shared::new(),
        dns: dns::Shared::new(),
        metadata: upstream.map_err(AppError::Metadata)?,
    };
    let listener = socket::listen(&options.socket)?;
    let (ready, is_ready) = oneshot::channel();
    let parts = Parts { store: Arc::clone(&store), settings: settings.plan, rooms: rooms.clone(), shared_state, ready };
    // What was known is served before the source is even looked at.
    let reconciler = Reconciler::new(parts, stored.clone()).map_err(AppError::Home)?;
    let (words, heard) = mpsc::channel(WORDS);
    let (ask, asked) = mpsc::channel(QUESTIONS);
    let mut parts = JoinSet::new();
    let reconciling = tokio::spawn(reconciler.run(heard, asked));
    parts.spawn(socket::serve(listener, ask.clone()));
    let follower = Follower { options, store, rooms, words, state: stored };
    let first = follower.open(had_state).await?;
    parts.spawn(first.follow());
    parts.spawn(tell_systemd(is_ready, ask));
    tokio::select! {
        () = stop.recv() => info!("stopping"),
        _ = parts.join_next() => {}
    }
    sd_notify_quietly(&[sd_notify::NotifyState::Stopping]);
    // With the source gone the loop writes what is unsaved, and ends.
    parts.shutdown().await;
    reconciling.await.map_err(|_| AppError::LoopEnded)
}
