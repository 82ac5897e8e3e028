//! Whom a floating IP or a port forwarding leads to: one inside address that the router reaches.

use std::net::{IpAddr, Ipv4Addr};

use super::check::Check;
use super::draft::{ClaimId, SubnetRef, Target};
use super::mistake::{Code, Span};
use super::read::At;
use super::words::Reference;

/// How a floating IP or forwarding says whom it leads to.
pub(super) struct Written<'f> {
    pub(super) instance: Option<&'f At<Reference>>,
    pub(super) port: Option<&'f At<Reference>>,
    pub(super) fixed: Option<&'f At<Ipv4Addr>>,
    pub(super) object: &'f str,
}

impl Written<'_> {
    /// It says so, be it right or wrong.
    pub(super) fn leads(&self) -> bool {
        self.instance.is_some() || self.port.is_some() || self.fixed.is_some()
    }
}

impl Check<'_, '_> {
    /// Whom it leads to; `None` if it does not say, or if that has been noted.
    pub(super) fn target(&mut self, router: usize, written: &Written<'_>) -> Option<Target> {
        let object = written.object;
        match (written.instance, written.fixed) {
            (Some(_), Some(fixed)) => {
                let why = "it has both `instance` and `fixed`";
                self.mistake(
                    Code::Misplaced,
                    fixed.at,
                    object,
                    why,
                    "keep one of them; `port` chooses among an instance's ports",
                );
                None
            }
            (None, None) => {
                if let Some(port) = written.port {
                    let why = "`port` without `instance`";
                    self.mistake(
                        Code::Misplaced,
                        port.at,
                        object,
                        why,
                        "say whose port it is: add `instance = \"...\"`",
                    );
                }
                None
            }
            (None, Some(fixed)) => self.fixed_target(router, fixed, object),
            (Some(instance), None) => {
                let found = self.instances.find(&instance.value);
                let index = self.found(found, "instance", &instance.value, instance.at, object)?;
                self.instance_target(router, index, instance.at, written)
            }
        }
    }

    fn fixed_target(
        &mut self,
        router: usize,
        fixed: &At<Ipv4Addr>,
        object: &str,
    ) -> Option<Target> {
        let inside = self.inside(router);
        let Some(subnet) = inside
            .iter()
            .find(|subnet| self.cidr(**subnet).contains(&IpAddr::V4(fixed.value)))
            .copied()
        else {
            let why = format!("{} is in none of the router's inside networks", fixed.value);
            let fix = format!("choose an address in one of: {}", self.named(&inside));
            self.mistake(Code::Unreachable, fixed.at, object, why, fix);
            return None;
        };
        if let Some(claim) = self.given.get(&(subnet, fixed.value.into())) {
            return Some(Target::Claim(*claim));
        }
        let id = self.subnet(subnet).id;
        self.draft
            .named
            .entry(id)
            .or_default()
            .insert(fixed.value.into());
        Some(Target::Fixed(fixed.value))
    }

    /// The instance's only address that the router reaches.
    fn instance_target(
        &mut self,
        router: usize,
        instance: usize,
        at: Span,
        written: &Written<'_>,
    ) -> Option<Target> {
        let inside = self.inside(router);
        let wanted = &self.draft.instances[instance];
        let mut reached: Vec<ClaimId> = Vec::new();
        for port in &self.instance_ports[instance] {
            let network = &self.draft.networks[port.network];
            let port = &network.ports[port.port];
            let is_meant = written.port.is_none_or(|name| {
                let names = [&port.port.name, &network.network.name];
                names.iter().any(|known| **known == *name.value)
                    || port.port.id.to_string() == *name.value
            });
            let claims = port.claims.iter().filter(|_| is_meant).copied();
            reached
                .extend(claims.filter(|claim| inside.contains(&self.draft.claims[*claim].subnet)));
        }
        let (code, at, why, fix) = match (reached.as_slice(), written.port) {
            ([claim], _) => return Some(Target::Claim(*claim)),
            ([], Some(port)) => {
                let why = format!(
                    "instance {:?} has no port {:?} that the router reaches",
                    wanted.name, port.value
                );
                let fix = "name one of its ports, or the network it is on; the router needs an interface there";
                (Code::Unreachable, port.at, why, fix.to_owned())
            }
            ([], None) => {
                let why = format!(
                    "the router reaches no address of instance {:?}",
                    wanted.name
                );
                let fix = format!(
                    "give it a port in one of: {}; or add its network to the router's `interfaces`",
                    self.named(&inside)
                );
                (Code::Unreachable, at, why, fix)
            }
            ([_, _, ..], _) => {
                let why = format!(
                    "the router reaches more than one address of instance {:?}",
                    wanted.name
                );
                let fix = "say which: add `port` with the port's or network's name, or `fixed` with the address instead of `instance`";
                (Code::Ambiguous, at, why, fix.to_owned())
            }
        };
        // An address that could not be made out is no fault of the router's.
        if !self.shaky.contains(&instance) {
            self.mistake(code, at, written.object, why, fix);
        }
        None
    }

    /// IPv4 subnets of the router's interfaces: what leads to others is not translated.
    fn inside(&self, router: usize) -> Vec<SubnetRef> {
        let interfaces = self.draft.routers[router].interfaces.iter();
        let ports = interfaces.map(|leg| &self.draft.networks[leg.network].ports[leg.port]);
        ports
            .flat_map(|port| {
                port.claims
                    .iter()
                    .map(|claim| self.draft.claims[*claim].subnet)
            })
            .filter(|subnet| self.cidr(*subnet).addr().is_ipv4())
            .collect()
    }

    fn named(&self, subnets: &[SubnetRef]) -> String {
        let cidrs: Vec<_> = subnets
            .iter()
            .map(|subnet| self.cidr(*subnet).to_string())
            .collect();
        if cidrs.is_empty() {
            "none, it has no `interfaces`".to_owned()
        } else {
            cidrs.join(", ")
        }
    }
}
