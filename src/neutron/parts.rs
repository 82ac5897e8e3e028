//! What a role towards the server is made of, whatever its objects are.

use std::collections::BTreeSet;
use std::sync::Arc;

use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::bus::Notice;
use super::report::Counts;
use super::server::Server;
use super::{Remarked, Settings};
use crate::latest::Latest;
use crate::model::{Event, Report, Target};

/// Of a role that asks for objects of type `T`, each known by its `Id`.
#[derive(Debug)]
pub(super) struct Parts<Id, T> {
    pub(super) server: Server,
    pub(super) settings: Arc<Settings>,
    pub(super) notices: mpsc::Receiver<Notice>,
    pub(super) events: mpsc::Sender<Vec<Event>>,
    pub(super) reports: Arc<Latest<Id, Report<T>>>,
    pub(super) sync_due: Arc<Notify>,
    pub(super) counts: watch::Sender<Counts>,
    /// Told once when all of a full sync has been taken in: only then is known what is not ours. With what the server named.
    pub(super) synced: Option<oneshot::Sender<BTreeSet<Target>>>,
    pub(super) remarked: Remarked,
}

impl<Id, T> Parts<Id, T> {
    /// A loop that has ended hears nothing, and the daemon ends with it.
    pub(super) async fn say(&self, events: Vec<Event>) {
        let _ = self.events.send(events).await;
    }

    pub(super) fn tell_synced(&mut self, named: impl Iterator<Item = Target>) {
        if let Some(synced) = self.synced.take() {
            let _ = synced.send(named.collect()); // fails only when nobody waits for it
        }
    }

    /// How many of each the role holds, for its next state report.
    pub(super) fn count<const N: usize>(&self, counts: [(&str, usize); N]) {
        let counts = counts.map(|(of, count)| (of.to_owned(), count.into()));
        self.counts.send_replace(counts.into_iter().collect());
    }
}
