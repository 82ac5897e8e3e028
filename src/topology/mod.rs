//! The topology file: one TOML file that says all of a host's networks, routers and instances.
//!
//! ```text
//! text ─ parse ─> file (tables) ─ check ─> Topology (a draft) ─ picks ─> addresses ─ build ─> model::State ─ difference ─> Events
//! ```
//!
//! Reading and checking go on after a mistake, so that a person sees all of them at once, each with its place; what
//! can be wrong is [`Code`]. Nothing after `check` fails: the draft is whole, and only addresses are missing.
//!
//! | looking for | open |
//! |---|---|
//! | a key | `file.rs`; what its value may be is in `words.rs`, `values.rs`, `options.rs` |
//! | what a key means, and when it is wrong | `network.rs`, `uplink.rs`, `subnet.rs`, `ipv6.rs`, `instance.rs`, `port.rs`, `router.rs`, `interface.rs`, `leading_in.rs`, `target.rs`, `tags.rs`, `metadata.rs`, `limits.rs` |
//! | two that want one address | `addresses.rs` |
//! | how ids, MACs and addresses are chosen | `ids.rs`, `picks.rs` |
//! | how a change of the file is noticed | `watch.rs` |

mod addresses;
mod build;
mod check;
mod difference;
#[cfg(test)]
mod documented;
mod draft;
mod file;
mod ids;
mod instance;
mod interface;
mod ipv6;
mod leading_in;
mod limits;
mod metadata;
mod mistake;
mod names;
mod network;
mod options;
mod parse;
mod picks;
mod port;
mod read;
mod router;
mod source;
mod spelling;
mod subnet;
mod tags;
mod target;
mod uplink;
mod values;
mod watch;
mod words;

pub use difference::events;
pub use draft::Topology;
pub use metadata::{MetadataSource, Nova};
pub use mistake::{Code, Mistake, Severity};
pub use source::{Loaded, Source, check, check_file, files, load};
pub use watch::Watch;
