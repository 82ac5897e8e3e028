//! The sandbox and its vocabulary: a machine of its own for each test, with instances on it, real clients in the instances,
//! and the daemon under test between them.
//!
//!     let Some(host) = Host::new("lease") else { return };      // prints "skipped: needs namespaces"
//!     let daemon = host.warren_run(TOPOLOGY);
//!     let vm = host.guest("vm1", "brq1234", "fa:16:3e:00:00:01");
//!     let lease = vm.dhclient();
//!     assert!(vm.ping("10.0.0.1"));
//!
//! | looking for | open |
//! |---|---|
//! | namespaces that end with the test, however it ends | `holder.rs` |
//! | running a command in one of them, now or in the background | `place.rs` |
//! | the host: bridges, links to another host, the daemon's files | `host.rs` |
//! | the daemon: start, stop, kill -9, its log | `daemon.rs` |
//! | an instance: ping, curl, dig, addresses | `guest.rs` |
//! | cloud-init, stage by stage | `cloud.rs` |
//! | DHCP clients, and what they got | `client.rs`, `lease.rs` |
//! | dnsmasq as Neutron's agent starts it, or as a resolver | `dnsmasq.rs` |
//! | somebody with a packet generator | `flood.rs` |
//! | traffic that must not break while something else happens | `flow.rs` |
//! | what curl got, and a stub server (Nova's, say) | `http.rs` |
//! | what runs on a host, and whether it still does | `process.rs` |
//! | what was seen, beside a file of it in the repository | `blessed.rs` |
//! | a topology to begin with | `topologies.rs` |
//! | the unit files, and the daemon as they start it | `unit.rs` |
//! | crafted frames, and what is on the wire | `wire.rs`, `wire6.rs`; as DHCP `dhcp.rs`; neighbour discovery `icmp6.rs` |
//! | questions to a DHCPv4 server of one's own making | `asker.rs` |
//!
//! The peers (clients, dnsmasq, ip, nft ...) come from the root file systems that `tests/peers/rootfs.sh` builds.
#![allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "each test file is a crate that compiles all of this vocabulary and speaks some of it"
)]
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::needless_pass_by_value,
    reason = "in a test a panic is the report, and a call that reads well beats a saved copy"
)]

pub mod asker;
mod blessed;
mod client;
mod cloud;
mod daemon;
mod dhcp;
mod dnsmasq;
mod flood;
mod flow;
mod guest;
mod holder;
mod host;
mod http;
mod icmp6;
mod lease;
mod place;
mod process;
mod topologies;
mod unit;
mod wait;
mod wire;
mod wire6;

pub use blessed::blessed;
pub use client::{Client, DhcpClient};
pub use cloud::CloudInit;
pub use daemon::Daemon;
pub use dhcp::{Dhcp, discover};
pub use dnsmasq::{Dnsmasq, resolver};
pub use flood::Flood;
pub use flow::{PingReport, Pinging, Span, StreamReport, TcpStreaming, tcp_stream};
pub use guest::{DigAnswer, Guest};
pub use host::{Host, WARREN};
pub use http::{HttpAnswer, HttpRequest, HttpStub};
pub use icmp6::{ALL_NODES, ALL_ROUTERS, Advertised, Sender, group_mac, prefix_option};
pub use lease::{Lease, Record};
pub use place::{Output, Place, Running};
pub use process::Process;
pub use topologies::ROUTED;
pub use unit::Unit;
pub use wait::{PATIENCE, settled, wait_for, wait_until};
pub use wire::{Udp, Wire, checksum, stamp, stamped, udp_frame};
pub use wire6::Udp6;
