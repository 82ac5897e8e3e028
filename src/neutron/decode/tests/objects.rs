use super::*;

fn forwarding(data: &Value) -> Value {
    let mut object = json!({
        "versioned_object.name": "PortForwarding", "versioned_object.namespace": "versionedobjects",
        "versioned_object.version": "1.3",
        "versioned_object.data": {
            "id": PORT, "floatingip_id": FLOATING, "router_id": ROUTER, "protocol": "tcp",
            "floating_ip_address": "203.0.113.9", "internal_ip_address": "10.0.0.7",
            "external_port_range": "80:82", "internal_port_range": "8080:8082",
            "external_port": null, "internal_port": null,
        },
    });
    let fields = object["versioned_object.data"].as_object_mut().unwrap();
    for (key, value) in data.as_object().unwrap() {
        fields.insert(key.clone(), value.clone());
    }
    object
}

#[test]
fn port_forwardings_of_an_answer() {
    let one = |external: (u16, u16), internal: (u16, u16)| format!("{external:?} {internal:?}");
    for (name, data, want) in [
        ("ranges", json!({}), Ok(one((80, 82), (8080, 8082)))),
        (
            "single ports of old",
            json!({"external_port_range": null, "internal_port_range": null, "external_port": 22, "internal_port": 2222}),
            Ok(one((22, 22), (2222, 2222))),
        ),
        (
            "protocol without ports",
            json!({"protocol": "icmp"}),
            Err("protocol is the text \"icmp\", where tcp, udp, sctp or dccp is wanted"),
        ),
        (
            "no port",
            json!({"external_port_range": "0:5"}),
            Err(
                "external_port_range is the text \"0:5\", where a range of ports, as 80:85 is wanted",
            ),
        ),
        (
            "backwards",
            json!({"internal_port_range": "9:5"}),
            Err(
                "internal_port_range is the text \"9:5\", where a range of ports, as 80:85 is wanted",
            ),
        ),
        (
            "neither",
            json!({"external_port_range": null}),
            Err("external_port is null, where a number from 1 to 65535 is wanted"),
        ),
        (
            "of IPv6",
            json!({"internal_ip_address": "::1"}),
            Err("internal_ip_address is the text \"::1\", where an IPv4 address is wanted"),
        ),
    ] {
        let decoded = port_forwardings(&json!([forwarding(&data)])).unwrap();
        match want {
            Ok(want) => {
                let (router, found) = &decoded.value[0];
                assert_eq!(router.to_string(), ROUTER, "{name}");
                assert_eq!(
                    one(found.ports.external, found.ports.internal),
                    want,
                    "{name}"
                );
                assert_eq!(found.floating.unwrap().to_string(), FLOATING, "{name}");
            }
            Err(said) => {
                assert!(decoded.value.is_empty(), "{name}");
                assert_eq!(
                    lines(&decoded.remarks),
                    [format!("PortForwarding {PORT}: {said}; it is left out")],
                    "{name}"
                );
            }
        }
    }
    let other = with(
        forwarding(&json!({})),
        "/versioned_object.version",
        Some(json!("2.0")),
    );
    let decoded = port_forwardings(&json!([other, forwarding(&json!({}))])).unwrap();
    assert_eq!(decoded.value.len(), 1, "the rest of the list is taken");
    assert!(port_forwardings(&Value::Null).is_err());
}

#[test]
fn pushes_name_the_routers_that_they_are_about() {
    let of = |list: Value| pushed_routers(&json!({"resource_list": list, "event_type": "created"}));
    let helper = json!({
        "versioned_object.name": "ConntrackHelper", "versioned_object.version": "1.0",
        "versioned_object.data": {"id": PORT, "router_id": ROUTER, "helper": "ftp", "protocol": "tcp", "port": 21},
    });
    let pushed = of(json!([helper, forwarding(&json!({}))])).unwrap();
    assert_eq!(pushed.len(), 1, "both are of one router");
    assert!(of(json!([])).unwrap().is_empty());
    assert_eq!(
        of(json!([{}])).unwrap_err().path,
        "resource_list[0].versioned_object.data"
    );
}
