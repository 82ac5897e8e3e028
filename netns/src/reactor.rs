//! Hands a descriptor to the runtime's reactor.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Inside of a runtime only. `fd` owns its descriptor, alone or with others.
pub(crate) fn register<T: AsFd + AsRawFd>(fd: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: what owns a descriptor always tells the same one, which is open as long as any of its owners is there; the
    // `AsyncFd` has one of them from here on.
    #[allow(unsafe_code, reason = "the only way to register a descriptor")]
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(registered?)
}
