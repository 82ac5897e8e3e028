//! What is to be done so that `actual` becomes `spec`. Pure: the same two values give the same steps.
//!
//! The order: settings of the namespace; what goes (routes before addresses before devices); the nftables table, so
//! that no address is there before its translation; new devices, those that others stand on first; their settings;
//! addresses; routes, those that gateways are reached by first; rules.

use std::collections::BTreeSet;

use crate::fate::{Fate, is_ours};
use crate::link::{KindSeen, LinkSeen};
use crate::names::DevName;
use crate::observe::Actual;
use crate::routing::{routes, rules};
use crate::spec::{Link, LinkKind, Spec};
use crate::step::Step;
use crate::sysctl::SysctlSeen;
use crate::{nft, sysctl};

/// More changed elements than this do not fit one netlink transaction with default buffers; then a load is as quick.
const MOST_ELEMENTS: usize = 1000;

/// The kernel does no IPv6 at all on a device with a smaller one (RFC 8200 section 5), and has no settings for it.
const LEAST_MTU_OF_IPV6: u32 = 1280;

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
    steps.extend(departures(spec, actual, &fate));
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

/// Others' devices that shall not be there leave our bridges, before others join.
fn departures(spec: &Spec, actual: &Actual, fate: &Fate) -> Vec<Step> {
    let bridges = spec
        .links
        .iter()
        .filter(|(_, link)| link.kind == LinkKind::Bridge);
    let bridges: BTreeSet<u32> = bridges
        .filter_map(|(dev, _)| fate.kept(actual, dev))
        .map(|seen| seen.index)
        .collect();
    let leaves = |dev: &&DevName| {
        let master = fate.kept(actual, dev).and_then(|seen| seen.master);
        master.is_some_and(|master| bridges.contains(&master))
    };
    let leaving = spec.absent.iter().filter(leaves);
    leaving
        .map(|dev| Step::SetMaster {
            dev: dev.clone(),
            master: None,
        })
        .collect()
}

/// Late: those of devices that are still to be made, and those that are not there yet (loading a table can bring
/// connection tracking, and its settings). All others early; switches of forwarding first, since they reset others.
fn sysctls(spec: &Spec, actual: &Actual, fate: &Fate) -> (Vec<Step>, Vec<Step>) {
    let (mut late, mut early) = (Vec::new(), Vec::new());
    for (key, value) in &spec.sysctls {
        let dev = sysctl::device(key);
        if dev.as_ref().is_some_and(|dev| !fate.is_usable(dev)) {
            continue;
        }
        let new = dev
            .as_ref()
            .is_some_and(|dev| fate.create.contains(dev) || fate.gone.contains(dev));
        let mtu = dev.and_then(|dev| match new {
            true => spec.links.get(&dev)?.mtu,
            false => Some(actual.links.get(&dev)?.mtu),
        });
        // Not there, and nothing that it could be about. Once the MTU is raised, one looks again.
        if key.starts_with("net/ipv6/") && mtu.is_some_and(|mtu| mtu < LEAST_MTU_OF_IPV6) {
            continue;
        }
        let step = Step::SetSysctl {
            key: key.clone(),
            value: value.clone(),
        };
        match actual.sysctls.get(key) {
            Some(SysctlSeen::Moot) => {}
            Some(SysctlSeen::Is(_) | SysctlSeen::Missing) | None if new => late.push(step),
            Some(SysctlSeen::Missing) | None => late.push(step),
            Some(SysctlSeen::Is(found)) if *found == sysctl::normal(value) => {}
            Some(SysctlSeen::Is(_)) => early.push(step),
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
        let ours = match link.kind {
            LinkKind::Existing => false,
            LinkKind::Given => true,
            _ => is_ours(spec, &dev, seen),
        };
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
        let found = seen.and_then(|seen| seen.addrs.get(net));
        let there = found.is_some_and(|found| found.peer.is_none() && !found.fleeting);
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
