#![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

use uuid::Uuid;

use super::*;

fn dev(name: &str) -> DevName {
    DevName::new(name).unwrap()
}

fn port(n: u8, internal: bool) -> NewPort {
    NewPort {
        name: dev(&format!("tap{n}")),
        id: PortId(Uuid::from_u128(n.into())),
        mac: MacAddr([0xfa, 0x16, 0x3e, 0, 0, n]),
        namespace: NsName::new("qdhcp-1").ok(),
        internal,
    }
}

fn rows(results: Value) -> Rows {
    Rows::of(results)
}

#[test]
fn a_new_port_is_dead_until_the_agent_has_seen_it() {
    let operations = add("br-int", &[port(1, true), port(2, false)]);
    let ids = |n: u8| {
        json!([
            "map",
            [
                [
                    "iface-id",
                    format!("00000000-0000-0000-0000-00000000000{n}")
                ],
                ["iface-status", "active"],
                ["attached-mac", format!("fa:16:3e:00:00:0{n}")],
            ]
        ])
    };
    let in_bridge = |n: u8| {
        json!({"op": "insert", "table": "Port", "uuid-name": format!("port{}", n - 1), "row": {
            "name": format!("tap{n}"), "interfaces": ["named-uuid", format!("interface{}", n - 1)],
            "tag": 4095, "vlan_mode": "trunk", "trunks": 4095, "external_ids": ["map", [["owner", "warren"], ["namespace", "qdhcp-1"]]],
        }})
    };
    let want = [
        json!({"op": "insert", "table": "Interface", "uuid-name": "interface0",
            "row": {"name": "tap1", "type": "internal", "external_ids": ids(1)}}),
        in_bridge(1),
        json!({"op": "insert", "table": "Interface", "uuid-name": "interface1",
            "row": {"name": "tap2", "external_ids": ids(2)}}),
        in_bridge(2),
        json!({"op": "mutate", "table": "Bridge", "where": [["name", "==", "br-int"]],
            "mutations": [["ports", "insert", ["set", [["named-uuid", "port0"], ["named-uuid", "port1"]]]]]}),
        json!({"op": "mutate", "table": "Open_vSwitch", "where": [], "mutations": [["next_cfg", "+=", 1]]}),
        json!({"op": "select", "table": "Open_vSwitch", "where": [], "columns": ["next_cfg"]}),
    ];
    assert_eq!(operations, want);
}

#[test]
fn a_port_is_removed_from_whatever_bridge_has_it() {
    let operations = remove(["u1"].into_iter());
    let want = json!({"op": "mutate", "table": "Bridge", "where": [["ports", "includes", ["uuid", "u1"]]],
        "mutations": [["ports", "delete", ["uuid", "u1"]]]});
    assert_eq!(operations[0], want);
    assert_eq!(operations.len(), 3);
}

#[test]
fn what_became_of_an_interface() {
    let failed = |error: Option<&str>| Fate::Failed(error.map(str::to_owned));
    for (name, row, want) in [
        (
            "works",
            json!({"ofport": 5, "error": ["set", []]}),
            Fate::Works,
        ),
        (
            "works, as a set",
            json!({"ofport": ["set", [5]], "error": ["set", []]}),
            Fate::Works,
        ),
        (
            "not yet",
            json!({"ofport": ["set", []], "error": ["set", []]}),
            Fate::Unknown,
        ),
        (
            "failed, and says why",
            json!({"ofport": -1, "error": "File exists"}),
            failed(Some("File exists")),
        ),
        (
            "failed, and does not",
            json!({"ofport": -1, "error": ["set", []]}),
            failed(None),
        ),
        (
            "an error without number",
            json!({"ofport": ["set", []], "error": "no"}),
            failed(Some("no")),
        ),
        (
            "an error with a number",
            json!({"ofport": 5, "error": "no"}),
            failed(Some("no")),
        ),
        ("other columns", json!({}), Fate::Unknown),
        (
            "nonsense",
            json!({"ofport": {"a": 1}, "error": [1]}),
            Fate::Unknown,
        ),
    ] {
        let names = [dev("tap1")].into();
        let mut answer = rows(json!([
            {"rows": [{"_uuid": ["uuid", "b"]}]}, {"rows": [{"_uuid": ["uuid", "p"]}]}, {"rows": [row]}
        ]));
        let seen = seen(&names, &mut answer);
        let port = SeenPort {
            uuid: "p".into(),
            fate: want,
        };
        assert_eq!(
            seen,
            Seen {
                bridge: true,
                ports: [(dev("tap1"), port)].into()
            },
            "{name}"
        );
    }
}

#[test]
fn each_name_has_its_answers() {
    let names = BTreeSet::from([dev("tap1"), dev("tap2"), dev("tap3")]);
    assert_eq!(look("br-int", &names).len(), 7);
    let mut answer = rows(json!([
        {"rows": []},
        {"rows": []}, {"rows": []},
        {"rows": [{"_uuid": ["uuid", "p2"]}]}, {"rows": [{"ofport": 1, "error": ["set", []]}]},
        {"rows": [{"_uuid": "odd"}]}, {"rows": []},
    ]));
    let port = SeenPort {
        uuid: "p2".into(),
        fate: Fate::Works,
    };
    let want = Seen {
        bridge: false,
        ports: [(dev("tap2"), port)].into(),
    };
    assert_eq!(seen(&names, &mut answer), want);
}

#[test]
fn how_far_ovs_vswitchd_is() {
    let add = |count: u64| {
        rows(
            json!([{"uuid": ["uuid", "a"]}, {"uuid": ["uuid", "b"]}, {"count": count}, {"count": 1}, {"rows": [{"next_cfg": 8}]}]),
        )
    };
    assert_eq!(added(1, &mut add(1)), Some(8));
    assert_eq!(added(1, &mut add(0)), None, "the bridge is not there");
    assert_eq!(
        removed(
            1,
            &mut rows(json!([{"count": 1}, {"count": 1}, {"rows": [{"next_cfg": 9}]}]))
        ),
        9
    );
    assert_eq!(
        current_configuration(&mut rows(json!([{"rows": [{"cur_cfg": 7}]}]))),
        7
    );
    assert!(
        current_configuration(&mut rows(json!([{"rows": []}]))) < 0,
        "no such row: not done"
    );
}

#[test]
fn ours_are_told_by_their_mark() {
    let mut answer = rows(
        json!([{"rows": [{"name": "tap1"}, {"name": "a name that is none"}, {},
            {"name": "tap2", "external_ids": ["map", [["owner", "warren"], ["namespace", "qdhcp-1"]]]}]}]),
    );
    let of = NsName::new("qdhcp-1").unwrap();
    assert_eq!(
        ours(&mut answer),
        [(dev("tap1"), None), (dev("tap2"), Some(of))].into()
    );
}

#[test]
fn given_back_are_ports_by_name() {
    let names = [dev("tap1"), dev("qr-2")].into();
    let one = |name: &str| {
        json!({"op": "mutate", "table": "Port", "where": [["name", "==", name]],
            "mutations": [["external_ids", "delete", ["map", [["owner", "warren"]]]]]})
    };
    assert_eq!(disown(&names), [one("qr-2"), one("tap1")]);
}
