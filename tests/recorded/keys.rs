//! Every key of every message is read, or is in a list that says why it need not be.
//!
//! A key is read if spoiling its value changes what is decoded.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::{Message, decoded, messages};

/// (kinds of dict, their keys, why they are not read). The kinds are those of [`kind_of`].
const NOT_NEEDED: &[(&str, &[&str], &str)] = &[
    (
        "network subnet noticed-subnet port leg router floating object",
        &[
            "created_at",
            "updated_at",
            "description",
            "tags",
            "standard_attr_id",
            "shared",
        ],
        "said for people; decides nothing on the node",
    ),
    (
        "network subnet noticed-subnet port leg router floating",
        &["tenant_id"],
        "the older name of project_id: read where that is missing",
    ),
    (
        "network subnet noticed-subnet leg router floating object",
        &["revision_number"],
        "only notices of ports are compared by revision",
    ),
    (
        "network",
        &[
            "name",
            "mtu",
            "admin_state_up",
            "project_id",
            "status",
            "subnets",
        ],
        "of a notice: the network is asked for anew",
    ),
    (
        "network",
        &[
            "availability_zone_hints",
            "availability_zones",
            "qos_policy_id",
            "port_security_enabled",
        ],
        "the server's or the L2 agent's business",
    ),
    (
        "network",
        &[
            "provider:network_type",
            "provider:physical_network",
            "provider:segmentation_id",
            "vlan_transparent",
            "l2_adjacency",
            "router:external",
        ],
        "the L2 agent wires the network",
    ),
    (
        "network",
        &["dns_domain"],
        "told by dns_assignment where it counts; DHCP serves the agent's own domain",
    ),
    (
        "network",
        &["ipv4_address_scope", "ipv6_address_scope"],
        "told with each leg of a router",
    ),
    (
        "subnet noticed-subnet",
        &["allocation_pools", "service_types"],
        "the server gives out addresses",
    ),
    (
        "subnet noticed-subnet",
        &["ip_version"],
        "follows from the CIDR",
    ),
    ("subnet", &["network_id"], "the network's own"),
    (
        "subnet noticed-subnet",
        &["project_id"],
        "the network's own",
    ),
    (
        "noticed-subnet",
        &[
            "cidr",
            "dns_nameservers",
            "enable_dhcp",
            "gateway_ip",
            "host_routes",
            "id",
            "ipv6_address_mode",
            "ipv6_ra_mode",
            "name",
            "network",
            "segment_id",
            "subnetpool_id",
        ],
        "the network is asked for anew",
    ),
    (
        "leg-subnet",
        &["subnetpool_id"],
        "a prefix that is still to be delegated shows as ::/64",
    ),
    (
        "segment",
        &[
            "hosts",
            "is_dynamic",
            "name",
            "network_id",
            "network_type",
            "physical_network",
            "segment_index",
        ],
        "the server says which subnets are local; only the segmentation id is in device ids",
    ),
    (
        "port leg",
        &[
            "allowed_address_pairs",
            "port_security_enabled",
            "security_groups",
            "binding:profile",
            "binding:vif_details",
            "binding:vif_type",
            "binding:vnic_type",
        ],
        "the L2 agent wires and filters ports",
    ),
    (
        "port leg",
        &[
            "qos_policy_id",
            "qos_network_policy_id",
            "resource_request",
            "ip_allocation",
            "status",
        ],
        "the L2 agent's or the server's business",
    ),
    (
        "port leg",
        &["dns_name", "dns_domain"],
        "dns_assignment is made of them",
    ),
    (
        "port",
        &["network"],
        "of a notice: the network as the API answers it",
    ),
    (
        "port",
        &["address_scopes", "extra_subnets", "subnets", "mtu"],
        "of a distributed router's gateway",
    ),
    (
        "fixed_ip",
        &["prefixlen"],
        "of a distributed router's gateway; else read",
    ),
    (
        "leg",
        &[
            "name",
            "project_id",
            "device_id",
            "device_owner",
            "binding:host_id",
            "dns_assignment",
            "extra_dhcp_opts",
        ],
        "of the router whose dict it is in, and bound to this host: asking for the router binds it",
    ),
    (
        "router",
        &[
            "availability_zone_hints",
            "availability_zones",
            "flavor_id",
            "status",
        ],
        "the server's business",
    ),
    (
        "router",
        &["gw_port_id", "external_gateway_info"],
        "gw_port says the same exactly",
    ),
    (
        "router floating",
        &["qos_policy_id", "qos_network_policy_id"],
        "bandwidth is not limited yet",
    ),
    (
        "router",
        &["_ha_interface", "_ha_state", "ha_vr_id"],
        "highly available routers are not served yet",
    ),
    (
        "router",
        &[
            "_snat_router_interfaces",
            "_floatingip_agent_interfaces",
            "gw_port_host",
        ],
        "distributed routers are not served yet",
    ),
    (
        "floating",
        &["host", "dest_host"],
        "distributed routers are not served yet",
    ),
    (
        "floating",
        &[
            "dns_name",
            "dns_domain",
            "port_details",
            "port_id",
            "project_id",
        ],
        "the fixed address is all that NAT needs",
    ),
    (
        "floating",
        &["floating_network_id", "router_id"],
        "of the router whose dict it is in, on the network of its gateway",
    ),
    (
        "floating",
        &["port_forwardings"],
        "without ids; asked for as objects",
    ),
    (
        "object",
        &["internal_port_id"],
        "the address is all that NAT needs",
    ),
    (
        "object",
        &["external_port", "internal_port"],
        "the ranges say the same; read where those are missing",
    ),
    (
        "push",
        &["event_type"],
        "whatever happened, the router is asked for anew",
    ),
    (
        "pushed",
        &[
            "created_at",
            "description",
            "external_port",
            "external_port_range",
            "floating_ip_address",
            "floatingip_id",
            "helper",
            "id",
            "internal_ip_address",
            "internal_port",
            "internal_port_id",
            "internal_port_range",
            "port",
            "protocol",
            "revision_number",
            "updated_at",
        ],
        "the router that it is about is asked for anew",
    ),
    (
        "pushed-envelope",
        &[
            "versioned_object.name",
            "versioned_object.namespace",
            "versioned_object.version",
        ],
        "told by the topic that it came by",
    ),
    (
        "envelope",
        &["versioned_object.namespace"],
        "the same for all",
    ),
    (
        "payload",
        &["priority"],
        "the agent's queue orders by it; here each object's newest word counts, in whatever order",
    ),
    (
        "payload",
        &["fixed_ips"],
        "of a port that went: what it had is known here",
    ),
    (
        "agent_updated",
        &["payload"],
        "whichever way the agent's state went, everything is asked for anew",
    ),
    (
        "add_arp_entry del_arp_entry",
        &["payload"],
        "distributed routers are not served yet",
    ),
];

/// What a dict is, by the way to it.
fn kind_of(way: &str) -> &str {
    let (above, last) = way.rsplit_once('.').unwrap_or(("", way));
    match last {
        "subnets[]" | "extra_subnets[]" if way.starts_with("router.") => "leg-subnet",
        "subnets[]" | "non_local_subnets[]" => "subnet",
        "subnet" => "noticed-subnet",
        "ports[]" | "port" => "port",
        "_interfaces[]" | "gw_port" => "leg",
        "segments[]" => "segment",
        "fixed_ips[]" => "fixed_ip",
        "_floatingips[]" => "floating",
        // Objects' keys have dots of their own.
        "data" if way.starts_with("push.") => "pushed",
        "data" if above.ends_with("versioned_object") => "object",
        "resource_list[]" => "pushed-envelope",
        "answer[]" => "envelope",
        other => other,
    }
}

#[test]
fn every_key_is_read_or_known() {
    let mut found = Found::default();
    for Message {
        kind,
        from,
        mut value,
    } in messages()
    {
        let Ok(right) = decoded(kind, &from, &value) else {
            panic!("{from} is refused");
        };
        let root = match kind {
            "dhcp notice" | "l3 notice" => from.split("--").next().unwrap().to_owned(),
            kind => kind.to_owned(),
        };
        let mut places = Vec::new();
        walk(&root, &mut String::new(), &value, &mut places);
        let mut skipped: Vec<String> = Vec::new();
        for (key, pointer) in places {
            if skipped.iter().any(|above| pointer.starts_with(above)) {
                continue;
            }
            if found.read.contains(&key) {
                continue;
            }
            let place = value.pointer_mut(&pointer).unwrap();
            let spoilt = if place.is_object() {
                json!(12345)
            } else {
                json!({"spoilt": 1})
            };
            let kept = std::mem::replace(place, spoilt);
            let is_read = decoded(kind, &from, &value).ok().as_ref() != Some(&right);
            *value.pointer_mut(&pointer).unwrap() = kept;
            if is_read {
                found.unread.remove(&key);
                found.read.insert(key);
            } else {
                skipped.push(pointer + "/");
                found.unread.entry(key).or_insert_with(|| from.clone());
            }
        }
    }
    let mut used = BTreeSet::new();
    let mut unexplained = Vec::new();
    for (key, from) in &found.unread {
        let (dict, name) = split(key);
        let reasons = NOT_NEEDED
            .iter()
            .enumerate()
            .flat_map(|(row, (dicts, keys, why))| {
                let of_dict = dicts.split(' ').any(|known| known == kind_of(dict));
                let names = keys.iter().filter(move |known| of_dict && **known == name);
                names.map(move |known| (row, *known, *why))
            });
        let reasons: Vec<_> = reasons.collect();
        if reasons.is_empty() {
            unexplained.push(format!("{key} (in {from})"));
        }
        used.extend(reasons.into_iter().map(|(row, key, _)| (row, key)));
    }
    assert!(
        unexplained.is_empty(),
        "not read, and no reason given:\n{}",
        unexplained.join("\n")
    );
    for (row, (dicts, keys, why)) in NOT_NEEDED.iter().enumerate() {
        for key in *keys {
            assert!(
                used.contains(&(row, *key)),
                "{dicts}: {key} is read, or never comes: {why}"
            );
        }
    }
}

/// The way to the dict, and the key in it.
fn split(key: &str) -> (&str, &str) {
    let at = key.rfind(".versioned_object.").filter(|at| {
        // The object's own fields come below its data.
        !key[*at..].starts_with(".versioned_object.data.")
    });
    at.map_or_else(
        || key.rsplit_once('.').unwrap(),
        |at| (&key[..at], &key[at + 1..]),
    )
}

#[derive(Default)]
struct Found {
    read: BTreeSet<String>,
    /// With the first message that has it.
    unread: BTreeMap<String, String>,
}

/// All keys with their JSON pointers, those above first. Elements of a list are all of one kind.
fn walk(kind: &str, pointer: &mut String, value: &Value, places: &mut Vec<(String, String)>) {
    let length = pointer.len();
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let named = format!("{kind}.{key}");
                pointer.push('/');
                pointer.push_str(&key.replace('~', "~0").replace('/', "~1"));
                places.push((named.clone(), pointer.clone()));
                walk(&named, pointer, value, places);
                pointer.truncate(length);
            }
        }
        Value::Array(list) => {
            for (index, value) in list.iter().enumerate() {
                pointer.push_str(&format!("/{index}"));
                walk(&format!("{kind}[]"), pointer, value, places);
                pointer.truncate(length);
            }
        }
        _ => {}
    }
}
