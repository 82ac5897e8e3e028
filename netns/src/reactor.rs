//! Hands a descriptor to the runtime's reactor.

use std::io;
use std::os::fd::OwnedFd;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

/// Inside of a runtime only.
pub(crate) fn register(fd: OwnedFd, interest: Interest) -> io::Result<AsyncFd<OwnedFd>> {
    // SAFETY: an `OwnedFd` is open, always tells the same number, and is closed by nobody but its owner, which is
    // the `AsyncFd` from here on.
    #[allow(unsafe_code, reason = "the only way to register a descriptor")]
    let registered = unsafe { AsyncFd::register_with_interest(fd, interest) };
    Ok(registered?)
}
