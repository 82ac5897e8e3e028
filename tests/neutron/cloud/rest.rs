//! The REST API as a test calls it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{LONG, Server};
use crate::common::{HttpAnswer, Place, wait_for};

/// The project of all that a test makes, unless it says another.
const PROJECT: &str = "11111111111111111111111111111111";

/// Without Keystone: no token, everybody is an administrator.
#[derive(Debug, Clone)]
pub struct Api {
    place: Place,
    server: Arc<Mutex<Server>>,
}

impl Api {
    pub(super) fn new(place: Place, server: Arc<Mutex<Server>>) -> Self {
        Self { place, server }
    }

    /// One call, whatever its answer: status and body (null when there is none). `Err`: nobody answered.
    pub fn call(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<(u16, Value), String> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: ctl:9696\r\nConnection: close\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let text = self
            .place
            .inside(move || converse(&request))
            .map_err(|e| e.to_string())?;
        let answer: HttpAnswer = text
            .parse()
            .map_err(|text| format!("half an answer: {text:?}"))?;
        let body = match answer.body.as_str() {
            "" => Value::Null,
            // What fails before Neutron's own code is told in plain text.
            text => serde_json::from_str(text).unwrap_or_else(|_| json!(text)),
        };
        Ok((answer.status, body))
    }

    #[track_caller]
    pub fn get(&self, path: &str) -> Value {
        self.expect("GET", path, None)
    }

    #[track_caller]
    pub fn post(&self, path: &str, body: &Value) -> Value {
        self.expect("POST", path, Some(body))
    }

    #[track_caller]
    pub fn put(&self, path: &str, body: &Value) -> Value {
        self.expect("PUT", path, Some(body))
    }

    #[track_caller]
    pub fn delete(&self, path: &str) {
        self.expect("DELETE", path, None);
    }

    /// Makes an object, as in `create("network", json!({"name": "blue"}))`, and gives it as the server knows it.
    #[track_caller]
    pub fn create(&self, kind: &str, mut attributes: Value) -> Value {
        let known = attributes.as_object_mut().expect("attributes");
        known.entry("project_id").or_insert(json!(PROJECT));
        let mut answer = self.post(&collection(kind), &json!({ kind: attributes }));
        answer[kind].take()
    }

    /// Changes an object.
    #[track_caller]
    pub fn update(&self, kind: &str, id: &str, attributes: &Value) -> Value {
        let path = format!("{}/{id}", collection(kind));
        let mut answer = self.put(&path, &json!({ kind: attributes }));
        answer[kind].take()
    }

    /// An object as the server knows it now.
    #[track_caller]
    pub fn show(&self, kind: &str, id: &str) -> Value {
        self.get(&format!("{}/{id}", collection(kind)))[kind].take()
    }

    /// Deletes an object.
    #[track_caller]
    pub fn remove(&self, kind: &str, id: &str) {
        self.delete(&format!("{}/{id}", collection(kind)));
    }

    /// A port as Nova makes it for an instance on this node.
    #[track_caller]
    pub fn instance_port(&self, network: &str, node: &str, more: Value) -> Value {
        let mut port = json!({
            "network_id": network,
            "binding:host_id": node,
            "device_owner": "compute:nova",
            "device_id": uuid::Uuid::new_v4().to_string(),
        });
        let Value::Object(more) = more else {
            panic!("no attributes: {more}");
        };
        port.as_object_mut().expect("just made").extend(more);
        self.create("port", port)
    }

    /// Waits until the server calls this port ACTIVE: its L2 agent has plugged it, and its DHCP agent serves it.
    #[track_caller]
    pub fn port_active(&self, port: &str) {
        let mut last = Value::Null;
        let what = format!("port {port} to become ACTIVE");
        wait_for(&what, LONG, || {
            last = self.show("port", port);
            (last["status"] == "ACTIVE").then_some(())
        });
    }

    /// An agent as the server sees it: by its host, and its program's name.
    pub fn agent(&self, host: &str, binary: &str) -> Option<Value> {
        let mut found = self.get(&format!("/v2.0/agents?host={host}&binary={binary}"));
        let agents = found["agents"].as_array_mut().expect("a list of agents");
        agents.pop()
    }

    #[track_caller]
    fn expect(&self, method: &str, path: &str, body: Option<&Value>) -> Value {
        let answer = self.call(method, path, body);
        match answer {
            Ok((200..=299, body)) => body,
            Ok((status, refusal)) => panic!(
                "{method} {path}: {status} {refusal}\n  asked with: {}\n{}",
                body.unwrap_or(&Value::Null),
                self.server.lock().unwrap().tail()
            ),
            Err(e) => panic!(
                "{method} {path}: {e}\n{}",
                self.server.lock().unwrap().tail()
            ),
        }
    }
}

/// An object's id.
#[track_caller]
pub fn id(object: &Value) -> &str {
    object["id"]
        .as_str()
        .unwrap_or_else(|| panic!("no id: {object}"))
}

/// The path of a kind's collection: `security_group` is in `/v2.0/security-groups`.
fn collection(kind: &str) -> String {
    format!("/v2.0/{}s", kind.replace('_', "-"))
}

fn converse(request: &str) -> std::io::Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", 9696))?;
    connection.set_read_timeout(Some(LONG))?;
    connection.write_all(request.as_bytes())?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    Ok(answer)
}
