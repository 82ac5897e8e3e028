//! What systemd is told (sd_notify(3)): ready once everything known was tried, and alive as long as the loop answers.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, warn};

use crate::status::{Ask, socket::Asked};

/// Ends only with the daemon.
pub(super) async fn tell(ready: oneshot::Receiver<()>, ask: mpsc::Sender<Asked>) {
    let teller = teller();
    if ready.await.is_ok() {
        notify(&teller, NotifyState::Ready);
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
            notify(&teller, NotifyState::Watchdog);
        }
    }
}

fn watchdog() -> Option<Duration> {
    let mut micros = 0;
    sd_notify::watchdog_enabled(false, &mut micros).then(|| Duration::from_micros(micros))
}

type Teller = SyncSender<NotifyState<'static>>;

/// While systemd is busy, telling it something blocks: so a thread of its own does that.
///
/// It holds one word back. What comes while that waits is not told: the next sign of life is as good.
fn teller() -> Teller {
    let (sender, words) = sync_channel(1);
    let tell = move || {
        for word in words {
            // Without systemd there is nobody to tell.
            if let Err(error) = sd_notify::notify(false, &[word]) {
                debug!(%error, "systemd was not told");
            }
        }
    };
    if let Err(error) = std::thread::Builder::new()
        .name("systemd".into())
        .spawn(tell)
    {
        warn!(%error, "systemd will not be told that warren is ready, and may end it for that");
    }
    sender
}

fn notify(teller: &Teller, state: NotifyState<'static>) {
    let _ = teller.try_send(state); // fails while an earlier word waits, see above
}
