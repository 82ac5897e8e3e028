//! warren beside the real agents: the same neutron-server, the same objects, the same machine, one after the other.
//!
//! `cargo bench --bench neutron [-- NETWORKS]` (routers are half as many). Each start is one on a fresh node of the same name;
//! the objects were made through the REST API while no agent ran. CPU time is that of all that a node runs, with the
//! children that have ended; those who ask are not in it, nor the server and the broker, but for metadata requests: each of
//! them the reference passes on to the server, so there the control plane counts on both sides, and what all of them use
//! while nobody asks does not. These requests are what cloud-init asks while instances boot, many of them, one after the
//! other. Memory is proportional (PSS). What the machine did beside is printed, for wall times suffer from it. A figure that
//! can't be got is told of, and the others are printed.
//!
//! | figure | open |
//! |---|---|
//! | what there is to serve | `objects.rs` |
//! | who serves it, and what that costs | `side.rs`, `cost.rs` |
//! | until all serve DHCP and metadata; silence over a restart | `networks.rs`, asked by `dhcp.rs`, `guests.rs` |
//! | until all routers forward | `routers.rs` |
//! | what went through the broker, and when | `notices.rs` |
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../../tests/neutron/cloud/mod.rs"]
mod cloud;
#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../figures/mod.rs"]
mod figures;
#[path = "../frames/mod.rs"]
mod frames;

mod cost;
mod dhcp;
mod guests;
mod networks;
mod notices;
mod objects;
mod print;
mod routers;
mod side;

use std::time::Instant;

use cloud::Cloud;
use objects::{Routed, Tenant};
use side::Side;

/// As the goals have them. They fit into ten minutes on two processors that have nothing else to do.
const NETWORKS: u16 = 100;

/// Agents that were seen once count as alive for as long as all of this takes.
const SERVER: &str = "[DEFAULT]\nagent_down_time = 3600\n";

fn main() {
    let count = std::env::args().skip(1).find_map(|word| word.parse().ok());
    let networks: u16 = count.unwrap_or(NETWORKS);
    let Some(cloud) = Cloud::start_with(SERVER) else {
        return;
    };
    let begin = Instant::now();
    let _nova = side::nova(&cloud);
    side::make_known(&cloud);
    let tenants = Tenant::make_all(&cloud, networks);
    let routed = Routed::make_all(&cloud, networks / 2);
    println!(
        "{networks} networks and {} routers beside one neutron-server; made in {:.0?}; load {}",
        routed.len(),
        begin.elapsed(),
        cost::load()
    );
    let tenants = networks::make_own_ports(&cloud, tenants);
    routers::bind_ports(&cloud, &routed);
    let both = [Side::Warren, Side::Reference];
    print::routers(&both.map(|side| routers::measure(&cloud, side, &routed)));
    print::networks(&both.map(|side| networks::measure(&cloud, side, &tenants)));
    println!(
        "all of it took {:.0?}; load {}",
        begin.elapsed(),
        cost::load()
    );
}
