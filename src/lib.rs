//! warren: DHCP, DNS, routing and metadata for tenant networks, in one daemon.
//!
//! One road for everything that happens:
//!
//! ```text
//! topology file ─> Event ─> model::State ─> Target ─> plan (pure) ─┬─> netns: observe, diff, apply ─> kernel
//!                              └─> store (disk)                    └─> snapshots of the servers: dhcp dns ra metadata
//! ```
//!
//! A restart, a file change and an operator's stray `ip link del` all end as "this target, again".
//!
//! | looking for | open |
//! |---|---|
//! | which options of Neutron's configuration files count, and how they are read | `config/` |
//! | what a key of the topology file means, or its check | `topology/` |
//! | what a field of Neutron's messages means to us | `neutron/decode/`; messages to look at: `tests/recorded/` |
//! | what a namespace, a device or a rule is and why | `plan/` (pure), the words are in the `netns` crate |
//! | when something is looked at, retried, removed | `reconcile/` |
//! | how a port reaches a layer 2 that another agent keeps | `plug/` |
//! | what an instance is answered | `dhcp/v4.rs`, `dhcp/v6/answer.rs`, `dns/zone.rs`, `metadata/local/`, `ra/advert.rs`: pure; the sockets are in each `server.rs` |
//! | taking over from Neutron's agents, and giving back | `adopt/` |
//! | what is kept over a restart | `store.rs` |
//! | how Neutron's messages travel | `neutron/bus/` |
//! | what `warren show` shows | `status/view.rs`, filled in `reconcile/answer.rs` |
//! | what keeps a tenant who floods from harming others | `pace.rs`, used by each `server.rs`; how much that is, and who sets it: the files `limits.rs` of `pace`, `topology` and `config` |
//! | which code an error has | `code.rs`; what to do about it: `docs/errors.md` |
//!
//! Arrows point one way: `main -> cli -> app -> topology -> model`, `cli -> config` (settings of the rooms), `app -> neutron -> model`, `app -> reconcile -> plan -> model`,
//! `reconcile -> dhcp dns ra metadata -> plan::scope`, `reconcile -> plug adopt`, and all of them `-> netns`, which knows nothing of ours.
#![forbid(unsafe_code)]

pub mod adopt;
pub mod app;
pub mod cli;
pub mod code;
mod complaint;
pub mod config;
pub mod dhcp;
pub mod dns;
pub mod latest;
pub mod metadata;
pub mod model;
pub mod neutron;
pub mod pace;
pub mod plan;
pub mod plug;
pub mod ra;
pub mod reconcile;
#[cfg(test)]
mod sandboxed;
mod spelling;
pub mod status;
pub mod store;
mod tls;
pub mod topology;
mod turn;
mod unix;

use std::sync::{Mutex, PoisonError};

use tokio::task::JoinSet;

/// Aborts tasks that several may want to end, and waits until what they had is closed.
async fn stopped(tasks: &Mutex<JoinSet<()>>) {
    let mut tasks = std::mem::take(&mut *tasks.lock().unwrap_or_else(PoisonError::into_inner));
    tasks.shutdown().await;
}

/// An error with its code and all that caused it, in one line: "[W1303] do X: because Y: because Z".
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = code::causes(error);
    match code::of(error) {
        Some(code) => format!("[{code}] {causes}"),
        None => causes,
    }
}
