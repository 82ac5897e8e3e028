//! Declarative network namespaces: say what a namespace should hold, and only what differs is changed.
//!
//!     Spec -> observe -> diff (pure) -> apply

pub mod names;
pub mod ruleset;
pub mod spec;

pub use names::{DevName, MacAddr, NameError, NsName};
pub use spec::Spec;
