//! Mistakes in a Spec that can be told without the kernel, and the order of its devices.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crate::error::Mistake;
use crate::names::DevName;
use crate::route::{Hop, MAIN};
use crate::spec::{Link, LinkKind, Ownership, Place, Route, Spec, Vxlan};
use crate::{nft, sysctl};

impl Spec {
    /// The first thing in it that no kernel could give.
    pub fn check(&self) -> Result<(), Mistake> {
        check_ownership(&self.ownership)?;
        let mut far_ends = BTreeSet::new();
        for (dev, link) in &self.links {
            check_link(dev, link)?;
            if matches!(&link.kind, LinkKind::Veth { peer, peer_in } if !far_ends.insert((peer_in, peer)))
            {
                return Err(mistake(
                    dev,
                    "has the same far end as another pair",
                    "give each its own",
                ));
            }
        }
        if let Some(dev) = self.absent.iter().find(|dev| self.links.contains_key(*dev)) {
            return Err(mistake(
                dev,
                "is both among the links and the absent ones",
                "decide for one",
            ));
        }
        self.routes.iter().try_for_each(check_route)?;
        for rule in &self.rules {
            if rule
                .from
                .zip(rule.to)
                .is_some_and(|(from, to)| from.addr().is_ipv4() != to.addr().is_ipv4())
            {
                return Err(mistake(
                    &format!("rule {rule}"),
                    "mixes IPv4 and IPv6",
                    "write one rule for each",
                ));
            }
        }
        self.sysctls.keys().try_for_each(|key| sysctl::check(key))?;
        if let Some(ruleset) = &self.ruleset {
            nft::check(&self.ownership.table, ruleset)?;
        }
        match self.cycle() {
            Some(dev) => Err(mistake(
                dev,
                "stands, by way of others, on itself",
                "give it another parent or underlay",
            )),
            None => Ok(()),
        }
    }

    /// A part of a namespace that belongs to others as well.
    pub(crate) fn is_shared(&self) -> bool {
        self.ownership.prefixes.is_empty()
    }

    /// True for the other end, in this same namespace `here`, of a pair that the Spec has.
    pub(crate) fn is_far_end(&self, dev: &DevName, here: &Place) -> bool {
        let ends = |link: &Link| matches!(&link.kind, LinkKind::Veth { peer, peer_in } if peer == dev && peer_in == here);
        self.links.values().any(ends)
    }

    /// The next hops of a route. A gateway without a device is looked for where the Spec's addresses and on-link routes
    /// say that it is, as the kernel does when the route is added; but the kernel does so only then, and a route whose
    /// gateway has moved to another device since leads nowhere.
    pub(crate) fn hops<'a>(&'a self, route: &'a Route) -> Vec<Hop<&'a DevName>> {
        if route.via.is_empty() {
            return vec![(None, route.dev.as_ref())];
        }
        let device = |gateway| {
            route
                .dev
                .as_ref()
                .or_else(|| self.towards(gateway, route.table))
        };
        route
            .via
            .iter()
            .map(|gateway| (Some(*gateway), device(gateway)))
            .collect()
    }

    fn towards(&self, gateway: &IpAddr, table: u32) -> Option<&DevName> {
        let connected = self.links.iter().flat_map(|(dev, link)| {
            let nets = link.addrs.iter().flatten();
            nets.filter(|net| net.prefix_len() < net.max_prefix_len())
                .map(move |net| (net, dev))
        });
        let in_reach =
            |other: &&Route| other.via.is_empty() && [table, 0, MAIN].contains(&other.table);
        let on_link = self.routes.iter().filter(in_reach);
        let on_link = on_link.filter_map(|other| Some((&other.destination, other.dev.as_ref()?)));
        let holds = connected
            .chain(on_link)
            .filter(|(net, _)| net.contains(gateway));
        let longest = holds.clone().map(|(net, _)| net.prefix_len()).max()?;
        let mut nearest = holds
            .filter(|(net, _)| net.prefix_len() == longest)
            .map(|(_, dev)| dev);
        let first = nearest.next()?;
        nearest.all(|dev| dev == first).then_some(first) // else: the kernel's choice
    }

    /// All devices that are named anywhere.
    pub(crate) fn devices(&self) -> BTreeSet<&DevName> {
        let mut names: BTreeSet<_> = self.links.keys().chain(&self.absent).collect();
        for link in self.links.values() {
            names.extend(&link.master);
            names.extend(stands_on(link));
        }
        names.extend(self.routes.iter().filter_map(|route| route.dev.as_ref()));
        names.extend(self.neighbours.iter().map(|neighbour| &neighbour.dev));
        names
    }

    /// The links, each behind those that it stands on.
    pub(crate) fn creation_order(&self) -> Vec<&DevName> {
        let mut order = Vec::with_capacity(self.links.len());
        let mut placed = BTreeSet::new();
        for mut dev in self.links.keys() {
            let mut below = vec![];
            // A chain cannot be longer than there are links, unless it is a cycle, which `check` refuses.
            while let Some(link) = self
                .links
                .get(dev)
                .filter(|_| !placed.contains(dev) && below.len() <= self.links.len())
            {
                below.push(dev);
                match stands_on(link) {
                    Some(next) => dev = next,
                    None => break,
                }
            }
            for dev in below.into_iter().rev() {
                if placed.insert(dev) {
                    order.push(dev);
                }
            }
        }
        order
    }

    fn cycle(&self) -> Option<&DevName> {
        self.links.keys().find(|start| {
            let mut at = *start;
            for _ in 0..=self.links.len() {
                match self.links.get(at).and_then(stands_on) {
                    Some(next) if next == *start => return true,
                    Some(next) => at = next,
                    None => return false,
                }
            }
            false // in a cycle further down, which another start finds
        })
    }
}

fn stands_on(link: &Link) -> Option<&DevName> {
    match &link.kind {
        LinkKind::Vlan { parent, .. } => Some(parent),
        LinkKind::Vxlan(tunnel) => tunnel.underlay.as_ref(),
        LinkKind::Existing | LinkKind::Given | LinkKind::Veth { .. } | LinkKind::Bridge => None,
    }
}

/// What would make us take others' things for ours.
fn check_ownership(ownership: &Ownership) -> Result<(), Mistake> {
    // Unspecified, redirect, kernel, boot: what everybody's routes carry.
    if ownership.protocol < 4 {
        return Err(mistake(
            &"ownership",
            "has a protocol that is the kernel's or everybody's",
            "use 4 (static) or more",
        ));
    }
    if ownership.prefixes.contains("") {
        return Err(mistake(
            &"ownership",
            "has an empty prefix, which all devices begin with",
            "leave it out",
        ));
    }
    if ownership.alias.is_empty() || ownership.alias.len() >= 256 {
        return Err(mistake(
            &"ownership",
            "has no alias, or too long a one",
            "use 1 to 255 bytes",
        ));
    }
    if !nft::is_word(&ownership.table) {
        let why = "has a table name that nft cannot read";
        return Err(mistake(
            &"ownership",
            why,
            "use up to 31 letters, digits and underscores",
        ));
    }
    Ok(())
}

fn check_link(dev: &DevName, link: &Link) -> Result<(), Mistake> {
    if link
        .mac
        .is_some_and(|mac| mac.is_multicast() || mac.0 == [0; 6])
    {
        return Err(mistake(
            dev,
            "has a multicast or zero hardware address",
            "use one like fa:16:3e:00:00:01",
        ));
    }
    if link.mtu.is_some_and(|mtu| !(68..=65536).contains(&mtu)) {
        return Err(mistake(
            dev,
            "has an impossible MTU",
            "use 68 to 65536 bytes (1280 or more for IPv6)",
        ));
    }
    if link.master.as_ref() == Some(dev) {
        return Err(mistake(dev, "is to be a port of itself", "name its bridge"));
    }
    match &link.kind {
        LinkKind::Vlan { id: 0 | 4095.., .. } => {
            Err(mistake(dev, "has an impossible VLAN id", "use 1 to 4094"))
        }
        LinkKind::Vxlan(tunnel) => check_tunnel(dev, tunnel),
        LinkKind::Existing
        | LinkKind::Given
        | LinkKind::Veth { .. }
        | LinkKind::Bridge
        | LinkKind::Vlan { .. } => Ok(()),
    }
}

fn check_tunnel(dev: &DevName, tunnel: &Vxlan) -> Result<(), Mistake> {
    if tunnel.vni >= 1 << 24 {
        return Err(mistake(
            dev,
            "has an impossible VXLAN id",
            "use one below 16777216 (24 bits)",
        ));
    }
    if tunnel.port == 0 {
        return Err(mistake(
            dev,
            "has no UDP port",
            "use 4789, the one that is assigned for VXLAN",
        ));
    }
    if tunnel.group.is_some_and(|group| !group.is_multicast()) {
        return Err(mistake(
            dev,
            "has a group that is no multicast address",
            "use one like 239.1.1.1, or remotes",
        ));
    }
    if tunnel.group.is_some() && tunnel.underlay.is_none() {
        return Err(mistake(
            dev,
            "has a multicast group but no underlay",
            "name the device that carries it",
        ));
    }
    let ends = tunnel
        .remotes
        .iter()
        .chain(&tunnel.group)
        .chain(&tunnel.local);
    let families: BTreeSet<bool> = ends.map(IpAddr::is_ipv4).collect();
    if families.len() > 1 {
        return Err(mistake(
            dev,
            "mixes IPv4 and IPv6 ends",
            "use one family for local, group and remotes",
        ));
    }
    if tunnel
        .remotes
        .iter()
        .any(|remote| remote.is_multicast() || remote.is_unspecified())
    {
        return Err(mistake(
            dev,
            "has a remote end that is no host",
            "use the addresses of the other hosts",
        ));
    }
    Ok(())
}

fn check_route(route: &Route) -> Result<(), Mistake> {
    let v4 = route.destination.addr().is_ipv4();
    let named = || format!("route {route}");
    if route
        .via
        .iter()
        .chain(&route.source)
        .any(|address| address.is_ipv4() != v4)
    {
        return Err(mistake(
            &named(),
            "mixes IPv4 and IPv6",
            "use a gateway and source of the destination's family",
        ));
    }
    if route.via.is_empty() && route.dev.is_none() {
        return Err(mistake(
            &named(),
            "has neither gateway nor device",
            "name one of them",
        ));
    }
    if route.onlink && route.dev.is_none() {
        return Err(mistake(
            &named(),
            "is onlink but names no device",
            "name the device that the gateway is behind",
        ));
    }
    if route.via.iter().any(IpAddr::is_unspecified) {
        return Err(mistake(
            &named(),
            "has a gateway of zero",
            "leave the gateway out for an on-link route",
        ));
    }
    Ok(())
}

fn mistake(object: &impl ToString, why: &'static str, instead: &'static str) -> Mistake {
    Mistake {
        object: object.to_string(),
        why,
        instead,
    }
}
