//! What became of a target: for a source that has to tell somebody.

use std::sync::Arc;

/// The newest report about an object replaces earlier ones.
#[derive(Debug, Clone, PartialEq)]
pub enum Report<T> {
    /// The kernel holds, and the servers serve, all that follows from exactly this value.
    Holds(Arc<T>),
    /// The last attempt failed; it is tried again.
    Failed,
    /// Nothing of it is left on this host.
    Gone,
}
