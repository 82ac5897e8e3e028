//! What a proxy says of a request that it passes on: where it was asked, and by which address. Pure.

use std::net::IpAddr;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

use super::agent::{NETWORK, ROUTER, SOURCE};
use crate::model::{NetworkId, RouterId, Target};

/// `None`: it says too little, or two things. Neutron's haproxy appends the address to what a guest has sent, so the last
/// one counts.
pub(super) fn said(headers: &HeaderMap) -> Option<(Target, IpAddr)> {
    let of = match (only(headers, &NETWORK)?, only(headers, &ROUTER)?) {
        (Some(id), None) => Target::Network(NetworkId(id)),
        (None, Some(id)) => Target::Router(RouterId(id)),
        _ => return None,
    };
    let last = headers.get_all(SOURCE).iter().next_back()?;
    let address = last.to_str().ok()?.rsplit(',').next()?.trim();
    Some((of, address.parse::<IpAddr>().ok()?.to_canonical()))
}

/// The id in a header. `None`: it is there twice, or holds none; within: it is not there.
fn only(headers: &HeaderMap, name: &HeaderName) -> Option<Option<Uuid>> {
    let mut values = headers.get_all(name).iter();
    let id = match values.next().map(HeaderValue::to_str) {
        None => None,
        Some(text) => Some(text.ok()?.parse().ok()?),
    };
    values.next().is_none().then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "00000000-0000-0000-0000-0000000000aa";

    #[test]
    fn one_place_and_the_last_address_count() {
        let id = Uuid::from_u128(0xaa);
        let network = Some(Target::Network(NetworkId(id)));
        let router = Some(Target::Router(RouterId(id)));
        for (name, headers, want, address) in [
            (
                "as haproxy says it",
                "x-neutron-network-id=ID x-forwarded-for=10.0.0.5",
                network,
                "10.0.0.5",
            ),
            (
                "of a router, v4 on a dual stack socket",
                "x-neutron-router-id=ID x-forwarded-for=::ffff:10.0.0.5",
                router,
                "10.0.0.5",
            ),
            (
                "a guest's own header before haproxy's",
                "x-neutron-network-id=ID x-forwarded-for=10.0.0.9 x-forwarded-for=10.0.0.5",
                network,
                "10.0.0.5",
            ),
            (
                "the same in one",
                "x-neutron-network-id=ID x-forwarded-for=10.0.0.9,10.0.0.5",
                network,
                "10.0.0.5",
            ),
            (
                "both places",
                "x-neutron-network-id=ID x-neutron-router-id=ID x-forwarded-for=10.0.0.5",
                None,
                "",
            ),
            (
                "twice",
                "x-neutron-network-id=ID x-neutron-network-id=ID x-forwarded-for=10.0.0.5",
                None,
                "",
            ),
            ("no place", "x-forwarded-for=10.0.0.5", None, ""),
            (
                "no id",
                "x-neutron-network-id=blue x-forwarded-for=10.0.0.5",
                None,
                "",
            ),
            ("nobody", "x-neutron-network-id=ID", None, ""),
            (
                "no address at last",
                "x-neutron-network-id=ID x-forwarded-for=10.0.0.5 x-forwarded-for=web",
                None,
                "",
            ),
        ] {
            let mut map = HeaderMap::new();
            for header in headers.split(' ') {
                let (name, value) = header.split_once('=').expect("a header of the table");
                let value = value.replace("ID", ID);
                let name: HeaderName = name.parse().expect("a name");
                map.append(name, value.parse().expect("a value"));
            }
            let want = want.map(|of| (of, address.parse().expect("an address")));
            assert_eq!(said(&map), want, "{name}");
        }
    }
}
