//! Neutron's own messages, recorded: all are understood, none has a key that nobody thought of, and our plans are what
//! the agents made of them. `README.md` says where they come from.
#![allow(clippy::unwrap_used)] // a panic is how a test fails

#[path = "../common/blessed.rs"]
mod blessed;
mod effects;
mod keys;
mod mutated;

use serde_json::Value;
use warren::neutron::decode::{self, Naming, Remark};

const NETWORKS: &str = include_str!("networks.json");
const ROUTERS: &str = include_str!("routers.json");
const PORTS: &str = include_str!("ports.json");
const NOTICES: &str = include_str!("notices.json");
const OBJECTS: &str = include_str!("objects.json");
const EFFECTS: &str = include_str!("effects.json");

/// Of net1's agents, as configured in the lab.
fn naming() -> Naming {
    Naming::new("net1", "example.org.")
}

fn all(file: &str) -> Vec<Value> {
    serde_json::from_str(file).unwrap()
}

/// A recorded value, with what it is.
struct Message {
    kind: &'static str,
    from: String,
    value: Value,
}

/// All of them, in the kinds that are decoded in one way each.
fn messages() -> Vec<Message> {
    let files = [
        (NETWORKS, "network"),
        (ROUTERS, "router"),
        (PORTS, "port"),
        (NOTICES, "args"),
        (OBJECTS, "push"),
        (OBJECTS, "answer"),
    ];
    let mut messages = Vec::new();
    for (file, key) in files {
        for mut line in all(file) {
            let from = line["from"].as_str().unwrap().to_owned();
            let kind = match (key, line["agent"].as_str()) {
                ("args", Some("dhcp")) => "dhcp notice",
                ("args", _) => "l3 notice",
                (key, _) => key,
            };
            if let Some(value) = line.get_mut(key) {
                let value = value.take();
                messages.push(Message { kind, from, value });
            }
        }
    }
    messages
}

/// What is told of it, and the remarks; or why it is refused.
fn decoded(kind: &str, from: &str, value: &Value) -> Result<(String, Vec<Remark>), String> {
    fn told<T: std::fmt::Debug>(
        decoded: Result<decode::Decoded<T>, decode::DecodeError>,
    ) -> Result<(String, Vec<Remark>), String> {
        let decoded = decoded.map_err(|error| error.to_string())?;
        Ok((format!("{:?}", decoded.value), decoded.remarks))
    }
    let method = from.split("--").next().unwrap_or_default();
    match kind {
        "network" => told(decode::network(value, &naming())),
        "router" => told(decode::router(value)),
        "port" => told(decode::port(value, &naming())),
        "push" => {
            let routers = decode::pushed_routers(value).map_err(|error| error.to_string())?;
            Ok((format!("{routers:?}"), Vec::new()))
        }
        "answer" => told(decode::port_forwardings(value)),
        "dhcp notice" => {
            let notice = decode::dhcp_notice(method, value, &naming());
            let notice = notice.map_err(|error| error.to_string())?;
            Ok((format!("{:?}", notice.ok_or("no such method")?), Vec::new()))
        }
        _ => {
            let notice = decode::l3_notice(method.trim_start_matches("dvr/"), value);
            let notice = notice.map_err(|error| error.to_string())?;
            Ok((format!("{:?}", notice.ok_or("no such method")?), Vec::new()))
        }
    }
}

#[test]
fn every_message_is_understood() {
    let messages = messages();
    assert!(messages.len() > 200, "only {}", messages.len());
    for Message { kind, from, value } in messages {
        let (_, remarks) =
            decoded(kind, &from, &value).unwrap_or_else(|error| panic!("{from}: {error}"));
        assert_eq!(remarks, [], "{from}");
    }
}
