//! Declarative network namespaces: say what a namespace should hold, and only what differs is changed.
//!
//! ```text
//! Spec -> observe -> diff (pure) -> apply
//! ```
//!
//! | looking for | open |
//! |---|---|
//! | what can be wished for | `spec.rs`, `ruleset.rs`, `names.rs`; what is wrong with a wish: `check.rs` |
//! | namespaces by name | `namespace.rs` |
//! | running something inside of one | `enter.rs`; sockets: `socket.rs`; many messages by one call: `datagrams.rs` |
//! | what the kernel holds | `observe.rs` |
//! | what is to be done, and in which order | `diff.rs`, `fate.rs`, `routing.rs`, `step.rs`; what stands in the way: `conflict.rs` |
//! | doing it | `apply.rs`, `work.rs` |
//! | how one thing is read and written | `link.rs` `addr.rs` `route.rs` `rule.rs` `neigh.rs` `sysctl.rs` |
//! | nftables | `nft.rs`, `load.rs`, `element.rs`; connections: `conntrack.rs` |
//! | which parts of the kernel are missing | `probe.rs` |
//! | news from a namespace; to its neighbours; who a neighbour is | `watch.rs`; `announce.rs`; `neighbours.rs` |
//! | which devices there are, and whose, without a Spec | `survey.rs` |
//! | a device that is made elsewhere | `give.rs`; what shall be somebody else's: `disown.rs`; checksums that nobody would fill in: `offload.rs` |
//! | rules that another program left by way of iptables | `iptables.rs`, `legacy.rs` |
//! | netlink itself | `wire.rs`, `attr.rs`; the sockets of one stay inside: `stay.rs`; what is slow to close: `aside.rs` |
//! | what went wrong, and what to do | `error.rs`, `advice.rs` |

#![deny(unsafe_code)]

/// The README's example compiles.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

mod addr;
mod advice;
mod announce;
mod apply;
mod aside;
mod attr;
mod check;
mod conflict;
pub mod conntrack;
pub mod datagrams;
mod diff;
mod disown;
mod element;
mod enter;
mod error;
mod fate;
mod give;
mod icmp6;
pub mod iptables;
mod legacy;
mod link;
mod load;
pub mod names;
mod namespace;
mod neigh;
mod neighbours;
mod nft;
mod observe;
mod offload;
mod probe;
mod reactor;
mod route;
mod routing;
mod rule;
pub mod ruleset;
pub mod socket;
pub mod spec;
mod stay;
mod step;
mod survey;
mod sysctl;
mod watch;
mod wire;
mod work;

pub use addr::AddrSeen;
pub use announce::announce;
pub use apply::{Applied, apply, attempt, converge};
pub use conflict::Conflict;
pub use diff::diff;
pub use disown::{disown, disown_links};
pub use error::{Error, Mistake, Refusal};
pub use give::give;
pub use link::{KindSeen, LinkId, LinkSeen};
pub use names::{DevName, MacAddr, NameError, NsName};
pub use namespace::Namespace;
pub use neighbours::Neighbours;
pub use nft::{ChainSeen, TableSeen};
pub use observe::{Actual, PeerSeen, observe};
pub use offload::keep_checksums;
pub use probe::{Part, conntrack_helpers, missing_parts};
pub use route::RouteSeen;
pub use rule::RuleSeen;
pub use spec::{Place, Spec};
pub use step::Step;
pub use survey::{links, marked_links};
pub use sysctl::SysctlSeen;
pub use watch::Watcher;
