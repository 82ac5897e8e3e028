//! Which parts of the kernel are missing: each is tried in a namespace that nobody else sees and that goes with its thread's stay.

use std::fmt;
use std::io;
use std::process::{Command, Stdio};

use nix::sched::{CloneFlags, unshare};

use crate::error::Error;
use crate::link;
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::spec::{Link, Place, Vxlan};
use crate::wire::Wire;

/// A part of the kernel, or the program that speaks to one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    Veth,
    Bridge,
    Vlan,
    Vxlan,
    /// Tables with NAT, maps and connection tracking.
    Nftables,
    /// The `nft` program.
    NftProgram,
}

/// What a table of ours is made of, in one line each.
const TABLE: &str = "table inet probe {
    map m { type inet_proto . ipv4_addr . inet_service : ipv4_addr; }
    chain p { type nat hook prerouting priority -100; ct state new tcp dport 80 redirect to :81; }
    chain q { type nat hook postrouting priority 100; ip saddr 192.0.2.1 snat ip to 192.0.2.2 fully-random; }
}";

/// The parts that are not there. Blocks no runtime thread; takes about 20 ms.
///
/// # Errors
/// When no namespace can be made to try in: then nothing else would work either.
pub async fn missing_parts() -> Result<Vec<Part>, Error> {
    in_new_namespace(|| {
        let mut wire = Wire::route()?;
        let dev = |name: &str| DevName::new(name).map_err(io::Error::other);
        let tunnel = Vxlan {
            vni: 1,
            local: None,
            underlay: None,
            group: None,
            remotes: [].into(),
            port: 4789,
        };
        let kinds = [
            (Part::Veth, Link::veth(dev("peer")?, Place::Home)),
            (Part::Bridge, Link::bridge()),
            (Part::Vxlan, Link::vxlan(tunnel)),
            (Part::Vlan, Link::vlan(dev("lo")?, 1)),
        ];
        let mut missing = Vec::new();
        for (part, link) in kinds {
            // A name of its own each: a taken one is complained of before an unknown kind.
            let name = dev(&format!("{part:?}"))?;
            // Anything but "no such kind" is an answer of the kind itself, and so good news.
            let answer = wire.ask(&link::create(&name, &link, None, None));
            if answer.is_err_and(|refusal| refusal.errno() == libc::EOPNOTSUPP) {
                missing.push(part);
            }
        }
        missing.extend(nftables()?);
        Ok(missing)
    })
    .await
}

/// Of these conntrack helpers (kernel's name, and `tcp` or `udp`) those that the kernel has. About 5 ms for each; blocks no
/// runtime thread. A name that is no word of letters, digits and dashes is none.
///
/// # Errors
/// When no namespace can be made to try in.
pub async fn conntrack_helpers(
    wanted: Vec<(String, &'static str)>,
) -> Result<Vec<(String, &'static str)>, Error> {
    let is_word = |name: &str| {
        name.bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    in_new_namespace(move || {
        let mut there = Vec::new();
        for (name, protocol) in wanted {
            let table = format!(
                "table inet probe {{ ct helper h {{ type \"{name}\" protocol {protocol}; }}; }}"
            );
            if is_word(&name) && nft(&table)?.is_some_and(|loaded| loaded) {
                there.push((name, protocol));
            }
        }
        Ok(there)
    })
    .await
}

async fn in_new_namespace<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Error> {
    let home = Namespace::home()?;
    home.run(move || {
        // The worker goes home after this, and with its last user the namespace ends.
        let made = unshare(CloneFlags::CLONE_NEWNET).map_err(io::Error::from);
        made.and_then(|()| work()).map_err(|source| Error::Inside {
            place: Place::Home,
            source,
        })
    })
    .await
}

fn nftables() -> io::Result<Option<Part>> {
    Ok(match nft(TABLE)? {
        Some(true) => None,
        Some(false) => Some(Part::Nftables),
        None => Some(Part::NftProgram),
    })
}

/// Whether this can be loaded; `None`: there is no such program.
fn nft(table: &str) -> io::Result<Option<bool>> {
    let nft = Command::new("nft")
        .arg(table)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match nft {
        Ok(status) => Ok(Some(status.success())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// The part's name for who has to provide it.
impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Veth => "veth (CONFIG_VETH)",
            Self::Bridge => "bridge (CONFIG_BRIDGE)",
            Self::Vlan => "8021q (CONFIG_VLAN_8021Q)",
            Self::Vxlan => "vxlan (CONFIG_VXLAN)",
            Self::Nftables => "nf_tables with NAT and connection tracking (CONFIG_NF_TABLES_INET, CONFIG_NFT_NAT, CONFIG_NFT_REDIR, CONFIG_NFT_CT)",
            Self::NftProgram => "the program nft (package nftables)",
        })
    }
}
