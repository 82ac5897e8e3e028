//! A notice's way in: from our queues to the channel, once.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream::select_all;
use lapin::Consumer;
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicRejectOptions};
use lapin::types::AMQPValue;
use serde_json::{Map, Value};
use tokio::task::spawn_blocking;
use tracing::{debug, warn};

use super::error::LinkError;
use super::request::Request;
use super::shared::{Ear, Shared};
use super::{Notice, Reply, envelope};
use envelope::Unreadable;

/// The largest message that newer brokers take at all; a notice is about one port, network or router.
const NOTICE_LIMIT: u64 = 16 << 20;
/// Larger bodies are read aside, so that nothing else waits for it.
const LARGE: usize = 1 << 20;

/// Goes on until one of the listener's queues can't be read any more.
pub(super) async fn listen(
    shared: Arc<Shared>,
    ear: usize,
    consumers: Vec<(String, Consumer)>,
) -> LinkError {
    let ear = &shared.ears[ear];
    let mut deliveries = select_all(consumers.into_iter().map(|(queue, consumer)| {
        let ended = futures_util::stream::once(async { Err(LinkError::Cancelled { queue }) });
        let deliveries = consumer.map(|delivery| delivery.map_err(LinkError::Broken));
        deliveries.chain(ended).boxed()
    }));
    while let Some(delivery) = deliveries.next().await {
        match delivery {
            Ok(delivery) => take(&shared, ear, delivery).await,
            Err(error) => return error,
        }
    }
    LinkError::Ended
}

async fn take(shared: &Arc<Shared>, ear: &Ear, mut delivery: Delivery) {
    if let Some(offset) = stream_offset(&delivery) {
        ear.offset.passed(offset);
    }
    let read = read(&mut delivery, NOTICE_LIMIT).await;
    let request = match read.and_then(Request::read) {
        Ok(request) => request,
        Err(error) => return reject(shared, ear, &delivery, &error).await,
    };
    let refused = request.refused(&ear.listener);
    let room = match refused {
        Some(_) => None,
        // Only at its end does the daemon take no notices any more: then nothing is taken from the broker.
        None => match shared.notices.reserve().await {
            Ok(room) => Some(room),
            Err(_) => std::future::pending().await,
        },
    };
    // Acknowledged before it is worked on, and not worked on unless that went well: at most once.
    let acknowledged = delivery.acker.ack(BasicAckOptions::default()).await;
    if !acknowledged.unwrap_or(false) {
        debug!(method = request.method, "left to the broker");
        return;
    }
    let is_new = {
        let mut seen = ear.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.is_new(&request.unique_id)
    };
    if !is_new {
        shared.counters.repeated.add();
        debug!(method = request.method, "came before");
        return;
    }
    let reply = request.answer.map(|to| Reply::new(shared, to));
    let Some(room) = room else {
        shared.counters.refused.add();
        let method: String = request.method.chars().take(100).collect();
        debug!(method, topic = ear.listener.topic, "not served");
        if let (Some(reply), Some(failure)) = (reply, refused) {
            reply.failed(failure);
        }
        return;
    };
    shared.counters.notices.add();
    room.send(Notice {
        topic: ear.listener.topic.clone(),
        method: request.method,
        args: request.args,
        reply,
    });
}

/// The message in a delivery, whose data is gone then.
pub(super) async fn read(
    delivery: &mut Delivery,
    limit: u64,
) -> Result<Map<String, Value>, Unreadable> {
    let compression = header(delivery, "compression").and_then(|value| match value {
        AMQPValue::LongString(text) => Some(text.to_string()),
        _ => None,
    });
    let data = std::mem::take(&mut delivery.data);
    let aside = data.len() > LARGE || compression.is_some();
    let open = move || envelope::open(&data, compression.as_deref(), limit);
    if !aside {
        return open();
    }
    // It fails only if it panics, or at the end of the runtime.
    let opened = spawn_blocking(open).await;
    opened.unwrap_or(Err(Unreadable::Field { field: "body" }))
}

async fn reject(shared: &Shared, ear: &Ear, delivery: &Delivery, error: &Unreadable) {
    shared.counters.unreadable.add();
    if let Some(times) = shared.complaints.unreadable.due(Instant::now()) {
        let topic = &ear.listener.topic;
        let why = crate::chain(error);
        warn!(
            topic,
            times, "a message can't be read: {why}; it was rejected"
        );
    }
    // If it fails, so does the session, and the message comes again.
    let _rejected = delivery
        .acker
        .reject(BasicRejectOptions { requeue: false })
        .await;
}

fn header<'a>(delivery: &'a Delivery, name: &str) -> Option<&'a AMQPValue> {
    delivery.properties.headers().as_ref()?.inner().get(name)
}

fn stream_offset(delivery: &Delivery) -> Option<i64> {
    match header(delivery, "x-stream-offset")? {
        AMQPValue::LongLongInt(offset) => Some(*offset),
        _ => None,
    }
}
