//! Builds the parts, joins them by channels, and stops them in order.

mod alone;
mod cloud;
mod follow;
mod kernel_parts;
mod signals;
mod systemd;

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use arc_swap::ArcSwap;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tracing::{error, info, warn};

use crate::adopt::{AdoptError, Predecessor};
use crate::config::Configured;
use crate::model::State;
use crate::neutron::Role;
use crate::plug::Plug;
use crate::reconcile::sweep::Kinds;
use crate::reconcile::{Parts, Reconciler, Reports, Rooms};
use crate::status::socket;
use crate::store::{Store, StoreError};
use crate::{chain, dns, metadata, plan};

pub(crate) use alone::{AloneError, take as be_alone};
use follow::{Follower, Kept};
use signals::{HowAreYou, Stop};

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
    Adopt(#[from] AdoptError),
    #[error(transparent)]
    Socket(#[from] socket::SocketError),
    #[error("open the host's namespace")]
    Home(#[source] netns::Error),
    #[error("prepare the metadata service")]
    Metadata(#[source] metadata::Error),
    #[error("listen for signals (free memory or open files)")]
    Signals(#[source] std::io::Error),
    #[error(
        "start from {path}: it has {mistakes} mistake{s} (told above), and there is no state of an earlier run to serve meanwhile; correct the file",
        path = path.display(),
        s = if *mistakes == 1 { "" } else { "s" }
    )]
    Topology { path: PathBuf, mistakes: usize },
    #[error(
        "go on: {part} ended; this is a bug, please report it with the log lines before this one"
    )]
    Ended { part: &'static str },
}

/// The daemon, until SIGTERM or SIGINT. The data plane stays when it returns.
pub async fn run(options: Options) -> Result<(), AppError> {
    let mut stop = Stop::listen().map_err(AppError::Signals)?;
    let how_are_you = HowAreYou::listen().map_err(AppError::Signals)?;
    let reload = signal(SignalKind::hangup()).map_err(AppError::Signals)?;
    raise_descriptor_limit();
    let store = Arc::new(Store::open(&options.state_dir)?);
    let roles = options.source.roles();
    let _alone = alone::take(&roles)?;
    let predecessor = options.source.predecessor(&roles)?;
    let (mut stored, broken) = store.load();
    for error in &broken {
        error!(error = %chain(error), "an object of the last known state is lost");
    }
    if let Some(predecessor) = &predecessor {
        predecessor.distrust(&mut stored);
    }
    let beginning = Beginning::of(&options.source, &store).await;
    let shared_state = Arc::new(ArcSwap::from_pointee(State::default()));
    let metadata = metadata::Shared::new(beginning.metadata, Arc::clone(&shared_state))
        .map_err(AppError::Metadata)?;
    let rooms = Rooms {
        dhcp: Arc::default(),
        dns: dns::Shared::new(),
        metadata: Arc::clone(&metadata),
        ra: Arc::default(),
    };
    let listener = socket::listen(&options.socket)?;
    let proxies = match &options.source {
        Source::Neutron(configured) => cloud::proxies(configured)?,
        Source::Topology(_) => None,
    };
    let (ready, is_ready) = oneshot::channel();
    let reports = Arc::new(Reports::default());
    let parts = Parts {
        store: Arc::clone(&store),
        settings: beginning.plan,
        rooms: rooms.clone(),
        plug: Arc::new(beginning.plug),
        predecessor,
        shared_state,
        ready,
        reports: matches!(options.source, Source::Neutron(_)).then(|| Arc::clone(&reports)),
        kinds: Kinds::of(&roles),
    };
    let (words, heard) = mpsc::channel(WORDS);
    let (ask, asked) = mpsc::channel(QUESTIONS);
    // What was known is served before the source is even looked at.
    let reconciler = Reconciler::new(parts, stored.clone()).map_err(AppError::Home)?;
    let mut reconciling = tokio::spawn(reconciler.run(heard, asked));
    let mut others = JoinSet::new();
    let mut neutron = None;
    match options.source {
        Source::Topology(topology) => {
            info!(topology = %topology.display(), "running");
            let follower =
                Follower::open(&topology, &options.state_dir, store, rooms, words, stored).await?;
            others.spawn(follower.follow(reload));
        }
        Source::Neutron(configured) => {
            info!(host = configured.neutron.host, roles = ?configured.neutron.roles, "running");
            neutron = Some(cloud::start(
                *configured,
                &stored,
                &reports,
                &rooms.metadata,
                words,
                reload,
                &mut others,
            ));
        }
    }
    if let Some(proxies) = proxies {
        others.spawn(proxies.serve(metadata));
    }
    let probing = tokio::spawn(kernel_parts::report());
    others.spawn(socket::serve(listener, ask.clone()));
    others.spawn(how_are_you.answer(ask.clone()));
    others.spawn(systemd::tell(is_ready, ask));
    let broken = async {
        match &mut neutron {
            Some(neutron) => neutron.broken().await,
            None => std::future::pending().await,
        }
    };
    let ended = tokio::select! {
        () = stop.recv() => Ok(()),
        _ = &mut reconciling => return Err(AppError::Ended { part: "the main loop" }),
        () = broken => Err(AppError::Ended { part: "a role towards Neutron" }),
        Some(Err(error)) = others.join_next() => {
            error!(%error, "a part broke");
            Err(AppError::Ended { part: "a part" })
        }
    };
    info!("stopping");
    probing.abort();
    if let Some(neutron) = neutron {
        neutron.stop().await;
    }
    // With them the last sender of words goes: the loop writes what is unsaved, and ends.
    others.shutdown().await;
    reconciling.await.map_err(|_| AppError::Ended {
        part: "the main loop",
    })?;
    ended
}

/// What is served with until the source has spoken.
struct Beginning {
    plan: plan::Settings,
    metadata: metadata::MetadataSettings,
    plug: Plug,
}

impl Beginning {
    async fn of(source: &Source, store: &Store) -> Self {
        match source {
            Source::Topology(_) => {
                let kept = Kept::of(store);
                Self {
                    plan: kept.plan(),
                    metadata: metadata::MetadataSettings {
                        upstream: kept.upstream(),
                        limits: metadata::Limits::default(),
                    },
                    plug: Plug::default(),
                }
            }
            Source::Neutron(configured) => {
                let (plug, plan) = cloud::plugging(configured).await;
                Self {
                    plan,
                    metadata: configured.metadata.clone(),
                    plug,
                }
            }
        }
    }
}

impl Source {
    /// What Neutron's agents left is taken over only where a Neutron server says what it is.
    fn predecessor(&self, roles: &BTreeSet<Role>) -> Result<Option<Arc<Predecessor>>, AdoptError> {
        match self {
            Self::Topology(_) => Ok(None),
            Self::Neutron(_) => Ok(Some(Arc::new(Predecessor::look(roles)?))),
        }
    }

    /// What this daemon does on its host; others may do the rest.
    fn roles(&self) -> BTreeSet<Role> {
        match self {
            Self::Topology(_) => Role::ALL.into(),
            Self::Neutron(configured) => configured.neutron.roles.clone(),
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
