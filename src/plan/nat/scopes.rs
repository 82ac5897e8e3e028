//! Address scopes: addresses of one scope are routed to each other, those of two are not, but by NAT.
//!
//! A scope is a number in the high half of the packet mark. A packet is of the scope of the device that it came from, or of
//! its connection's if that has one. It leaves by devices of its scope only, and by the gateway where SNAT hides it.
//! Devices and floating IPs are in maps, so the rules are the same few for all routers with scopes. Where every leg is of
//! the null scope, so are all packets: then one rule marks them, for a reference agent that takes over.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use netns::ruleset::{Element, ElementType, Map};
use nftables::expr::MetaKey;
use nftables::stmt::{Operator, Statement};
use nftables::types::{NfChainType, NfHook};

use super::words::{
    Expr, Stmt, Table, compare, concat, connection_mark, high, in_set, is_v4, is_v6, look_up, meta,
    payload, set, set_high, text,
};
use super::{CAME_FROM_OUTSIDE, Outside};
use crate::model::{AddressScopeId, Router, RouterPort};
use crate::plan::names;

/// Device -> mark.
const OF_DEVICE: [&str; 2] = ["scope_of_device_v4", "scope_of_device_v6"];
/// Devices that only packets of their own scope leave by, and all (device, mark) that may.
const GUARDED: [&str; 2] = ["guarded_v4", "guarded_v6"];
const MAY_LEAVE: [&str; 2] = ["may_leave_v4", "may_leave_v6"];
/// Floating IP -> mark, the fixed IPs behind these, and the devices of the floating IPs' scope.
const OF_FLOATING: &str = "scope_of_floating";
const CROSSING: &str = "crossing_fixed";
const OUTER: &str = "outer_devices";

/// The null scope's; others count upwards. As Neutron's agent counts them: a connection keeps its mark when we take over.
const FIRST: u32 = 1024;

/// Of all packets where no leg is of another scope. Nothing here asks for it. But when the router is given back, Neutron's
/// agent begins to drop what has no mark some milliseconds before it begins to mark (`iptables_manager.py:
/// _apply_synchronized` writes table after table, "filter" first).
pub(super) fn mark_all(table: &mut Table, chain: &'static str) {
    table.rule(chain, [set_high(FIRST << 16)]);
}

pub(super) struct Scopes {
    /// By device; v4 and v6.
    marks: [BTreeMap<String, u32>; 2],
    /// Floating IP, fixed IP and the latter's mark, where they are of two scopes.
    crossing: Vec<(Ipv4Addr, Ipv4Addr, u32)>,
    outside: Option<Outer>,
}

/// The gateway, as far as it has v4.
struct Outer {
    outside: Outside,
    mark: u32,
    is_null: bool,
}

impl Scopes {
    /// `None`: all is of the null scope.
    pub(super) fn of(router: &Router) -> Option<Self> {
        let gateway = router.gateway.as_ref().map(|gateway| &gateway.port);
        let legs = router.interfaces.iter().filter(|leg| leg.admin_state_up);
        let inner = legs.map(|leg| (names::router_device(leg.port), leg));
        let outer = gateway.map(|leg| (names::gateway_device(leg.port), leg));
        let legs: Vec<_> = inner.chain(outer).collect();
        let outer_scope = gateway.and_then(|leg| leg.scopes.v4);

        let of_legs = legs
            .iter()
            .flat_map(|(_, leg)| [leg.scopes.v4, leg.scopes.v6]);
        let of_fixed = router
            .floating_ips
            .iter()
            .map(|floating| floating.fixed_scope);
        let marks = numbered(outer_scope, of_legs.chain(of_fixed));
        if marks.len() == 1 {
            return None;
        }
        let mark = |scope: Option<AddressScopeId>| marks[&scope];
        let of_devices = |family: fn(&IpAddr) -> bool, scope: fn(&RouterPort) -> _| {
            let with_address = legs
                .iter()
                .filter(|(_, leg)| leg.usable_addresses().any(|net| family(&net.addr())));
            with_address
                .map(|(device, leg)| (device.to_string(), mark(scope(leg))))
                .collect()
        };
        let crossing = router.floating_ips.iter().filter_map(|floating| {
            let crosses = floating.fixed_scope != outer_scope;
            let fixed = floating.fixed_ip.filter(|_| crosses)?;
            Some((floating.floating_ip, fixed, mark(floating.fixed_scope)))
        });
        Some(Self {
            marks: [
                of_devices(IpAddr::is_ipv4, |leg| leg.scopes.v4),
                of_devices(IpAddr::is_ipv6, |leg| leg.scopes.v6),
            ],
            crossing: crossing.collect(),
            outside: Outside::of(router).map(|outside| Outer {
                outside,
                mark: mark(outer_scope),
                is_null: outer_scope.is_none(),
            }),
        })
    }

    /// Sets the mark as a whole: its low half is nothing yet.
    pub(super) fn mark(&self, table: &mut Table, chain: &'static str) {
        for (is_family, map) in [(is_v4(), OF_DEVICE[0]), (is_v6(), OF_DEVICE[1])] {
            let scope = look_up(meta(MetaKey::Iifname), map);
            table.rule(chain, [is_family, set(meta(MetaKey::Mark), scope)]);
        }
        let of_connection = set(meta(MetaKey::Mark), high(connection_mark()));
        table.rule(chain, [connection_has_scope(Operator::NEQ), of_connection]);
        let of_fixed = look_up(payload("ip", "daddr"), OF_FLOATING);
        table.rule(chain, [is_v4(), set(meta(MetaKey::Mark), of_fixed)]);
    }

    pub(super) fn keep_apart(&self, table: &mut Table) {
        if let Some(outer) = &self.outside {
            self.cross(table, outer);
        }
        let families = [(is_v4(), 0), (is_v6(), 1)];
        for (is_family, index) in families {
            let out = || meta(MetaKey::Oifname);
            let guarded = in_set(out(), Operator::EQ, GUARDED[index]);
            let key = concat([out(), meta(MetaKey::Mark)]);
            let foreign = in_set(key, Operator::NEQ, MAY_LEAVE[index]);
            let drop = Statement::Drop(None);
            table.rule("forward", [is_family, guarded, foreign, drop]);
        }
    }

    /// What goes out by a floating IP of another scope becomes of that scope; its connection keeps its own, for the answers.
    fn cross(&self, table: &mut Table, outer: &Outer) {
        table.chain("crossing", NfChainType::Filter, NfHook::Forward, -150);
        let crosses = || in_set(payload("ip", "saddr"), Operator::EQ, CROSSING);
        let first = connection_has_scope(Operator::EQ);
        table.rule("crossing", [is_v4(), crosses(), first, keep()]);
        let outward = in_set(meta(MetaKey::Oifname), Operator::EQ, OUTER);
        let moved = set_high(outer.mark);
        table.rule("crossing", [is_v4(), crosses(), outward, moved]);
        if outer.outside.snat {
            table.chain("leaving", NfChainType::Filter, NfHook::Postrouting, -150);
            let leaves = by(&outer.outside.device);
            let first = connection_has_scope(Operator::EQ);
            table.rule("leaving", [leaves, is_v4(), first, keep()]);
        }
    }

    /// Addresses of the external network's scope are known there: no SNAT.
    pub(super) fn route_own(&self, table: &mut Table, chain: &'static str, device: &str) {
        let Some(outer) = self.outside.as_ref().filter(|outer| !outer.is_null) else {
            return;
        };
        let own = compare(
            high(connection_mark()),
            Operator::EQ,
            Expr::Number(outer.mark),
        );
        table.rule(chain, [by(device), is_v4(), own, Statement::Accept(None)]);
    }

    pub(super) fn maps(&self) -> Vec<(String, Map)> {
        let mut maps = Vec::new();
        let mut add = |name: &str, key: &[ElementType], data, elements| {
            let map = Map {
                key: key.to_vec(),
                data,
                interval: false,
                elements,
            };
            maps.push((name.to_owned(), map));
        };
        let (device, mark) = (ElementType::Device, ElementType::Mark);
        for (index, marks) in self.marks.iter().enumerate() {
            let key = |name: &String| Element::Device(name.clone());
            // By SNAT everything may go out.
            let hidden = |name: &String| {
                let outer = self.outside.as_ref().map(|outer| &outer.outside);
                index == 0 && outer.is_some_and(|outside| outside.snat && outside.device == *name)
            };
            let guarded = || marks.iter().filter(|(name, _)| !hidden(name));
            let of_device = marks.iter();
            let of_device = of_device.map(|(name, of)| (vec![key(name)], Some(Element::Mark(*of))));
            add(OF_DEVICE[index], &[device], Some(mark), of_device.collect());
            let names = guarded().map(|(name, _)| (vec![key(name)], None));
            add(GUARDED[index], &[device], None, names.collect());
            let leave = guarded().flat_map(|(name, of)| {
                let half = [0, CAME_FROM_OUTSIDE];
                half.map(|low| (vec![key(name), Element::Mark(of | low)], None))
            });
            add(MAY_LEAVE[index], &[device, mark], None, leave.collect());
        }
        let address = [ElementType::Ipv4];
        let floating = self.crossing.iter();
        let floating = floating
            .map(|(floating, _, of)| (vec![Element::Ipv4(*floating)], Some(Element::Mark(*of))));
        add(OF_FLOATING, &address, Some(mark), floating.collect());
        let fixed = self.crossing.iter();
        let fixed = fixed.map(|(_, fixed, _)| (vec![Element::Ipv4(*fixed)], None));
        add(CROSSING, &address, None, fixed.collect());
        let outer = self.outside.as_ref().map(|outer| outer.mark);
        let outer = self.marks[0].iter().filter(|(_, of)| Some(**of) == outer);
        let outer = outer.map(|(name, _)| (vec![Element::Device(name.clone())], None));
        add(OUTER, &[device], None, outer.collect());
        maps
    }
}

/// The null scope first, then that of the gateway: others coming or going change neither.
fn numbered(
    outer: Option<AddressScopeId>,
    all: impl Iterator<Item = Option<AddressScopeId>>,
) -> BTreeMap<Option<AddressScopeId>, u32> {
    let mut others: Vec<_> = all
        .filter(|scope| *scope != outer && scope.is_some())
        .collect();
    others.sort();
    others.dedup();
    let first = [None].into_iter().chain(outer.map(Some));
    let numbers = first.chain(others).zip(FIRST..);
    numbers
        .map(|(scope, number)| (scope, number << 16))
        .collect()
}

fn by(device: &str) -> Stmt {
    compare(meta(MetaKey::Oifname), Operator::EQ, text(device))
}

/// `NEQ`: it has one; `EQ`: not yet.
fn connection_has_scope(compared_with_none: Operator) -> Stmt {
    compare(high(connection_mark()), compared_with_none, Expr::Number(0))
}

fn keep() -> Stmt {
    set(connection_mark(), high(meta(MetaKey::Mark)))
}
