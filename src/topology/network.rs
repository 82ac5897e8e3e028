//! Networks and subnets: what each may say, and what two of them can't share.

use std::net::IpAddr;

use super::check::{Check, called};
use super::draft::{Claimant, NetworkDraft, PortDraft, SubnetRef};
use super::file::{self, all};
use super::ids;
use super::mistake::{Code, Span};
use super::read::At;
use super::words::{Kind, SearchDomain};
use crate::model::{DeviceOwner, DhcpOption, Network, NetworkId, Port};

/// Bytes; what Ethernet has, and what is left of it inside VXLAN over IPv4.
const MTU: u32 = 1500;
const MTU_IN_VXLAN: u32 = 1450;

/// Domains that names are looked for in, besides the network's own.
const MOST_SEARCHED: usize = 6;

impl Check<'_, '_> {
    pub(super) fn network(&mut self, file: &file::Network) {
        let index = self.draft.networks.len();
        let object = &file.object;
        let (name, named_at) = called(file.name.as_ref(), object, file.at);
        let id = file
            .id
            .as_ref()
            .map_or_else(|| ids::network(&name), |id| NetworkId(id.value));
        self.networks.partial |= file.name.is_none();
        match self.networks.add(&name, index, named_at) {
            Some(other) => self.name_taken("network", &name, other, named_at, object),
            None => self.take_id(id.0, file.id.as_ref().map_or(named_at, |id| id.at), object),
        }
        self.networks.also(&id.to_string(), index);
        let external = file
            .external
            .as_ref()
            .is_some_and(|external| external.value);
        let kind = self.kind(file);
        let attachment = self.attachment(file, id, kind);
        let mtu = match kind {
            Kind::Vxlan => MTU_IN_VXLAN,
            Kind::Local | Kind::Flat | Kind::Vlan => MTU,
        };
        let domain = file
            .dns_domain
            .as_ref()
            .map(|domain| domain.value.0.clone());
        let project = self.project_of(file.project.as_ref());
        let network = Network {
            name,
            project,
            mtu: file.mtu.as_ref().map_or(mtu, |mtu| mtu.value.0),
            external,
            dns_domain: domain.unwrap_or_else(|| self.domain.clone()),
            dns_search: match &file.dns_search {
                Some(_) => self.search_list(&file.dns_search, object),
                None => self.search.clone(),
            },
            dhcp_options: self.network_options(file),
            attachment,
            ..Network::new(id)
        };
        self.draft.networks.push(NetworkDraft {
            object: object.clone(),
            at: file.at,
            network,
            pools: Vec::new(),
            ports: Vec::new(),
            whole: !file.is_broken("subnet"),
        });
        let mut dhcp = Vec::new();
        for subnet in all(&file.subnet) {
            dhcp.extend(self.subnet_of_network(index, subnet, external));
        }
        self.overlapping_subnets(index);
        self.dhcp_port(index, &dhcp);
    }

    /// A list as long as router advertisements have room for.
    pub(super) fn search_list(
        &mut self,
        list: &Option<At<Vec<At<SearchDomain>>>>,
        object: &str,
    ) -> Vec<String> {
        let domains = all(list);
        if let Some(first) = domains.get(MOST_SEARCHED) {
            let why = format!("`dns_search` has {} domains", domains.len());
            let fix = format!(
                "name at most {MOST_SEARCHED}; each costs every failing look-up a question"
            );
            self.mistake(Code::BadValue, first.at, object, why, fix);
        }
        let domains = domains.iter().take(MOST_SEARCHED);
        domains.map(|domain| domain.value.0.clone()).collect()
    }

    /// What all clients on the network are told: options that say nothing of who somebody is.
    fn network_options(&mut self, file: &file::Network) -> Vec<DhcpOption> {
        let Some(options) = &file.dhcp_options else {
            return Vec::new();
        };
        let (at, options) = (options.at, &options.value);
        if options.client_id.is_some() {
            let why = "`client-id` says who a single machine is";
            let fix = "say it in the `dhcp_options` of the instance's port";
            self.mistake(Code::Misplaced, at, &file.object, why, fix);
        }
        for option in options.sent.iter().filter(|option| option.is_of_subnets()) {
            let code = option.outer_code();
            let why = format!(
                "option {code} is told for each subnet or port, and never as the network's"
            );
            let fix = "say it with the subnets (`gateway`, `dns_servers`, `host_routes`) or in the `dhcp_options` of ports";
            self.mistake(Code::Misplaced, at, &file.object, why, fix);
        }
        self.tags_of_options(options, &file.object);
        options.sent.clone()
    }

    pub(super) fn name_taken(
        &mut self,
        what: &str,
        name: &str,
        other: Span,
        at: Span,
        object: &str,
    ) {
        let why = format!(
            "line {} has a {what} {name:?} already",
            self.notes.line(other)
        );
        self.mistake(
            Code::DuplicateName,
            at,
            object,
            why,
            "give each its own name",
        );
    }

    /// Our own port, with an address on every subnet that has DHCP.
    fn dhcp_port(&mut self, index: usize, subnets: &[(SubnetRef, Option<IpAddr>, Span)]) {
        if subnets.is_empty() {
            return;
        }
        let network = &self.draft.networks[index];
        let object = format!("{}, DHCP", network.object);
        let id = ids::dhcp_port(network.network.id, &self.host);
        let port = Port {
            project: network.network.project.clone(),
            ..Port::new(id, network.network.id, DeviceOwner::Dhcp)
        };
        let claims = subnets
            .iter()
            .map(|(subnet, given, at)| {
                self.claim(Claimant::Dhcp, id.0, *subnet, *given, *at, &object)
            })
            .collect();
        self.draft.networks[index].ports.push(PortDraft {
            port,
            mac: None,
            claims,
            hostname: None,
        });
    }
}
