//! The topology file as a source at work: loaded, watched, and its differences told to the loop.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::Signal;
use tokio::sync::mpsc;
use tracing::{error, info, warn};

use super::{AppError, Options};
use crate::model::{Event, State};
use crate::reconcile::{Rooms, Word};
use crate::status::SourceView;
use crate::store::Store;
use crate::topology::{self, Loaded, MetadataSource, Mistake, Source, Watch};
use crate::{chain, dns, metadata, plan};

const RESOLV_CONF: &str = "/etc/resolv.conf";

/// What an earlier run served with, for a start with a broken file. Paths of secrets, never secrets.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Kept {
    plan: plan::Settings,
    metadata: MetadataSource,
}

/// The follower of one file.
pub(super) struct Follower {
    options: Options,
    /// `None`: the file was never right since we started.
    source: Option<Source>,
    store: Arc<Store>,
    rooms: Rooms,
    words: mpsc::Sender<Word>,
    /// What the loop knows from the store, until the file has been right once.
    stored: State,
}
