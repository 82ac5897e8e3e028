//! A call's way to the server, and a cast's.

use std::sync::Arc;
use std::time::Duration;

use lapin::types::ShortString;
use serde_json::{Map, Value};
use tokio::time::{Instant, sleep, sleep_until, timeout_at};

use super::envelope::seal;
use super::publish::Outgoing;
use super::request::{id, message};
use super::shared::Shared;
use super::waiting::End;
use super::{CallError, Link};

/// Before a message that the broker did not take, without a break of the session, is sent again.
const AGAIN: Duration = Duration::from_millis(250);

/// With the method's own time, and a pause when it ran out.
pub(super) async fn patient(
    shared: &Shared,
    topic: &str,
    version: &str,
    method: &str,
    args: Map<String, Value>,
) -> Result<Value, CallError> {
    let timeout = shared.patience().of(method);
    let answer = call(shared, timeout, topic, version, method, args).await;
    if let Err(CallError::TimedOut { .. }) = answer {
        let pause = shared.patience().ran_out(method, timeout, rand::random());
        sleep(pause).await;
    }
    answer
}

pub(super) async fn call(
    shared: &Shared,
    timeout: Duration,
    topic: &str,
    version: &str,
    method: &str,
    args: Map<String, Value>,
) -> Result<Value, CallError> {
    let deadline = Instant::now() + timeout;
    let id = id();
    let answered = shared.waiting().add(&id);
    let _leaves = Leaving { shared, id: &id };
    let answer = (shared.reply_queue.name.as_str(), id.as_str());
    let message = message(version, method, args, Some(answer));
    let place = Place { topic, method };
    send(shared, place, &message, timeout, Some(deadline)).await?;
    shared.waiting().sent(&id);
    let (topic, method) = (topic.to_owned(), method.to_owned());
    match timeout_at(deadline, answered).await {
        Ok(Ok(End::Answered(Ok(result)))) => Ok(result),
        Ok(Ok(End::Answered(Err(failure)))) => {
            shared.counters.failed.add();
            Err(CallError::Remote(failure))
        }
        Ok(Ok(End::Lost) | Err(_)) => Err(CallError::Lost { topic, method }),
        Err(_) => Err(match away(shared) {
            Some(reason) => CallError::Away {
                topic,
                method,
                reason,
            },
            None => {
                shared.counters.timed_out.add();
                CallError::TimedOut {
                    topic,
                    method,
                    waited: timeout,
                }
            }
        }),
    }
}

pub(super) async fn cast(
    shared: &Shared,
    topic: &str,
    version: &str,
    method: &str,
    args: Map<String, Value>,
) -> Result<(), CallError> {
    let message = message(version, method, args, None);
    let place = Place { topic, method };
    let timeout = shared.settings.response_timeout;
    send(shared, place, &message, timeout, None).await
}

/// For the words of an error.
#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    topic: &'a str,
    method: &'a str,
}

/// Returns when the broker has it. `expires`: nobody wants it any more after that.
async fn send(
    shared: &Shared,
    Place { topic, method }: Place<'_>,
    message: &Map<String, Value>,
    timeout: Duration,
    expires: Option<Instant>,
) -> Result<(), CallError> {
    let give_up = Instant::now() + timeout;
    let name = |name: &str| {
        ShortString::try_new(name).map_err(|error| CallError::NotSent {
            topic: topic.to_owned(),
            method: method.to_owned(),
            timeout,
            reason: error.to_string(),
        })
    };
    let mut outgoing = Outgoing {
        exchange: name(&shared.settings.exchange)?,
        key: name(topic)?,
        body: seal(message, shared.settings.compression),
        expires: None,
        mandatory: false,
    };
    loop {
        let Ok(Some(publisher)) = timeout_at(give_up, shared.publisher()).await else {
            return Err(CallError::Away {
                topic: topic.to_owned(),
                method: method.to_owned(),
                reason: away(shared).unwrap_or_default(),
            });
        };
        outgoing.expires = expires.map(|at| at.saturating_duration_since(Instant::now()));
        let publishing = publisher.publish(Arc::new(outgoing.clone()));
        match timeout_at(give_up, publishing).await {
            Ok(Some(_)) => {
                shared.counters.sent.add();
                return Ok(());
            }
            // With the same unique id: who has it already drops it.
            Ok(None) => sleep_until(give_up.min(Instant::now() + AGAIN)).await,
            Err(_) => {
                return Err(CallError::NotSent {
                    topic: topic.to_owned(),
                    method: method.to_owned(),
                    timeout,
                    reason: blocked(shared),
                });
            }
        }
    }
}

/// Takes a call out of those that wait, however it ends.
struct Leaving<'a> {
    shared: &'a Shared,
    id: &'a str,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.shared.waiting().remove(self.id);
    }
}

fn away(shared: &Shared) -> Option<String> {
    match &*shared.link.borrow() {
        Link::Away { reason, .. } => Some(reason.clone()),
        Link::Connected { .. } => None,
    }
}

fn blocked(shared: &Shared) -> String {
    match &*shared.link.borrow() {
        Link::Connected {
            blocked: Some(reason),
            ..
        } => reason.clone(),
        Link::Connected { .. } => "it does not confirm".to_owned(),
        Link::Away { reason, .. } => reason.clone(),
    }
}
