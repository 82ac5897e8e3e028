//! Who asks: decided by the namespace (its [`MetadataScope`]) and the source address, and by nothing that a guest sent.

use std::net::IpAddr;
use std::sync::Arc;

use super::Found;
use crate::model::{InstanceId, Port, ProjectId};
use crate::plan::scope::MetadataScope;

/// A machine that asks for its metadata.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Asker<'a> {
    /// `None`: the model does not know it.
    pub port: Option<&'a Arc<Port>>,
    pub instance: &'a InstanceId,
    pub project: &'a ProjectId,
}

impl<'a> Asker<'a> {
    pub(super) fn of(found: &'a Found) -> Self {
        Self {
            port: None,
            instance: &found.instance,
            project: &found.project,
        }
    }
}

/// The machine at this address. `None`: nobody we know, or two ports claim the address; both are answered 404, unless a [`Lookup`](super::Lookup) knows more.
///
/// Neutron's `_get_instance_and_tenant_id` does the same, but searches every network when a router has no interface;
/// here no network means nobody.
pub(super) fn who(scope: &MetadataScope, source: IpAddr) -> Option<Asker<'_>> {
    // A dual-stack listener shows IPv4 guests as ::ffff:a.b.c.d.
    let address = source.to_canonical();
    let mut owners = scope
        .residents
        .iter()
        .filter_map(|residents| residents.by_address.get(&address));
    let port = owners.next()?;
    if owners.next().is_some() {
        return None;
    }
    Some(Asker {
        port: Some(port),
        instance: port.instance.as_ref()?,
        project: &port.project,
    })
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_source_address_says_who_asks() {
        let red = sample::residents(1, &[("10.0.0.5", Some("web")), ("10.0.0.1", None)]);
        let blue = sample::residents(2, &[("10.1.0.5", Some("db")), ("fd00::5", Some("db"))]);
        let twin = sample::residents(3, &[("10.0.0.5", Some("twin"))]);
        let alone = sample::scope(vec![Arc::clone(&red)]);
        let routed = sample::scope(vec![Arc::clone(&red), blue]);
        let clash = sample::scope(vec![red, twin]);
        let nobody = sample::scope(vec![]);
        for (name, scope, source, want) in [
            ("own network", &alone, "10.0.0.5", Some("web")),
            (
                "v4 as a dual stack socket shows it",
                &alone,
                "::ffff:10.0.0.5",
                Some("web"),
            ),
            ("another network's address", &alone, "10.1.0.5", None),
            ("nobody's address", &alone, "10.0.0.77", None),
            ("a port that is no machine's", &alone, "10.0.0.1", None),
            (
                "first network behind a router",
                &routed,
                "10.0.0.5",
                Some("web"),
            ),
            (
                "second network behind a router",
                &routed,
                "10.1.0.5",
                Some("db"),
            ),
            ("v6", &routed, "fd00::5", Some("db")),
            ("two ports claim it", &clash, "10.0.0.5", None),
            ("a router without interfaces", &nobody, "10.0.0.5", None),
        ] {
            let got = who(scope, source.parse().expect("address of the table"));
            assert_eq!(got.map(|asker| asker.instance.0.as_str()), want, "{name}");
        }
    }
}
