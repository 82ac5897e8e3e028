//! Room for the messages of one turn: one per thread, since there are hundreds of servers, most of them quiet, and a turn never
//! leaves its thread.

use std::cell::RefCell;

use netns::datagrams::Inbox;

thread_local! {
    static INBOX: RefCell<Inbox> = RefCell::default();
}

/// With the thread's own. `turn` must not come here again.
pub(crate) fn with<T>(turn: impl FnOnce(&mut Inbox) -> T) -> T {
    INBOX.with_borrow_mut(turn)
}
