//! Routes and rules: what goes and what comes. Pure.

use std::collections::BTreeSet;

use crate::fate::Fate;
use crate::observe::Actual;
use crate::route::{self, RouteSeen};
use crate::rule;
use crate::spec::{Route, Spec};
use crate::step::Step;

/// Deletions, and additions.
pub(crate) fn routes(spec: &Spec, actual: &Actual, fate: &Fate) -> (Vec<Step>, Vec<Step>) {
    let gone: BTreeSet<u32> = fate
        .gone
        .iter()
        .filter_map(|dev| actual.links.get(dev))
        .map(|seen| seen.index)
        .collect();
    let named = actual.names();
    // A route goes with its device.
    let left = |seen: &&RouteSeen| seen.hops.iter().all(|(_, device)| !gone.contains(device));
    let mut stale: Vec<_> = actual.routes.iter().filter(left).collect();
    let mut new = Vec::new();
    for wish in &spec.routes {
        if wish.dev.as_ref().is_some_and(|dev| !fate.is_usable(dev)) {
            continue;
        }
        let wish = route::canonical(wish);
        let right = |seen: &&RouteSeen| fits(spec, &wish, seen, |index| named.get(&index));
        match stale.iter().position(right) {
            Some(found) => drop(stale.swap_remove(found)),
            None => new.push(wish),
        }
    }
    // In a shared namespace other routes of our protocol can belong to other Specs.
    let ours = |index: &u32| {
        named
            .get(index)
            .is_some_and(|dev| spec.links.contains_key(dev))
    };
    stale.retain(|seen| !spec.is_shared() || seen.hops.iter().all(|(_, device)| ours(device)));
    let in_the_way = |seen: &&RouteSeen| {
        let mut keys = new.iter().map(route::key);
        keys.any(|key| key == route::key(&seen.route))
    };
    stale.extend(actual.advertised.iter().filter(left).filter(in_the_way));
    // On-link ones first: gateways may be reached by them.
    new.sort_by_key(|wish: &Route| !wish.via.is_empty());
    let mut additions = Vec::with_capacity(new.len());
    for route in new {
        let same_key = |seen: &&RouteSeen| route::key(&seen.route) == route::key(&route);
        additions.push(match stale.iter().position(same_key) {
            Some(found) => Step::ReplaceRoute {
                route,
                instead_of: stale.swap_remove(found).route.clone(),
            },
            None => Step::AddRoute(route),
        });
    }
    (
        stale.into_iter().cloned().map(Step::DeleteRoute).collect(),
        additions,
    )
}

/// True when the kernel's route is what was wished.
fn fits<'a>(
    spec: &Spec,
    wish: &Route,
    seen: &RouteSeen,
    name: impl Fn(u32) -> Option<&'a crate::DevName>,
) -> bool {
    let without_device = |route: &Route| Route {
        dev: None,
        ..route.clone()
    };
    let right_device = |(gateway, wanted): route::Hop<&crate::DevName>| {
        let mut devices = seen
            .hops
            .iter()
            .filter(|(other, _)| *other == gateway)
            .map(|(_, device)| name(*device));
        wanted.is_none() || devices.any(|found| found == wanted)
    };
    !seen.odd
        && without_device(wish) == without_device(&seen.route)
        && spec.hops(wish).into_iter().all(right_device)
}

/// Deletions, and additions. In a shared namespace rules of our protocol can belong to other Specs, and stay.
pub(crate) fn rules(spec: &Spec, actual: &Actual) -> (Vec<Step>, Vec<Step>) {
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
