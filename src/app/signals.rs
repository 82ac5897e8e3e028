//! Signals that end the daemon, and those that ask it how it is.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tracing::info;

use crate::status::{Ask, Convergence, Reply, socket::Asked};

/// SIGTERM or SIGINT, whichever is first.
pub(super) struct Stop(Signal, Signal);

impl Stop {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self(
            signal(SignalKind::terminate())?,
            signal(SignalKind::interrupt())?,
        ))
    }

    pub(super) async fn recv(&mut self) {
        either(&mut self.0, &mut self.1).await;
    }
}

/// SIGUSR1 or SIGUSR2: Python's services write a report of themselves then. Unheard, they would end the daemon.
pub(super) struct HowAreYou(Signal, Signal);

impl HowAreYou {
    pub(super) fn listen() -> io::Result<Self> {
        Ok(Self(
            signal(SignalKind::user_defined1())?,
            signal(SignalKind::user_defined2())?,
        ))
    }

    /// Answers into the log. Ends only with the daemon.
    pub(super) async fn answer(mut self, ask: mpsc::Sender<Asked>) {
        loop {
            either(&mut self.0, &mut self.1).await;
            let (reply, answered) = oneshot::channel();
            let asked = ask.send((Ask::Status, reply)).await.is_ok();
            if !asked {
                return std::future::pending().await;
            }
            if let Ok(Reply::Status(view)) = answered.await {
                let failed =
                    |convergence: &Convergence| matches!(convergence, Convergence::Failed { .. });
                let failed = view
                    .targets
                    .iter()
                    .filter(|target| failed(&target.convergence));
                info!(
                    source = view.source.name,
                    networks = view.networks,
                    routers = view.routers,
                    pending = view.pending,
                    failed = failed.count(),
                    "as `warren status` tells in full"
                );
            }
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
