//! Closing what the kernel is slow to close, on threads where nobody waits for it.
//!
//! The end of a packet socket lasts until every CPU has come to rest once (`synchronize_net`): 5 to 20 milliseconds, in
//! which the thread that closes it stands still. Ended one by one, a few hundred of them are seconds, in which a killed
//! process would not be gone; side by side they wait for the same rest.

use std::iter::once;
use std::os::fd::OwnedFd;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{LazyLock, OnceLock};
use std::thread;

use tokio::sync::watch;

/// Closed side by side, each on a thread that ends with it.
const TOGETHER: usize = 64;

/// No bound of its own: who opens one again and again waits for [`room`].
static QUEUE: OnceLock<Option<Sender<Closing>>> = OnceLock::new();
/// So many are not closed yet.
static UNCLOSED: LazyLock<watch::Sender<usize>> = LazyLock::new(watch::Sender::default);

/// A descriptor that is counted until it is closed.
struct Closing(Option<OwnedFd>);

impl Drop for Closing {
    fn drop(&mut self) {
        drop(self.0.take());
        UNCLOSED.send_modify(|count| *count -= 1);
    }
}

/// Closes it some time soon.
pub(crate) fn close(descriptor: OwnedFd) {
    UNCLOSED.send_modify(|count| *count += 1);
    let closing = Closing(Some(descriptor));
    // Without the thread it is closed here and now, which is slow and right.
    if let Some(queue) = QUEUE.get_or_init(start) {
        let _ = queue.send(closing);
    }
}

/// Waits until one more may be opened: no faster than the kernel closes them.
pub(crate) async fn room() {
    until(|count| count < TOGETHER).await;
}

/// Waits until all that were given to [`close`] are closed.
pub(crate) async fn closed() {
    until(|count| count == 0).await;
}

async fn until(enough: impl Fn(usize) -> bool) {
    let mut count = UNCLOSED.subscribe();
    let _ = count.wait_for(|count| enough(*count)).await; // fails only when the sender goes, which is static
}

fn start() -> Option<Sender<Closing>> {
    let (queue, descriptors) = channel();
    let started = thread::Builder::new()
        .name("netns-close".into())
        .spawn(move || close_all(&descriptors));
    started.is_ok().then_some(queue)
}

fn close_all(descriptors: &Receiver<Closing>) {
    while let Ok(first) = descriptors.recv() {
        let others = descriptors.try_iter().take(TOGETHER - 1);
        let batch: Vec<Closing> = once(first).chain(others).collect();
        thread::scope(|scope| {
            for descriptor in batch {
                // Where no thread can be had, what it would have closed is dropped here, and so closed.
                let _ = thread::Builder::new()
                    .name("netns-close".into())
                    .spawn_scoped(scope, move || drop(descriptor));
            }
        });
    }
}
