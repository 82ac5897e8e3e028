//! Closing what the kernel is slow to close, on threads where nobody waits for it.
//!
//! The end of a packet socket lasts until every CPU has come to rest once (`synchronize_net`): 5 to 20 milliseconds, in
//! which the thread that closes it stands still. Ended one by one, a few hundred of them are seconds, in which a killed
//! process would not be gone; side by side they wait for the same rest.

use std::iter::once;
use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

/// Closed side by side, each on a thread that ends with it.
const TOGETHER: usize = 64;

/// No bound of its own: each entry is a descriptor, of which there are so many.
static QUEUE: OnceLock<Option<Sender<OwnedFd>>> = OnceLock::new();

/// Closes it some time soon.
pub(crate) fn close(descriptor: OwnedFd) {
    // Without the thread it is closed here and now, which is slow and right.
    if let Some(queue) = QUEUE.get_or_init(start) {
        let _ = queue.send(descriptor);
    }
}

fn start() -> Option<Sender<OwnedFd>> {
    let (queue, descriptors) = channel();
    let started = thread::Builder::new()
        .name("netns-close".into())
        .spawn(move || close_all(&descriptors));
    started.is_ok().then_some(queue)
}

fn close_all(descriptors: &Receiver<OwnedFd>) {
    while let Ok(first) = descriptors.recv() {
        let others = descriptors.try_iter().take(TOGETHER - 1);
        let batch: Vec<OwnedFd> = once(first).chain(others).collect();
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
