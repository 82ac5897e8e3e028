//! warren's loop, in this process.

use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use netns::{Namespace, NsName};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use warren::model::{Event, State, Target};
use warren::plan::{self, Settings};
use warren::plug::{Driver, Plug};
use warren::reconcile::sweep::Kinds;
use warren::reconcile::{Parts, Reconciler, Rooms, Word};
use warren::status::{Ask, Convergence, Reply, SourceView, Status, socket};
use warren::store::Store;
use warren::{dns, metadata};

use crate::common::PATIENCE;
use crate::tenant;

const STATE_DIR: &str = "/run/state";

pub(crate) struct Node {
    words: mpsc::Sender<Word>,
    questions: mpsc::Sender<socket::Asked>,
    running: JoinHandle<()>,
    settings: Settings,
}

impl Node {
    /// From what an earlier one has kept.
    pub(crate) fn start(driver: Driver) -> Self {
        Self::start_as(driver, Kinds::default(), STATE_DIR)
    }

    /// With a state of its own, as another process for some kinds alone.
    pub(crate) fn start_as(driver: Driver, kinds: Kinds, state_dir: &str) -> Self {
        std::fs::create_dir_all(state_dir).unwrap();
        let plug = Plug::new(driver);
        let settings = Settings {
            plugging: plug.plugging(),
            ..Settings::default()
        };
        let store = Store::open(state_dir.as_ref()).unwrap();
        let (stored, _) = store.load();
        let shared_state = Arc::new(ArcSwap::from_pointee(State::default()));
        let of_metadata = metadata::MetadataSettings {
            upstream: metadata::Upstream::Local,
            limits: metadata::Limits::default(),
        };
        let rooms = Rooms {
            dhcp: Arc::default(),
            dns: dns::Shared::new(),
            metadata: metadata::Shared::new(of_metadata, Arc::clone(&shared_state)).unwrap(),
            ra: Arc::default(),
        };
        let parts = Parts {
            store: Arc::new(store),
            settings: settings.clone(),
            rooms,
            plug: Arc::new(plug),
            shared_state,
            ready: oneshot::channel().0,
            reports: None,
            predecessor: None,
            kinds,
        };
        let (words, heard) = mpsc::channel(8);
        let (questions, asked) = mpsc::channel(8);
        let reconciler = Reconciler::new(parts, stored).unwrap();
        let running = tokio::spawn(reconciler.run(heard, asked));
        Self {
            words,
            questions,
            running,
            settings,
        }
    }

    /// With the tenant on it.
    pub(crate) async fn with_tenant(driver: Driver) -> Self {
        let node = Self::start(driver);
        node.say(tenant::events()).await;
        node
    }

    pub(crate) async fn say(&self, events: Vec<Event>) {
        let word = Word::Source(SourceView::default());
        self.words.send(word).await.unwrap();
        self.words.send(Word::Events(events)).await.unwrap();
    }

    pub(crate) async fn stop(self) {
        drop(self.words);
        self.running.await.unwrap();
    }

    async fn status(&self) -> Status {
        let (sender, reply) = oneshot::channel();
        self.questions.send((Ask::Status, sender)).await.unwrap();
        match reply.await.unwrap() {
            Reply::Status(status) => *status,
            other => panic!("{other:?}"),
        }
    }

    /// Waits until so many targets are as they should be, and there is no other.
    pub(crate) async fn converged(&self, targets: usize) {
        self.until(&format!("{targets} converged targets"), |status| {
            let done = |target: &&_| is_converged(target);
            status.targets.len() == targets && status.targets.iter().filter(done).count() == targets
        })
        .await;
    }

    /// Waits for a target to fail, and gives its error.
    pub(crate) async fn error(&self) -> String {
        let status = self
            .until("a failure", |status| error_of(status).is_some())
            .await;
        error_of(&status).unwrap()
    }

    /// Waits for a failure whose text has this in it.
    pub(crate) async fn error_with(&self, text: &str) {
        let told = |status: &Status| error_of(status).is_some_and(|error| error.contains(text));
        self.until(text, told).await;
    }

    async fn until(&self, what: &str, is_so: impl Fn(&Status) -> bool) -> Status {
        let start = Instant::now();
        loop {
            let status = self.status().await;
            if is_so(&status) {
                return status;
            }
            assert!(
                start.elapsed() < PATIENCE,
                "waited in vain for {what}: {status:#?}"
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// What there is still to do, looked at from aside.
    pub(crate) async fn steps(&self) -> Vec<String> {
        let state = tenant::state();
        let home = Namespace::home().unwrap();
        let mut steps = Vec::new();
        for target in [Target::Network(tenant::BLUE), Target::Router(tenant::R1)] {
            let plan = plan::plan(&state, target, &self.settings).unwrap();
            let inside = plan.inside.unwrap();
            let name: NsName = plan::namespace(target);
            let namespace = Namespace::open(&name).unwrap().unwrap();
            for (place, spec) in [(&namespace, &inside), (&home, &plan.host)] {
                let actual = netns::observe(place, spec).await.unwrap();
                steps.extend(netns::diff(spec, &actual).iter().map(ToString::to_string));
            }
        }
        steps
    }
}

fn is_converged(target: &warren::status::TargetView) -> bool {
    target.convergence == Convergence::Converged
}

fn error_of(status: &Status) -> Option<String> {
    status
        .targets
        .iter()
        .find_map(|target| match &target.convergence {
            Convergence::Failed { error, .. } => Some(error.clone()),
            Convergence::Pending | Convergence::Converged => None,
        })
}
