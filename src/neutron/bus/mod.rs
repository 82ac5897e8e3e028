//! The message bus as oslo.messaging speaks it over RabbitMQ: calls, casts, notices. It survives whatever the broker does,
//! and knows nothing of what the messages mean.
//!
//! A [`Bus`] connects in the background, for ever. Each time it builds a session from nothing (connect, declare, consume)
//! and lives in it until anything at all goes wrong there; then it drops all of it, and begins again. There is no
//! repairing of half a session: lapin's own recovery is off.
//!
//! | looking for | open |
//! |---|---|
//! | where the brokers are, how queues are declared | `settings.rs` |
//! | names, arguments, bindings of queues (pure) | `declare.rs` |
//! | bodies: JSON in JSON, compression (pure) | `envelope.rs` |
//! | requests, versions, context (pure); answers and failures (pure) | `request.rs`; `answer.rs` |
//! | how long is waited (pure): for answers, between attempts | `patience.rs`; `pause.rs` |
//! | repeats (pure) | `seen.rs` |
//! | a call's way out and its answer's way back | `call.rs`, `waiting.rs`, `replies.rs` |
//! | a notice's way in, and our answer to it | `listen.rs`, `reply.rs` |
//! | TCP, TLS, login; a session; session after session | `connect.rs`; `ground.rs`, `session.rs`; `supervise.rs` |
//! | whether we still hear what is sent to us | `witness.rs` |

mod answer;
mod call;
mod connect;
mod counters;
mod declare;
mod envelope;
mod error;
mod ground;
mod listen;
mod patience;
mod pause;
mod publish;
mod replies;
mod reply;
mod request;
#[cfg(test)]
pub(super) mod sample;
mod seen;
mod session;
mod settings;
mod shared;
mod supervise;
mod waiting;
mod witness;

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

pub use counters::Counts;
pub use error::{CallError, LinkError};
pub use reply::Reply;
pub use settings::{
    Broker, Compression, Failover, Login, Password, QueueManager, Queues, Retry, Settings, Tls,
};
use shared::Shared;

/// Notices that nobody took yet. When full, we take no more from the broker, where they wait in our queues: nothing is
/// lost, and what lies there unread is bounded by the prefetch count.
const NOTICES: usize = 256;
/// For an orderly end. What is not done by then the broker does when our queues expire.
const CLOSING: Duration = Duration::from_secs(3);

/// Clones share one bus. It ends with the last of them; [`Bus::close`] ends it in order.
#[derive(Debug, Clone)]
pub struct Bus {
    shared: Arc<Shared>,
    supervisor: Arc<Supervisor>,
}

/// A topic that we answer on: as `topic`, `topic.host`, and with all others who listen to its fanout.
#[derive(Debug, Clone)]
pub struct Listener {
    pub topic: String,
    pub host: String,
    /// Of the interface that we implement.
    pub version: (u16, u16),
    /// All others are answered with NoSuchMethod.
    pub methods: &'static [&'static str],
}

/// What the server tells or asks.
pub struct Notice {
    pub topic: String,
    /// One of the listener's.
    pub method: String,
    pub args: Map<String, Value>,
    /// `None`: no answer is waited for.
    pub reply: Option<Reply>,
}

/// Arguments may be user data: they are not shown.
impl fmt::Debug for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Notice({} of {})", self.method, self.topic)
    }
}

/// How a method failed, in either direction.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{class}: {message}")]
pub struct Failure {
    /// Name of a Python exception, like `AgentNotFoundByTypeHost`.
    pub class: String,
    /// Python module of that exception.
    pub module: String,
    pub message: String,
}

/// Whether a broker is connected. No text here holds a secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Link {
    Connected {
        /// `host:port`
        broker: String,
        since: SystemTime,
        /// The how many-th connection this is, from 1. When it changes, notices may have been missed.
        times: u64,
        /// The broker's reason to take no messages for now (an alarm); we still get ours.
        blocked: Option<String>,
    },
    Away {
        reason: String,
        since: SystemTime,
    },
}

impl Bus {
    /// Connects in the background, for ever; never fails. Notices come through the receiver in the order in which the
    /// broker has them, each acknowledged when it is in there: at most once.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn start(settings: Settings, listeners: Vec<Listener>) -> (Self, mpsc::Receiver<Notice>) {
        let (notices, receiver) = mpsc::channel(NOTICES);
        let shared = Arc::new(Shared::new(settings, listeners, notices));
        let (close, closing) = watch::channel(false);
        let task = tokio::spawn(supervise::supervise(Arc::clone(&shared), closing));
        let supervisor = Arc::new(Supervisor {
            close,
            task: Mutex::new(Some(task)),
        });
        (Self { shared, supervisor }, receiver)
    }

    /// Asks the server and waits for its answer. While no broker is connected it waits for one, within the same time.
    ///
    /// How long is waited depends on the method: it starts at `response_timeout`, and each time-out doubles it, up to
    /// `response_max_timeout`. After a time-out this returns only after a random pause, so that a slow server is spared.
    ///
    /// Cancel-safe: an answer that comes later is dropped.
    pub async fn call(
        &self,
        topic: &str,
        version: &str,
        method: &str,
        args: Map<String, Value>,
    ) -> Result<Value, CallError> {
        call::patient(&self.shared, topic, version, method, args).await
    }

    /// The same with a time of the caller's own, and no pause after it.
    pub async fn call_within(
        &self,
        timeout: Duration,
        topic: &str,
        version: &str,
        method: &str,
        args: Map<String, Value>,
    ) -> Result<Value, CallError> {
        call::call(&self.shared, timeout, topic, version, method, args).await
    }

    /// Tells the server. It is with the broker when this returns, but maybe nobody reads it.
    pub async fn cast(
        &self,
        topic: &str,
        version: &str,
        method: &str,
        args: Map<String, Value>,
    ) -> Result<(), CallError> {
        call::cast(&self.shared, topic, version, method, args).await
    }

    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.subscribe()
    }

    pub fn counts(&self) -> Counts {
        self.shared.counters.read()
    }

    /// Sends the answers that are under way, deletes the queues that only we read, and takes leave of the broker; all of
    /// it within three seconds. For the other clones no broker is there any more.
    pub async fn close(self) {
        // Nobody listens to it if the supervisor panicked.
        let _ended = self.supervisor.close.send(true);
        let task = self.supervisor.take();
        if let Some(mut task) = task
            && tokio::time::timeout(CLOSING, &mut task).await.is_err()
        {
            task.abort();
        }
        self.shared.closed();
    }
}

/// Ends the sessions with the last bus.
#[derive(Debug)]
struct Supervisor {
    close: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
}

impl Supervisor {
    fn take(&self) -> Option<JoinHandle<()>> {
        let mut task = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        task.take()
    }
}

impl Drop for Supervisor {
    fn drop(&mut self) {
        if let Some(task) = self.take() {
            task.abort();
        }
    }
}
