//! An instance's ports: their addresses, MACs and names.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use super::check::Check;
use super::draft::{ClaimId, Claimant, PortDraft, PortRef, SubnetRef};
use super::file;
use super::ids;
use super::mistake::{Code, Span};
use super::read::At;
use super::words::AddressOrSubnet;
use crate::model::{DeviceOwner, InstanceId, MacAddr, Port, PortId, ProjectId};

/// Whose port it is.
pub(super) struct Owner<'i> {
    pub(super) instance: &'i InstanceId,
    pub(super) project: &'i ProjectId,
    pub(super) hostname: &'i str,
    /// Which one of the instance's ports on the network, from 1.
    pub(super) nth: usize,
}

/// Who has which host name on a network.
pub(super) type HostNames = HashMap<(usize, String), (InstanceId, Span)>;
/// Which port has which given MAC on a network.
pub(super) type Macs = BTreeMap<(usize, MacAddr), (String, Span)>;

impl Check<'_, '_> {
    pub(super) fn network_of_port(&mut self, file: &file::Port) -> Option<usize> {
        let name = file.network.as_ref()?;
        self.network_named(&name.value, name.at, &file.object)
    }

    pub(super) fn port(&mut self, file: &file::Port, network: usize, owner: &Owner<'_>) -> PortRef {
        let network_id = self.network_id(network);
        let name = file.name.as_ref().map_or("", |name| name.value.0.as_str());
        let id = match &file.id {
            Some(id) => PortId(id.value),
            None if name.is_empty() => {
                ids::instance_port(network_id, owner.instance, &owner.nth.to_string())
            }
            None => ids::instance_port(network_id, owner.instance, name),
        };
        self.take_id(
            id.0,
            file.id.as_ref().map_or(file.at, |id| id.at),
            &file.object,
        );
        let claims = match &file.addresses {
            Some(addresses) => self.written(file, network, id, &addresses.value),
            None if file.is_broken("addresses") => Vec::new(),
            None => self.picked(file, network, id),
        };
        let options = file
            .dhcp_options
            .as_ref()
            .map(|options| options.value.clone())
            .unwrap_or_default();
        self.tags_of_options(&options, &file.object);
        let port = Port {
            id,
            name: name.to_owned(),
            network: network_id,
            project: owner.project.clone(),
            mac: MacAddr([0; 6]),
            admin_state_up: true,
            fixed_ips: Box::default(),
            owner: DeviceOwner::Machine,
            instance: Some(owner.instance.clone()),
            extra_dhcp_opts: options.sent.into(),
            client_id: options.client_id.filter(|id| !id.is_empty()),
            dns: Box::default(),
            device: String::new(),
            host: String::new(),
            revision: 0,
        };
        let mac = file.mac.as_ref().map(|mac| mac.value);
        let hostname = Some(owner.hostname.to_owned());
        let ports = &mut self.draft.networks[network].ports;
        let of = PortRef {
            network,
            port: ports.len(),
        };
        ports.push(PortDraft {
            port,
            mac,
            claims,
            hostname,
        });
        if let Some(mac) = &file.mac {
            self.take_mac(network, mac, &file.object);
        }
        self.take_hostname(network, owner, file);
        of
    }

    /// One of a port's `addresses`: an address, or a subnet to pick one of.
    fn address(
        &mut self,
        file: &file::Port,
        network: usize,
        port: PortId,
        written: &At<AddressOrSubnet>,
    ) -> Option<usize> {
        let (text, at, object) = (&written.value.0, written.at, &file.object);
        match text.parse::<IpAddr>() {
            Ok(ip) => match self.subnet_of(network, ip) {
                Some(subnet) if self.subnet(subnet).is_auto_addressed() => {
                    let cidr = self.subnet(subnet).cidr;
                    let why = format!(
                        "{ip} is in {cidr}, where machines make their addresses of their MACs"
                    );
                    let fix = "leave it out, or give the subnet the modes \"dhcpv6-stateful\"";
                    self.mistake(Code::Misplaced, at, object, why, fix);
                    None
                }
                Some(subnet) => {
                    Some(self.claim(Claimant::Machine, port.0, subnet, Some(ip), at, object))
                }
                None => {
                    if self.draft.networks[network].whole {
                        let cidrs = self.cidrs_of(network);
                        let why = format!(
                            "{ip} is in no subnet of {}",
                            self.draft.networks[network].object
                        );
                        self.mistake(
                            Code::OutsideSubnet,
                            at,
                            object,
                            why,
                            format!("its subnets are: {cidrs}"),
                        );
                    }
                    None
                }
            },
            Err(_) => {
                let subnets = &self.draft.networks[network].network.subnets;
                let named = |subnet: &crate::model::Subnet| {
                    subnet.name == *text || subnet.id.to_string() == *text
                };
                match subnets.iter().position(named) {
                    Some(subnet) => {
                        let subnet = SubnetRef { network, subnet };
                        Some(self.claim(Claimant::Machine, port.0, subnet, None, at, object))
                    }
                    None => {
                        let why = format!(
                            "{text:?} is neither an address nor a subnet of {}",
                            self.draft.networks[network].object
                        );
                        let fix = "write an address such as \"10.10.1.10\", or the name of one of its subnets to get a free one";
                        self.mistake(Code::BadValue, at, object, why, fix);
                        None
                    }
                }
            }
        }
    }

    /// Nothing said: an address of the first subnet with DHCP, or else of the first, for each IP version; and of every subnet
    /// where machines make their own.
    fn picked(&mut self, file: &file::Port, network: usize, port: PortId) -> Vec<ClaimId> {
        let subnets: Vec<SubnetRef> = self.subnets_of(network).collect();
        if subnets.is_empty() {
            let draft = &self.draft.networks[network];
            if draft.whole {
                let why = format!("{} has no subnet to pick an address of", draft.object);
                let fix = "add [[network.subnet]] to it, or say `addresses = []`";
                self.mistake(Code::SubnetFull, file.at, &file.object, why, fix);
            }
            return Vec::new();
        }
        let mut chosen = Vec::new();
        for family in [IpAddr::is_ipv4, IpAddr::is_ipv6] {
            let of_family = || {
                subnets.iter().filter(|subnet| {
                    let subnet = self.subnet(**subnet);
                    family(&subnet.cidr.addr()) && !subnet.is_auto_addressed()
                })
            };
            let served = of_family().find(|subnet| self.subnet(**subnet).enable_dhcp);
            chosen.extend(served.or(of_family().next()).copied());
        }
        let mut claims: Vec<ClaimId> = chosen
            .into_iter()
            .map(|subnet| {
                self.claim(
                    Claimant::Machine,
                    port.0,
                    subnet,
                    None,
                    file.at,
                    &file.object,
                )
            })
            .collect();
        self.made_by_itself(file, network, port, &mut claims);
        claims
    }

    /// What is written, and what the machine makes itself beside: unless it has no address at all.
    fn written(
        &mut self,
        file: &file::Port,
        network: usize,
        port: PortId,
        addresses: &[At<AddressOrSubnet>],
    ) -> Vec<ClaimId> {
        let written = addresses.iter();
        let mut claims = written
            .filter_map(|address| self.address(file, network, port, address))
            .collect();
        if !addresses.is_empty() {
            self.made_by_itself(file, network, port, &mut claims);
        }
        claims
    }

    /// As Neutron's `_allocate_ips_for_port` adds them.
    fn made_by_itself(
        &mut self,
        file: &file::Port,
        network: usize,
        port: PortId,
        claims: &mut Vec<ClaimId>,
    ) {
        for subnet in self.subnets_of(network) {
            let known = |claim: &ClaimId| self.draft.claims[*claim].subnet == subnet;
            if self.subnet(subnet).is_auto_addressed() && !claims.iter().any(known) {
                let claim = self.claim(
                    Claimant::Machine,
                    port.0,
                    subnet,
                    None,
                    file.at,
                    &file.object,
                );
                claims.push(claim);
            }
        }
    }

    fn take_mac(&mut self, network: usize, mac: &At<MacAddr>, object: &str) {
        let other = self
            .macs
            .insert((network, mac.value), (object.to_owned(), mac.at));
        if let Some((other, there)) = other {
            let line = self.notes.line(there);
            let why = format!(
                "{other} (line {line}) has the MAC {} on this network already",
                mac.value
            );
            self.mistake(
                Code::DuplicateMac,
                mac.at,
                object,
                why,
                "give each its own `mac`, or none",
            );
        }
    }

    fn take_hostname(&mut self, network: usize, owner: &Owner<'_>, file: &file::Port) {
        let key = (network, owner.hostname.to_owned());
        let (other, there) = self
            .hostnames
            .entry(key)
            .or_insert_with(|| (owner.instance.clone(), file.at));
        if other != owner.instance {
            let line = self.notes.line(*there);
            let why = format!(
                "another instance's port on this network (line {line}) has the host name {:?}",
                owner.hostname
            );
            self.notes.mistake(
                Code::DuplicateName,
                file.at,
                &file.object,
                why,
                "give each instance its own `hostname`",
            );
        }
    }
}
