//! A router's legs: in which subnets it has them, and with which addresses.

use std::net::IpAddr;

use super::check::Check;
use super::draft::{ClaimId, Claimant, PortDraft, PortRef, SubnetRef};
use super::file;
use super::ids;
use super::mistake::{Code, Span};
use super::names::NotFound;
use super::read::At;
use super::values::OrTable;
use super::words::Reference;
use crate::model::{DeviceOwner, Port, PortId, ProjectId, RouterId};

impl Check<'_, '_> {
    /// The subnet of an interface, and the address it asks for there.
    pub(super) fn interface(
        &mut self,
        written: &At<OrTable<Reference, file::Interface>>,
        router: &str,
    ) -> Option<(SubnetRef, Option<At<IpAddr>>)> {
        let table = match &written.value {
            OrTable::Word(name) => {
                return Some((self.either_named(name, written.at, router)?, None));
            }
            OrTable::Table(table) => table,
        };
        let object = &table.object;
        let subnet = match (&table.network, &table.subnet) {
            (None, None) => {
                if !table.is_broken("network") && !table.is_broken("subnet") {
                    let fix = "add `network = \"...\"` or `subnet = \"...\"`";
                    self.mistake(
                        Code::MissingKey,
                        written.at,
                        object,
                        "it names neither network nor subnet",
                        fix,
                    );
                }
                return None;
            }
            (Some(network), None) => {
                let index = self.network_named(&network.value, network.at, object)?;
                let wanted = table
                    .address
                    .as_ref()
                    .and_then(|address| self.subnet_of(index, address.value));
                match wanted {
                    Some(subnet) => subnet,
                    None => self.only_subnet(index, network.at, object)?,
                }
            }
            (network, Some(subnet)) => {
                let found = match network {
                    Some(network) => {
                        let index = self.network_named(&network.value, network.at, object)?;
                        self.subnets_of(index)
                            .find(|of| self.subnet(*of).name == *subnet.value)
                    }
                    None => None,
                };
                match found {
                    Some(found) => found,
                    None => {
                        let found = self.subnets.find(&subnet.value);
                        self.found(found, "subnet", &subnet.value, subnet.at, object)?
                    }
                }
            }
        };
        if let Some(address) = &table.address {
            let cidr = self.cidr(subnet);
            if !cidr.contains(&address.value) {
                let why = format!("{} is not in {cidr}", address.value);
                self.mistake(
                    Code::OutsideSubnet,
                    address.at,
                    object,
                    why,
                    "choose an address of the subnet, or leave it out",
                );
                return None;
            }
        }
        Some((subnet, table.address))
    }

    /// A network's only subnet, or the subnet of this name.
    fn either_named(&mut self, name: &str, at: Span, object: &str) -> Option<SubnetRef> {
        let network = self.networks.find(name);
        let subnet = self.subnets.find(name);
        match (network, subnet) {
            (Ok(network), Ok(subnet)) if subnet.network != network => {
                let why = format!("{name:?} is both a network and a subnet of another one");
                let fix = format!("write {{ network = {name:?} }} or {{ subnet = {name:?} }}");
                self.mistake(Code::Ambiguous, at, object, why, fix);
                None
            }
            (_, Ok(subnet)) => Some(subnet),
            (Ok(network), Err(_)) => self.only_subnet(network, at, object),
            (Err(_), Err(NotFound::Several)) => {
                self.found(Err::<(), _>(NotFound::Several), "subnet", name, at, object);
                None
            }
            (network, Err(_)) => {
                self.found(network, "network or subnet", name, at, object);
                None
            }
        }
    }

    fn only_subnet(&mut self, network: usize, at: Span, object: &str) -> Option<SubnetRef> {
        let mut subnets = self.subnets_of(network);
        match (subnets.next(), subnets.next()) {
            (Some(only), None) => Some(only),
            _ if !self.draft.networks[network].whole => None,
            (None, _) => {
                let why = format!("{} has no subnet", self.draft.networks[network].object);
                self.mistake(
                    Code::UnknownName,
                    at,
                    object,
                    why,
                    "add [[network.subnet]] to it",
                );
                None
            }
            (Some(_), Some(_)) => {
                let why = format!(
                    "{} has more than one subnet",
                    self.draft.networks[network].object
                );
                let fix = format!(
                    "name the subnet instead, one of: {}",
                    self.cidrs_of(network)
                );
                self.mistake(Code::Ambiguous, at, object, why, fix);
                None
            }
        }
    }

    /// A leg in this IPv6 subnet's network that it joins, as Neutron has it: one router is one source of advertisements.
    pub(super) fn beside(&self, interfaces: &[PortRef], subnet: SubnetRef) -> Option<PortRef> {
        let has_v6 = |leg: &&PortRef| {
            let mut claims = self.draft.networks[leg.network].ports[leg.port]
                .claims
                .iter();
            claims.any(|claim| self.cidr(self.draft.claims[*claim].subnet).addr().is_ipv6())
        };
        let mut same = interfaces
            .iter()
            .filter(|leg| leg.network == subnet.network);
        same.find(has_v6)
            .filter(|_| self.cidr(subnet).addr().is_ipv6())
            .copied()
    }

    /// An interface has the subnet's gateway address, unless it says another, or that is a router's of someone else.
    pub(super) fn leg_inside(
        &mut self,
        router: RouterId,
        project: &ProjectId,
        subnet: SubnetRef,
        address: At<Option<IpAddr>>,
        beside: Option<PortRef>,
        object: &str,
    ) -> PortRef {
        let id = match beside {
            Some(leg) => self.draft.networks[leg.network].ports[leg.port].port.id,
            None => ids::interface(router, self.subnet(subnet).id),
        };
        let cidr = self.cidr(subnet);
        let gateway = self.draft.networks[subnet.network].pools[subnet.subnet].gateway;
        let given = address
            .value
            .or(gateway.filter(|gateway| cidr.contains(gateway)));
        let object = format!("{object}, interface in {cidr}");
        let claim = self.claim(
            Claimant::Interface,
            id.0,
            subnet,
            given,
            address.at,
            &object,
        );
        if let Some(leg) = beside {
            let port = &mut self.draft.networks[leg.network].ports[leg.port];
            port.claims.push(claim);
            return leg;
        }
        self.leg(
            id,
            project,
            DeviceOwner::RouterInterface,
            subnet.network,
            vec![claim],
        )
    }

    pub(super) fn leg(
        &mut self,
        id: PortId,
        project: &ProjectId,
        owner: DeviceOwner,
        network: usize,
        claims: Vec<ClaimId>,
    ) -> PortRef {
        let port = Port {
            project: project.clone(),
            ..Port::new(id, self.network_id(network), owner)
        };
        let ports = &mut self.draft.networks[network].ports;
        ports.push(PortDraft {
            port,
            mac: None,
            claims,
            hostname: None,
        });
        PortRef {
            network,
            port: ports.len() - 1,
        }
    }
}
