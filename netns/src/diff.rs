//! What is to be done so that `actual` becomes `spec`. Pure: the same two values give the same steps.
//!
//! The order: settings of the namespace; what goes (routes before addresses before devices); the nftables table, so
//! that no address is there before its translation; new devices, those that others stand on first; their settings;
//! addresses; routes, those that gateways are reached by first; rules.

use std::collections::{BTreeMap, BTreeSet};

use crate::conflict::Conflict;
use crate::link::{KindSeen, LinkSeen};
use crate::names::DevName;
use crate::observe::Actual;
use crate::spec::{Link, LinkKind, Route, Spec};
use crate::step::Step;
use crate::{nft, route, rule, sysctl};

/// More changed elements than this do not fit one netlink transaction with default buffers; then a load is as quick.
const MOST_ELEMENTS: usize = 1000;

/// Steps from `actual` to `spec`, in the order in which to do them. Empty: nothing to do.
pub fn diff(spec: &Spec, actual: &Actual) -> Vec<Step> {
    let fate = Fate::of(spec, actual);
    let mut steps: Vec<Step> = fate
        .conflicts
        .values()
        .cloned()
        .map(Step::Blocked)
        .collect();
    let (late, early) = sysctls(spec, actual, &fate);
    steps.extend(early);
    let (stale_routes, new_routes) = routes(spec, actual, &fate);
    steps.extend(stale_routes);
    let (stale_rules, new_rules) = rules(spec, actual);
    steps.extend(stale_rules);
    steps.extend(stale_neighbours(spec, actual, &fate));
    steps.extend(stale_addresses(spec, actual, &fate));
    steps.extend(stale_floods(spec, actual, &fate));
    steps.extend(fate.deletions(actual));
    steps.extend(table(spec, actual));
    let order = spec.creation_order();
    for dev in order.iter().filter(|dev| fate.create.contains(*dev)) {
        if let Some(link) = spec.links.get(*dev) {
            steps.push(Step::CreateLink {
                dev: (*dev).clone(),
                link: Box::new(link.clone()),
            });
        }
    }
    steps.extend(late);
    let settled = || {
        order
            .iter()
            .filter_map(|dev| Some((*dev, spec.links.get(*dev)?)))
            .filter(|(dev, _)| fate.is_usable(dev))
    };
    for (dev, link) in settled() {
        settings(dev, link, spec, actual, &fate, &mut steps);
    }
    for (dev, link) in settled() {
        let seen = fate.kept(actual, dev);
        let down = Step::SetDown { dev: dev.clone() };
        if link.up && (!seen.is_some_and(|seen| seen.up) || steps.contains(&down)) {
            steps.push(Step::SetUp { dev: dev.clone() });
        }
    }
    for (dev, link) in settled() {
        additions(dev, link, fate.kept(actual, dev), &mut steps);
    }
    steps.extend(new_neighbours(spec, actual, &fate));
    steps.extend(new_routes);
    steps.extend(new_rules);
    steps
}

/// What becomes of each device.
struct Fate {
    /// Gone when the deletions are done: deleted, replaced, or standing on such a one.
    gone: BTreeSet<DevName>,
    /// Those of them that are to be deleted by name.
    delete: BTreeSet<DevName>,
    /// Left-overs where far ends shall be.
    delete_peers: Vec<Step>,
    create: BTreeSet<DevName>,
    /// Not to be had; nothing is done about them.
    conflicts: BTreeMap<DevName, Conflict>,
}

impl Fate {
    fn of(spec: &Spec, actual: &Actual) -> Self {
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
        if link.kind == LinkKind::Existing {
            if seen.is_none() && !is_new_peer(spec, actual, dev) {
                self.conflicts
                    .insert(dev.clone(), Conflict::Missing { dev: dev.clone() });
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
                    .is_some_and(|link| link.kind != LinkKind::Existing)
                {
                    self.create.insert(dev.clone());
                }
                self.gone.insert(dev);
            }
        }
    }

    fn deletions(&self, actual: &Actual) -> Vec<Step> {
        // What stands on another first: the kernel would take it along, and our own deletion would find nothing.
        let (above, below): (Vec<_>, Vec<_>) = self.delete.iter().partition(|dev| {
            actual.links.get(*dev).is_some_and(|seen| {
                matches!(seen.kind, KindSeen::Vlan { .. } | KindSeen::Vxlan { .. })
            })
        });
        let links = above
            .into_iter()
            .chain(below)
            .map(|dev| Step::DeleteLink { dev: dev.clone() });
        links.chain(self.delete_peers.iter().cloned()).collect()
    }

    fn is_usable(&self, dev: &DevName) -> bool {
        !self.conflicts.contains_key(dev)
    }

    /// The device as it will still be when all deletions are done.
    fn kept<'a>(&self, actual: &'a Actual, dev: &DevName) -> Option<&'a LinkSeen> {
        actual.links.get(dev).filter(|_| !self.gone.contains(dev))
    }
}

/// A device of ours that the Spec does not have.
fn unwanted(spec: &Spec, actual: &Actual, dev: &DevName, seen: &LinkSeen) -> bool {
    if spec.links.contains_key(dev) {
        return false;
    }
    if spec.absent.contains(dev) {
        return !spec.is_shared() || is_ours(spec, dev, seen);
    }
    let far_end = spec.links.values().any(
        |link| matches!(&link.kind, LinkKind::Veth { peer, peer_in } if peer == dev && *peer_in == actual.place),
    );
    has_our_prefix(spec, dev) && !far_end
}

fn is_ours(spec: &Spec, dev: &DevName, seen: &LinkSeen) -> bool {
    has_our_prefix(spec, dev) || seen.alias.as_deref() == Some(&spec.ownership.alias)
}

fn has_our_prefix(spec: &Spec, dev: &DevName) -> bool {
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
        (LinkKind::Existing, _) | (LinkKind::Bridge, KindSeen::Bridge { .. }) => true,
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

/// Elements by themselves where that is all that differs; else the whole table.
fn table(spec: &Spec, actual: &Actual) -> Option<Step> {
    let table = spec.ownership.table.clone();
    let Some(ruleset) = &spec.ruleset else {
        return actual.table.as_ref().map(|_| Step::DeleteTable { table });
    };
    if let Some(why) = nft::difference(ruleset, actual.table.as_ref()) {
        return Some(Step::LoadTable { table, why });
    }
    let changes = nft::changes(ruleset, actual.table.as_ref()?);
    let size: usize = changes
        .values()
        .map(|change| change.remove.len() + change.add.len())
        .sum();
    let has_ranges = changes
        .keys()
        .any(|map| ruleset.maps.get(map).is_some_and(|map| map.interval));
    match size {
        0 => None,
        _ if has_ranges => Some(Step::LoadTable {
            table,
            why: "ranges of addresses changed",
        }),
        _ if size > MOST_ELEMENTS => Some(Step::LoadTable {
            table,
            why: "many elements changed",
        }),
        _ => Some(Step::ChangeMaps { table, changes }),
    }
}

/// Those of devices that are still to be made come late, all others early; switches of forwarding first, since they
/// reset others.
fn sysctls(spec: &Spec, actual: &Actual, fate: &Fate) -> (Vec<Step>, Vec<Step>) {
    let (mut late, mut early) = (Vec::new(), Vec::new());
    for (key, value) in &spec.sysctls {
        let dev = sysctl::device(key);
        if dev.as_ref().is_some_and(|dev| !fate.is_usable(dev)) {
            continue;
        }
        let new = dev.is_some_and(|dev| fate.create.contains(&dev) || fate.gone.contains(&dev));
        let found = actual
            .sysctls
            .get(key)
            .and_then(Option::as_ref)
            .filter(|_| !new);
        if found != Some(&sysctl::normal(value)) {
            let step = Step::SetSysctl {
                key: key.clone(),
                value: value.clone(),
            };
            if new {
                late.push(step);
            } else {
                early.push(step);
            }
        }
    }
    late.sort_by_key(|step| !step.has_side_effects());
    early.sort_by_key(|step| !step.has_side_effects());
    (late, early)
}

fn settings(
    dev: &DevName,
    link: &Link,
    spec: &Spec,
    actual: &Actual,
    fate: &Fate,
    steps: &mut Vec<Step>,
) {
    let seen = fate.kept(actual, dev);
    let dev = dev.clone();
    let live =
        |seen: &LinkSeen| matches!(seen.kind, KindSeen::Veth { .. } | KindSeen::Bridge { .. });
    if let Some(seen) = seen {
        let mac = link.mac.filter(|mac| seen.mac != Some(*mac));
        // Few devices take another hardware address while they are up.
        if seen.up && (!link.up || mac.is_some() && !live(seen)) {
            steps.push(Step::SetDown { dev: dev.clone() });
        }
        steps.extend(mac.map(|mac| Step::SetMac {
            dev: dev.clone(),
            mac,
        }));
        let mtu = link.mtu.filter(|mtu| *mtu != seen.mtu);
        steps.extend(mtu.map(|mtu| Step::SetMtu {
            dev: dev.clone(),
            mtu,
        }));
        let ours = link.kind != LinkKind::Existing && is_ours(spec, &dev, seen);
        if ours && seen.kind == (KindSeen::Bridge { plain: false }) {
            steps.push(Step::SetBridge { dev: dev.clone() });
        }
        if ours && seen.alias.as_deref() != Some(&spec.ownership.alias) {
            steps.push(Step::SetAlias {
                dev: dev.clone(),
                alias: spec.ownership.alias.clone(),
            });
        }
    }
    // A bridge that is made anew has another index than the one that its ports are in.
    let wanted = link.master.as_ref().filter(|master| fate.is_usable(master));
    let there = wanted
        .and_then(|master| fate.kept(actual, master))
        .map(|master| master.index);
    let found = seen.and_then(|seen| seen.master);
    if wanted.is_some() && (there.is_none() || there != found) {
        steps.push(Step::SetMaster {
            dev,
            master: wanted.cloned(),
        });
    } else if link.master.is_none() && found.is_some() && link.kind != LinkKind::Existing {
        steps.push(Step::SetMaster { dev, master: None });
    }
}

fn stale_addresses(spec: &Spec, actual: &Actual, fate: &Fate) -> Vec<Step> {
    let mut steps = Vec::new();
    for (dev, link) in &spec.links {
        let (Some(wanted), Some(seen)) = (&link.addrs, fate.kept(actual, dev)) else {
            continue;
        };
        for (net, found) in &seen.addrs {
            let right = wanted.contains(net) && found.peer.is_none();
            if !right && (!found.automatic || wanted.contains(net)) {
                steps.push(Step::DeleteAddress {
                    dev: dev.clone(),
                    address: *net,
                });
            }
        }
    }
    steps
}

fn stale_floods(spec: &Spec, actual: &Actual, fate: &Fate) -> Vec<Step> {
    let mut steps = Vec::new();
    for (dev, link) in &spec.links {
        let (LinkKind::Vxlan(tunnel), Some(seen)) = (&link.kind, fate.kept(actual, dev)) else {
            continue;
        };
        // The kernel itself keeps one entry for the group.
        let stale = seen
            .floods
            .iter()
            .filter(|remote| !tunnel.remotes.contains(remote) && tunnel.group != Some(**remote));
        if fate.is_usable(dev) {
            steps.extend(stale.map(|remote| Step::DeleteFlood {
                dev: dev.clone(),
                remote: *remote,
            }));
        }
    }
    steps
}

fn additions(dev: &DevName, link: &Link, seen: Option<&LinkSeen>, steps: &mut Vec<Step>) {
    if let LinkKind::Vxlan(tunnel) = &link.kind {
        let new = tunnel
            .remotes
            .iter()
            .filter(|remote| !seen.is_some_and(|seen| seen.floods.contains(remote)));
        steps.extend(new.map(|remote| Step::AddFlood {
            dev: dev.clone(),
            remote: *remote,
        }));
    }
    for net in link.addrs.iter().flatten() {
        let there = seen
            .and_then(|seen| seen.addrs.get(net))
            .is_some_and(|found| found.peer.is_none());
        if !there {
            steps.push(Step::AddAddress {
                dev: dev.clone(),
                address: *net,
            });
        }
    }
}

fn stale_neighbours(spec: &Spec, actual: &Actual, fate: &Fate) -> Vec<Step> {
    let stale = actual.neighbours.iter().filter(|found| {
        let moved = spec
            .neighbours
            .iter()
            .any(|wish| wish.dev == found.dev && wish.address == found.address);
        !moved
            && !fate.gone.contains(&found.dev)
            && (!spec.is_shared() || spec.links.contains_key(&found.dev))
    });
    stale
        .map(|found| Step::DeleteNeighbour(found.clone()))
        .collect()
}

fn new_neighbours(spec: &Spec, actual: &Actual, fate: &Fate) -> Vec<Step> {
    let new = spec.neighbours.iter().filter(|wish| {
        fate.is_usable(&wish.dev)
            && (!actual.neighbours.contains(wish) || fate.gone.contains(&wish.dev))
    });
    new.map(|wish| Step::SetNeighbour(wish.clone())).collect()
}

/// Deletions, and additions.
fn routes(spec: &Spec, actual: &Actual, fate: &Fate) -> (Vec<Step>, Vec<Step>) {
    let gone: BTreeSet<u32> = fate
        .gone
        .iter()
        .filter_map(|dev| actual.links.get(dev))
        .map(|seen| seen.index)
        .collect();
    let named = actual.names();
    // In a shared namespace other routes of our protocol can belong to other Specs.
    let may_judge = |over: &BTreeSet<u32>| {
        !spec.is_shared()
            || over.iter().all(|index| {
                named
                    .get(index)
                    .is_some_and(|dev| spec.links.contains_key(dev))
            })
    };
    let mut stale: Vec<_> = actual
        .routes
        .iter()
        .filter(|seen| seen.over.is_disjoint(&gone))
        .collect();
    let mut new = Vec::new();
    for wish in &spec.routes {
        if wish.dev.as_ref().is_some_and(|dev| !fate.is_usable(dev)) {
            continue;
        }
        let wish = route::canonical(wish);
        match stale.iter().position(|seen| route::fits(&wish, seen)) {
            Some(found) => {
                stale.swap_remove(found);
            }
            None => new.push(wish),
        }
    }
    stale.retain(|seen| may_judge(&seen.over));
    // On-link ones first: gateways may be reached by them.
    new.sort_by_key(|wish: &Route| !wish.via.is_empty());
    let additions = new.into_iter().map(|route| {
        match stale
            .iter()
            .position(|seen| route::key(&seen.route) == route::key(&route))
        {
            Some(found) => Step::ReplaceRoute {
                route,
                instead_of: stale.swap_remove(found).route.clone(),
            },
            None => Step::AddRoute(route),
        }
    });
    let additions = additions.collect();
    (
        stale.into_iter().cloned().map(Step::DeleteRoute).collect(),
        additions,
    )
}

/// Deletions, and additions. In a shared namespace rules of our protocol can belong to other Specs, and stay.
fn rules(spec: &Spec, actual: &Actual) -> (Vec<Step>, Vec<Step>) {
    let wanted: BTreeSet<_> = spec.rules.iter().map(rule::canonical).collect();
    let found: BTreeSet<_> = actual
        .rules
        .iter()
        .filter(|seen| !seen.odd)
        .map(|seen| &seen.rule)
        .collect();
    let stale = actual
        .rules
        .iter()
        .filter(|seen| !spec.is_shared() && (seen.odd || !wanted.contains(&seen.rule)));
    let new = wanted.iter().filter(|wish| !found.contains(wish));
    (
        stale.cloned().map(Step::DeleteRule).collect(),
        new.cloned().map(Step::AddRule).collect(),
    )
}
