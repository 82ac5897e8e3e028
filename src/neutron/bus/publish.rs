//! Messages on their way to the broker, each until the broker has confirmed it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::types::{AMQPValue, FieldTable, ShortString};
use lapin::{BasicProperties, Channel, Confirmation};
use tokio::sync::{Semaphore, mpsc};

use super::envelope::Body;
use super::error::LinkError;

/// Messages that the broker has not confirmed. When there are as many (it is blocked by an alarm, say), the next wait for
/// their turn where they were made, each within the time of its own call.
const UNCONFIRMED: usize = 256;
/// As kombu: kept on the broker's disk where the queue is.
const PERSISTENT: u8 = 2;

/// Of one session. Names in it have at most 255 bytes.
#[derive(Debug, Clone)]
pub(super) struct Outgoing {
    pub(super) exchange: ShortString,
    pub(super) key: ShortString,
    pub(super) body: Body,
    /// The broker drops it when nobody took it by then.
    pub(super) expires: Option<Duration>,
    /// Comes back if no queue takes it.
    pub(super) mandatory: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sent {
    Taken,
    /// There is no such queue.
    Returned,
}

#[derive(Clone)]
pub(super) struct Publisher {
    channel: Channel,
    turns: Arc<Semaphore>,
    /// Told when publishing failed: then the session is over.
    broken: mpsc::Sender<LinkError>,
}

impl Publisher {
    pub(super) fn new(channel: Channel, broken: mpsc::Sender<LinkError>) -> Self {
        Self {
            channel,
            turns: Arc::new(Semaphore::new(UNCONFIRMED)),
            broken,
        }
    }

    /// `None`: the session broke before the broker confirmed it, so it may be sent again in the next one: its unique id
    /// tells who reads it.
    ///
    /// Cancel-safe, but then it may have been sent.
    pub(super) async fn publish(&self, message: Arc<Outgoing>) -> Option<Sent> {
        let turn = Arc::clone(&self.turns).acquire_owned().await.ok()?;
        let this = self.clone();
        // A confirmation that nobody waits for would be kept by lapin: so a task of its own waits for it, in its turn.
        let confirmed = tokio::spawn(async move {
            let _turn = turn;
            match this.send(&message).await {
                Ok(Confirmation::Ack(None) | Confirmation::NotRequested) => Some(Sent::Taken),
                Ok(Confirmation::Ack(Some(_))) => Some(Sent::Returned),
                // A queue at its limit; oslo.messaging tries again.
                Ok(Confirmation::Nack(_)) => None,
                Err(error) => {
                    // Full: someone told already.
                    let _told = this.broken.try_send(LinkError::Publish(error));
                    None
                }
            }
        });
        confirmed.await.ok().flatten()
    }

    async fn send(&self, message: &Outgoing) -> lapin::Result<Confirmation> {
        let mut properties = BasicProperties::default()
            .with_content_type("application/json".into())
            .with_content_encoding("utf-8".into())
            .with_delivery_mode(PERSISTENT)
            .with_priority(0);
        let mut headers = FieldTable::default();
        if let Some(compression) = message.body.compression {
            headers.insert(
                "compression".into(),
                AMQPValue::LongString(compression.into()),
            );
        }
        properties = properties.with_headers(headers);
        if let Some(expires) = message.expires {
            properties = properties.with_expiration(expires.as_millis().to_string().into());
        }
        let options = BasicPublishOptions {
            mandatory: message.mandatory,
            immediate: false,
        };
        let (exchange, key) = (message.exchange.clone(), message.key.clone());
        let confirm =
            self.channel
                .basic_publish(exchange, key, options, &message.body.bytes, properties);
        confirm.await?.await
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").finish_non_exhaustive()
    }
}
