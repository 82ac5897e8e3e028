//! A router's nftables table: the packet path of a legacy router (Neutron: `router_info.py`, `port_forwarding.py`).
//!
//! What grows with the number of floating IPs and forwardings is in maps; the rules are the same few for every router.
//! The low half of the packet mark means what it means in Neutron: 1 asked for metadata, 2 came from outside.

mod helpers;
mod scopes;
mod words;

use std::collections::{BTreeMap, HashSet};
use std::net::{IpAddr, Ipv4Addr};

use netns::ruleset::{Element, ElementType, Map, Ruleset};
use nftables::expr::MetaKey;
use nftables::stmt::{NAT, NATFlag, Operator, Statement};
use nftables::types::{NfChainType, NfHook};

use super::{Settings, metadata, names};
use crate::model::{PortForwarding, Router};

pub(super) use helpers::is_there as has_helper;
use scopes::Scopes;
use words::{
    Table, compare, concat, dnated, from, is_v4, look_up, marked, meta, nat, nat_v4, number,
    payload, set_mark, tcp_port, text, to,
};

const ASKED_METADATA: u32 = 0x1;
const CAME_FROM_OUTSIDE: u32 = 0x2;

/// Floating -> fixed, fixed -> floating, and a forwarded port's two halves.
const TO_FIXED: &str = "floating_to_fixed";
const TO_FLOATING: &str = "fixed_to_floating";
const FORWARD_ADDRESS: &str = "forward_to_address";
const FORWARD_PORT: &str = "forward_to_port";

/// Maps whose keys are reached from outside: a key's removal ends its connections.
pub fn leads_inside(map: &str) -> bool {
    map == TO_FIXED || map == FORWARD_ADDRESS
}

/// The gateway, where it has an address to translate to.
struct Outside {
    device: String,
    address: Ipv4Addr,
    snat: bool,
}

impl Outside {
    fn of(router: &Router) -> Option<Self> {
        let gateway = router.gateway.as_ref()?;
        let mut addresses = gateway.port.addresses.iter().map(|net| net.addr());
        Some(Self {
            device: names::gateway_device(gateway.port.port).to_string(),
            address: addresses.find_map(|address| match address {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            })?,
            snat: gateway.enable_snat,
        })
    }
}

pub(super) fn ruleset(router: &Router, settings: &Settings) -> Ruleset {
    let outside = Outside::of(router);
    let scopes = Scopes::of(router);
    let mut table = Table::default();
    helpers::assign(&mut table, router, settings);
    let asked = asked_at(router);
    mark(&mut table, &asked, outside.as_ref(), scopes.as_ref());
    dnat(&mut table, &asked, settings);
    filter(&mut table, settings);
    if let Some(scopes) = &scopes {
        scopes.keep_apart(&mut table);
    }
    if let Some(outside) = &outside {
        postrouting(&mut table, outside, scopes.as_ref(), settings);
    }
    // Without a way out nothing is translated.
    let mut maps = maps(router, outside.is_some());
    maps.extend(scopes.iter().flat_map(Scopes::maps));
    Ruleset {
        objects: table.0,
        maps,
    }
}

/// Where machines ask for metadata.
fn asked_at(router: &Router) -> Vec<IpAddr> {
    let v6 = metadata::speaks_v6(router).then_some(IpAddr::V6(metadata::V6));
    [IpAddr::V4(metadata::V4)].into_iter().chain(v6).collect()
}

fn mark(table: &mut Table, asked: &[IpAddr], outside: Option<&Outside>, scopes: Option<&Scopes>) {
    table.chain("marks", NfChainType::Filter, NfHook::Prerouting, -150);
    // These first: they set the mark as a whole.
    match scopes {
        Some(scopes) => scopes.mark(table, "marks"),
        None => scopes::mark_all(table, "marks"),
    }
    for address in asked {
        table.rule(
            "marks",
            [
                from("qr-*"),
                to(*address),
                tcp_port(80),
                set_mark(ASKED_METADATA),
            ],
        );
    }
    if let Some(outside) = outside {
        table.rule(
            "marks",
            [from(&outside.device), is_v4(), set_mark(CAME_FROM_OUTSIDE)],
        );
    }
}

fn dnat(table: &mut Table, asked: &[IpAddr], settings: &Settings) {
    table.chain("prerouting", NfChainType::NAT, NfHook::Prerouting, -100);
    if settings.metadata.routed {
        let to_us = || {
            Statement::Redirect(Some(NAT {
                port: Some(number(settings.metadata.port)),
                ..nat()
            }))
        };
        for address in asked {
            let rule = [from("qr-*"), to(*address), tcp_port(80), to_us()];
            table.rule("prerouting", rule);
        }
    }
    let key = || {
        concat([
            meta(MetaKey::L4proto),
            payload("ip", "daddr"),
            payload("th", "dport"),
        ])
    };
    let forward = NAT {
        addr: Some(look_up(key(), FORWARD_ADDRESS)),
        port: Some(look_up(key(), FORWARD_PORT)),
        ..nat_v4()
    };
    table.rule(
        "prerouting",
        [is_v4(), Statement::DNAT(Some(forward.clone()))],
    );
    let to_fixed = || {
        Statement::DNAT(Some(NAT {
            addr: Some(look_up(payload("ip", "daddr"), TO_FIXED)),
            ..nat_v4()
        }))
    };
    table.rule("prerouting", [is_v4(), to_fixed()]);
    // The router's own traffic takes the same way.
    table.chain("output", NfChainType::NAT, NfHook::Output, -100);
    table.rule("output", [is_v4(), Statement::DNAT(Some(forward))]);
    table.rule("output", [is_v4(), to_fixed()]);
}

/// The metadata proxy is reached by the redirect only, and metadata is never routed onwards.
fn filter(table: &mut Table, settings: &Settings) {
    table.chain("input", NfChainType::Filter, NfHook::Input, 0);
    if settings.metadata.routed {
        table.rule(
            "input",
            [
                marked(ASKED_METADATA, Operator::EQ),
                Statement::Accept(None),
            ],
        );
        table.rule(
            "input",
            [tcp_port(settings.metadata.port), Statement::Drop(None)],
        );
    }
    table.chain("forward", NfChainType::Filter, NfHook::Forward, 0);
    table.rule(
        "forward",
        [marked(ASKED_METADATA, Operator::EQ), Statement::Drop(None)],
    );
}

fn postrouting(table: &mut Table, outside: &Outside, scopes: Option<&Scopes>, settings: &Settings) {
    let Outside {
        device,
        address,
        snat,
    } = outside;
    table.chain("postrouting", NfChainType::NAT, NfHook::Postrouting, 100);
    table.rule(
        "postrouting",
        [
            compare(meta(MetaKey::Oifname), Operator::NEQ, text(device.as_str())),
            dnated(Operator::EQ),
            Statement::Accept(None),
        ],
    );
    let to_floating = NAT {
        addr: Some(look_up(payload("ip", "saddr"), TO_FLOATING)),
        ..nat_v4()
    };
    table.rule("postrouting", [is_v4(), Statement::SNAT(Some(to_floating))]);
    let flags = settings
        .random_fully
        .then(|| HashSet::from([NATFlag::FullyRandom]));
    let to_gateway = || {
        Statement::SNAT(Some(NAT {
            addr: Some(text(address.to_string())),
            flags: flags.clone(),
            ..nat_v4()
        }))
    };
    if *snat {
        if let Some(scopes) = scopes {
            scopes.route_own(table, "postrouting", device);
        }
        table.rule(
            "postrouting",
            [
                compare(meta(MetaKey::Oifname), Operator::EQ, text(device.as_str())),
                is_v4(),
                to_gateway(),
            ],
        );
    }
    // Hairpin: who was reached through a floating IP from inside must answer through us.
    table.rule(
        "postrouting",
        [
            marked(CAME_FROM_OUTSIDE, Operator::NEQ),
            dnated(Operator::NEQ),
            is_v4(),
            to_gateway(),
        ],
    );
}

fn maps(router: &Router, translated: bool) -> BTreeMap<String, Map> {
    let ip = |address: Ipv4Addr| Element::Ipv4(address);
    let associated = || {
        router
            .floating_ips
            .iter()
            .filter(|_| translated)
            .filter_map(|floating| Some((floating.floating_ip, floating.fixed_ip?)))
    };
    let to_fixed = associated()
        .map(|(floating, fixed)| (vec![ip(floating)], Some(ip(fixed))))
        .collect();
    let to_floating = associated()
        .map(|(floating, fixed)| (vec![ip(fixed)], Some(ip(floating))))
        .collect();
    let ports = || {
        let forwardings = router.port_forwardings.iter().filter(|_| translated);
        forwardings.flat_map(forwarded_ports)
    };
    let address = ports()
        .map(|(key, address, _)| (key, Some(ip(address))))
        .collect();
    let port = ports()
        .map(|(key, _, port)| (key, Some(Element::Port(port))))
        .collect();
    let map = |key: &[ElementType], data, elements| Map {
        key: key.to_vec(),
        data: Some(data),
        interval: false,
        elements,
    };
    let forward_key = [ElementType::Protocol, ElementType::Ipv4, ElementType::Port];
    // A map whose data is "address . port" would be one look-up, but crashes nft 1.0.6.
    BTreeMap::from([
        (
            TO_FIXED.to_owned(),
            map(&[ElementType::Ipv4], ElementType::Ipv4, to_fixed),
        ),
        (
            TO_FLOATING.to_owned(),
            map(&[ElementType::Ipv4], ElementType::Ipv4, to_floating),
        ),
        (
            FORWARD_ADDRESS.to_owned(),
            map(&forward_key, ElementType::Ipv4, address),
        ),
        (
            FORWARD_PORT.to_owned(),
            map(&forward_key, ElementType::Port, port),
        ),
    ])
}

/// Each external port of a forwarding, with where it goes.
fn forwarded_ports(
    forwarding: &PortForwarding,
) -> impl Iterator<Item = (Vec<Element>, Ipv4Addr, u16)> + use<> {
    let (first, last) = forwarding.ports.external;
    let (inner_first, inner_last) = forwarding.ports.internal;
    let inner = u32::from(inner_last.saturating_sub(inner_first)) + 1;
    let (floating, protocol, internal) = (
        forwarding.floating_ip,
        forwarding.protocol.number(),
        forwarding.internal_ip,
    );
    (first..=last).zip(0u32..).map(move |(external, k)| {
        let wrapped = u16::try_from(k % inner).unwrap_or(0);
        let key = vec![
            Element::Protocol(protocol),
            Element::Ipv4(floating),
            Element::Port(external),
        ];
        (key, internal, inner_first.saturating_add(wrapped))
    })
}
