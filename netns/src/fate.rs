//! What becomes of each device: kept, made, deleted, replaced, or not to be had. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use crate::conflict::Conflict;
use crate::link::{KindSeen, LinkSeen};
use crate::names::DevName;
use crate::observe::Actual;
use crate::spec::{Link, LinkKind, Spec};
use crate::step::Step;

/// What becomes of each device.
pub(crate) struct Fate {
    /// Gone when the deletions are done: deleted, replaced, or standing on such a one.
    pub(crate) gone: BTreeSet<DevName>,
    /// Those of them that are to be deleted by name.
    delete: BTreeSet<DevName>,
    /// Left-overs where far ends shall be.
    delete_peers: Vec<Step>,
    pub(crate) create: BTreeSet<DevName>,
    /// Not to be had; nothing is done about them.
    pub(crate) conflicts: BTreeMap<DevName, Conflict>,
}

impl Fate {
    pub(crate) fn of(spec: &Spec, actual: &Actual) -> Self {
        let mut fate = Self {
            gone: BTreeSet::new(),
            delete: BTreeSet::new(),
            delete_peers: Vec::new(),
            create: BTreeSet::new(),
            conflicts: BTreeMap::new(),
        };
        for (dev, seen) in &actual.links {
            if unwanted(spec, actual, dev, seen) {
                fate.delete.insert(dev.clone());
            }
        }
        for (dev, link) in &spec.links {
            fate.judge(spec, actual, dev, link);
        }
        fate.spread(spec, actual);
        fate
    }

    fn judge(&mut self, spec: &Spec, actual: &Actual, dev: &DevName, link: &Link) {
        let seen = actual.links.get(dev);
        if is_made_elsewhere(link) {
            if seen.is_none() && !is_new_peer(spec, actual, dev) {
                self.conflicts
                    .insert(dev.clone(), Conflict::Missing { dev: dev.clone() });
            }
            let theirs = seen.filter(|_| link.kind == LinkKind::Existing);
            if let Some(conflict) = theirs.and_then(|seen| addressed(spec, dev, link, seen)) {
                self.conflicts.insert(dev.clone(), conflict);
            }
            return;
        }
        if let Some(seen) = seen {
            if fits(link, seen, actual) {
                return;
            }
            if !is_ours(spec, dev, seen) {
                let (found, wanted) = (seen.kind.to_string(), link.kind.to_string());
                self.conflicts.insert(
                    dev.clone(),
                    Conflict::Foreign {
                        dev: dev.clone(),
                        found,
                        wanted,
                    },
                );
                return;
            }
            self.delete.insert(dev.clone());
        }
        match peer_in_the_way(spec, actual, dev, link) {
            Ok(left_over) => {
                self.delete_peers.extend(left_over);
                self.create.insert(dev.clone());
            }
            Err(conflict) => {
                self.delete.remove(dev);
                self.conflicts.insert(dev.clone(), conflict);
            }
        }
    }

    /// With a device, those that stand on it go: VLANs, tunnels bound to it, the other end of a pair.
    fn spread(&mut self, spec: &Spec, actual: &Actual) {
        self.gone = self.delete.clone();
        loop {
            let indexes: BTreeSet<u32> = self
                .gone
                .iter()
                .filter_map(|dev| actual.links.get(dev))
                .map(|seen| seen.index)
                .collect();
            let fallen = actual.links.iter().filter(|(dev, seen)| {
                !self.gone.contains(*dev)
                    && stands_on(seen, actual).is_some_and(|below| indexes.contains(&below))
            });
            let fallen: Vec<DevName> = fallen.map(|(dev, _)| dev.clone()).collect();
            if fallen.is_empty() {
                return;
            }
            for dev in fallen {
                if spec
                    .links
                    .get(&dev)
                    .is_some_and(|link| !is_made_elsewhere(link))
                {
                    self.create.insert(dev.clone());
                }
                self.gone.insert(dev);
            }
        }
    }

    pub(crate) fn deletions(&self, actual: &Actual) -> Vec<Step> {
        // What stands on another first: the kernel would take it along, and our own deletion would find nothing.
        let gone = |dev| Some((dev, actual.links.get(dev)?));
        let (above, below): (Vec<_>, Vec<_>) =
            self.delete.iter().filter_map(gone).partition(|(_, seen)| {
                matches!(seen.kind, KindSeen::Vlan { .. } | KindSeen::Vxlan { .. })
            });
        let links = above.into_iter().chain(below);
        let links = links.map(|(dev, seen)| Step::DeleteLink {
            dev: dev.clone(),
            addresses: seen.addrs.keys().copied().collect(),
        });
        links.chain(self.delete_peers.iter().cloned()).collect()
    }

    pub(crate) fn is_usable(&self, dev: &DevName) -> bool {
        !self.conflicts.contains_key(dev)
    }

    /// The device as it will still be when all deletions are done.
    pub(crate) fn kept<'a>(&self, actual: &'a Actual, dev: &DevName) -> Option<&'a LinkSeen> {
        actual.links.get(dev).filter(|_| !self.gone.contains(dev))
    }
}

fn is_made_elsewhere(link: &Link) -> bool {
    matches!(link.kind, LinkKind::Existing | LinkKind::Given)
}

/// A device of ours that the Spec does not have.
fn unwanted(spec: &Spec, actual: &Actual, dev: &DevName, seen: &LinkSeen) -> bool {
    if spec.links.contains_key(dev) {
        return false;
    }
    if spec.absent.contains(dev) {
        return !spec.is_shared() || is_ours(spec, dev, seen);
    }
    has_our_prefix(spec, dev) && !spec.is_far_end(dev, &actual.place)
}

pub(crate) fn is_ours(spec: &Spec, dev: &DevName, seen: &LinkSeen) -> bool {
    has_our_prefix(spec, dev) || seen.alias.as_deref() == Some(&spec.ownership.alias)
}

pub(crate) fn has_our_prefix(spec: &Spec, dev: &DevName) -> bool {
    spec.ownership
        .prefixes
        .iter()
        .any(|prefix| dev.as_str().starts_with(prefix.as_str()))
}

/// The far end of a pair in this same namespace, which comes with the near one.
fn is_new_peer(spec: &Spec, actual: &Actual, dev: &DevName) -> bool {
    spec.links.iter().any(|(near, link)| {
        matches!(&link.kind, LinkKind::Veth { peer, peer_in } if peer == dev && *peer_in == actual.place)
            && !actual.links.contains_key(near)
    })
}

/// Index of the device without which this one would not be.
fn stands_on(seen: &LinkSeen, actual: &Actual) -> Option<u32> {
    match &seen.kind {
        KindSeen::Vlan { parent, .. } => *parent,
        KindSeen::Vxlan { underlay, .. } => *underlay,
        // Only if the far end is in this namespace, too: then that end points back.
        KindSeen::Veth { peer } => peer.filter(|peer| {
            actual.links.values().any(|other| {
                other.index == *peer
                    && other.kind
                        == KindSeen::Veth {
                            peer: Some(seen.index),
                        }
            })
        }),
        KindSeen::Bridge { .. } | KindSeen::Other(_) => None,
    }
}

/// True when the device is of the kind that was asked for, in all that cannot be changed later.
fn fits(link: &Link, seen: &LinkSeen, actual: &Actual) -> bool {
    let index = |dev: &DevName| actual.links.get(dev).map(|seen| seen.index);
    match (&link.kind, &seen.kind) {
        (LinkKind::Existing | LinkKind::Given, _) | (LinkKind::Bridge, KindSeen::Bridge { .. }) => {
            true
        }
        (LinkKind::Veth { peer, peer_in }, KindSeen::Veth { peer: far }) => actual
            .peers
            .get(&(peer_in.clone(), peer.clone()))
            .is_some_and(|there| {
                Some(there.index) == *far
                    && there.kind
                        == KindSeen::Veth {
                            peer: Some(seen.index),
                        }
            }),
        (LinkKind::Vxlan(wanted), KindSeen::Vxlan { tunnel, underlay }) => {
            let same = (wanted.vni, wanted.local, wanted.group, wanted.port)
                == (tunnel.vni, tunnel.local, tunnel.group, tunnel.port);
            same && wanted.underlay.as_ref().map(index) == underlay.map(Some)
        }
        (
            LinkKind::Vlan { parent, id },
            KindSeen::Vlan {
                parent: below,
                id: found,
            },
        ) => id == found && below.is_some() && index(parent) == *below,
        (
            LinkKind::Bridge | LinkKind::Veth { .. } | LinkKind::Vxlan(_) | LinkKind::Vlan { .. },
            _,
        ) => false,
    }
}

/// Before a pair is made: the far end's namespace must be there, and its name free, or taken by a left-over of ours.
fn peer_in_the_way(
    spec: &Spec,
    actual: &Actual,
    dev: &DevName,
    link: &Link,
) -> Result<Option<Step>, Conflict> {
    let LinkKind::Veth { peer, peer_in } = &link.kind else {
        return Ok(None);
    };
    if actual.nowhere.contains(peer_in) {
        return Err(Conflict::NoPlace {
            dev: dev.clone(),
            place: peer_in.clone(),
        });
    }
    let Some(there) = actual.peers.get(&(peer_in.clone(), peer.clone())) else {
        return Ok(None);
    };
    let near = actual.links.get(dev).map(|seen| KindSeen::Veth {
        peer: Some(seen.index),
    });
    if near.is_some_and(|near| near == there.kind) {
        return Ok(None); // goes with our own end
    }
    if there.alias.as_deref() == Some(&spec.ownership.alias) {
        return Ok(Some(Step::DeletePeer {
            dev: peer.clone(),
            place: peer_in.clone(),
        }));
    }
    let (peer, place) = (peer.clone(), peer_in.clone());
    Err(Conflict::PeerTaken {
        dev: dev.clone(),
        peer,
        place,
        found: there.kind.to_string(),
    })
}

/// Addresses of a port of a bridge are dead. Whoever gave them meant them.
fn addressed(spec: &Spec, dev: &DevName, link: &Link, seen: &LinkSeen) -> Option<Conflict> {
    let master = link.master.as_ref().filter(|_| joins(spec, link, seen))?;
    let address = *seen.addrs.keys().find(|net| !is_link_local(net.addr()))?;
    Some(Conflict::Addressed {
        dev: dev.clone(),
        address,
        master: master.clone(),
    })
}

/// Someone else's device shall become a port of a bridge. (Far ends of our pairs carry our alias, and no addresses.)
pub(crate) fn joins(spec: &Spec, link: &Link, seen: &LinkSeen) -> bool {
    let theirs = seen.alias.as_deref() != Some(&spec.ownership.alias);
    let named = theirs && link.kind == LinkKind::Existing;
    named && link.master.is_some() && link.addrs.is_none() && seen.master.is_none()
}

fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
