//! The daemon's loop in this process: told by us instead of by a file, asked by us instead of by an operator.

use std::path::Path;
use std::sync::Arc;

use arc_swap::ArcSwap;
use tokio::sync::{mpsc, oneshot};
use warren::model::{Event, State};
use warren::plan::Settings;
use warren::reconcile::{Parts, Reconciler, Rooms, Word};
use warren::status::{Ask, Reply, SourceView, socket::Asked};
use warren::store::Store;
use warren::{dns, metadata};

/// Its loop, at work.
pub(crate) struct Loop {
    words: mpsc::Sender<Word>,
    ask: mpsc::Sender<Asked>,
}

impl Loop {
    /// Starts it; back when all of `state` was converged.
    pub(crate) async fn start(state_dir: &Path, state: State, settings: Settings) -> Self {
        let shared_state = Arc::new(ArcSwap::from_pointee(State::default()));
        let local = metadata::MetadataSettings {
            upstream: metadata::Upstream::Local,
            limits: metadata::Limits::default(),
        };
        let rooms = Rooms {
            dhcp: Arc::default(),
            dns: dns::Shared::new(),
            metadata: metadata::Shared::new(local, Arc::clone(&shared_state)).unwrap(),
            ra: Arc::default(),
        };
        let (ready, is_ready) = oneshot::channel();
        let parts = Parts {
            store: Arc::new(Store::open(state_dir).unwrap()),
            settings,
            rooms,
            plug: Arc::default(),
            shared_state,
            ready,
            reports: None,
            predecessor: None,
            kinds: Default::default(),
        };
        let (words, heard) = mpsc::channel(1);
        let (ask, asked) = mpsc::channel(1);
        tokio::spawn(Reconciler::new(parts, state).unwrap().run(heard, asked));
        let source = Word::Source(SourceView::default());
        words.send(source).await.unwrap();
        is_ready.await.unwrap();
        Self { words, ask }
    }

    /// As a source does.
    pub(crate) async fn tell(&self, event: Event) {
        self.words.send(Word::Events(vec![event])).await.unwrap();
    }

    /// As an operator does.
    pub(crate) async fn ask(&self, question: Ask) -> Reply {
        let (reply, answer) = oneshot::channel();
        self.ask.send((question, reply)).await.unwrap();
        answer.await.unwrap()
    }
}
