//! What is said over a connection: JSON-RPC 1.0, as RFC 7047 section 4 has it. Pure.

use serde_json::{Map, Value, json};

use super::split::Garbled;

/// Open vSwitch's own database; a server may hold others.
const DATABASE: &str = "Open_vSwitch";

/// What a server sends.
#[derive(Debug, PartialEq)]
pub(super) enum Message {
    /// "Are you there?" (section 4.1.11); without an answer the server hangs up.
    Echo { id: Value, params: Value },
    Reply {
        id: Value,
        result: Value,
        error: Value,
    },
    /// A notification that was never asked for.
    Other,
}

pub(super) fn transact(id: u64, operations: &[Value]) -> Value {
    let params: Vec<Value> = std::iter::once(json!(DATABASE))
        .chain(operations.iter().cloned())
        .collect();
    json!({"method": "transact", "params": params, "id": id})
}

pub(super) fn echo(id: &Value, params: &Value) -> Value {
    json!({"result": params, "error": null, "id": id})
}

pub(super) fn decode(value: Value) -> Result<Message, Garbled> {
    let Value::Object(mut object) = value else {
        return Err(Garbled::NoObject);
    };
    let mut take = |key: &str| object.remove(key);
    let id = take("id").unwrap_or(Value::Null);
    if let Some(method) = take("method") {
        return Ok(match method.as_str() {
            Some("echo") => Message::Echo {
                id,
                params: take("params").unwrap_or_else(|| json!([])),
            },
            _ => Message::Other,
        });
    }
    let (Some(result), Some(error)) = (take("result"), take("error")) else {
        return Err(Garbled::NoMessage("neither a request nor a reply"));
    };
    Ok(Message::Reply { id, result, error })
}

/// What the server says when it does not do something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) error: String,
    pub(super) details: Option<String>,
}

/// One result for each of `operations`; the first error, if there is one (section 4.1.3: those behind it are null, and one
/// more element tells what went wrong with the whole).
pub(super) fn results(
    result: Value,
    operations: usize,
) -> Result<Result<Vec<Row>, Refusal>, Garbled> {
    let Value::Array(results) = result else {
        return Err(Garbled::NoMessage("a result that is no list"));
    };
    let mut good = Vec::with_capacity(operations);
    for result in results {
        match result {
            Value::Object(object) => match object.get("error").filter(|error| !error.is_null()) {
                Some(error) => return Ok(Err(refusal(error, object.get("details")))),
                None => good.push(object),
            },
            Value::Null => {} // behind an error, which comes last when it is the commit's
            _ => {
                return Err(Garbled::NoMessage(
                    "a result that is neither object nor null",
                ));
            }
        }
    }
    if good.len() == operations {
        Ok(Ok(good))
    } else {
        Err(Garbled::NoMessage(
            "another number of results than of operations",
        ))
    }
}

/// A whole request was refused.
pub(super) fn whole(error: &Value) -> Refusal {
    refusal(error.get("error").unwrap_or(error), error.get("details"))
}

fn refusal(error: &Value, details: Option<&Value>) -> Refusal {
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    Refusal {
        error: text(error),
        details: details.filter(|details| !details.is_null()).map(text),
    }
}

/// A row, or an operation's result.
pub(in crate::plug) type Row = Map<String, Value>;

/// The results of one transaction, in the order of its operations.
#[derive(Debug)]
pub(in crate::plug) struct Rows(std::vec::IntoIter<Row>);

impl Rows {
    pub(super) fn new(results: Vec<Row>) -> Self {
        Self(results.into_iter())
    }

    /// As a server would send them.
    #[cfg(test)]
    pub(in crate::plug) fn of(results: Value) -> Self {
        let number = results.as_array().map_or(0, Vec::len);
        let results = super::message::results(results, number).expect("a list");
        Self::new(results.expect("no refusal among them"))
    }

    /// Of the next operation, a `select`: its rows.
    pub(in crate::plug) fn selected(&mut self) -> Vec<Row> {
        let rows = self.0.next().and_then(|mut result| result.remove("rows"));
        let rows = rows.and_then(|rows| match rows {
            Value::Array(rows) => Some(rows),
            _ => None,
        });
        let objects = rows.into_iter().flatten().filter_map(|row| match row {
            Value::Object(row) => Some(row),
            _ => None,
        });
        objects.collect()
    }

    /// Of the next operation, a `mutate` or `delete`: how many rows it met.
    pub(in crate::plug) fn count(&mut self) -> u64 {
        let count = self
            .0
            .next()
            .and_then(|result| result.get("count")?.as_u64());
        count.unwrap_or(0)
    }

    /// Of the next operation nothing is needed.
    pub(in crate::plug) fn skip(&mut self) {
        self.0.next();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a panic is how a test fails")]

    use super::*;

    #[test]
    fn what_a_server_sends() {
        let reply = |result, error| Message::Reply {
            id: json!(3),
            result,
            error,
        };
        for (name, value, want) in [
            (
                "a probe",
                json!({"id": "echo", "method": "echo", "params": ["x"]}),
                Some(Message::Echo {
                    id: json!("echo"),
                    params: json!(["x"]),
                }),
            ),
            (
                "a probe that says nothing",
                json!({"id": "echo", "method": "echo"}),
                Some(Message::Echo {
                    id: json!("echo"),
                    params: json!([]),
                }),
            ),
            (
                "a reply",
                json!({"id": 3, "result": [], "error": null}),
                Some(reply(json!([]), Value::Null)),
            ),
            (
                "an error",
                json!({"id": 3, "result": null, "error": "no"}),
                Some(reply(Value::Null, json!("no"))),
            ),
            (
                "a notification",
                json!({"id": null, "method": "update", "params": []}),
                Some(Message::Other),
            ),
            ("half a reply", json!({"id": 3, "result": []}), None),
            ("nothing", json!({}), None),
            ("a list", json!([]), None),
        ] {
            assert_eq!(decode(value).ok(), want, "{name}");
        }
    }

    #[test]
    fn results_of_a_transaction() {
        let refused = |error: &str, details: Option<&str>| {
            Some(Err(Refusal {
                error: error.into(),
                details: details.map(Into::into),
            }))
        };
        for (name, result, operations, want) in [
            ("all done", json!([{"count": 1}, {}]), 2, Some(Ok(2))),
            ("none", json!([]), 0, Some(Ok(0))),
            (
                "one refused, the others not tried",
                json!([{}, {"error": "constraint violation", "details": "why"}, null]),
                3,
                refused("constraint violation", Some("why")),
            ),
            (
                "refused at the end",
                json!([{}, {}, {"error": "referential integrity violation", "details": null}]),
                2,
                refused("referential integrity violation", None),
            ),
            (
                "an error that is no text",
                json!([{"error": 5}]),
                1,
                refused("5", None),
            ),
            ("too few", json!([{}]), 2, None),
            ("too many", json!([{}, {}, {}]), 2, None),
            ("no list", json!({"rows": []}), 1, None),
            ("no object", json!([7]), 1, None),
        ] {
            let got = results(result, operations).ok();
            assert_eq!(got.map(|got| got.map(|rows| rows.len())), want, "{name}");
        }
    }

    #[test]
    fn results_are_read_in_order_and_odd_ones_are_empty() {
        let result = json!([
            {"rows": [{"a": 1}, 5, {"a": 2}]}, {"count": 3}, {"uuid": ["uuid", "x"]}, {"rows": "none"}, {"count": -1}
        ]);
        let mut rows = Rows::new(results(result, 5).unwrap().unwrap());
        assert_eq!(rows.selected().len(), 2);
        assert_eq!(rows.count(), 3);
        rows.skip();
        assert_eq!(rows.selected().len(), 0);
        assert_eq!(
            (rows.count(), rows.count()),
            (0, 0),
            "and beyond the end, too"
        );
    }
}
