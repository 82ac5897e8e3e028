//! The topology file as a source at work: loaded, watched, and its differences told to the loop.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::AppError;
use crate::dns::{self, RESOLV_CONF};
use crate::model::{Event, State};
use crate::reconcile::{Rooms, Word};
use crate::status::SourceView;
use crate::store::Store;
use crate::topology::{self, Loaded, MetadataSource, Mistake, Source, Watch};
use crate::{chain, metadata, plan};

/// In the log, of one file; a file of thousands of lines can have a mistake in each.
const MISTAKES_TOLD: usize = 20;

/// What an earlier run served with, for a start with a broken file. Paths of secrets, never secrets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    plan: plan::Settings,
    metadata: MetadataSource,
}

/// The follower of one file.
pub(super) struct Follower {
    topology: PathBuf,
    state_dir: PathBuf,
    /// `None`: the file was never right since we started.
    source: Option<Source>,
    store: Arc<Store>,
    rooms: Rooms,
    words: mpsc::Sender<Word>,
    /// `None`: only SIGHUP loads the file again.
    watch: Option<Watch>,
    /// What the loop knows from the store, until the file has been right once.
    stored: State,
}

impl Follower {
    /// Loads the file for the first time.
    ///
    /// # Errors
    /// The file has mistakes, and there is nothing from an earlier run to serve until it has none.
    pub(super) async fn open(
        topology: &Path,
        state_dir: &Path,
        store: Arc<Store>,
        rooms: Rooms,
        words: mpsc::Sender<Word>,
        stored: State,
    ) -> Result<Self, AppError> {
        let empty = stored.networks.is_empty() && stored.routers.is_empty();
        // Before the first look at the file: a change in between is not lost.
        let watch = Watch::new([topology.to_owned(), RESOLV_CONF.into()]);
        let watch = watch
            .inspect_err(
                |error| warn!(%error, "the topology is not watched; SIGHUP loads it again"),
            )
            .ok();
        let mut follower = Self {
            watch,
            topology: topology.to_owned(),
            state_dir: state_dir.to_owned(),
            source: None,
            store,
            rooms,
            words,
            stored,
        };
        match follower.load().await {
            Err(mistakes) if empty => Err(AppError::Topology {
                path: topology.to_owned(),
                mistakes: mistakes.len(),
            }),
            _ => Ok(follower),
        }
    }

    /// Loads it again after every change and every SIGHUP, for ever.
    pub(super) async fn follow(mut self, mut reload: Signal) {
        loop {
            let changed = async {
                match &mut self.watch {
                    Some(watch) => watch.changed().await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = changed => {}
                _ = reload.recv() => info!("SIGHUP"),
            }
            // What is wrong has been told, and the state before it goes on.
            let _ = self.load().await;
        }
    }

    /// Tells the loop what differs; a file with mistakes is told to the operator instead.
    async fn load(&mut self) -> Result<(), Vec<Mistake>> {
        let first = self.source.is_none();
        let read = tokio::task::block_in_place(|| self.read());
        let mut events = match read {
            Ok(events) => events,
            Err(mistakes) => {
                // The mistake may be in a file that the topology names.
                if let Some(watch) = &mut self.watch {
                    watch.follow(topology::files(&self.topology));
                }
                self.refuse(&mistakes).await;
                return Err(mistakes);
            }
        };
        let Some(loaded) = self.source.as_ref().map(Source::loaded) else {
            return Ok(());
        };
        if let Some(watch) = &mut self.watch {
            let of_host = loaded.resolvers.is_none().then(|| RESOLV_CONF.into());
            watch.follow(loaded.files.iter().cloned().chain(of_host));
        }
        for warning in &loaded.warnings {
            warn!("{warning}");
        }
        let kept = Kept {
            plan: settings(loaded),
            metadata: loaded.metadata.clone(),
        };
        self.take_up(&kept);
        info!(changes = events.len(), "topology loaded");
        if first {
            let named = BTreeSet::new();
            events.push(Event::Complete { named });
        }
        self.say(Word::Settings(Box::new(kept.plan))).await;
        self.say(Word::Events(events)).await;
        self.say(Word::Source(SourceView {
            name: self.name(),
            refused: None,
        }))
        .await;
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<Event>, Vec<Mistake>> {
        if let Some(source) = &mut self.source {
            return source.reload();
        }
        let (source, events) = Source::open(&self.topology, &self.state_dir, self.stored.clone())?;
        self.source = Some(source);
        self.stored = State::default();
        Ok(events)
    }

    fn take_up(&self, kept: &Kept) {
        let upstream = upstream(&kept.metadata).map_err(|error| chain(&error));
        let taken = upstream.and_then(|upstream| {
            self.rooms
                .metadata
                .set_upstream(&upstream)
                .map_err(|error| chain(&error))
        });
        if let Err(error) = taken {
            error!(%error, "the metadata source stays what it was");
        }
        if let Err(error) = self.store.keep_settings(kept) {
            error!(error = %chain(&error), "settings not kept for the next start");
        }
    }

    async fn refuse(&self, mistakes: &[Mistake]) {
        for mistake in mistakes.iter().take(MISTAKES_TOLD) {
            error!("{mistake}");
        }
        error!(mistakes = mistakes.len(), topology = %self.topology.display(), "topology refused, nothing of it is applied (`warren check` tells every mistake)");
        let first = mistakes.first().map(ToString::to_string);
        self.say(Word::Source(SourceView {
            name: self.name(),
            refused: first,
        }))
        .await;
    }

    /// A loop that has ended hears nothing, and the daemon ends with it.
    async fn say(&self, word: Word) {
        let _ = self.words.send(word).await;
    }

    fn name(&self) -> String {
        self.topology.display().to_string()
    }
}

impl Kept {
    /// From an earlier run; the default if there was none, or what it kept can't be read any more.
    pub(super) fn of(store: &Store) -> Self {
        store.settings().unwrap_or_else(|error| {
            error!(error = %chain(&error), "settings of the earlier run are lost until the topology is loaded");
            None
        }).unwrap_or_default()
    }

    pub(super) fn plan(&self) -> plan::Settings {
        self.plan.clone()
    }

    pub(super) fn upstream(&self) -> metadata::Upstream {
        upstream(&self.metadata).unwrap_or_else(|error| {
            error!(error = %chain(&error), "Nova can't be asked until the topology is loaded");
            metadata::Upstream::Local
        })
    }
}

/// The file's settings, with the host's resolvers where it names none.
fn settings(loaded: &Loaded) -> plan::Settings {
    let host_resolvers = loaded.resolvers.clone().unwrap_or_else(host_resolvers);
    plan::Settings {
        host_resolvers,
        ..loaded.settings.clone()
    }
}

fn host_resolvers() -> Vec<SocketAddr> {
    dns::host_resolvers().unwrap_or_else(|error| {
        warn!(%error, path = RESOLV_CONF, "the host's resolvers are unknown; names of elsewhere are not resolved");
        Vec::new()
    })
}

fn upstream(source: &MetadataSource) -> Result<metadata::Upstream, metadata::SecretError> {
    let MetadataSource::Nova(nova) = source else {
        return Ok(metadata::Upstream::Local);
    };
    let https = nova.url.scheme_str() == Some("https");
    let (client_cert, client_key) = nova.client.clone().unzip();
    Ok(metadata::Upstream::Nova(metadata::NovaSettings {
        protocol: if https {
            metadata::NovaProtocol::Https
        } else {
            metadata::NovaProtocol::Http
        },
        host: nova
            .url
            .host()
            .unwrap_or_default()
            .trim_matches(['[', ']'])
            .to_owned(),
        port: nova.url.port_u16().unwrap_or(if https { 443 } else { 80 }),
        secret: metadata::Secret::read(&nova.shared_secret_file)?,
        insecure: nova.insecure,
        ca: nova.ca_file.clone(),
        client_cert,
        client_key,
    }))
}
