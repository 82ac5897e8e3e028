//! What is asked: by us of the server, by the server of us (`rpc.client`, `rpc.dispatcher`).

use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::macros::format_description;
use uuid::Uuid;

use super::envelope::Unreadable;
use super::{Failure, Listener};

/// `major.minor` of an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Version {
    major: u16,
    minor: u16,
}

impl Version {
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (major, minor) = text.split_once('.')?;
        Some(Self {
            major: major.parse().ok()?,
            minor: minor.parse().ok()?,
        })
    }

    /// Whether who implements `self` also serves who asks for `asked`.
    pub(super) fn serves(self, asked: Self) -> bool {
        self.major == asked.major && asked.minor <= self.minor
    }
}

/// A message to the server. `answer`: where and under which id we wait for an answer.
pub(super) fn message(
    version: &str,
    method: &str,
    args: Map<String, Value>,
    answer: Option<(&str, &str)>,
) -> Map<String, Value> {
    let mut message = Map::new();
    let mut put = |key: &str, value: Value| message.insert(key.to_owned(), value);
    put("method", method.into());
    put("args", args.into());
    put("version", version.into());
    put("_unique_id", id().into());
    if let Some((queue, id)) = answer {
        put("_msg_id", id.into());
        put("_reply_q", queue.into());
        put("_timeout", Value::Null);
    }
    for (key, value) in context(OffsetDateTime::now_utc()) {
        put(key, value);
    }
    message
}

/// A random one, as Python's `uuid4().hex`.
pub(super) fn id() -> String {
    Uuid::new_v4().simple().to_string()
}

/// Who asks: the administrator, as the reference agents (`neutron_lib.context: get_admin_context_without_session`).
/// Each call has its own `request_id`, by which the server's log is searched.
fn context(now: OffsetDateTime) -> impl Iterator<Item = (&'static str, Value)> {
    const NULLS: [&str; 15] = [
        "_context_user",
        "_context_user_id",
        "_context_project",
        "_context_project_id",
        "_context_tenant_id",
        "_context_tenant_name",
        "_context_project_name",
        "_context_user_name",
        "_context_domain",
        "_context_user_domain",
        "_context_project_domain",
        "_context_system_scope",
        "_context_auth_token",
        "_context_global_request_id",
        "_context_resource_uuid",
    ];
    let format =
        format_description!("[year]-[month]-[day] [hour]:[minute]:[second].[subsecond digits:6]");
    let timestamp = (now.format(&format)).expect("a date and a time of day have all these parts");
    NULLS.into_iter().map(|key| (key, Value::Null)).chain([
        ("_context_is_admin", json!(true)),
        ("_context_is_admin_project", json!(true)),
        ("_context_read_only", json!(false)),
        ("_context_show_deleted", json!(false)),
        ("_context_roles", json!([])),
        (
            "_context_request_id",
            json!(format!("req-{}", Uuid::new_v4())),
        ),
        ("_context_user_identity", json!("- - - - -")),
        ("_context_timestamp", json!(timestamp)),
    ])
}

/// A message to us. Its context, which may hold a user's token, is left behind.
#[derive(Debug, PartialEq)]
pub(super) struct Request {
    pub(super) method: String,
    pub(super) args: Map<String, Value>,
    version: Option<String>,
    namespaced: bool,
    /// Empty: it has none.
    pub(super) unique_id: String,
    pub(super) answer: Option<AnswerTo>,
}

/// Where an answer is waited for.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct AnswerTo {
    pub(super) queue: String,
    pub(super) id: String,
    /// Seconds; who asks wants a sign of life twice in each.
    pub(super) monitor: Option<f64>,
}

/// Names in AMQP are no longer.
const LONGEST_NAME: usize = 255;

impl Request {
    pub(super) fn read(mut message: Map<String, Value>) -> Result<Self, Unreadable> {
        let mut text = |key| match message.remove(key) {
            Some(Value::String(text)) => Some(text),
            _ => None,
        };
        let method = text("method").ok_or(Unreadable::Field { field: "method" })?;
        let version = text("version");
        let unique_id = text("_unique_id").unwrap_or_default();
        let answer = match (text("_reply_q"), text("_msg_id")) {
            (Some(queue), Some(id)) if (1..=LONGEST_NAME).contains(&queue.len()) => {
                Some((queue, id))
            }
            (_, None) => None,
            (_, Some(_)) => return Err(Unreadable::Field { field: "_reply_q" }),
        };
        let monitor = message.get("_timeout").and_then(Value::as_f64);
        Ok(Self {
            method,
            args: match message.remove("args") {
                Some(Value::Object(args)) => args,
                None | Some(Value::Null) => Map::new(),
                Some(_) => return Err(Unreadable::Field { field: "args" }),
            },
            version,
            namespaced: message.get("namespace").is_some_and(|name| !name.is_null()),
            unique_id,
            answer: answer.map(|(queue, id)| AnswerTo { queue, id, monitor }),
        })
    }

    /// Whether this listener serves it; if not, the failure that oslo.messaging's dispatcher would raise.
    pub(super) fn refused(&self, listener: &Listener) -> Option<Failure> {
        let (major, minor) = listener.version;
        let asked = self.version.as_deref().unwrap_or("1.0");
        let served = Version::parse(asked)
            .is_some_and(|asked| Version { major, minor }.serves(asked) && !self.namespaced);
        if !served {
            let asked: String = asked.chars().take(20).collect();
            let method: String = self.method.chars().take(100).collect();
            return Some(Failure {
                class: "UnsupportedVersion".to_owned(),
                module: DISPATCHER.to_owned(),
                message: format!(
                    "Endpoint does not support RPC version {asked}. Attempted method: {method}"
                ),
            });
        }
        if !listener.methods.contains(&self.method.as_str()) {
            let method: String = self.method.chars().take(100).collect();
            return Some(Failure {
                class: "NoSuchMethod".to_owned(),
                module: DISPATCHER.to_owned(),
                message: format!("Endpoint does not support RPC method {method}"),
            });
        }
        None
    }
}

const DISPATCHER: &str = "oslo_messaging.rpc.dispatcher";

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use std::collections::BTreeSet;

    use super::super::envelope;
    use super::*;

    fn recorded() -> Map<String, Value> {
        let body = include_bytes!("recorded/report_state.json");
        envelope::open(body, None, 1 << 20).unwrap()
    }

    #[test]
    fn a_call_has_what_the_reference_agents_call_has() {
        let recorded = recorded();
        let args = recorded["args"].as_object().unwrap().clone();
        let id = recorded["_msg_id"].as_str().unwrap();
        let queue = recorded["_reply_q"].as_str().unwrap();
        let ours = message("1.2", "report_state", args, Some((queue, id)));
        let keys = |message: &Map<String, Value>| message.keys().cloned().collect::<BTreeSet<_>>();
        assert_eq!(keys(&ours), keys(&recorded));
        let fresh = ["_unique_id", "_context_request_id", "_context_timestamp"];
        for (key, value) in &recorded {
            if fresh.contains(&key.as_str()) {
                let (ours, theirs) = (ours[key].as_str().unwrap(), value.as_str().unwrap());
                assert_eq!(ours.len(), theirs.len(), "{key}: {ours}, {theirs}");
            } else {
                assert_eq!(&ours[key], value, "{key}");
            }
        }
    }

    #[test]
    fn the_timestamp_is_as_the_server_parses_it() {
        let now = OffsetDateTime::from_unix_timestamp(1_795_737_600).unwrap();
        let (_, timestamp) = context(now)
            .find(|(key, _)| *key == "_context_timestamp")
            .unwrap();
        assert_eq!(timestamp, "2026-11-27 00:00:00.000000");
    }

    #[test]
    fn requests_are_read_as_oslo_reads_them() {
        let request = Request::read(recorded()).unwrap();
        assert_eq!(request.method, "report_state");
        assert_eq!(request.unique_id, "0de6ba79b7e542d3a26bb2968dd9e04b");
        let answer = request.answer.unwrap();
        assert_eq!(answer.queue, "reply_a56834a84d024d3b8fe651f60de80f71");
        assert_eq!(answer.id, "703c753c082249eaa0c202575a4967bc");
        assert_eq!(answer.monitor, None);
        let long = "q".repeat(256);
        for (name, message, want) in [
            ("the least", json!({"method": "m"}), Ok((0, None))),
            (
                "no arguments",
                json!({"method": "m", "args": null}),
                Ok((0, None)),
            ),
            (
                "a cast with a reply queue",
                json!({"method": "m", "args": {"a": 1}, "_reply_q": "q"}),
                Ok((1, None)),
            ),
            (
                "monitored",
                json!({"method": "m", "_msg_id": "i", "_reply_q": "q", "_timeout": 30}),
                Ok((0, Some(30.0))),
            ),
            ("no method", json!({"args": {}}), Err("method")),
            ("a method that is none", json!({"method": 7}), Err("method")),
            (
                "arguments that are none",
                json!({"method": "m", "args": [1]}),
                Err("args"),
            ),
            (
                "nowhere to answer",
                json!({"method": "m", "_msg_id": "i"}),
                Err("_reply_q"),
            ),
            (
                "an impossible place",
                json!({"method": "m", "_msg_id": "i", "_reply_q": long}),
                Err("_reply_q"),
            ),
        ] {
            let Value::Object(message) = message else {
                unreachable!("a table of objects")
            };
            match (Request::read(message), want) {
                (Ok(request), Ok((args, monitor))) => {
                    assert_eq!(request.args.len(), args, "{name}");
                    assert_eq!(
                        request.answer.and_then(|answer| answer.monitor),
                        monitor,
                        "{name}"
                    );
                }
                (Err(Unreadable::Field { field }), Err(want)) => assert_eq!(field, want, "{name}"),
                (got, _) => panic!("{name}: {got:?}"),
            }
        }
    }

    #[test]
    fn what_is_not_served_is_refused_in_oslo_s_words() {
        let listener = Listener {
            topic: "l3_agent".to_owned(),
            host: "net1".to_owned(),
            version: (1, 4),
            methods: &["routers_updated"],
        };
        let no_method = "NoSuchMethod: Endpoint does not support RPC method no_such_method";
        let version = |asked| {
            format!(
                "UnsupportedVersion: Endpoint does not support RPC version {asked}. Attempted method: routers_updated"
            )
        };
        for (name, message, want) in [
            (
                "served",
                json!({"method": "routers_updated", "version": "1.4"}),
                None,
            ),
            (
                "older",
                json!({"method": "routers_updated", "version": "1.0"}),
                None,
            ),
            (
                "no version is 1.0",
                json!({"method": "routers_updated"}),
                None,
            ),
            (
                "null is no namespace",
                json!({"method": "routers_updated", "namespace": null}),
                None,
            ),
            (
                "unknown method",
                json!({"method": "no_such_method", "version": "1.0"}),
                Some(no_method.to_owned()),
            ),
            (
                "newer",
                json!({"method": "routers_updated", "version": "1.5"}),
                Some(version("1.5")),
            ),
            (
                "another major",
                json!({"method": "routers_updated", "version": "9.0"}),
                Some(version("9.0")),
            ),
            (
                "no number",
                json!({"method": "routers_updated", "version": "x"}),
                Some(version("x")),
            ),
            (
                "namespace",
                json!({"method": "routers_updated", "version": "1.0", "namespace": "n"}),
                Some(version("1.0")),
            ),
        ] {
            let Value::Object(message) = message else {
                unreachable!("a table of objects")
            };
            let refused = Request::read(message).unwrap().refused(&listener);
            let got = refused.map(|failure| {
                assert_eq!(failure.module, "oslo_messaging.rpc.dispatcher");
                format!("{}: {}", failure.class, failure.message)
            });
            assert_eq!(got, want, "{name}");
        }
    }
}
