//! What systemd is told (sd_notify(3)): ready once everything known was tried, and alive as long as the loop answers.

use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tracing::debug;

use crate::status::{Ask, socket::Asked};

/// Ends only with the daemon.
pub(super) async fn tell(ready: oneshot::Receiver<()>, ask: mpsc::Sender<Asked>) {
    if ready.await.is_ok() {
        notify(NotifyState::Ready);
    }
    let Some(timeout) = watchdog() else {
        return std::future::pending().await;
    };
    let mut tick = tokio::time::interval(timeout / 3);
    loop {
        tick.tick().await;
        let (reply, answered) = oneshot::channel();
        let asked = ask.send((Ask::Alive, reply)).await.is_ok();
        if asked && answered.await.is_ok() {
            notify(NotifyState::Watchdog);
        }
    }
}

fn watchdog() -> Option<Duration> {
    let mut micros = 0;
    sd_notify::watchdog_enabled(false, &mut micros).then(|| Duration::from_micros(micros))
}

fn notify(state: NotifyState<'_>) {
    // Without systemd there is nobody to tell.
    if let Err(error) = sd_notify::notify(false, &[state]) {
        debug!(%error, "systemd was not told");
    }
}
