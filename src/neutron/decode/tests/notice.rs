use super::*;

#[test]
fn of_the_dhcp_agent() {
    let rows = [
        (
            "network_create_end",
            json!({"payload": {"network": {"id": NET}, "priority": 0}}),
            "NetworkScheduled",
        ),
        (
            "network_update_end",
            json!({"payload": {"network": {"id": NET, "admin_state_up": false}}}),
            "admin_state_up: false",
        ),
        (
            "network_delete_end",
            json!({"payload": {"network_id": NET}}),
            "NetworkGone",
        ),
        (
            "subnet_create_end",
            json!({"payload": {"subnet": {"id": SUBNET, "network_id": NET, "cidr": 5}}}),
            "SubnetChanged",
        ),
        (
            "subnet_update_end",
            json!({"payload": {"subnet": {"id": SUBNET, "network_id": NET}}}),
            "SubnetChanged",
        ),
        (
            "subnet_delete_end",
            json!({"payload": {"subnet_id": SUBNET}}),
            "network: None",
        ),
        (
            "port_create_end",
            json!({"payload": {"port": port_dict()}}),
            "PortChanged",
        ),
        (
            "port_update_end",
            json!({"payload": {"port": port_dict()}}),
            "PortChanged",
        ),
        (
            "port_delete_end",
            json!({"payload": {"port_id": PORT, "network_id": NET}}),
            "PortGone",
        ),
        (
            "port_delete_end",
            json!({"payload": {"port_id": PORT, "fixed_ips": [{"ip_address": "10.0.0.7"}]}}),
            "network: None",
        ),
        (
            "agent_updated",
            json!({"payload": {"admin_state_up": true}, "of_the_future": 1}),
            "AgentUpdated",
        ),
    ];
    for (method, args, want) in rows {
        let notice = dhcp_notice(method, &args, &naming()).unwrap().unwrap();
        assert!(format!("{notice:?}").contains(want), "{method}: {notice:?}");
    }
    assert_eq!(
        dhcp_notice("port_move_end", &json!({}), &naming()),
        Ok(None)
    );
}

#[test]
fn of_the_l3_agent() {
    let ids = |notice| format!("{notice:?}");
    for (method, args, want) in [
        (
            "routers_updated",
            json!({"routers": [ROUTER], "operation": null}),
            format!("Changed([RouterId({ROUTER})])"),
        ),
        (
            "routers_updated",
            json!({"routers": [{"id": ROUTER, "name": "of old"}]}),
            format!("Changed([RouterId({ROUTER})])"),
        ),
        (
            "router_added_to_agent",
            json!({"payload": [ROUTER]}),
            format!("Changed([RouterId({ROUTER})])"),
        ),
        (
            "router_deleted",
            json!({"router_id": ROUTER}),
            format!("Gone(RouterId({ROUTER}))"),
        ),
        (
            "router_removed_from_agent",
            json!({"payload": {"router_id": ROUTER}}),
            format!("Gone(RouterId({ROUTER}))"),
        ),
        (
            "network_update",
            json!({"network": {"id": NET, "mtu": 1400}}),
            format!("NetworkUpdated(NetworkId({NET}))"),
        ),
        (
            "agent_updated",
            json!({"payload": {"admin_state_up": false}}),
            "AgentUpdated".into(),
        ),
        (
            "add_arp_entry",
            json!({"payload": {}}),
            "ForDistributed".into(),
        ),
        (
            "fipnamespace_delete_on_ext_net",
            json!({"ext_net_id": NET}),
            "ForDistributed".into(),
        ),
    ] {
        assert_eq!(
            ids(l3_notice(method, &args).unwrap().unwrap()),
            want,
            "{method}"
        );
    }
    assert_eq!(l3_notice("dance", &json!({})), Ok(None));
}

#[test]
fn notices_without_their_object() {
    for (method, args, said) in [
        (
            "network_create_end",
            json!({"network": {"id": NET}}),
            "the notice network_create_end: payload is absent, where an object is wanted",
        ),
        (
            "network_create_end",
            json!({"payload": {"network": {}}}),
            "the notice network_create_end: payload.network.id is absent, where a UUID is wanted",
        ),
        (
            "subnet_update_end",
            json!({"payload": {"subnet": {"id": SUBNET}}}),
            "the notice subnet_update_end: payload.subnet.network_id is absent, where a UUID is wanted",
        ),
        (
            "port_update_end",
            json!({"payload": {"port": 5}}),
            "a port: the whole is 5, where an object is wanted",
        ),
    ] {
        let error = dhcp_notice(method, &args, &naming()).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("understand {said};")),
            "{error}"
        );
    }
    let error = l3_notice("router_deleted", &Value::Null).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("understand the notice router_deleted: the whole is null"),
        "{error}"
    );
}
