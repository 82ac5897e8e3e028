//! One turn of a server at its socket: room for the messages that it takes, and why it ended.
//!
//! There is one room per thread, since there are hundreds of servers, most of them quiet, and a turn never leaves its thread.

use std::cell::RefCell;
use std::time::Duration;

use netns::datagrams::Inbox;

/// After a turn that left nothing to be read, but read something for nothing (it was damaged, or dropped), what comes next is left
/// unread for so long. Who floods is read in handfuls then, for a fraction of what one by one costs, and nobody among them minds.
const BREATH: Duration = Duration::from_millis(1);

thread_local! {
    static INBOX: RefCell<Inbox> = RefCell::default();
}

/// Why a turn ended.
pub(crate) enum Turn {
    /// Nothing is left for now.
    Empty,
    /// There may be more.
    Over,
    /// There may be more like that which was read for nothing: nobody need be told when it comes.
    Flooded,
    /// The network is left alone for so long: it has had its share, or something was read for nothing.
    Rest(Duration),
    /// The socket, or the device below it, has a fault.
    Fault,
}

impl Turn {
    /// `more`: there may be some by now; `wasted`: something was read for nothing; `owed`: how long the network has to be left
    /// alone for what it has taken.
    pub(crate) fn after(more: bool, wasted: bool, owed: Duration) -> Self {
        match more {
            _ if !owed.is_zero() => Self::Rest(owed),
            true if wasted => Self::Flooded,
            true => Self::Over,
            false if wasted => Self::Rest(BREATH),
            false => Self::Empty,
        }
    }
}

/// With the thread's own room. `turn` must not come here again.
pub(crate) fn take<T>(turn: impl FnOnce(&mut Inbox) -> T) -> T {
    INBOX.with_borrow_mut(turn)
}
