//! Routers: their gateway, their routes, and what their legs may not be to each other.

use std::net::IpAddr;

use ipnet::IpNet;

use super::check::{Check, called};
use super::draft::{Claimant, PortRef, RouterDraft, SubnetRef};
use super::file::{self, all};
use super::ids;
use super::mistake::{Code, Span};
use super::names::overlaps;
use super::read::At;
use super::values::OrTable;
use crate::model::{DeviceOwner, HostRoute, ProjectId, Router, RouterId};

impl Check<'_, '_> {
    pub(super) fn router(&mut self, file: &file::Router) {
        let index = self.draft.routers.len();
        let object = &file.object;
        let (name, named_at) = called(file.name.as_ref(), object, file.at);
        let id = file
            .id
            .as_ref()
            .map_or_else(|| ids::router(&name), |id| RouterId(id.value));
        match self.routers.add(&name, index, named_at) {
            Some(other) => self.name_taken("router", &name, other, named_at, object),
            None => self.take_id(id.0, file.id.as_ref().map_or(named_at, |id| id.at), object),
        }
        let project = self.project_of(file.project.as_ref());
        let mut legs: Vec<(SubnetRef, Span)> = Vec::new();
        let mut interfaces = Vec::new();
        for written in all(&file.interfaces) {
            let Some((subnet, address)) = self.interface(written, object) else {
                continue;
            };
            if legs.iter().any(|(other, _)| *other == subnet) {
                let why = format!("it has two interfaces in {}", self.subnet(subnet).cidr);
                self.mistake(
                    Code::AddressTaken,
                    written.at,
                    object,
                    why,
                    "name each subnet once",
                );
                continue;
            }
            let beside = self.beside(&interfaces, subnet);
            legs.push((subnet, written.at));
            let address = At {
                at: address.map_or(written.at, |address| address.at),
                value: address.map(|address| address.value),
            };
            let leg = self.leg_inside(id, &project, subnet, address, beside, object);
            if beside.is_none() {
                interfaces.push(leg);
            }
        }
        let gateway = self.gateway(file, id, &project);
        if let Some((port, _)) = gateway {
            let at = file.gateway.as_ref().map_or(file.at, |gateway| gateway.at);
            legs.extend(self.subnets_of(port.network).map(|subnet| (subnet, at)));
        }
        self.overlapping_legs(&legs, object);
        let cidrs: Vec<IpNet> = legs.iter().map(|(subnet, _)| self.cidr(*subnet)).collect();
        let routes = self.routes(file, &cidrs);
        self.draft.routers.push(RouterDraft {
            router: Router {
                name,
                project,
                routes,
                ..Router::new(id)
            },
            interfaces,
            gateway,
            floating_ips: Vec::new(),
            forwardings: Vec::new(),
        });
    }

    pub(super) fn cidr(&self, subnet: SubnetRef) -> IpNet {
        self.draft.networks[subnet.network].pools[subnet.subnet].cidr
    }

    fn gateway(
        &mut self,
        file: &file::Router,
        router: RouterId,
        project: &ProjectId,
    ) -> Option<(PortRef, bool)> {
        let written = file.gateway.as_ref()?;
        let object = format!("{}, gateway", file.object);
        let (name, name_at, addresses, snat) = match &written.value {
            OrTable::Word(name) => (name, written.at, None, true),
            OrTable::Table(table) => {
                let network = table.network.as_ref()?;
                let snat = table.snat.as_ref().is_none_or(|snat| snat.value);
                (&network.value, network.at, table.address.as_ref(), snat)
            }
        };
        let network = self.network_named(name, name_at, &object)?;
        let draft = &self.draft.networks[network];
        if !draft.network.external {
            let why = format!("{} is not external", draft.object);
            self.mistake(
                Code::Gateway,
                name_at,
                &object,
                why,
                "say `external = true` there, or name an external network",
            );
        }
        let given = addresses.map_or(&[][..], |addresses| &addresses.value.0);
        let mut wanted = Vec::new();
        for address in given {
            wanted.push((
                self.subnet_outside(network, *address, &object)?,
                Some(*address),
            ));
        }
        // One of each IP version, as Neutron gives it.
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let said = given.iter().any(|address| family(&address.value));
            let first = self.first_of(network, family).filter(|_| !said);
            wanted.extend(first.map(|subnet| (subnet, None)));
        }
        if wanted.is_empty() {
            let draft = &self.draft.networks[network];
            if draft.whole {
                let why = format!("{} has no subnet to pick an address of", draft.object);
                self.mistake(
                    Code::Gateway,
                    name_at,
                    &object,
                    why,
                    "add [[network.subnet]] to it",
                );
            }
            return None;
        }
        let id = ids::gateway(router, self.network_id(network));
        let claims = wanted.into_iter().map(|(subnet, address)| {
            let (given, at) = (
                address.map(|address| address.value),
                address.map_or(written.at, |address| address.at),
            );
            self.claim(Claimant::RouterGateway, id.0, subnet, given, at, &object)
        });
        let claims = claims.collect();
        Some((
            self.leg(id, project, DeviceOwner::RouterGateway, network, claims),
            snat,
        ))
    }

    fn subnet_outside(
        &mut self,
        network: usize,
        address: At<IpAddr>,
        object: &str,
    ) -> Option<SubnetRef> {
        let subnet = self.subnet_of(network, address.value);
        if subnet.is_none() && self.draft.networks[network].whole {
            let why = format!(
                "{} is in no subnet of {}",
                address.value, self.draft.networks[network].object
            );
            let fix = format!("choose an address in one of: {}", self.cidrs_of(network));
            self.mistake(Code::OutsideSubnet, address.at, object, why, fix);
        }
        subnet
    }

    /// A router can't tell two networks with the same addresses apart.
    fn overlapping_legs(&mut self, legs: &[(SubnetRef, Span)], object: &str) {
        let spans = legs.iter().enumerate().map(|(index, (subnet, _))| {
            let cidr = self.cidr(*subnet);
            (cidr.network(), cidr.broadcast(), index)
        });
        for (one, other) in overlaps(spans.collect()) {
            // A network's own subnets have been compared.
            let (one, other) = (legs[one], legs[other]);
            if one.0.network == other.0.network && one.0 != other.0 {
                continue;
            }
            if one.0 == other.0 {
                let why = "its gateway is in a network where it has an interface already";
                self.mistake(
                    Code::Gateway,
                    other.1,
                    object,
                    why,
                    "lead out by another network, or remove the interface",
                );
                continue;
            }
            let name = |of: SubnetRef| {
                format!(
                    "{} of {}",
                    self.cidr(of),
                    self.draft.networks[of.network].object
                )
            };
            let why = format!("{} and {} overlap", name(one.0), name(other.0));
            let fix = "one router can join networks only if they have no address in common";
            self.mistake(Code::Overlap, other.1, object, why, fix);
        }
    }

    fn routes(&mut self, file: &file::Router, legs: &[IpNet]) -> Vec<HostRoute> {
        let mut routes = Vec::new();
        for route in all(&file.routes) {
            let (Some(to), Some(via)) = (&route.to, &route.via) else {
                continue;
            };
            let destination = to.value.by(via.value);
            if !self.is_one_family(destination, via, &route.object) {
                continue;
            }
            let whole = self.draft.networks.iter().all(|network| network.whole);
            if whole && !legs.iter().any(|cidr| cidr.contains(&via.value)) {
                let cidrs: Vec<_> = legs.iter().map(IpNet::to_string).collect();
                let why = format!(
                    "the next hop {} is in none of the router's networks",
                    via.value
                );
                let fix = format!("choose a next hop in one of: {}", cidrs.join(", "));
                self.mistake(Code::NextHop, via.at, &route.object, why, fix);
            }
            routes.push(HostRoute {
                destination,
                nexthop: via.value,
            });
        }
        routes
    }
}
