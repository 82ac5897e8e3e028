use super::*;
use crate::model::Router;

#[test]
fn what_each_key_means() {
    let rows: Vec<Row<Router>> = vec![
        ("name", "/name", Some(json!("r2")), |r| r.name.clone(), "r2"),
        (
            "no interfaces",
            "/_interfaces",
            None,
            |r| r.interfaces.len().to_string(),
            "0",
        ),
        (
            "no gateway",
            "/gw_port",
            Some(Value::Null),
            |r| r.gateway.is_some().to_string(),
            "false",
        ),
        (
            "SNAT not told",
            "/enable_snat",
            None,
            |r| r.gateway.as_ref().unwrap().enable_snat.to_string(),
            "true",
        ),
        (
            "no SNAT",
            "/enable_snat",
            Some(json!(false)),
            |r| r.gateway.as_ref().unwrap().enable_snat.to_string(),
            "false",
        ),
        (
            "address",
            "/gw_port/mtu",
            None,
            |r| r.gateway.as_ref().unwrap().port.addresses[0].to_string(),
            "203.0.113.5/24",
        ),
        (
            "length of the subnet",
            "/_interfaces/0/fixed_ips/0/prefixlen",
            None,
            |r| r.interfaces[0].addresses[0].to_string(),
            "10.0.0.1/24",
        ),
        (
            "another length",
            "/_interfaces/0/fixed_ips/0/prefixlen",
            Some(json!(20)),
            |r| r.interfaces[0].addresses[0].to_string(),
            "10.0.0.1/20",
        ),
        (
            "interface down",
            "/_interfaces/0/admin_state_up",
            Some(json!(false)),
            |r| r.interfaces[0].admin_state_up.to_string(),
            "false",
        ),
        (
            "scope",
            "/_interfaces/0/address_scopes/4",
            Some(json!(NET)),
            |r| r.interfaces[0].scopes.v4.unwrap().to_string(),
            NET,
        ),
        (
            "no scopes told",
            "/_interfaces/0/address_scopes",
            None,
            |r| format!("{:?}", r.interfaces[0].scopes.v4),
            "None",
        ),
        (
            "other subnets",
            "/gw_port/extra_subnets",
            Some(json!([{"id": NET, "cidr": "198.51.100.0/24", "gateway_ip": null}])),
            |r| {
                r.gateway.as_ref().unwrap().port.extra_subnets[0]
                    .cidr
                    .to_string()
            },
            "198.51.100.0/24",
        ),
        (
            "no floating IPs",
            "/_floatingips",
            None,
            |r| r.floating_ips.len().to_string(),
            "0",
        ),
        (
            "not associated",
            "/_floatingips/0/fixed_ip_address",
            Some(Value::Null),
            |r| format!("{:?}", r.floating_ips[0].fixed_ip),
            "None",
        ),
        (
            "status",
            "/_floatingips/0/status",
            Some(json!("ACTIVE")),
            |r| format!("{:?}", r.floating_ips[0].status),
            "Some(Active)",
        ),
        (
            "unknown status",
            "/_floatingips/0/status",
            Some(json!("PENDING")),
            |r| format!("{:?}", r.floating_ips[0].status),
            "None",
        ),
        (
            "its scope",
            "/_floatingips/0/fixed_ip_address_scope",
            Some(json!(NET)),
            |r| r.floating_ips[0].fixed_scope.unwrap().to_string(),
            NET,
        ),
        (
            "with forwardings",
            "/fip_managed_by_port_forwardings",
            Some(json!([FLOATING])),
            |r| r.forwarded[0].to_string(),
            FLOATING,
        ),
        (
            "helper",
            "/conntrack_helpers",
            Some(json!([{"helper": "tftp", "protocol": "udp", "port": 69}])),
            |r| format!("{:?}", r.conntrack_helpers),
            "[ConntrackHelper { helper: \"tftp\", protocol: Udp, port: 69 }]",
        ),
        ("legacy", "/ha", None, |r| format!("{:?}", r.kind), "Legacy"),
        (
            "HA",
            "/ha",
            Some(json!(true)),
            |r| format!("{:?}", r.kind),
            "Ha",
        ),
        (
            "DVR",
            "/distributed",
            Some(json!(true)),
            |r| format!("{:?}", r.kind),
            "Distributed",
        ),
        (
            "route",
            "/routes/0/destination",
            Some(json!("192.0.2.9/24")),
            |r| r.routes[0].destination.to_string(),
            "192.0.2.0/24",
        ),
    ];
    for (name, pointer, value, told, want) in rows {
        let decoded = router(&with(router_dict(), pointer, value)).unwrap();
        assert_eq!(told(&decoded.value), want, "{name}");
        assert_eq!(lines(&decoded.remarks), [""; 0], "{name}");
    }
}

#[test]
fn what_refuses_the_whole() {
    for (pointer, value, said) in [
        (
            "/admin_state_up",
            None,
            "admin_state_up is absent, where true or false is wanted",
        ),
        (
            "/ha",
            Some(json!("no")),
            "ha is the text \"no\", where true or false is wanted",
        ),
        (
            "/_interfaces/0/mac_address",
            Some(json!("")),
            "_interfaces[0].mac_address is the text \"\", where a MAC address, as fa:16:3e:00:00:01 is wanted",
        ),
        (
            "/gw_port/fixed_ips/0/prefixlen",
            Some(json!(64)),
            "gw_port.fixed_ips[0] is an object of 3 keys, where an address with a prefix length that fits it is wanted",
        ),
        (
            "/gw_port/subnets/0/gateway_ip",
            Some(json!("::1")),
            "gw_port.subnets[0].gateway_ip is the text \"::1\", where an address of the subnet's IP version is wanted",
        ),
        (
            "/_floatingips/0/id",
            Some(json!("f")),
            "_floatingips[0].id is the text \"f\", where a UUID is wanted",
        ),
        (
            "/_floatingips",
            Some(json!(3)),
            "_floatingips is 3, where a list of at most 100000 is wanted",
        ),
    ] {
        let error = router(&with(router_dict(), pointer, value)).unwrap_err();
        let want = format!(
            "understand router {ROUTER}: {said}; it stays as it is until Neutron says it otherwise"
        );
        assert_eq!(error.to_string(), want);
    }
}

#[test]
fn what_is_left_out() {
    for (pointer, value, said) in [
        ("/routes/0/nexthop", json!("fe80::1"), "routes[0] is an object of 2 keys, where a destination and a next hop of one IP version is wanted; it is left out".to_owned()),
        ("/_floatingips/0/floating_ip_address", json!("2001:db8::9"), format!("floating IP {FLOATING} is not of IPv4 on both sides: it is left out")),
        ("/conntrack_helpers", json!([{"helper": "a b", "protocol": "tcp", "port": 1}]), "conntrack_helpers[0].helper is the text \"a b\", where the name of a kernel's conntrack helper is wanted; it is left out".to_owned()),
    ] {
        let decoded = router(&with(router_dict(), pointer, Some(value))).unwrap();
        assert_eq!(lines(&decoded.remarks), [format!("router {ROUTER}: {said}")]);
    }
}
