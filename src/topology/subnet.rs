//! Subnets: their gateway, their pool, and what DHCP tells there.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

use super::addresses::unusable;
use super::check::Check;
use super::draft::{Pool, SubnetRef};
use super::file::{self, all};
use super::ids;
use super::ipv6::LEAST_MTU;
use super::mistake::{Code, Span};
use super::names::overlaps;
use super::read::At;
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
    ) -> Option<(SubnetRef, Option<IpAddr>, Span)> {
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
        let enable_dhcp = file.dhcp.as_ref().map_or(!external, |dhcp| dhcp.value);
        let (ra_mode, address_mode) = self.ipv6_modes(file, cidr, enable_dhcp);
        let subnet = Subnet {
            name,
            gateway_ip: gateway,
            enable_dhcp,
            dns_nameservers: self.name_servers(file, cidr),
            dns_forwarders: all(&file.dns_forwarders).to_vec(),
            ntp_servers: self.of_family(all(&file.ntp_servers), cidr, object),
            host_routes: self.host_routes(file, cidr),
            ra_mode,
            address_mode,
            ..Subnet::new(id, cidr)
        };
        let pool = Pool {
            auto: subnet.is_auto_addressed(),
            ..self.pool(file, cidr, gateway)
        };
        let network = &mut self.draft.networks[index];
        if matches!(cidr, IpNet::V6(_)) && network.network.mtu < LEAST_MTU {
            let why = format!(
                "its network has an MTU of {}, and IPv6 needs {LEAST_MTU}",
                network.network.mtu
            );
            let fix = "choose a larger `mtu` for the network";
            self.notes
                .mistake(Code::Unusable, cidr_at, object, why, fix);
        }
        network.network.subnets.push(subnet);
        network.pools.push(pool);
        self.dhcp_address(file, reference, enable_dhcp)
    }

    fn name_servers(&mut self, file: &file::Subnet, cidr: IpNet) -> Vec<IpAddr> {
        match file.dns_servers.as_ref().map(|servers| &servers.value) {
            None | Some(Choice::Auto) => Vec::new(),
            Some(Choice::None) => vec![match cidr {
                IpNet::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                IpNet::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
            }],
            Some(Choice::Given(servers)) => self.of_family(servers, cidr, &file.object),
        }
    }

    /// What clients are told is of the IP version that they are told it by.
    fn of_family(&mut self, all: &[At<IpAddr>], cidr: IpNet, object: &str) -> Vec<IpAddr> {
        for other in all {
            if other.value.is_ipv4() != cidr.addr().is_ipv4() {
                let why = format!("{} is told to nobody on {cidr}", other.value);
                let fix = "name it on a subnet of its IP version";
                self.mistake(Code::Misplaced, other.at, object, why, fix);
            }
        }
        all.iter().map(|address| address.value).collect()
    }

    fn host_routes(&mut self, file: &file::Subnet, cidr: IpNet) -> Vec<HostRoute> {
        let mut routes = Vec::new();
        for route in all(&file.host_routes) {
            let (Some(to), Some(via)) = (&route.to, &route.via) else {
                continue;
            };
            let destination = to.value.by(via.value);
            if !self.is_one_family(destination, via, &route.object) {
                continue;
            }
            if via.value.is_ipv6() || cidr.addr().is_ipv6() {
                let why = "DHCP tells routes to IPv4 clients only";
                let fix = "write IPv4 routes of IPv4 subnets; for IPv6 use the router's `routes`";
                self.mistake(Code::Misplaced, via.at, &route.object, why, fix);
                continue;
            }
            routes.push(HostRoute {
                destination,
                nexthop: via.value,
            });
        }
        routes
    }

    /// A route's two ends.
    pub(super) fn is_one_family(&mut self, to: IpNet, via: &At<IpAddr>, object: &str) -> bool {
        let fits = to.addr().is_ipv4() == via.value.is_ipv4();
        if !fits {
            let why = format!("{} leads to no {to}", via.value);
            let fix = "use a next hop of the destination's IP version";
            self.mistake(Code::NextHop, via.at, object, why, fix);
        }
        fits
    }

    fn dhcp_address(
        &mut self,
        file: &file::Subnet,
        reference: SubnetRef,
        enabled: bool,
    ) -> Option<(SubnetRef, Option<IpAddr>, Span)> {
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

    fn judge_cidr(&mut self, cidr: IpNet, at: Span, object: &str) {
        let (strange, better) = match cidr {
            IpNet::V4(cidr) => (
                is_strange_v4(cidr),
                "use one of 10.0.0.0/8, 172.16.0.0/12 or 192.168.0.0/16",
            ),
            IpNet::V6(cidr) => (
                is_strange_v6(cidr),
                "use a /64 of your own prefix, or of fd00::/8 with 40 random bits behind",
            ),
        };
        if strange {
            let why = format!("{cidr} is no network that hosts can have addresses of");
            self.mistake(Code::Unusable, at, object, why, better);
        } else if cidr.contains(&IpAddr::V4(METADATA)) {
            let why = format!("it hides {METADATA}, where instances ask for metadata");
            self.mistake(Code::Unusable, at, object, why, "choose another network");
        }
    }

    fn gateway_of_subnet(
        &mut self,
        file: &file::Subnet,
        cidr: IpNet,
        external: bool,
    ) -> Option<IpAddr> {
        let Some(gateway) = &file.gateway else {
            return Some(Pool::first(cidr));
        };
        match &gateway.value {
            Choice::Auto => Some(Pool::first(cidr)),
            Choice::None => None,
            Choice::Given(address) if cidr.contains(address) => {
                if !Pool::new(cidr, &[], None).is_usable(*address) {
                    let why = unusable(*address, cidr);
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
            // A router of someone else's.
            Choice::Given(IpAddr::V6(address))
                if address.is_unicast_link_local() && cidr.addr().is_ipv6() =>
            {
                Some((*address).into())
            }
            Choice::Given(address) if address.is_ipv4() != cidr.addr().is_ipv4() => {
                let why = format!("the gateway {address} leads out of no {cidr}");
                let fix = "choose an address of the subnet's IP version";
                self.mistake(Code::OutsideSubnet, gateway.at, &file.object, why, fix);
                None
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

    fn pool(&mut self, file: &file::Subnet, cidr: IpNet, gateway: Option<IpAddr>) -> Pool {
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

fn is_strange_v4(cidr: Ipv4Net) -> bool {
    let strange = |ip: Ipv4Addr| {
        ip.is_loopback() || ip.is_multicast() || ip.octets()[0] == 0 || ip.octets()[0] >= 240
    };
    cidr.prefix_len() < 8 || strange(cidr.network()) || strange(cidr.broadcast())
}

fn is_strange_v6(cidr: Ipv6Net) -> bool {
    let ip = cidr.network();
    let embedded = ip.to_ipv4_mapped().is_some() || ip.is_loopback() || ip.is_unspecified();
    cidr.prefix_len() < 16 || embedded || ip.is_multicast() || ip.is_unicast_link_local()
}
