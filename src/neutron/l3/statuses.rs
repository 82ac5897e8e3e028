//! What a user sees of a floating IP: active, down or in error (`router_info.py: process_floating_ip_addresses`). Pure.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::sync::Arc;

use crate::model::{FloatingIpId, FloatingIpStatus, Router};

pub(super) type Statuses = BTreeMap<FloatingIpId, &'static str>;

/// Where a floating IP leads; `None`: to port forwardings.
type Leads = Option<Ipv4Addr>;

/// What the server was told last of a router's floating IPs.
#[derive(Debug)]
pub(super) struct Told {
    /// What it had said itself by then. As long as that is its last word, what it believes there is older than ours.
    heard: Arc<Router>,
    floating: BTreeMap<FloatingIpId, (Leads, FloatingIpStatus)>,
}

/// What the server has to be told of a router whose floating IPs all are `now`: active, or in error if it could not be
/// set up. `before`: what it was told of it; `None`: nothing since we started, and then what it believes itself is as
/// good.
pub(super) fn of(
    router: &Arc<Router>,
    before: Option<&Told>,
    now: FloatingIpStatus,
) -> (Statuses, Told) {
    let mut statuses = Statuses::new();
    let leading = leading(router);
    for (id, leads) in &leading {
        let mut floating = router.floating_ips.iter();
        let believed = floating.find(|floating| floating.id == *id);
        let is_believed = believed.map(|floating| floating.status == Some(now));
        let is_known = match before {
            Some(told) => {
                told.floating.get(id) == Some(&(*leads, now))
                    && (Arc::ptr_eq(&told.heard, router) || is_believed.unwrap_or(true))
            }
            // Of one that has only forwarded ports we are not told what is believed: that it works, most likely.
            None => is_believed.unwrap_or(now == FloatingIpStatus::Active),
        };
        if !is_known {
            statuses.insert(*id, word(now));
        }
    }
    let gone = before.into_iter().flat_map(|told| told.floating.keys());
    statuses.extend(
        gone.filter(|id| !leading.contains_key(id))
            .map(|id| (*id, word(FloatingIpStatus::Down))),
    );
    let floating = leading.into_iter().map(|(id, leads)| (id, (leads, now)));
    let told = Told {
        heard: Arc::clone(router),
        floating: floating.collect(),
    };
    (statuses, told)
}

/// Of a router that is not here any more.
pub(super) fn of_gone(before: &Told) -> Statuses {
    let floating = before.floating.keys();
    floating
        .map(|id| (*id, word(FloatingIpStatus::Down)))
        .collect()
}

/// Floating IPs that lead somewhere; none does without a gateway.
fn leading(router: &Router) -> BTreeMap<FloatingIpId, Leads> {
    if router.gateway.is_none() {
        return BTreeMap::new();
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

fn word(status: FloatingIpStatus) -> &'static str {
    match status {
        FloatingIpStatus::Active => "ACTIVE",
        FloatingIpStatus::Down => "DOWN",
        FloatingIpStatus::Error => "ERROR",
    }
}
