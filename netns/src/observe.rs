//! What the kernel holds now, as far as a Spec may own it.
//!
//! In a namespace of our own that is everything; of a shared one (no prefixes of ours) only what the Spec names is
//! asked for, so that the cost does not grow with what else is there.

use std::collections::{BTreeMap, BTreeSet};

use rtnetlink::packet_route::AddressFamily;

use crate::error::{Error, Refusal};
use crate::link::{KindSeen, LinkSeen};
use crate::names::DevName;
use crate::namespace::Namespace;
use crate::nft::TableSeen;
use crate::route::RouteSeen;
use crate::rule::RuleSeen;
use crate::spec::{LinkKind, Neighbour, Place, Spec};
use crate::stay::Stay;
use crate::sysctl::SysctlSeen;
use crate::wire::Wire;
use crate::{addr, fate, link, neigh, nft, route, rule};

/// What a namespace holds, of what a certain Spec may own.
#[derive(Debug, Clone, PartialEq)]
pub struct Actual {
    pub place: Place,
    /// Devices by name.
    pub links: BTreeMap<DevName, LinkSeen>,
    /// What stands where the far ends of pairs shall be, by (namespace, name).
    pub peers: BTreeMap<(Place, DevName), PeerSeen>,
    /// Namespaces that are named for far ends, and do not exist.
    pub nowhere: BTreeSet<Place>,
    /// Ours, by their protocol.
    pub routes: Vec<RouteSeen>,
    /// Made of router advertisements: nobody's, and in the way of a wished one with the same key. Asked for only where the
    /// Spec has v6 routes.
    pub advertised: Vec<RouteSeen>,
    pub rules: Vec<RuleSeen>,
    pub neighbours: BTreeSet<Neighbour>,
    pub sysctls: BTreeMap<String, SysctlSeen>,
    /// Our nftables table; `None`: not there (or, in a shared namespace, not asked for).
    pub table: Option<TableSeen>,
}

/// A device in the place of a pair's far end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerSeen {
    pub index: u32,
    pub kind: KindSeen,
    pub alias: Option<String>,
}

/// Looks at what `spec` may own in `ns`.
pub async fn observe(ns: &Namespace, spec: &Spec) -> Result<Actual, Error> {
    let (inside, spec) = (ns.clone(), spec.clone());
    ns.run(move || look(&mut Stay::begin(&inside)?, &spec))
        .await
}

impl Actual {
    /// What a namespace holds that was made this moment: the loopback, down. For the plan of one that is still to come.
    pub fn empty(place: Place) -> Self {
        let mut actual = Self::nothing(place);
        if let Ok(lo) = DevName::new("lo") {
            actual.links.insert(lo, LinkSeen::loopback());
        }
        actual
    }

    fn nothing(place: Place) -> Self {
        Self {
            place,
            links: BTreeMap::new(),
            peers: BTreeMap::new(),
            nowhere: BTreeSet::new(),
            routes: Vec::new(),
            advertised: Vec::new(),
            rules: Vec::new(),
            neighbours: BTreeSet::new(),
            sysctls: BTreeMap::new(),
            table: None,
        }
    }

    /// Names of the devices that were looked at, by index.
    pub(crate) fn names(&self) -> BTreeMap<u32, DevName> {
        self.links
            .iter()
            .map(|(name, link)| (link.index, name.clone()))
            .collect()
    }
}

pub(crate) fn look(stay: &mut Stay, spec: &Spec) -> Result<Actual, Error> {
    let mut actual = Actual::nothing(stay.place().clone());
    let shared = spec.is_shared();
    let place = actual.place.clone();
    let failed = |what| {
        move |source| Error::Look {
            place,
            what,
            source,
        }
    };
    let wire = &mut stay.route;
    actual.links = if shared {
        named_links(wire, spec)
    } else {
        all_links(wire)
    }
    .map_err(failed.clone()("devices"))?;
    addresses(wire, spec, shared, &mut actual.links).map_err(failed.clone()("addresses"))?;
    tunnels(wire, spec, &mut actual.links).map_err(failed.clone()("tunnels' remote ends"))?;
    let names = actual.names();
    if !shared || !spec.routes.is_empty() {
        let ours = spec.ownership.protocol;
        let both = &[AddressFamily::Inet, AddressFamily::Inet6][..];
        actual.routes = routes(wire, both, ours, &names).map_err(failed.clone()("routes"))?;
    }
    if spec
        .routes
        .iter()
        .any(|wish| wish.destination.addr().is_ipv6())
    {
        let found = routes(wire, &[AddressFamily::Inet6], route::ADVERTISED, &names);
        actual.advertised = found.map_err(failed.clone()("routes"))?;
    }
    if !shared || !spec.rules.is_empty() {
        actual.rules = rules(wire, spec).map_err(failed.clone()("rules"))?;
    }
    if !shared || !spec.neighbours.is_empty() {
        actual.neighbours = neighbours(wire, spec, shared, &actual.links, &names)
            .map_err(failed.clone()("neighbours"))?;
    }
    if !shared || spec.ruleset.is_some() {
        actual.table = table(stay, spec).map_err(failed.clone()("nftables table"))?;
    }
    actual.sysctls = stay
        .settings()
        .read(spec.sysctls.keys())
        .map_err(|error| failed("sysctls")(error.into()))?;
    peers(stay, spec, &mut actual)?;
    Ok(actual)
}

fn all_links(wire: &mut Wire) -> Result<BTreeMap<DevName, LinkSeen>, Refusal> {
    let bodies = wire.dump(&link::list())?;
    Ok(bodies
        .iter()
        .filter_map(|body| read(link::parse(body)))
        .collect())
}

fn named_links(wire: &mut Wire, spec: &Spec) -> Result<BTreeMap<DevName, LinkSeen>, Refusal> {
    let requests: Vec<_> = spec.devices().into_iter().map(link::get).collect();
    let mut links = BTreeMap::new();
    for answer in wire.exchange(&requests)? {
        match answer {
            Ok(Some(body)) => links.extend(link::parse(&body)?),
            Ok(None) => {}
            Err(refusal) if refusal.errno() == libc::ENODEV => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(links)
}

fn addresses(
    wire: &mut Wire,
    spec: &Spec,
    shared: bool,
    links: &mut BTreeMap<DevName, LinkSeen>,
) -> Result<(), Refusal> {
    let owned = links.iter().filter(|(name, seen)| {
        match spec.links.get(*name) {
            Some(link) => link.addrs.is_some() || fate::joins(spec, link, seen),
            None => fate::has_our_prefix(spec, name), // it goes
        }
    });
    let owned: Vec<u32> = owned.map(|(_, link)| link.index).collect();
    if owned.is_empty() {
        return Ok(());
    }
    let asked = if shared { owned.clone() } else { vec![0] };
    let mut found = BTreeMap::<u32, BTreeMap<_, _>>::new();
    for index in asked {
        for body in wire.dump(&addr::list(index))? {
            if let Some((index, net, seen)) = read(addr::parse(&body)) {
                found.entry(index).or_default().insert(net, seen);
            }
        }
    }
    for link in links
        .values_mut()
        .filter(|link| owned.contains(&link.index))
    {
        link.addrs = found.remove(&link.index).unwrap_or_default();
    }
    Ok(())
}

fn tunnels(
    wire: &mut Wire,
    spec: &Spec,
    links: &mut BTreeMap<DevName, LinkSeen>,
) -> Result<(), Refusal> {
    for (name, seen) in links {
        let wanted = spec
            .links
            .get(name)
            .is_some_and(|link| matches!(link.kind, LinkKind::Vxlan(_)));
        if wanted && matches!(seen.kind, KindSeen::Vxlan { .. }) {
            for body in wire.dump(&neigh::floods(seen.index))? {
                let found =
                    read(neigh::parse_flood(&body)).filter(|(index, _)| *index == seen.index);
                seen.floods.extend(found.map(|(_, remote)| remote));
            }
        }
    }
    Ok(())
}

fn routes(
    wire: &mut Wire,
    families: &[AddressFamily],
    protocol: u8,
    names: &BTreeMap<u32, DevName>,
) -> Result<Vec<RouteSeen>, Refusal> {
    let mut found = Vec::new();
    for family in families {
        for body in dump_if_there(wire, &route::list(*family, protocol))? {
            found.extend(read(route::parse(&body, protocol, names)));
        }
    }
    Ok(found)
}

fn rules(wire: &mut Wire, spec: &Spec) -> Result<Vec<RuleSeen>, Refusal> {
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        for body in dump_if_there(wire, &rule::list(family))? {
            found.extend(read(rule::parse(&body, spec.ownership.protocol)));
        }
    }
    Ok(found)
}

fn neighbours(
    wire: &mut Wire,
    spec: &Spec,
    shared: bool,
    links: &BTreeMap<DevName, LinkSeen>,
    names: &BTreeMap<u32, DevName>,
) -> Result<BTreeSet<Neighbour>, Refusal> {
    let on = spec
        .neighbours
        .iter()
        .filter_map(|neighbour| links.get(&neighbour.dev))
        .map(|link| link.index);
    let asked: BTreeSet<u32> = if shared {
        on.collect()
    } else {
        BTreeSet::from([0])
    };
    let mut found = BTreeSet::new();
    for index in asked {
        for family in [AddressFamily::Inet, AddressFamily::Inet6] {
            for body in dump_if_there(wire, &neigh::list(family, index))? {
                found.extend(read(neigh::parse(&body, spec.ownership.protocol, names)));
            }
        }
    }
    Ok(found)
}

fn table(stay: &mut Stay, spec: &Spec) -> Result<Option<TableSeen>, Refusal> {
    match stay.netfilter() {
        Ok(wire) => nft::look(wire, &spec.ownership.table, spec.ruleset.as_ref()),
        // A kernel without nftables has no table of ours.
        Err(error)
            if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) && spec.ruleset.is_none() =>
        {
            Ok(None)
        }
        Err(error) => Err(error.into()),
    }
}

/// What we cannot read is of a kind that we do not make, so it is none of ours.
fn read<T>(parsed: Result<Option<T>, Refusal>) -> Option<T> {
    parsed.unwrap_or_else(|refusal| {
        tracing::debug!(%refusal, "left out what the kernel said");
        None
    })
}

/// Empty for a family that the kernel was built without.
fn dump_if_there(wire: &mut Wire, request: &crate::wire::Request) -> Result<Vec<Vec<u8>>, Refusal> {
    match wire.dump(request) {
        Err(refusal) if matches!(refusal.errno(), libc::EAFNOSUPPORT | libc::EOPNOTSUPP) => {
            Ok(Vec::new())
        }
        answer => answer,
    }
}

/// Looks where the far ends of pairs shall be: is the one there that belongs to our end, or something else?
fn peers(stay: &mut Stay, spec: &Spec, actual: &mut Actual) -> Result<(), Error> {
    let mut wanted = BTreeMap::<&Place, Vec<&DevName>>::new();
    for link in spec.links.values() {
        if let LinkKind::Veth { peer, peer_in } = &link.kind {
            wanted.entry(peer_in).or_default().push(peer);
        }
    }
    for (place, names) in wanted {
        let requests: Vec<_> = names.iter().map(|name| link::get(name)).collect();
        let Some(there) = stay.elsewhere(place)? else {
            actual.nowhere.insert(place.clone());
            continue;
        };
        let failed = |source| Error::Look {
            place: place.clone(),
            what: "far ends of pairs",
            source,
        };
        for answer in there
            .wire
            .exchange(&requests)
            .map_err(|error| failed(error.into()))?
        {
            match answer {
                Ok(Some(body)) => {
                    let parsed = link::parse(&body).map_err(failed)?;
                    actual.peers.extend(parsed.map(|(name, seen)| {
                        let peer = PeerSeen {
                            index: seen.index,
                            kind: seen.kind,
                            alias: seen.alias,
                        };
                        ((place.clone(), name), peer)
                    }));
                }
                Ok(None) => {}
                Err(refusal) if refusal.errno() == libc::ENODEV => {}
                Err(refusal) => return Err(failed(refusal)),
            }
        }
    }
    Ok(())
}
