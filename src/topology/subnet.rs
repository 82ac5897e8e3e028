//! Subnets: their gateway, their pool, and what DHCP tells there.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};

use super::check::Check;
use super::draft::{Pool, SubnetRef};
use super::file::{self, all};
use super::ids;
use super::mistake::{Code, Span};
use super::names::overlaps;
use super::values::Choice;
use crate::model::{HostRoute, Subnet, SubnetId};

/// Where instances find metadata: no subnet may hide it.
const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

impl Check<'_, '_> {
    /// What the DHCP port shall have there, if the subnet has DHCP.
    pub(super) fn subnet_of_network(
        &mut self,
        index: usize,
        file: &file::Subnet,
        external: bool,
    ) -> Option<(SubnetRef, Option<Ipv4Addr>, Span)> {
        let Some(cidr) = &file.cidr else {
            self.draft.networks[index].whole = false;
            return None;
        };
        let (cidr, cidr_at, object) = (cidr.value, cidr.at, &file.object);
        self.judge_cidr(cidr, cidr_at, object);
        let network = self.network_id(index);
        let name = file
            .name
            .as_ref()
            .map_or_else(|| cidr.to_string(), |name| name.value.0.clone());
        let id = file
            .id
            .as_ref()
            .map_or_else(|| ids::subnet(network, &name), |id| SubnetId(id.value));
        let reference = SubnetRef {
            network: index,
            subnet: self.draft.networks[index].pools.len(),
        };
        let names = self.draft.networks[index]
            .network
            .subnets
            .iter()
            .map(|subnet| &subnet.name);
        let named_at = file.name.as_ref().map_or(cidr_at, |name| name.at);
        if names.into_iter().any(|other| *other == name) {
            let why = format!("the network has a subnet {name:?} already");
            self.mistake(
                Code::DuplicateName,
                named_at,
                object,
                why,
                "give each its own name",
            );
        } else {
            self.take_id(id.0, file.id.as_ref().map_or(named_at, |id| id.at), object);
        }
        self.subnets.also(&name, reference);
        self.subnets.also(&id.to_string(), reference);

        let gateway = self.gateway_of_subnet(file, cidr, external);
        let pool = self.pool(file, cidr, gateway);
        let dns_nameservers = match file.dns_servers.as_ref().map(|servers| &servers.value) {
            None | Some(Choice::Auto) => Vec::new(),
            Some(Choice::None) => vec![Ipv4Addr::UNSPECIFIED],
            Some(Choice::Given(servers)) => servers.clone(),
        };
        let routes = all(&file.host_routes).iter();
        let routes = routes.filter_map(|route| {
            let (to, via) = (route.to.as_ref()?, route.via.as_ref()?);
            Some(HostRoute {
                destination: IpNet::V4(to.value.0),
                nexthop: IpAddr::V4(via.value),
            })
        });
        let addresses = |list: &[Ipv4Addr]| list.iter().copied().map(IpAddr::V4).collect();
        let enable_dhcp = file.dhcp.as_ref().map_or(!external, |dhcp| dhcp.value);
        let subnet = Subnet {
            id,
            name,
            cidr: IpNet::V4(cidr),
            gateway_ip: gateway.map(IpAddr::V4),
            enable_dhcp,
            dns_nameservers: addresses(&dns_nameservers),
            dns_forwarders: addresses(all(&file.dns_forwarders)),
            ntp_servers: addresses(all(&file.ntp_servers)),
            host_routes: routes.collect(),
            segment: None,
            ra_mode: None,
            address_mode: None,
            prefix_delegation: false,
        };
        let network = &mut self.draft.networks[index];
        network.network.subnets.push(subnet);
        network.pools.push(pool);
        self.dhcp_address(file, reference, enable_dhcp)
    }

    fn dhcp_address(
        &mut self,
        file: &file::Subnet,
        reference: SubnetRef,
        enabled: bool,
    ) -> Option<(SubnetRef, Option<Ipv4Addr>, Span)> {
        let given = file.dhcp_address.as_ref();
        if let Some(address) = given {
            let cidr = self.draft.networks[reference.network].pools[reference.subnet].cidr;
            if !enabled {
                let why = "`dhcp_address` without DHCP";
                self.mistake(
                    Code::Misplaced,
                    address.at,
                    &file.object,
                    why,
                    "remove it, or say `dhcp = true`",
                );
            } else if !cidr.contains(&address.value) {
                let why = format!("{} is not in {cidr}", address.value);
                self.mistake(
                    Code::OutsideSubnet,
                    address.at,
                    &file.object,
                    why,
                    "choose an address of the subnet, or leave it out",
                );
                return None;
            }
        }
        let at = given.map_or(file.at, |address| address.at);
        enabled.then_some((reference, given.map(|address| address.value), at))
    }

    fn judge_cidr(&mut self, cidr: Ipv4Net, at: Span, object: &str) {
        let (first, last) = (cidr.network(), cidr.broadcast());
        let strange = |ip: Ipv4Addr| {
            ip.is_loopback() || ip.is_multicast() || ip.octets()[0] == 0 || ip.octets()[0] >= 240
        };
        if cidr.prefix_len() < 8 || strange(first) || strange(last) {
            let why = format!("{cidr} is no network that hosts can have addresses of");
            self.mistake(
                Code::Unusable,
                at,
                object,
                why,
                "use one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            );
        } else if cidr.contains(&METADATA) {
            let why = format!("it hides {METADATA}, where instances ask for metadata");
            self.mistake(Code::Unusable, at, object, why, "choose another network");
        }
    }

    fn gateway_of_subnet(
        &mut self,
        file: &file::Subnet,
        cidr: Ipv4Net,
        external: bool,
    ) -> Option<Ipv4Addr> {
        let Some(gateway) = &file.gateway else {
            return Some(Pool::first(cidr));
        };
        match &gateway.value {
            Choice::Auto => Some(Pool::first(cidr)),
            Choice::None => None,
            Choice::Given(address) if cidr.contains(address) => {
                if !Pool::new(cidr, &[], None).is_usable(*address) {
                    let why = format!("{address} is the network or broadcast address of {cidr}");
                    self.mistake(
                        Code::Unusable,
                        gateway.at,
                        &file.object,
                        why,
                        "choose another address of the subnet",
                    );
                }
                Some(*address)
            }
            // Hosters route a handful of addresses to a machine whose gateway is elsewhere.
            Choice::Given(address) if external => {
                let why = format!("the gateway {address} is outside of {cidr}");
                let fix = "routers reach it on-link; if that is not meant, choose an address of the subnet";
                self.notes
                    .warning(Code::Unusual, gateway.at, &file.object, why, fix);
                Some(*address)
            }
            Choice::Given(address) => {
                let why = format!("the gateway {address} is not in {cidr}");
                let fix =
                    "choose an address of the subnet, \"auto\" for its first one, or \"none\"";
                self.mistake(Code::OutsideSubnet, gateway.at, &file.object, why, fix);
                None
            }
        }
    }

    fn pool(&mut self, file: &file::Subnet, cidr: Ipv4Net, gateway: Option<Ipv4Addr>) -> Pool {
        let mut ranges = Vec::new();
        for range in all(&file.allocation) {
            let (first, last) = (range.value.0, range.value.1);
            if cidr.contains(&first) && cidr.contains(&last) {
                ranges.push((first, last));
            } else {
                let why = format!("{first}-{last} is not within {cidr}");
                self.mistake(
                    Code::OutsideSubnet,
                    range.at,
                    &file.object,
                    why,
                    "keep allocation ranges inside the subnet",
                );
            }
        }
        Pool::new(cidr, &ranges, gateway)
    }

    pub(super) fn overlapping_subnets(&mut self, index: usize) {
        let pools = self.draft.networks[index].pools.iter().enumerate();
        let spans = pools
            .map(|(at, pool)| (pool.cidr.network(), pool.cidr.broadcast(), at))
            .collect();
        for (one, other) in overlaps(spans) {
            let network = &self.draft.networks[index];
            let (one, other) = (network.pools[one].cidr, network.pools[other].cidr);
            let (object, at) = (network.object.clone(), network.at);
            let why = format!("its subnets {one} and {other} overlap");
            self.mistake(
                Code::Overlap,
                at,
                &object,
                why,
                "choose networks that have no address in common",
            );
        }
    }
}
