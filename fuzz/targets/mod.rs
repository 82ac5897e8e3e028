//! One function per parser that faces a tenant, or who answers in its stead: it feeds the parser, and looks at what comes out. Whatever goes in, nothing
//! panics, and what goes out is a message that another library reads.
//!
//! The fuzzer calls them with what it makes up; `tests/corpus.rs` with what `corpus/` keeps.

mod dhcp;
mod dns;
mod http;
mod responses;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use warren::model::Network;
use warren::topology::{Loaded, load};

pub(crate) type Target = fn(&[u8]);

/// Each by its name, which is its corpus' as well.
pub(crate) const ALL: [(&str, Target); 6] = [
    ("dhcp4", dhcp::dhcp4),
    ("dhcp6", dhcp::dhcp6),
    ("dns", dns::dns),
    ("http", http::http),
    ("nd", nd),
    ("responses", responses::responses),
];

static LAN: LazyLock<Loaded> = LazyLock::new(|| {
    let mut above = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors();
    let file = above.find_map(|dir| {
        let file = dir.join("fuzz/targets/lan.toml");
        file.exists().then_some(file)
    });
    let file = file.expect("this file's directory has it");
    load(&file, Path::new("/nonexistent")).expect("it has no mistakes")
});

fn network() -> &'static Arc<Network> {
    let mut all = LAN.state.networks.values();
    all.next().expect("the file has one network")
}

/// Router solicitations.
fn nd(input: &[u8]) {
    let Some((first, message)) = input.split_first() else {
        return;
    };
    let source = match first % 2 {
        0 => std::net::Ipv6Addr::UNSPECIFIED,
        _ => std::net::Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1),
    };
    warren::ra::is_solicitation(message, source);
}
