//! Addresses against each other: who claims what, and whether enough are left.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::check::Check;
use super::draft::{Claim, ClaimId, Claimant, SubnetRef};
use super::mistake::Code;

impl Check<'_, '_> {
    /// When all claims are known.
    pub(super) fn addresses(&mut self) {
        for id in 0..self.draft.claims.len() {
            let claim = &self.draft.claims[id];
            let Some(address) = claim.given else { continue };
            match self.given[&(claim.subnet, address)] {
                first if first == id => self.judge(id, address),
                first => self.twice(id, first, address),
            }
        }
        self.room();
    }

    /// Whether the address is anyone's to have.
    fn judge(&mut self, id: ClaimId, address: IpAddr) {
        let claim = &self.draft.claims[id];
        let pool = &self.draft.networks[claim.subnet.network].pools[claim.subnet.subnet];
        let (at, object) = (claim.at, claim.object.clone());
        if !pool.is_usable(address) {
            let why = unusable(address, pool.cidr);
            self.mistake(
                Code::Unusable,
                at,
                &object,
                why,
                "choose another address of the subnet",
            );
            return;
        }
        let may_be_gateway = matches!(claim.kind, Claimant::Machine | Claimant::Interface);
        if pool.gateway == Some(address) && !may_be_gateway {
            let why = format!("{address} is the gateway of {}", pool.cidr);
            self.mistake(
                Code::AddressTaken,
                at,
                &object,
                why,
                "choose another address, or another `gateway` for the subnet",
            );
        }
    }

    fn twice(&mut self, id: ClaimId, other: ClaimId, address: IpAddr) {
        let (claim, other) = (&self.draft.claims[id], &self.draft.claims[other]);
        // The router's interface was there first because routers are looked at first; the file's order is what people see.
        let (first, second) = if claim.at < other.at {
            (claim, other)
        } else {
            (other, claim)
        };
        let line = self.notes.line(first.at);
        let why = format!("{} (line {line}) has {address} already", first.object);
        let fix = match second.kind {
            Claimant::Interface => "write the interface as a table, with an `address` of its own",
            _ => "choose another address, or leave it out to get a free one",
        };
        let (at, object) = (second.at, second.object.clone());
        self.mistake(Code::AddressTaken, at, &object, why, fix);
    }

    /// Whether each subnet has an address for everyone who is to get one.
    fn room(&mut self) {
        let mut wanted: BTreeMap<SubnetRef, Vec<ClaimId>> = BTreeMap::new();
        for (id, claim) in self.draft.claims.iter().enumerate() {
            if claim.given.is_none() && !self.makes_its_own(claim) {
                wanted.entry(claim.subnet).or_default().push(id);
            }
        }
        let mut used: HashMap<SubnetRef, HashSet<IpAddr>> = HashMap::new();
        for (subnet, address) in self.given.keys() {
            used.entry(*subnet).or_default().insert(*address);
        }
        for (subnet, claims) in wanted {
            let named = self
                .draft
                .named
                .get(&self.subnet(subnet).id)
                .cloned()
                .unwrap_or_default();
            let pool = &self.draft.networks[subnet.network].pools[subnet.subnet];
            let mut gone = used.remove(&subnet).unwrap_or_default();
            gone.extend(named);
            gone.extend(pool.gateway);
            let in_pool = gone.iter().filter(|gone| pool.ranges_contain(**gone));
            let free = pool.size() - in_pool.count() as u128;
            if claims.len() as u128 <= free {
                continue;
            }
            // The first one for whom there is none.
            let index = usize::try_from(free).unwrap_or(usize::MAX);
            let Some(claim) = claims.get(index).map(|id| &self.draft.claims[*id]) else {
                continue;
            };
            let (at, object) = (claim.at, claim.object.clone());
            let why = format!(
                "{} has {free} free addresses for {} who need one",
                pool.cidr,
                claims.len()
            );
            let fix = "widen the subnet's `allocation` or its `cidr`";
            self.mistake(Code::SubnetFull, at, &object, why, fix);
        }
    }

    fn makes_its_own(&self, claim: &Claim) -> bool {
        let pool = &self.draft.networks[claim.subnet.network].pools[claim.subnet.subnet];
        pool.auto && matches!(claim.kind, Claimant::Machine | Claimant::Dhcp)
    }
}

/// Why nobody can have it.
pub(super) fn unusable(address: IpAddr, cidr: IpNet) -> String {
    match cidr {
        IpNet::V4(_) => format!("{address} is the network or broadcast address of {cidr}"),
        IpNet::V6(_) => format!("{address} is the address of any router in {cidr}"),
    }
}
