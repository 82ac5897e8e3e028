//! Who asks: decided by the namespace (its [`MetadataScope`]), the source address and the device it came in by, and by nothing
//! that a guest sent.

use std::net::IpAddr;
use std::sync::Arc;

use super::Found;
use crate::model::{InstanceId, NetworkId, Port, ProjectId};
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

/// Where a request comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Origin {
    pub(super) address: IpAddr,
    /// That of the link, where the address is of a link alone. `None`: it says all.
    pub(super) network: Option<NetworkId>,
}

impl Origin {
    pub(super) fn new(address: IpAddr, network: Option<NetworkId>) -> Self {
        Self {
            // A dual-stack listener shows IPv4 guests as ::ffff:a.b.c.d.
            address: address.to_canonical(),
            network,
        }
    }
}

/// The machine at this address. `None`: nobody we know, or two ports claim the address; both are answered 404, unless a [`Lookup`](super::Lookup) knows more.
///
/// Neutron's `_get_instance_and_tenant_id` does the same, but searches every network when a router has no interface;
/// here no network means nobody. Nor does it look at the link that a link-local address is of.
pub(super) fn who(scope: &MetadataScope, origin: Origin) -> Option<Asker<'_>> {
    let here = |network| origin.network.is_none_or(|of| of == network);
    let residents = scope.residents.iter();
    let mut owners = residents
        .filter(|residents| here(residents.network))
        .filter_map(|residents| residents.by_address.get(&origin.address));
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
            let address = source.parse().expect("address of the table");
            let got = who(scope, Origin::new(address, None));
            assert_eq!(
                got.map(|asker| asker.instance.to_string()),
                want.map(str::to_owned),
                "{name}"
            );
        }
    }

    #[test]
    fn a_link_local_address_is_of_its_link() {
        let residents = [(1, "db"), (2, "twin")]
            .map(|(network, instance)| sample::residents(network, &[("fe80::5", Some(instance))]));
        let network = residents.each_ref().map(|residents| residents.network);
        let scope = sample::scope(residents.to_vec());
        let elsewhere = NetworkId(uuid::Uuid::from_u128(3));
        for (name, of, want) in [
            ("the first link", Some(network[0]), Some("db")),
            ("the second", Some(network[1]), Some("twin")),
            ("a link of nobody", Some(elsewhere), None),
            ("no link is known, and two have it", None, None),
        ] {
            let address = "fe80::5".parse().expect("an address");
            let got = who(&scope, Origin::new(address, of));
            assert_eq!(
                got.map(|asker| asker.instance.to_string()),
                want.map(str::to_owned),
                "{name}"
            );
        }
    }
}
