//! The way back: Neutron's agents have been started again, and take over what is here as we did. One of them may be, while
//! a daemon of ours goes on in the other roles.
//!
//! Flows go on because a router's table of ours stays until the agent's own rules do all that it does. Then the table goes,
//! and with it whatever says that something is ours.
//!
//! The metadata role has a socket, and nothing else on a host: what listens inside of a namespace, and the rules that lead
//! there, are the DHCP's and the L3 role's, in Neutron's agents as in ours.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use netns::Namespace;
use netns::iptables::{self, Family};
use netns::spec::Link;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use super::CHAINS;
use crate::model::{DevName, Kinds, NsName, Target};
use crate::plan::{self, MARK};
use crate::plug::{self, Plug};

/// Between two looks for the agent's rules; it takes seconds for a router.
const PAUSE: Duration = Duration::from_millis(500);

/// Of the L3 agent, in each family's table "mangle": what comes by which device is of which address scope
/// (`router_info.py: process_address_scope`).
const MARKING: &str = "neutron-l3-agent-scope";

/// The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum GiveBackError {
    #[error(transparent)]
    Kernel(#[from] netns::Error),
    #[error(transparent)]
    Plug(#[from] plug::Error),
    #[error(
        "give back {0}: the L3 agent has not written its rules there (start it, see its log, then try again; until then ours go on translating)"
    )]
    NotTaken(NsName),
    #[error(
        "give back the metadata role: nobody listens at {} (start neutron-metadata-agent, see its log, then try again; until then instances have no metadata)",
        .0.display()
    )]
    NotHeard(PathBuf),
    #[error(
        "give back the metadata role: connect to {}, to see whether neutron-metadata-agent listens there (become root, then try again)",
        path.display()
    )]
    Connect {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}

/// What is to be given back: what daemons made in some roles, and which nobody has now.
#[derive(Debug)]
pub struct Share<'a> {
    pub kinds: Kinds,
    pub plug: &'a Plug,
    /// Where the metadata role listened; `None`: it is not given back.
    pub socket: Option<PathBuf>,
}

/// What is another's now.
#[derive(Debug)]
pub enum Given {
    /// It does not say any more that it is ours.
    Namespace { name: NsName, target: Target },
    /// Somebody listens there again.
    Metadata(PathBuf),
}

/// Gives back all namespaces of the share that are marked as ours, and its socket, as soon as the agents have taken them,
/// within `patience`; `say` hears of each. One that is deleted meanwhile is given, too. Goes on after an error, and returns
/// all.
pub async fn give_back(
    share: &Share<'_>,
    patience: Duration,
    mut say: impl FnMut(&Given),
) -> Vec<GiveBackError> {
    let mut errors = Vec::new();
    let mut waiting = match marked(share.kinds).await {
        Ok(waiting) => waiting,
        Err(error) => return vec![error.into()],
    };
    // Whoever listened left its file. Where there is none, nobody ever asked for metadata there.
    let socket = share.socket.clone().filter(|path| path.exists());
    waiting.extend(socket.map(Given::Metadata));
    let deadline = Instant::now() + patience;
    loop {
        let mut left = Vec::new();
        for given in waiting {
            match give(&given).await {
                Ok(true) => say(&given),
                Ok(false) => left.push(given),
                Err(error) => errors.push(error),
            }
        }
        waiting = left;
        if waiting.is_empty() || Instant::now() > deadline {
            break;
        }
        sleep(PAUSE).await;
    }
    errors.extend(unmark_ends(share.kinds).await.err().map(Into::into));
    errors.extend(share.plug.disown(share.kinds).await.err().map(Into::into));
    errors.extend(waiting.into_iter().map(|given| match given {
        Given::Namespace { name, .. } => GiveBackError::NotTaken(name),
        Given::Metadata(path) => GiveBackError::NotHeard(path),
    }));
    errors
}

/// Namespaces of these kinds, whoever made them.
fn of_kinds(
    names: impl IntoIterator<Item = NsName>,
    kinds: Kinds,
) -> impl Iterator<Item = (NsName, Target)> {
    let named = names.into_iter().filter_map(|name| {
        let target = plan::is_ours(&name)?;
        Some((name, target))
    });
    named.filter(move |(_, target)| kinds.has(*target))
}

/// Those of them that say that they are ours.
async fn marked(kinds: Kinds) -> Result<Vec<Given>, netns::Error> {
    let mut marked = Vec::new();
    for (name, target) in of_kinds(Namespace::list()?, kinds) {
        let Some(namespace) = Namespace::open(&name)? else {
            continue;
        };
        let actual = netns::observe(&namespace, &plan::everything_of_ours()).await?;
        let aliased = (actual.links.values()).any(|link| link.alias.as_deref() == Some(MARK));
        if aliased || actual.table.is_some() {
            marked.push(Given::Namespace { name, target });
        }
    }
    Ok(marked)
}

/// `false`: not yet.
async fn give(given: &Given) -> Result<bool, GiveBackError> {
    match given {
        Given::Namespace { name, target } => Ok(give_namespace(name, *target).await?),
        Given::Metadata(path) => {
            let connected = UnixStream::connect(path).await.map(drop);
            is_heard(connected).map_err(|source| GiveBackError::Connect {
                path: path.clone(),
                source,
            })
        }
    }
}

async fn give_namespace(name: &NsName, target: Target) -> Result<bool, netns::Error> {
    let Some(namespace) = Namespace::open(name)? else {
        return Ok(true);
    };
    if matches!(target, Target::Router(_)) && !is_taken(&namespace).await? {
        return Ok(false);
    }
    netns::disown(&namespace, &plan::everything_of_ours().ownership).await?;
    Ok(true)
}

/// No daemon of ours listens there, for we have its role. The agent removes what we left and makes its own
/// (`agent/linux/utils.py: ensure_directory_exists_without_file`).
fn is_heard(connected: io::Result<()>) -> io::Result<bool> {
    match connected {
        Ok(()) => Ok(true),
        Err(error) => match error.kind() {
            // So many connections wait there.
            io::ErrorKind::WouldBlock => Ok(true),
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => Ok(false),
            _ => Err(error),
        },
    }
}

/// The agent's own rules are there, and translate every address that the gateway has: it writes these before it touches an
/// address, and takes addresses away that it does not want any more. And it marks what it lets pass, which it writes last:
/// until then our mark carries packets through its rules.
async fn is_taken(ns: &Namespace) -> Result<bool, netns::Error> {
    let found = iptables::look(ns, CHAINS).await?;
    if found.is_nothing() {
        return Ok(false);
    }
    let devices = addresses(ns).await?;
    let gateways = (devices.iter()).filter(|(device, _)| plan::is_gateway_device(device));
    let all_translated = gateways
        .flat_map(|(_, addresses)| addresses)
        .all(|it| match it {
            IpAddr::V4(address) => found.translates(*address),
            IpAddr::V6(_) => true, // never is
        });
    let mut families = devices.values().flatten().map(family_of);
    let marks = |family| found.has_rules_in(family, "mangle", MARKING);
    Ok(all_translated && families.all(marks))
}

fn family_of(address: &IpAddr) -> Family {
    match address {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(_) => Family::V6,
    }
}

/// Of a router's devices; without link-local ones, which come by themselves.
async fn addresses(ns: &Namespace) -> Result<BTreeMap<DevName, Vec<IpAddr>>, netns::Error> {
    let links = netns::links(ns).await?.into_keys();
    let devices: Vec<DevName> = links.filter(plan::is_router_device).collect();
    let mut spec = plan::everything_of_ours();
    let named = devices
        .into_iter()
        .map(|device| (device, Link::existing().addrs([])));
    spec.links.extend(named);
    let actual = netns::observe(ns, &spec).await?;
    let links = actual.links.into_iter();
    let addresses = links.map(|(device, link)| {
        let all = link.addrs.keys().map(|net| net.addr());
        let usual = all.filter(|it| !matches!(it, IpAddr::V6(v6) if v6.is_unicast_link_local()));
        (device, usual.collect())
    });
    Ok(addresses.collect())
}

/// On the host the far ends of these namespaces' devices. Those of a namespace that has gone went with it.
async fn unmark_ends(kinds: Kinds) -> Result<(), netns::Error> {
    let mut ends = BTreeSet::new();
    for (name, _) in of_kinds(Namespace::list()?, kinds) {
        if let Some(namespace) = Namespace::open(&name)? {
            let devices = netns::links(&namespace).await?.into_keys();
            let ports = devices.filter(plan::is_port_device);
            ends.extend(ports.map(|device| plan::tap_of(&device)));
        }
    }
    netns::disown_links(&Namespace::home()?, MARK, ends).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_role_has_the_namespaces_of_its_kind() {
        let id = "0a1b2c3d-0000-4000-8000-000000000001";
        let names = [format!("qdhcp-{id}"), format!("qrouter-{id}")];
        let [dhcp, router] = [names[0].as_str(), names[1].as_str()];
        let others = ["qrouter-mine", "qdhcp-", "snat-x", "host"];
        for (what, networks, routers, expected) in [
            ("dhcp, l3", true, true, &[dhcp, router][..]),
            ("dhcp", true, false, &[dhcp]),
            ("l3", false, true, &[router]),
            ("metadata", false, false, &[]),
        ] {
            let here = [dhcp, router].into_iter().chain(others);
            let here = here.map(|name| NsName::new(name).expect("a name"));
            let found = of_kinds(here, Kinds { networks, routers });
            let found: Vec<String> = found.map(|(name, _)| name.to_string()).collect();
            assert_eq!(found, expected, "{what}");
        }
    }

    #[test]
    fn metadata_is_given_as_soon_as_somebody_listens() {
        use io::ErrorKind;
        for (what, connected, expected) in [
            ("answered", None, Some(true)),
            ("crowded", Some(ErrorKind::WouldBlock), Some(true)),
            (
                "left by us",
                Some(ErrorKind::ConnectionRefused),
                Some(false),
            ),
            ("being made", Some(ErrorKind::NotFound), Some(false)),
            ("not for us", Some(ErrorKind::PermissionDenied), None),
        ] {
            let connected = connected.map_or(Ok(()), |kind| Err(kind.into()));
            assert_eq!(is_heard(connected).ok(), expected, "{what}");
        }
    }
}
