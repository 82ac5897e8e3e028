//! The real control plane: an unmodified neutron-server of Debian's over RabbitMQ, driven through its REST API, with real
//! L2 agents, real DHCP clients, and Neutron's own agents to compare with.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "in a test a panic is the report, figures are of use, and a call that reads well beats a saved copy"
)]

mod adopt;
mod agents;
mod broker;
mod cloud;
#[path = "../common/mod.rs"]
mod common;
mod drop_in;
mod ground;
mod life;
mod scene;
mod split;
