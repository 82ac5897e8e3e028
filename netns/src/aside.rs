//! Closing what the kernel is slow to close, on a thread where nobody waits for it.
//!
//! The end of a packet socket lasts until every CPU has come to rest once (`synchronize_net`): 5 to 20 milliseconds, in
//! which the thread that closes it stands still. Ended one by one on a thread that serves or changes others, a few
//! hundred of them are seconds.

use std::os::fd::OwnedFd;
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

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
        .spawn(move || descriptors.into_iter().for_each(drop));
    started.is_ok().then_some(queue)
}
