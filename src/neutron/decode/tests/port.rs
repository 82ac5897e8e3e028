use super::*;
use crate::model::{DeviceOwner, DhcpOption, Port};

fn decoded(pointer: &str, value: Option<Value>) -> Decoded<Port> {
    super::super::port(&with(port_dict(), pointer, value), &naming()).unwrap()
}

#[test]
fn owners() {
    for (owner, want) in [
        (json!("compute:nova"), DeviceOwner::Machine),
        (json!(""), DeviceOwner::Machine),
        (Value::Null, DeviceOwner::Machine),
        (json!("baremetal:none"), DeviceOwner::Machine),
        (json!("Octavia"), DeviceOwner::Machine),
        (json!("trunk:subport"), DeviceOwner::Machine),
        (json!("network:dhcp"), DeviceOwner::Dhcp),
        (
            json!("network:router_interface"),
            DeviceOwner::RouterInterface,
        ),
        (
            json!("network:ha_router_replicated_interface"),
            DeviceOwner::RouterInterface,
        ),
        (
            json!("network:router_interface_distributed"),
            DeviceOwner::RouterInterface,
        ),
        (json!("network:router_gateway"), DeviceOwner::RouterGateway),
        (json!("network:floatingip"), DeviceOwner::FloatingIp),
        (json!("network:router_ha_interface"), DeviceOwner::Service),
        (json!("network:distributed"), DeviceOwner::Service),
        (json!("network:router_centralized_snat"), DeviceOwner::Other),
        (json!("network:local_ip"), DeviceOwner::Other),
        (
            json!("network:floatingip_agent_gateway"),
            DeviceOwner::Other,
        ),
    ] {
        let port = decoded("/device_owner", Some(owner.clone())).value;
        assert_eq!(port.owner, want, "{owner}");
        let machine = want == DeviceOwner::Machine;
        assert_eq!(port.instance.is_some(), machine, "{owner}");
        assert_eq!(port.device, if machine { "" } else { "vm-7" }, "{owner}");
        let named = !matches!(
            want,
            DeviceOwner::Dhcp | DeviceOwner::FloatingIp | DeviceOwner::Service
        );
        assert_eq!(port.dns.len(), usize::from(named), "{owner}");
    }
    assert_eq!(
        decoded("/device_id", Some(json!(""))).value.instance,
        None,
        "unbound"
    );
}

#[test]
fn what_each_key_means() {
    let rows: Vec<Row<Port>> = vec![
        ("name", "/name", Some(json!("n")), |p| p.name.clone(), "n"),
        (
            "a name that would move the cursor",
            "/name",
            Some(json!("a\u{1b}[2Jb")),
            |p| p.name.clone(),
            "a\u{fffd}[2Jb",
        ),
        (
            "a name of megabytes is cut",
            "/name",
            Some(json!("n".repeat(10_000_000))),
            |p| p.name.len().to_string(),
            "255",
        ),
        (
            "MAC",
            "/mac_address",
            Some(json!("FA:16:3E:00:00:08")),
            |p| p.mac.to_string(),
            "fa:16:3e:00:00:08",
        ),
        (
            "admin down",
            "/admin_state_up",
            Some(json!(false)),
            |p| p.admin_state_up.to_string(),
            "false",
        ),
        (
            "no addresses",
            "/fixed_ips",
            None,
            |p| format!("{} {}", p.fixed_ips.len(), p.dns.len()),
            "0 0",
        ),
        (
            "host",
            "/binding:host_id",
            Some(json!("net2")),
            |p| p.host.clone(),
            "net2",
        ),
        ("no host", "/binding:host_id", None, |p| p.host.clone(), ""),
        (
            "revision",
            "/revision_number",
            Some(json!(9)),
            |p| p.revision.to_string(),
            "9",
        ),
        (
            "no revision",
            "/revision_number",
            None,
            |p| p.revision.to_string(),
            "0",
        ),
        (
            "unknown keys",
            "/of_the_future",
            Some(json!({"a": [1]})),
            |p| p.revision.to_string(),
            "3",
        ),
    ];
    for (name, pointer, value, told, want) in rows {
        let port = decoded(pointer, value);
        assert_eq!(told(&port.value), want, "{name}");
        assert_eq!(lines(&port.remarks), [""; 0], "{name}");
    }
}

#[test]
fn what_refuses_the_whole() {
    for (pointer, value, said) in [
        (
            "/mac_address",
            None,
            "mac_address is absent, where a MAC address, as fa:16:3e:00:00:01 is wanted",
        ),
        (
            "/network_id",
            Some(json!([])),
            "network_id is a list of 0, where a UUID is wanted",
        ),
        (
            "/fixed_ips",
            Some(json!("10.0.0.7")),
            "fixed_ips is the text \"10.0.0.7\", where a list of at most 1000 is wanted",
        ),
        (
            "/fixed_ips/0/ip_address",
            Some(json!("10.0.0.256")),
            "fixed_ips[0].ip_address is the text \"10.0.0.256\", where an IP address is wanted",
        ),
        (
            "/device_id",
            Some(json!("x".repeat(10_000_000))),
            "device_id is the text \"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\".. of 10000000 bytes, where a text of at most 255 bytes is wanted",
        ),
        (
            "/revision_number",
            Some(json!("3")),
            "revision_number is the text \"3\", where a number from 0 to 18446744073709551615 is wanted",
        ),
    ] {
        let error = super::super::port(&with(port_dict(), pointer, value), &naming()).unwrap_err();
        let want = format!(
            "understand port {PORT}: {said}; it stays as it is until Neutron says it otherwise"
        );
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn names() {
    let assigned = |hostname: &str, fqdn: &str| json!([{"ip_address": "10.0.0.7", "hostname": hostname, "fqdn": fqdn}]);
    for (name, value, want, remarks) in [
        (
            "as assigned",
            Some(assigned("Vm", "vm.example.net.")),
            "vm vm.example.net",
            0,
        ),
        (
            "not assigned",
            None,
            "host-10-0-0-7 host-10-0-0-7.example.org",
            0,
        ),
        (
            "of another address",
            Some(json!([{"ip_address": "10.0.0.8", "hostname": "a", "fqdn": "a.b."}])),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            0,
        ),
        (
            "two lines",
            Some(assigned("vm\nevil", "vm.example.net.")),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            1,
        ),
        (
            "empty label",
            Some(assigned("vm", "vm..net.")),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            1,
        ),
        (
            "only a dot",
            Some(assigned("vm", ".")),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            1,
        ),
        (
            "long label",
            Some(assigned(&"a".repeat(64), "vm.net.")),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            1,
        ),
        (
            "10 MB",
            Some(assigned("vm", &"a.".repeat(5_000_000))),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            1,
        ),
        (
            "no list",
            Some(Value::Null),
            "host-10-0-0-7 host-10-0-0-7.example.org",
            0,
        ),
    ] {
        let port = decoded("/dns_assignment", value);
        let told = &port.value.dns[0];
        assert_eq!(format!("{} {}", told.hostname, told.fqdn), want, "{name}");
        assert_eq!(port.remarks.len(), remarks, "{name}");
    }
    let v6 = json!([{"subnet_id": SUBNET, "ip_address": "2001:db8::1"}]);
    let dict = with(port_dict(), "/fixed_ips", Some(v6));
    let port = super::super::port(&dict, &Naming::new("net1", ""))
        .unwrap()
        .value;
    assert_eq!(&*port.dns[0].fqdn, "host-2001-db8--1", "no domain");
}

#[test]
fn options() {
    let option = |name: &str, value: &str, version: Value| json!([{"opt_name": name, "opt_value": value, "ip_version": version}]);
    let mtu = || vec![DhcpOption::parse_v4("mtu", "1400").unwrap()];
    let said = |text: &str| vec![format!("port {PORT}: {text}")];
    for (name, value, sent, client_id, remarks) in [
        (
            "by name",
            option("mtu", "1400", json!(4)),
            mtu(),
            None,
            vec![],
        ),
        (
            "without version",
            option("mtu", "1400", Value::Null),
            mtu(),
            None,
            vec![],
        ),
        (
            "no address of that version",
            option("dns-server", "2001:db8::1", json!(6)),
            vec![],
            None,
            vec![],
        ),
        (
            "text",
            option("client-id", "me", json!(4)),
            vec![],
            Some(b"me".to_vec()),
            vec![],
        ),
        (
            "by number, hexadecimal",
            option("61", "01:ff", json!(4)),
            vec![],
            Some(vec![1, 0xff]),
            vec![],
        ),
        (
            "any client id will do",
            option("61", "*", json!(4)),
            vec![],
            Some(vec![]),
            vec![],
        ),
        (
            "the first line",
            option("mtu", "1400\ndhcp-script=/bin/sh", json!(4)),
            mtu(),
            None,
            said(
                "extra_dhcp_opts: opt_value \"1400\" has more than one line; only the first counts",
            ),
        ),
        (
            "no such option",
            option("router-of-all", "1", json!(4)),
            vec![],
            None,
            said(
                "DHCP option \"router-of-all\" with value \"1\": there is no option of this name (is \"router-discovery\" meant?); any option can be given by its number; it is left out",
            ),
        ),
        (
            "no number",
            option("mtu", "big", json!(4)),
            vec![],
            None,
            said(
                "DHCP option \"mtu\" with value \"big\": takes a number from 0 to 65535; it is left out",
            ),
        ),
        (
            "no text",
            json!([{"opt_name": 26, "opt_value": "1400"}]),
            vec![],
            None,
            said(
                "extra_dhcp_opts[0].opt_name is 26, where a text of at most 16384 bytes is wanted; it is left out",
            ),
        ),
        (
            "too long an id",
            option("client-id", &"x".repeat(256), json!(4)),
            vec![],
            None,
            said("client-id of 256 bytes is left out; 255 fit into a request"),
        ),
        (
            "megabytes",
            option("mtu", &"1".repeat(10_000_000), json!(4)),
            vec![],
            None,
            said(
                "extra_dhcp_opts[0].opt_value is the text \"111111111111111111111111111111111111111111111111111111111111\".. of 10000000 bytes, where a text of at most 16384 bytes is wanted; it is left out",
            ),
        ),
    ] {
        let port = decoded("/extra_dhcp_opts", Some(value));
        assert_eq!(*port.value.extra_dhcp_opts, sent, "{name}");
        assert_eq!(port.value.client_id, client_id, "{name}");
        assert_eq!(lines(&port.remarks), remarks, "{name}");
    }
    let two = json!([
        {"opt_name": "client-id", "opt_value": "a", "ip_version": 6},
        {"opt_name": "61", "opt_value": "b", "ip_version": 4},
    ]);
    let first = decoded("/extra_dhcp_opts", Some(two)).value.client_id;
    assert_eq!(
        first,
        Some(b"a".to_vec()),
        "the first client id, of whichever version"
    );
}
