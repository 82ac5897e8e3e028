//! Speed at scale: many networks started cold and warm, their memory, and one change among many.
//!
//! `cargo bench --bench scale [-- cloud|port|floating|adverts]`. Everything is measured in this one run, in sandboxes of its own; where
//! there is a goal, it stands beside the figure. The machine's other work shows: figures are medians of rounds that
//! alternate with what they are compared with.
//!
//! | figure | open |
//! |---|---|
//! | the networks and routers | `cloud.rs` |
//! | cold against bare netlink, warm, memory, flows | `starts.rs`; bare netlink `floor.rs`, `netlink.rs` |
//! | one port among 10,000 | `port.rs`; dnsmasq beside it `reload.rs` |
//! | one floating IP among 5,000 | `floating.rs` |
//! | router advertisements on 500 links, beside radvd | `adverts.rs` |
//! | who asks for addresses, and when they get them | `clients.rs` |
#![allow(clippy::unwrap_used, reason = "in a bench a panic is the report")]
#![allow(clippy::print_stdout, reason = "the figures are for people")]

#[path = "../../tests/common/mod.rs"]
mod common;
#[path = "../figures/mod.rs"]
mod figures;
#[path = "../frames/mod.rs"]
mod frames;

mod adverts;
mod clients;
mod cloud;
mod daemon;
mod floating;
mod floor;
mod netlink;
mod port;
mod reload;
mod starts;

use common::Host;

fn main() {
    // Cargo says `--bench`.
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| word != "--bench")
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words[..] {
        // What runs inside of a sandbox, in a process of its own.
        ["inside", "floor", work] => floor::run(work),
        ["inside", "port", topology] => port::inside(topology),
        ["inside", "floating", topology] => floating::inside(topology),
        ["inside", part, topology] if part.starts_with("adverts") => {
            adverts::inside(part, topology);
        }
        _ => {
            let wanted = |part| words.is_empty() || words.contains(&part);
            for (part, measure) in [
                ("cloud", starts::measure as fn()),
                ("port", port::measure),
                ("floating", floating::measure),
                ("adverts", adverts::measure),
            ] {
                if wanted(part) {
                    measure();
                }
            }
        }
    }
}

/// Runs this program's part that belongs inside of `host`; what it printed.
fn run_inside(host: &Host, part: &str, file: &str) -> String {
    let own = std::env::current_exe().unwrap();
    let own = own.to_str().unwrap();
    host.machine().run(&[own, "inside", part, file]).ok()
}
