//! Versioned objects (oslo.versionedobjects): pushed to L3 agents by fanout, or pulled by them.

use std::collections::BTreeSet;

use serde_json::Value;

use super::read::{Dict, Fault, Read, Remarks, number, uuid};
use super::router::{ipv4, protocol};
use super::{DecodeError, Decoded};
use crate::model::{FloatingIpId, Forwarding, PortForwarding, PortForwardingId, RouterId};

/// Objects of one message or answer.
const OBJECTS: usize = 100_000;
/// The key of an object's type.
const NAME: &str = "versioned_object.name";

/// Arguments of `push`: the routers that the pushed objects belong to. What they say is not taken: the router's next
/// answer says it, too, and in order.
///
/// # Errors
/// It is no list of objects with a router each.
pub fn pushed_routers(args: &Value) -> Result<BTreeSet<RouterId>, DecodeError> {
    let read = || {
        Dict::of(args)?.list("resource_list", OBJECTS, |value| {
            Dict::of(value)?.required("versioned_object.data", |value| {
                Dict::of(value)?.required("router_id", uuid).map(RouterId)
            })
        })
    };
    let routers: Read<Vec<RouterId>> = read();
    routers
        .map(BTreeSet::from_iter)
        .map_err(|fault| fault.of("pushed objects".into()))
}

/// The answer to `bulk_pull` of `PortForwarding`. Those that make no sense are left out.
///
/// # Errors
/// It is no list.
pub fn port_forwardings(
    answer: &Value,
) -> Result<Decoded<Vec<(RouterId, PortForwarding)>>, DecodeError> {
    let mut remarks = Remarks::of("port forwardings".into());
    let list = answer.as_array().filter(|list| list.len() <= OBJECTS);
    let list = list.ok_or_else(|| {
        Fault::new(answer, format!("a list of at most {OBJECTS}")).of("port forwardings".into())
    })?;
    let mut all = Vec::new();
    for value in list {
        let found = object(value, "PortForwarding", &mut remarks, port_forwarding);
        all.extend(remarks.good(found).flatten());
    }
    Ok(remarks.with(all))
}

/// `None`: its fields make no sense, which is remarked with its id.
fn object<T>(
    value: &Value,
    kind: &str,
    remarks: &mut Remarks,
    read: impl Fn(Dict<'_>) -> Read<T>,
) -> Read<Option<T>> {
    let dict = Dict::of(value)?;
    dict.required(NAME, |value| {
        let fits = value.as_str() == Some(kind);
        fits.then_some(()).ok_or_else(|| Fault::new(value, kind))
    })?;
    // A new major version may mean anything; minor ones only add.
    dict.required("versioned_object.version", |value| {
        let fits = value.as_str().is_some_and(|text| text.starts_with("1."));
        fits.then_some(())
            .ok_or_else(|| Fault::new(value, "a version 1.x"))
    })?;
    dict.required("versioned_object.data", |value| {
        let dict = Dict::of(value)?;
        let mut own = Remarks::of(dict.called(kind, "id"));
        let good = own.good(read(dict));
        remarks.adopt(own);
        Ok(good)
    })
}

fn port_forwarding(dict: Dict<'_>) -> Read<(RouterId, PortForwarding)> {
    let forwarding = PortForwarding {
        floating_ip: dict.required("floating_ip_address", ipv4)?,
        protocol: dict.required("protocol", protocol)?,
        internal_ip: dict.required("internal_ip_address", ipv4)?,
        ports: Forwarding {
            external: ports(dict, "external_port_range", "external_port")?,
            internal: ports(dict, "internal_port_range", "internal_port")?,
        },
        id: Some(PortForwardingId(dict.required("id", uuid)?)),
        floating: Some(FloatingIpId(dict.required("floatingip_id", uuid)?)),
    };
    Ok((RouterId(dict.required("router_id", uuid)?), forwarding))
}

/// `80:85`; objects before 1.2 know only single ports.
fn ports(dict: Dict<'_>, range: &'static str, single: &'static str) -> Read<(u16, u16)> {
    let read = |value: &Value| {
        let text = value.as_str().unwrap_or_default();
        let (first, last) = text.split_once(':').unwrap_or((text, text));
        let port = |text: &str| text.parse().ok().filter(|port| *port > 0_u16);
        match (port(first), port(last)) {
            (Some(first), Some(last)) if first <= last => Ok((first, last)),
            _ => Err(Fault::new(value, "a range of ports, as 80:85")),
        }
    };
    match dict.optional(range, read)? {
        Some(ports) => Ok(ports),
        None => {
            let port = dict.required(single, number(1..=65_535))?;
            Ok((port, port))
        }
    }
}
