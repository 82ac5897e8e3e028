use super::*;
use crate::model::{DeviceOwner, Ipv6Mode, Network};

#[test]
fn what_each_key_means() {
    let rows: Vec<Row<Network>> = vec![
        (
            "project",
            "/project_id",
            Some(json!("q")),
            |n| n.project.to_string(),
            "q",
        ),
        (
            "project of old",
            "/tenant_id",
            Some(json!("t")),
            |n| n.project.to_string(),
            "p",
        ),
        (
            "no project",
            "/project_id",
            None,
            |n| n.project.to_string(),
            "",
        ),
        (
            "mtu",
            "/mtu",
            Some(json!(9000)),
            |n| n.mtu.to_string(),
            "9000",
        ),
        (
            "mtu not told",
            "/mtu",
            Some(json!(0)),
            |n| n.mtu.to_string(),
            "1500",
        ),
        ("no mtu", "/mtu", None, |n| n.mtu.to_string(), "1500"),
        (
            "admin down",
            "/admin_state_up",
            Some(json!(false)),
            |n| n.admin_state_up.to_string(),
            "false",
        ),
        (
            "the agent's domain",
            "/mtu",
            None,
            |n| n.dns_domain.clone(),
            "example.org",
        ),
        (
            "no subnets",
            "/subnets",
            None,
            |n| n.subnets.len().to_string(),
            "0",
        ),
        (
            "no ports",
            "/ports",
            Some(Value::Null),
            |n| n.ports.len().to_string(),
            "0",
        ),
        (
            "no gateway",
            "/subnets/0/gateway_ip",
            Some(Value::Null),
            |n| format!("{:?}", n.subnets[0].gateway_ip),
            "None",
        ),
        (
            "host bits",
            "/subnets/0/cidr",
            Some(json!("10.0.0.5/24")),
            |n| n.subnets[0].cidr.to_string(),
            "10.0.0.0/24",
        ),
        (
            "modes",
            "/subnets/0/ipv6_ra_mode",
            Some(json!("dhcpv6-stateless")),
            |n| format!("{:?}", n.subnets[0].ra_mode),
            "Some(Stateless)",
        ),
        (
            "address mode",
            "/subnets/0/ipv6_address_mode",
            Some(json!("slaac")),
            |n| format!("{:?}", n.subnets[0].address_mode == Some(Ipv6Mode::Slaac)),
            "true",
        ),
        (
            "to be delegated",
            "/subnets/0/subnetpool_id",
            Some(json!("prefix_delegation")),
            |n| n.subnets[0].prefix_delegation.to_string(),
            "true",
        ),
        (
            "of a pool",
            "/subnets/0/subnetpool_id",
            Some(json!(NET)),
            |n| n.subnets[0].prefix_delegation.to_string(),
            "false",
        ),
        (
            "segment",
            "/subnets/0/segment_id",
            Some(json!(ROUTER)),
            |n| n.subnets[0].segment.unwrap().to_string(),
            ROUTER,
        ),
        (
            "of elsewhere",
            "/non_local_subnets",
            Some(json!([{"id": ROUTER, "cidr": "10.8.0.0/24", "enable_dhcp": true}])),
            |n| n.non_local_subnets[0].cidr.to_string(),
            "10.8.0.0/24",
        ),
        (
            "segments",
            "/segments",
            Some(
                json!([{"id": ROUTER, "segmentation_id": 7}, {"id": NET, "segmentation_id": null}]),
            ),
            |n| {
                format!(
                    "{:?}",
                    n.segments
                        .iter()
                        .map(|s| s.segmentation_id)
                        .collect::<Vec<_>>()
                )
            },
            "[Some(7), None]",
        ),
    ];
    for (name, pointer, value, told, want) in rows {
        let decoded = network(&with(network_dict(), pointer, value), &naming()).unwrap();
        assert_eq!(told(&decoded.value), want, "{name}");
        assert_eq!(lines(&decoded.remarks), [""; 0], "{name}");
    }
}

#[test]
fn what_refuses_the_whole() {
    let called = format!("network {NET}");
    for (pointer, value, object, said) in [
        (
            "/id",
            None,
            "network without id",
            "id is absent, where a UUID is wanted",
        ),
        (
            "/id",
            Some(json!(5)),
            "network whose id is 5",
            "id is 5, where a UUID is wanted",
        ),
        (
            "/id",
            Some(json!("x\ny")),
            "network \"x\\ny\"",
            "id is the text \"x\\ny\", where a UUID is wanted",
        ),
        (
            "/admin_state_up",
            Some(json!("yes")),
            &called,
            "admin_state_up is the text \"yes\", where true or false is wanted",
        ),
        (
            "/mtu",
            Some(json!(-1)),
            &called,
            "mtu is -1, where a number from 68 to 65535 is wanted",
        ),
        (
            "/mtu",
            Some(json!(70_000)),
            &called,
            "mtu is 70000, where a number from 68 to 65535 is wanted",
        ),
        (
            "/subnets",
            Some(json!({})),
            &called,
            "subnets is an object of 0 keys, where a list of at most 1000 is wanted",
        ),
        (
            "/subnets/0",
            Some(json!(1)),
            &called,
            "subnets[0] is 1, where an object is wanted",
        ),
        (
            "/subnets/0/cidr",
            Some(json!("10.0.0.0/33")),
            &called,
            "subnets[0].cidr is the text \"10.0.0.0/33\", where a network in CIDR notation, of 1 bit or more is wanted",
        ),
        (
            "/subnets/0/cidr",
            Some(json!("0.0.0.0/0")),
            &called,
            "subnets[0].cidr is the text \"0.0.0.0/0\", where a network in CIDR notation, of 1 bit or more is wanted",
        ),
        (
            "/subnets/0/cidr",
            None,
            &called,
            "subnets[0].cidr is absent, where a network in CIDR notation, of 1 bit or more is wanted",
        ),
        (
            "/subnets/0/gateway_ip",
            Some(json!("2001:db8::1")),
            &called,
            "subnets[0].gateway_ip is the text \"2001:db8::1\", where an IPv4 address is wanted",
        ),
        (
            "/subnets/0/ipv6_ra_mode",
            Some(json!("maybe")),
            &called,
            "subnets[0].ipv6_ra_mode is the text \"maybe\", where slaac, dhcpv6-stateful, dhcpv6-stateless or null is wanted",
        ),
        (
            "/segments",
            Some(json!([{"id": NET, "segmentation_id": "7"}])),
            &called,
            "segments[0].segmentation_id is the text \"7\", where a number from 0 to 4294967295 is wanted",
        ),
    ] {
        let error = network(&with(network_dict(), pointer, value), &naming()).unwrap_err();
        let text = error.to_string();
        assert_eq!(error.object, object, "{pointer}");
        assert_eq!(
            text,
            format!(
                "understand {object}: {said}; it stays as it is until Neutron says it otherwise"
            ),
        );
    }
    let error = network(&json!([1]), &naming()).unwrap_err();
    assert_eq!(
        (error.object.as_str(), error.path.as_str()),
        ("a network", "the whole")
    );
}

#[test]
fn what_is_left_out() {
    let subnet = format!("subnet {SUBNET}");
    for (pointer, value, said) in [
        (
            "/subnets/0/host_routes/0",
            json!({"destination": "10.9.0.0/16"}),
            format!(
                "{subnet}: host_routes[0].nexthop is absent, where an IP address is wanted; it is left out"
            ),
        ),
        (
            "/subnets/0/host_routes/0",
            json!({"destination": "::/0", "nexthop": "fe80::1"}),
            format!(
                "{subnet}: host_routes[0] is an object of 2 keys, where a route of the subnet's IP version is wanted; it is left out"
            ),
        ),
        (
            "/subnets/0/dns_nameservers/0",
            json!("resolver"),
            format!(
                "{subnet}: dns_nameservers[0] is the text \"resolver\", where an IP address is wanted; it is left out"
            ),
        ),
        (
            "/ports/0/mac_address",
            json!("zz"),
            format!(
                "port {PORT}: mac_address is the text \"zz\", where a MAC address, as fa:16:3e:00:00:01 is wanted; it is left out"
            ),
        ),
        (
            "/ports/0",
            json!(7),
            format!("network {NET}: ports[0] is 7, where an object is wanted; it is left out"),
        ),
    ] {
        let decoded = network(&with(network_dict(), pointer, Some(value)), &naming()).unwrap();
        assert_eq!(lines(&decoded.remarks), [said]);
    }
}

#[test]
fn remarks_are_few_and_short() {
    let long = "x".repeat(1_000_000);
    let bad = json!({"id": &long, "network_id": NET, "mac_address": &long});
    let dict = with(network_dict(), "/ports", Some(Value::Array(vec![bad; 50])));
    let remarks = network(&dict, &naming()).unwrap().remarks;
    assert_eq!(remarks.len(), Remark::LIMIT + 1);
    assert_eq!(remarks.last().unwrap().problem, "30 more of this kind");
    assert!(remarks.iter().all(|remark| remark.to_string().len() < 600));
}

#[test]
fn many_ports_are_served() {
    let port = |n: u32| {
        let [.., high, low] = n.to_be_bytes();
        let id = format!("33333333-0000-4000-8000-{n:012x}");
        let dict = with(port_dict(), "/id", Some(json!(id)));
        with(
            dict,
            "/mac_address",
            Some(json!(format!("fa:16:3e:00:{high:02x}:{low:02x}"))),
        )
    };
    let dict = with(
        network_dict(),
        "/ports",
        Some((0..20_000).map(port).collect()),
    );
    let decoded = network(&dict, &naming()).unwrap();
    assert_eq!(
        (decoded.value.ports.len(), decoded.remarks.len()),
        (20_000, 0)
    );
    let too_many = Value::Array(vec![Value::Null; 250_001]);
    let error = network(&with(network_dict(), "/ports", Some(too_many)), &naming()).unwrap_err();
    assert_eq!(
        (error.found.as_str(), error.wanted.as_str()),
        ("a list of 250001", "a list of at most 250000")
    );
}

#[test]
fn our_own_port_is_known_by_its_device() {
    // uuid5 of "net1", as the reference makes it.
    let base = format!("dhcp04771cbe-437e-5f2c-860d-465c2ee070fb-{NET}");
    assert_eq!(
        Naming::new("net1.example.com", "").dhcp_device(NET.parse().unwrap()),
        base
    );
    for (name, device, own) in [
        ("ours", base.clone(), true),
        ("ours on the subnet's segment", format!("{base}-7"), true),
        (
            "on a segment that we have no subnet of",
            format!("{base}-8"),
            false,
        ),
        ("no number", format!("{base}-x"), false),
        ("longer", format!("{base}1"), false),
        ("another host's", base.replace("0477", "0478"), false),
        ("reserved", "reserved_dhcp_port".into(), false),
    ] {
        let dict = with(
            network_dict(),
            "/ports/0/device_owner",
            Some(json!("network:dhcp")),
        );
        let dict = with(dict, "/ports/0/device_id", Some(json!(device)));
        let dict = with(dict, "/subnets/0/segment_id", Some(json!(ROUTER)));
        let segments =
            json!([{"id": ROUTER, "segmentation_id": 7}, {"id": NET, "segmentation_id": 8}]);
        let network = network(&with(dict, "/segments", Some(segments)), &naming())
            .unwrap()
            .value;
        assert_eq!(network.dhcp_port.is_some(), own, "{name}");
        assert_eq!(network.ports.values().count(), usize::from(!own), "{name}");
        let port = network
            .dhcp_port
            .iter()
            .chain(network.ports.values())
            .next()
            .unwrap();
        assert_eq!(
            (port.owner, port.device.as_str()),
            (DeviceOwner::Dhcp, device.as_str())
        );
    }
}
