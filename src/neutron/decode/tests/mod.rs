//! Tables over small dicts: what each key does, and what wrong ones cost.
#![allow(clippy::unwrap_used)] // a panic is how a test fails

mod network;
mod notice;
mod objects;
mod port;
mod router;

use serde_json::{Value, json};

use super::*;

const NET: &str = "11111111-0000-4000-8000-000000000001";
const SUBNET: &str = "22222222-0000-4000-8000-000000000001";
const PORT: &str = "33333333-0000-4000-8000-000000000001";
const ROUTER: &str = "44444444-0000-4000-8000-000000000001";
const FLOATING: &str = "55555555-0000-4000-8000-000000000001";

/// Name, JSON pointer, the value there (`None`: no such key), what is told of the outcome, and what that is.
type Row<T> = (
    &'static str,
    &'static str,
    Option<Value>,
    fn(&T) -> String,
    &'static str,
);

fn naming() -> Naming {
    Naming::new("net1", "Example.org.")
}

fn network_dict() -> Value {
    json!({
        "id": NET, "project_id": "p", "admin_state_up": true, "mtu": 1450,
        "subnets": [{
            "id": SUBNET, "cidr": "10.0.0.0/24", "gateway_ip": "10.0.0.1", "enable_dhcp": true,
            "dns_nameservers": ["192.0.2.1"],
            "host_routes": [{"destination": "10.9.0.0/16", "nexthop": "10.0.0.9"}],
        }],
        "ports": [port_dict()],
    })
}

fn port_dict() -> Value {
    json!({
        "id": PORT, "network_id": NET, "project_id": "p", "mac_address": "fa:16:3e:00:00:07",
        "admin_state_up": true, "device_owner": "compute:nova", "device_id": "vm-7",
        "fixed_ips": [{"subnet_id": SUBNET, "ip_address": "10.0.0.7"}],
        "dns_assignment": [{"ip_address": "10.0.0.7", "hostname": "vm", "fqdn": "VM.example.org."}],
        "extra_dhcp_opts": [{"opt_name": "mtu", "opt_value": "1400", "ip_version": 4}],
        "binding:host_id": "net1", "revision_number": 3,
    })
}

fn router_dict() -> Value {
    let leg = |id: &str, subnet: &str, ip: &str, gateway: &str| {
        json!({
            "id": id, "network_id": NET, "mac_address": "fa:16:3e:00:00:01", "admin_state_up": true, "mtu": 1450,
            "fixed_ips": [{"subnet_id": SUBNET, "ip_address": ip, "prefixlen": 24}],
            "subnets": [{"id": SUBNET, "cidr": subnet, "gateway_ip": gateway}],
            "extra_subnets": [], "address_scopes": {"4": null, "6": null},
        })
    };
    json!({
        "id": ROUTER, "name": "r1", "project_id": "p", "admin_state_up": true, "ha": false, "distributed": false,
        "_interfaces": [leg(PORT, "10.0.0.0/24", "10.0.0.1", "10.0.0.1")],
        "gw_port": leg(PORT, "203.0.113.0/24", "203.0.113.5", "203.0.113.1"),
        "routes": [{"destination": "192.0.2.0/24", "nexthop": "10.0.0.9"}],
        "_floatingips": [{
            "id": FLOATING, "floating_ip_address": "203.0.113.9", "fixed_ip_address": "10.0.0.7", "status": "DOWN",
        }],
    })
}

/// The dict with another value at a JSON pointer; `None`: without that key.
fn with(mut dict: Value, pointer: &str, value: Option<Value>) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = dict.pointer_mut(parent).unwrap();
    match (parent, value) {
        (Value::Object(map), Some(value)) => _ = map.insert(key.into(), value),
        (Value::Object(map), None) => _ = map.remove(key),
        (Value::Array(list), Some(value)) => list[key.parse::<usize>().unwrap()] = value,
        (parent, _) => panic!("{pointer} leads into {parent}"),
    }
    dict
}

fn lines(remarks: &[Remark]) -> Vec<String> {
    remarks.iter().map(ToString::to_string).collect()
}
