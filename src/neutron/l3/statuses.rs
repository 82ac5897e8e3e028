//! What a user sees of a floating IP: active, down or in error (`router_info.py: process_floating_ip_addresses`). Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use crate::model::{FloatingIpId, FloatingIpStatus, Router};

pub(super) type Statuses = BTreeMap<FloatingIpId, &'static str>;

const ACTIVE: &str = "ACTIVE";
const DOWN: &str = "DOWN";
const ERROR: &str = "ERROR";

/// Where the floating IPs led when the server was told last; `None`: to port forwardings.
pub(super) type Told = BTreeMap<FloatingIpId, Option<Ipv4Addr>>;

/// What the server has to be told of a router that works. `before`: what it was told of it; `None`: nothing since we
/// started, and then what it believes itself is as good.
pub(super) fn of_working(router: &Router, before: Option<&Told>) -> (Statuses, Told) {
    let now = leading(router);
    let mut statuses = Statuses::new();
    for (id, to) in &now {
        let believed = router
            .floating_ips
            .iter()
            .find(|floating| floating.id == *id);
        let is_known = match before {
            Some(told) => told.get(id) == Some(to),
            None => true,
        };
        let believed_active =
            believed.is_none_or(|floating| floating.status == Some(FloatingIpStatus::Active));
        if !(is_known && believed_active) {
            statuses.insert(*id, ACTIVE);
        }
    }
    let gone = before.into_iter().flatten();
    statuses.extend(
        gone.filter(|(id, _)| !now.contains_key(id))
            .map(|(id, _)| (*id, DOWN)),
    );
    (statuses, now)
}

/// Of a router that could not be set up: none of them is sure to work.
pub(super) fn of_failed(router: &Router) -> Statuses {
    leading(router).into_keys().map(|id| (id, ERROR)).collect()
}

/// Of a router that is not here any more.
pub(super) fn of_gone(before: &Told) -> Statuses {
    before.keys().map(|id| (*id, DOWN)).collect()
}

/// Floating IPs that lead somewhere; none does without a gateway.
fn leading(router: &Router) -> Told {
    if router.gateway.is_none() {
        return Told::new();
    }
    let forwarded = router
        .port_forwardings
        .iter()
        .filter_map(|forwarding| Some((forwarding.floating?, None)));
    let associated = router
        .floating_ips
        .iter()
        .filter_map(|floating| Some((floating.id, Some(floating.fixed_ip?))));
    forwarded.chain(associated).collect()
}
