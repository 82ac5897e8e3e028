//! What leads in from outside: floating IPs and port forwardings.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv4Addr};

use super::check::Check;
use super::draft::{ClaimId, Claimant, FloatingDraft, ForwardingDraft, PortRef, SubnetRef, Target};
use super::file::{self, all};
use super::ids;
use super::mistake::{Code, Span};
use super::names::overlaps;
use super::read::At;
use super::target::Written;
use super::values::Ports;
use crate::model::{Forwarding, Protocol, RouterId};

impl Check<'_, '_> {
    pub(super) fn leading_in(&mut self, router: usize, file: &file::Router) {
        let floating: Vec<_> = all(&file.floating_ip)
            .iter()
            .enumerate()
            .filter_map(|(nth, floating)| self.floating_ip(router, file, nth, floating))
            .collect();
        self.one_each(&floating);
        self.draft.routers[router].floating_ips = floating;
        let mut addresses = HashMap::new();
        let mut forwardings = Vec::new();
        let mut places = Vec::new();
        for forwarding in all(&file.port_forwarding) {
            if let Some(draft) = self.forwarding(router, file, &mut addresses, forwarding) {
                forwardings.push(draft);
                places.push(forwarding);
            }
        }
        self.forwarded_twice(&forwardings, &places);
        self.draft.routers[router].forwardings = forwardings;
    }

    fn floating_ip(
        &mut self,
        router: usize,
        of: &file::Router,
        nth: usize,
        file: &file::FloatingIp,
    ) -> Option<FloatingDraft> {
        let object = &file.object;
        let written = Written {
            instance: file.instance.as_ref(),
            port: file.port.as_ref(),
            fixed: file.fixed.as_ref(),
            object,
        };
        let target = self.target(router, &written);
        // Nowhere, though it was to lead somewhere: that has been noted.
        if written.leads() && target.is_none() {
            return None;
        }
        let outside = self.outside(router, of, file.at, object)?;
        let (subnet, at) = self.address_outside(outside, file.address.as_ref(), file.at, object)?;
        let name = match (&file.address, &target) {
            (Some(address), _) => address.value.to_string(),
            (None, Some(Target::Claim(claim))) => self.draft.claims[*claim].key.clone(),
            (None, Some(Target::Fixed(ip))) => format!("to {ip}"),
            (None, None) => format!("number {nth}"),
        };
        let id = match &file.id {
            Some(id) => id.value,
            None => ids::floating_ip(self.router_id(router), &name),
        };
        self.take_id(id, file.id.as_ref().map_or(file.at, |id| id.at), object);
        let given = file.address.as_ref().map(|address| address.value.into());
        let address = self.claim(Claimant::Floating, id, subnet, given, at, object);
        Some(FloatingDraft {
            id,
            address,
            target,
        })
    }

    fn forwarding(
        &mut self,
        router: usize,
        of: &file::Router,
        addresses: &mut HashMap<Ipv4Addr, ClaimId>,
        file: &file::PortForwarding,
    ) -> Option<ForwardingDraft> {
        let object = &file.object;
        let written = Written {
            instance: file.instance.as_ref(),
            port: file.port.as_ref(),
            fixed: file.fixed.as_ref(),
            object,
        };
        let outside = self.outside(router, of, file.at, object);
        let target = self.target(router, &written);
        if !written.leads()
            && !["instance", "port", "fixed"]
                .iter()
                .any(|key| file.is_broken(key))
        {
            let fix = "add `instance = \"...\"`, or `fixed = \"...\"` with an inside address";
            self.mistake(
                Code::MissingKey,
                file.at,
                object,
                "it does not say whom it leads to",
                fix,
            );
        }
        let external = file.external_port.as_ref()?;
        let internal = file
            .internal_port
            .as_ref()
            .map_or(external.value, |ports| ports.value);
        let length = |ports: Ports| ports.1 - ports.0;
        if length(internal) > length(external.value) {
            let at = file
                .internal_port
                .as_ref()
                .map_or(external.at, |ports| ports.at);
            let why = "it has more internal than external ports, some of which nobody could reach";
            self.mistake(
                Code::ForwardingConflict,
                at,
                object,
                why,
                "make the internal range as long as the external one, or one port",
            );
        }
        let address = self.forwarded_address(router, addresses, outside?, file, object)?;
        Some(ForwardingDraft {
            address,
            protocol: file
                .protocol
                .as_ref()
                .map_or(Protocol::Tcp, |protocol| protocol.value),
            ports: Forwarding {
                external: (external.value.0, external.value.1),
                internal: (internal.0, internal.1),
            },
            target: target?,
        })
    }

    /// The gateway's own address if none is said; a floating IP that leads nowhere yet; or one more.
    fn forwarded_address(
        &mut self,
        router: usize,
        addresses: &mut HashMap<Ipv4Addr, ClaimId>,
        outside: PortRef,
        file: &file::PortForwarding,
        object: &str,
    ) -> Option<ClaimId> {
        let gateway = self.gateway_address(outside);
        let Some(address) = &file.address else {
            if gateway.is_none() {
                self.no_v4_outside(outside, file.at, object);
            }
            return gateway.filter(|_| !file.is_broken("address"));
        };
        let (subnet, at) = self.address_outside(outside, Some(address), file.at, object)?;
        let known = self.given.get(&(subnet, address.value.into())).copied();
        if known.is_some() && known == gateway {
            return known;
        }
        let mut floating = self.draft.routers[router].floating_ips.iter();
        if let Some(floating) = floating.find(|floating| Some(floating.address) == known) {
            let (claim, leads) = (floating.address, floating.target.is_some());
            if leads {
                let why = format!(
                    "all of {} leads to an instance already, as a floating IP",
                    address.value
                );
                let fix = "forward ports of another address, or remove the floating IP's target";
                self.mistake(Code::ForwardingConflict, address.at, object, why, fix);
            }
            return Some(claim);
        }
        if let Some(claim) = addresses.get(&address.value) {
            return Some(*claim);
        }
        let owner = ids::forwarding(self.router_id(router), address.value);
        let claim = self.claim(
            Claimant::Floating,
            owner,
            subnet,
            Some(address.value.into()),
            at,
            object,
        );
        addresses.insert(address.value, claim);
        Some(claim)
    }

    /// The router's leg outside; noted if it has none.
    fn outside(
        &mut self,
        router: usize,
        of: &file::Router,
        at: Span,
        object: &str,
    ) -> Option<PortRef> {
        let gateway = self.draft.routers[router].gateway.map(|(port, _)| port);
        if of.gateway.is_none() && !of.is_broken("gateway") {
            let fix = "add `gateway = \"...\"` with an external network's name to the router";
            self.mistake(Code::Gateway, at, object, "its router has no gateway", fix);
        }
        gateway
    }

    /// The subnet of an address on the external network; the first if none is said.
    fn address_outside(
        &mut self,
        outside: PortRef,
        address: Option<&At<Ipv4Addr>>,
        at: Span,
        object: &str,
    ) -> Option<(SubnetRef, Span)> {
        let Some(address) = address else {
            let first = self.first_of(outside.network, IpAddr::is_ipv4);
            if first.is_none() {
                self.no_v4_outside(outside, at, object);
            }
            return first.map(|subnet| (subnet, at));
        };
        let subnet = self.subnet_of(outside.network, address.value.into());
        if subnet.is_none() && self.draft.networks[outside.network].whole {
            let network = &self.draft.networks[outside.network].object;
            let why = format!(
                "{} is in no subnet of the gateway's {network}",
                address.value
            );
            let fix = format!(
                "choose an address in one of: {}",
                self.cidrs_of(outside.network)
            );
            self.mistake(Code::OutsideSubnet, address.at, object, why, fix);
        }
        subnet.map(|subnet| (subnet, address.at))
    }

    /// The gateway's own IPv4 address.
    fn gateway_address(&self, outside: PortRef) -> Option<ClaimId> {
        let claims = &self.draft.networks[outside.network].ports[outside.port].claims;
        let of_v4 = |claim: &&ClaimId| {
            let subnet = self.draft.claims[**claim].subnet;
            self.cidr(subnet).addr().is_ipv4()
        };
        claims.iter().find(of_v4).copied()
    }

    fn no_v4_outside(&mut self, outside: PortRef, at: Span, object: &str) {
        let draft = &self.draft.networks[outside.network];
        if draft.whole {
            let why = format!("{} has no IPv4 subnet", draft.object);
            let fix = "add one; IPv6 addresses are reached as they are";
            self.mistake(Code::Gateway, at, object, why, fix);
        }
    }

    /// An inside address has one floating IP at most: SNAT could not choose.
    fn one_each(&mut self, floating: &[FloatingDraft]) {
        let mut taken: HashMap<Target, Span> = HashMap::new();
        for draft in floating {
            let claim = &self.draft.claims[draft.address];
            let (at, object) = (claim.at, claim.object.clone());
            let Some(other) = draft.target.and_then(|target| taken.insert(target, at)) else {
                continue;
            };
            let line = self.notes.line(other);
            let why = format!("the same inside address has a floating IP on line {line}");
            self.mistake(
                Code::ForwardingConflict,
                at,
                &object,
                why,
                "keep one of them",
            );
        }
    }

    /// One port of one address leads to one place.
    fn forwarded_twice(&mut self, drafts: &[ForwardingDraft], files: &[&file::PortForwarding]) {
        type Ranges = Vec<(u16, u16, usize)>;
        let mut by_address: BTreeMap<(ClaimId, Protocol), Ranges> = BTreeMap::new();
        for (index, draft) in drafts.iter().enumerate() {
            let (first, last) = draft.ports.external;
            by_address
                .entry((draft.address, draft.protocol))
                .or_default()
                .push((first, last, index));
        }
        for (one, other) in by_address.into_values().flat_map(overlaps) {
            // The later one in the file is told about the earlier one.
            let (first, second) = (files[one.min(other)], files[one.max(other)]);
            let at = second
                .external_port
                .as_ref()
                .map_or(second.at, |ports| ports.at);
            let line = self.notes.line(first.at);
            let why = format!(
                "the forwarding on line {line} has the same address, protocol and external port"
            );
            self.mistake(
                Code::ForwardingConflict,
                at,
                &second.object,
                why,
                "choose another `external_port`",
            );
        }
    }

    fn router_id(&self, router: usize) -> RouterId {
        self.draft.routers[router].router.id
    }
}
