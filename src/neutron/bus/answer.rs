//! What is answered: results, failures, signs of life (`amqpdriver: AMQPIncomingMessage`, `ReplyWaiters`).

use serde_json::{Map, Value, json};

use super::Failure;
use super::envelope::Unreadable;
use super::request::id;

/// An answer that came for one of our calls.
#[derive(Debug, PartialEq)]
pub(super) struct Answer {
    pub(super) id: String,
    pub(super) outcome: Result<Value, Failure>,
    /// False: a sign of life, or a result that a later message completes.
    pub(super) ending: bool,
}

impl Answer {
    pub(super) fn read(mut message: Map<String, Value>) -> Result<Self, Unreadable> {
        let Some(Value::String(id)) = message.remove("_msg_id") else {
            return Err(Unreadable::Field { field: "_msg_id" });
        };
        let outcome = match message.remove("failure") {
            None | Some(Value::Null) => Ok(message.remove("result").unwrap_or_default()),
            Some(failure) => Err(Failure::read(&failure)),
        };
        Ok(Self {
            id,
            outcome,
            ending: message.get("ending") == Some(&Value::Bool(true)),
        })
    }
}

/// The last message of an answer. Nobody sends a result in two any more.
pub(super) fn last(id: &str, outcome: Result<Value, Failure>) -> Map<String, Value> {
    match outcome {
        Ok(result) => message(id, result, Value::Null, true),
        Err(failure) => message(id, Value::Null, failure.write(), true),
    }
}

/// We are still at it.
pub(super) fn sign_of_life(id: &str) -> Map<String, Value> {
    message(id, Value::Null, Value::Null, false)
}

fn message(id_: &str, result: Value, failure: Value, ending: bool) -> Map<String, Value> {
    let mut message = Map::new();
    let mut put = |key: &str, value: Value| message.insert(key.to_owned(), value);
    put("result", result);
    put("failure", failure);
    put("ending", ending.into());
    put("_msg_id", id_.into());
    put("_unique_id", id().into());
    message
}

/// Of a message that another process wrote, this much is kept.
const LONGEST_TEXT: usize = 1000;

impl Failure {
    /// A string of JSON in oslo.messaging; one that is not is kept as the message.
    fn read(value: &Value) -> Self {
        let written = value.as_str().unwrap_or_default();
        let read = serde_json::from_str::<Map<String, Value>>(written).unwrap_or_default();
        let text = |key| {
            let text = read.get(key).and_then(Value::as_str).unwrap_or_default();
            text.chars().take(LONGEST_TEXT).collect::<String>()
        };
        let message = match read.get("class") {
            Some(_) => text("message"),
            None => written.chars().take(LONGEST_TEXT).collect(),
        };
        Self {
            class: text("class"),
            module: text("module"),
            message,
        }
    }

    fn write(&self) -> Value {
        let Self {
            class,
            module,
            message,
        } = self;
        let written = json!({
            "class": class,
            "module": module,
            "message": message,
            "tb": [format!("{module}.{class}: {message}\n")],
            "args": [message],
            "kwargs": {},
        });
        Value::String(written.to_string())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
mod tests {
    use super::*;

    fn object(value: Value) -> Map<String, Value> {
        let Value::Object(object) = value else {
            unreachable!("a table of objects")
        };
        object
    }

    fn failure(class: &str, module: &str, message: &str) -> Failure {
        Failure {
            class: class.to_owned(),
            module: module.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn answers_are_read() {
        // As the reference DHCP agent answered; of the traceback, one line.
        let recorded = r#"{"class": "NoSuchMethod", "module": "oslo_messaging.rpc.dispatcher", "message": "Endpoint does not support RPC method no_such_method", "tb": ["Traceback (most recent call last):\n"], "args": ["Endpoint does not support RPC method no_such_method"], "kwargs": {}}"#;
        let no_such = failure(
            "NoSuchMethod",
            "oslo_messaging.rpc.dispatcher",
            "Endpoint does not support RPC method no_such_method",
        );
        for (name, message, want) in [
            (
                "a result",
                json!({"result": 7, "failure": null, "ending": true, "_msg_id": "i", "_unique_id": "u"}),
                (Ok(json!(7)), true),
            ),
            (
                "null",
                json!({"result": null, "failure": null, "ending": true, "_msg_id": "i"}),
                (Ok(Value::Null), true),
            ),
            (
                "a result, and more to come",
                json!({"result": [1], "failure": null, "ending": false, "_msg_id": "i"}),
                (Ok(json!([1])), false),
            ),
            (
                "the least",
                json!({"_msg_id": "i"}),
                (Ok(Value::Null), false),
            ),
            (
                "a recorded failure",
                json!({"result": null, "failure": recorded, "ending": true, "_msg_id": "i"}),
                (Err(no_such), true),
            ),
            (
                "a failure in other words",
                json!({"failure": "went wrong", "ending": true, "_msg_id": "i"}),
                (Err(failure("", "", "went wrong")), true),
            ),
            (
                "a failure that is no text",
                json!({"failure": {"a": 1}, "ending": true, "_msg_id": "i"}),
                (Err(failure("", "", "")), true),
            ),
        ] {
            let answer = Answer::read(object(message)).unwrap();
            assert_eq!((answer.outcome, answer.ending), want, "{name}");
            assert_eq!(answer.id, "i", "{name}");
        }
        let nobody = Answer::read(object(json!({"result": 1})));
        assert!(matches!(
            nobody,
            Err(Unreadable::Field { field: "_msg_id" })
        ));
    }

    #[test]
    fn what_we_answer_is_read_back() {
        let refused = failure("NoSuchMethod", "m", "no \"x\" here");
        for (name, written, outcome, ending) in [
            (
                "result",
                last("i", Ok(json!({"a": [1]}))),
                Ok(json!({"a": [1]})),
                true,
            ),
            (
                "failure",
                last("i", Err(refused.clone())),
                Err(refused),
                true,
            ),
            ("sign of life", sign_of_life("i"), Ok(Value::Null), false),
        ] {
            assert_eq!(written.len(), 5, "{name}");
            let read = Answer::read(written).unwrap();
            assert_eq!(
                read,
                Answer {
                    id: "i".to_owned(),
                    outcome,
                    ending
                },
                "{name}"
            );
        }
    }

    #[test]
    fn a_long_failure_is_cut() {
        let long = "x".repeat(100_000);
        let written = failure("C", "m", &long).write();
        assert_eq!(Failure::read(&written).message.len(), LONGEST_TEXT);
    }
}
