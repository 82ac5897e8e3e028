//! Our ports on a layer 2 that another agent keeps: real Open vSwitch, the kernel's bridges, and the part of the agents
//! played by hand. The loop runs in the test's own process, inside of a sandboxed host.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;
mod give_back;
mod linuxbridge;
mod node;
mod openvswitch;
mod tenant;
mod world;
