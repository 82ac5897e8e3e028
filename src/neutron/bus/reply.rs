//! Our answer to a call of the server.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use lapin::types::ShortString;
use serde_json::{Map, Value};
use tokio::task::AbortHandle;
use tokio::time::{sleep, timeout};
use tracing::warn;

use super::Failure;
use super::answer::{last, sign_of_life};
use super::envelope::seal;
use super::publish::{Outgoing, Sent};
use super::request::AnswerTo;
use super::shared::Shared;

/// Answers under way at a time. Past that they are dropped: whoever asks so much does not wait for all of it.
pub(super) const REPLIES: usize = 4096;
/// While its queue is missing, an answer is sent again this often.
const AGAIN: Duration = Duration::from_millis(250);
/// Queues that stayed missing are not tried for so long, and so many are known at a time (`amqpdriver: ObsoleteReplyQueuesCache`).
const DEAD_FOR: Duration = Duration::from_secs(60);
const DEAD_QUEUES: usize = 200;

/// Answers once. Dropped without an answer, it answers null: silence would cost who asked two minutes.
pub struct Reply {
    shared: Arc<Shared>,
    to: AnswerTo,
    alive: Option<AbortHandle>,
    answered: bool,
}

impl Reply {
    /// Says that we are at it, if that is wanted, until it is answered.
    pub(super) fn new(shared: &Arc<Shared>, to: AnswerTo) -> Self {
        let alive = to.monitor.map(|seconds| {
            let signs = say_alive(Arc::clone(shared), to.clone(), seconds);
            shared.runtime.spawn(signs).abort_handle()
        });
        Self {
            shared: Arc::clone(shared),
            to,
            alive,
            answered: false,
        }
    }

    pub fn ok(mut self, result: Value) {
        self.answer(Ok(result));
    }

    pub fn failed(mut self, failure: Failure) {
        self.answer(Err(failure));
    }

    fn answer(&mut self, outcome: Result<Value, Failure>) {
        self.answered = true;
        if let Some(alive) = &self.alive {
            alive.abort();
        }
        let message = last(&self.to.id, outcome);
        let (shared, queue) = (Arc::clone(&self.shared), self.to.queue.clone());
        let runtime = self.shared.runtime.clone();
        runtime.spawn(async move { deliver(&shared, &queue, &message).await });
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if !self.answered {
            self.answer(Ok(Value::Null));
        }
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reply({})", self.to.id)
    }
}

/// Twice in each of the periods that the asker waits (`amqpdriver: AMQPIncomingMessage.heartbeat`).
async fn say_alive(shared: Arc<Shared>, to: AnswerTo, seconds: f64) {
    let period = Duration::from_secs_f64((seconds / 2.0).clamp(0.5, 3600.0));
    loop {
        sleep(period).await;
        deliver(&shared, &to.queue, &sign_of_life(&to.id)).await;
    }
}

/// Tries for as long as it makes sense, then gives up with a word in the log.
async fn deliver(shared: &Shared, queue: &str, message: &Map<String, Value>) {
    let Err(reason) = attempt(shared, queue, message).await else {
        return;
    };
    shared.counters.undelivered.add();
    if let Some(times) = shared.complaints.undelivered.due(Instant::now()) {
        warn!(queue, reason, times, "an answer was dropped");
    }
}

async fn attempt(
    shared: &Shared,
    queue: &str,
    message: &Map<String, Value>,
) -> Result<(), &'static str> {
    let Ok(_under_way) = shared.replies.try_acquire() else {
        return Err("too many are under way");
    };
    if shared.dead_queues().contains(queue, Instant::now()) {
        return Err("its queue is missing for a while");
    }
    let key = ShortString::try_new(queue).map_err(|_| "AMQP has no such names")?;
    let outgoing = Arc::new(Outgoing {
        exchange: "".into(),
        key,
        body: seal(message, shared.settings.compression),
        expires: None,
        mandatory: true,
    });
    let mut missing = false;
    let tries = async {
        loop {
            let Some(publisher) = shared.publisher().await else {
                return Err("the bus is closed");
            };
            match publisher.publish(Arc::clone(&outgoing)).await {
                Some(Sent::Taken) => return Ok(()),
                Some(Sent::Returned) => missing = true,
                None => {}
            }
            sleep(AGAIN).await;
        }
    };
    let tried = timeout(shared.settings.missing_consumer_timeout, tries).await;
    match tried {
        Ok(ended) => ended,
        Err(_) if missing => {
            shared.dead_queues().add(queue, Instant::now());
            Err("its queue is missing")
        }
        Err(_) => Err("no broker took it"),
    }
}

/// Reply queues whose owners are gone.
#[derive(Debug, Default)]
pub(super) struct DeadQueues(VecDeque<(String, Instant)>);

impl DeadQueues {
    fn contains(&mut self, queue: &str, now: Instant) -> bool {
        self.0
            .retain(|(_, since)| now.saturating_duration_since(*since) < DEAD_FOR);
        self.0.iter().any(|(dead, _)| dead == queue)
    }

    fn add(&mut self, queue: &str, now: Instant) {
        if self.0.len() == DEAD_QUEUES {
            self.0.pop_front();
        }
        self.0.push_back((queue.to_owned(), now));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dead_queues_are_known_for_a_minute() {
        let start = Instant::now();
        let mut dead = DeadQueues::default();
        dead.add("q", start);
        for (name, seconds, want) in [
            ("at once", 0, true),
            ("still", 59, true),
            ("no more", 60, false),
        ] {
            let now = start + Duration::from_secs(seconds);
            assert_eq!(dead.contains("q", now), want, "{name}");
        }
        for n in 0..=DEAD_QUEUES {
            dead.add(&n.to_string(), start);
        }
        assert_eq!(dead.0.len(), DEAD_QUEUES);
        assert!(!dead.contains("0", start), "the oldest makes room");
        assert!(dead.contains("200", start));
    }
}
