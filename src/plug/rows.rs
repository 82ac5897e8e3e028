//! What plugging reads and writes in Open vSwitch's database (ovs-vswitchd.conf.db(5)), as Neutron's agents do it
//! (`ovs_lib.add_port`, `delete_port`). Pure.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::ovsdb::Rows;
use crate::model::{DevName, MacAddr, NsName, PortId};
use crate::plan::MARK;

/// The VLAN on which nothing passes: until the L2 agent gives the port its network's, it must not be in anybody's. As the
/// only trunk, for then Open vSwitch itself drops what comes without a tag.
const DEAD_VLAN: u16 = 4095;

/// In `Port.external_ids`, which no agent reads: how we know ours again when their namespace has gone.
const OWNER: &str = "owner";
/// Beside it: for whom it was made. Processes with other roles have ports of ours, too.
const NAMESPACE: &str = "namespace";

/// A port to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NewPort {
    pub(super) name: DevName,
    pub(super) id: PortId,
    pub(super) mac: MacAddr,
    /// `None`: the host's own.
    pub(super) namespace: Option<NsName>,
    /// Open vSwitch makes the device itself.
    pub(super) internal: bool,
}

/// What is there already.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Seen {
    pub(super) bridge: bool,
    /// Of those that were asked for.
    pub(super) ports: BTreeMap<DevName, SeenPort>,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) struct SeenPort {
    pub(super) uuid: String,
    pub(super) fate: Fate,
}

/// What ovs-vswitchd made of an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Fate {
    Works,
    /// Nothing was said yet.
    Unknown,
    /// With the reason, if it gave one.
    Failed(Option<String>),
}

/// Asks for the bridge, and for ports by name.
pub(super) fn look(bridge: &str, names: &BTreeSet<DevName>) -> Vec<Value> {
    let mut asked = vec![select(
        "Bridge",
        &json!([["name", "==", bridge]]),
        &["_uuid"],
    )];
    for name in names {
        let named = json!([["name", "==", name]]);
        asked.push(select("Port", &named, &["_uuid"]));
        asked.push(select("Interface", &named, &["ofport", "error"]));
    }
    asked
}

/// The answer to [`look`].
pub(super) fn seen(names: &BTreeSet<DevName>, rows: &mut Rows) -> Seen {
    let bridge = !rows.selected().is_empty();
    let mut ports = BTreeMap::new();
    for name in names {
        let uuid = rows
            .selected()
            .iter()
            .find_map(|row| uuid(row.get("_uuid")?));
        let fate = rows.selected().first().map_or(Fate::Unknown, |row| {
            let error = row.get("error").and_then(optional).and_then(Value::as_str);
            let number = row.get("ofport").and_then(optional).and_then(Value::as_i64);
            match (number, error) {
                (Some(0..), None) => Fate::Works,
                (None, None) => Fate::Unknown,
                (_, error) => Fate::Failed(error.map(str::to_owned)),
            }
        });
        ports.extend(uuid.map(|uuid| (name.clone(), SeenPort { uuid, fate })));
    }
    Seen { bridge, ports }
}

/// Asks for all ports that carry our mark, and what is in its answer.
pub(super) fn look_for_ours() -> Vec<Value> {
    let ours = json!([["external_ids", "includes", ["map", [[OWNER, MARK]]]]]);
    vec![select("Port", &ours, &["name", "external_ids"])]
}

/// Each with its namespace.
pub(super) fn ours(rows: &mut Rows) -> BTreeMap<DevName, Option<NsName>> {
    let ports = rows.selected().into_iter();
    ports
        .filter_map(|row| {
            let name = DevName::new(row.get("name")?.as_str()?).ok()?;
            let namespace = row
                .get("external_ids")
                .and_then(|ids| of_map(ids, NAMESPACE));
            Some((name, namespace.and_then(|name| NsName::new(name).ok())))
        })
        .collect()
}

/// Our mark goes from these ports; one that does not carry it stays as it is.
pub(super) fn disown(ports: &BTreeSet<DevName>) -> Vec<Value> {
    let mark = json!(["map", [[OWNER, MARK]]]);
    let one = |name| {
        let named = json!([["name", "==", name]]);
        mutate("Port", &named, &json!([["external_ids", "delete", mark]]))
    };
    ports.iter().map(one).collect()
}

/// Takes ports out of whatever bridge they are in. Nothing else holds on to their rows and those of their interfaces, so
/// the database drops them.
pub(super) fn remove<'a>(uuids: impl Iterator<Item = &'a str>) -> Vec<Value> {
    let one = |port: &str| {
        let port = json!(["uuid", port]);
        mutate(
            "Bridge",
            &json!([["ports", "includes", port]]),
            &json!([["ports", "delete", port]]),
        )
    };
    uuids.map(one).chain(next_configuration()).collect()
}

/// Adds ports to the bridge, with what the L2 agent looks for.
pub(super) fn add(bridge: &str, ports: &[NewPort]) -> Vec<Value> {
    let mut done = Vec::new();
    let mut new = Vec::new();
    for (number, port) in ports.iter().enumerate() {
        let (interface, row) = (format!("interface{number}"), format!("port{number}"));
        let ids = json!([
            ["iface-id", port.id],
            ["iface-status", "active"],
            ["attached-mac", port.mac]
        ]);
        let mut device = json!({"name": port.name, "external_ids": ["map", ids]});
        if port.internal {
            device["type"] = json!("internal");
        }
        done.push(insert("Interface", &interface, &device));
        let mut ours = vec![json!([OWNER, MARK])];
        ours.extend((port.namespace.as_ref()).map(|name| json!([NAMESPACE, name])));
        let in_bridge = json!({
            "name": port.name,
            "interfaces": ["named-uuid", interface],
            "tag": DEAD_VLAN,
            "vlan_mode": "trunk",
            "trunks": DEAD_VLAN,
            "external_ids": ["map", ours],
        });
        done.push(insert("Port", &row, &in_bridge));
        new.push(json!(["named-uuid", row]));
    }
    let here = json!([["name", "==", bridge]]);
    done.push(mutate(
        "Bridge",
        &here,
        &json!([["ports", "insert", ["set", new]]]),
    ));
    done.into_iter().chain(next_configuration()).collect()
}

/// The answer to [`add`] of so many ports: the configuration to wait for; `None`: there is no such bridge, and nothing was added.
pub(super) fn added(ports: usize, rows: &mut Rows) -> Option<i64> {
    (0..2 * ports).for_each(|_| rows.skip());
    let bridges = rows.count();
    let configuration = asked_configuration(rows);
    (bridges > 0).then_some(configuration)
}

/// The answer to [`remove`] of so many ports.
pub(super) fn removed(ports: usize, rows: &mut Rows) -> i64 {
    (0..ports).for_each(|_| rows.skip());
    asked_configuration(rows)
}

/// Asks how far ovs-vswitchd has come.
pub(super) fn look_at_configuration() -> Vec<Value> {
    vec![select("Open_vSwitch", &json!([]), &["cur_cfg"])]
}

pub(super) fn current_configuration(rows: &mut Rows) -> i64 {
    configuration(rows, "cur_cfg").unwrap_or(i64::MIN)
}

/// ovs-vswitchd sets `cur_cfg` to this number once it has done all that belongs to it.
fn next_configuration() -> [Value; 2] {
    let every = json!([]);
    [
        mutate("Open_vSwitch", &every, &json!([["next_cfg", "+=", 1]])),
        select("Open_vSwitch", &every, &["next_cfg"]),
    ]
}

fn asked_configuration(rows: &mut Rows) -> i64 {
    rows.skip();
    configuration(rows, "next_cfg").unwrap_or(i64::MAX)
}

fn configuration(rows: &mut Rows, column: &str) -> Option<i64> {
    rows.selected().first()?.get(column)?.as_i64()
}

fn select(table: &str, r#where: &Value, columns: &[&str]) -> Value {
    json!({"op": "select", "table": table, "where": r#where, "columns": columns})
}

fn insert(table: &str, name: &str, row: &Value) -> Value {
    json!({"op": "insert", "table": table, "uuid-name": name, "row": row})
}

fn mutate(table: &str, r#where: &Value, mutations: &Value) -> Value {
    json!({"op": "mutate", "table": table, "where": r#where, "mutations": mutations})
}

fn uuid(value: &Value) -> Option<String> {
    match value.as_array()?.as_slice() {
        [kind, uuid] if kind == "uuid" => uuid.as_str().map(str::to_owned),
        _ => None,
    }
}

/// A column of at most one value (RFC 7047 section 5.1): the value itself, or a set.
fn optional(value: &Value) -> Option<&Value> {
    match value.as_array().map(Vec::as_slice) {
        None => Some(value),
        Some([kind, Value::Array(values)]) if kind == "set" => values.first(),
        Some(_) => None,
    }
}

/// A value of a column that is a map.
fn of_map<'v>(map: &'v Value, key: &str) -> Option<&'v str> {
    let pairs = map.as_array()?.get(1)?.as_array()?.iter();
    let mut pairs = pairs.filter_map(|pair| Some((pair.get(0)?, pair.get(1)?.as_str()?)));
    pairs.find_map(|(name, value)| (name == key).then_some(value))
}

#[cfg(test)]
mod tests;
