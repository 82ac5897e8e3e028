//! An answer's way back to the call that waits for it.

use std::sync::Arc;
use std::time::Instant;

use futures_util::StreamExt;
use lapin::Consumer;
use lapin::options::BasicAckOptions;
use tracing::{debug, warn};

use super::answer::Answer;
use super::error::LinkError;
use super::listen::read;
use super::shared::Shared;

/// The largest message that any broker takes: the answer to a full sync of a large cloud is long.
const ANSWER_LIMIT: u64 = 128 << 20;

/// Goes on until our reply queue can't be read any more.
pub(super) async fn replies(shared: Arc<Shared>, mut consumer: Consumer) -> LinkError {
    while let Some(delivery) = consumer.next().await {
        let mut delivery = match delivery {
            Ok(delivery) => delivery,
            Err(error) => return LinkError::Broken(error),
        };
        if let Err(error) = delivery.acker.ack(BasicAckOptions::default()).await {
            return LinkError::Broken(error);
        }
        match read(&mut delivery, ANSWER_LIMIT)
            .await
            .and_then(Answer::read)
        {
            Ok(answer) => {
                if !shared.waiting().answer(answer) {
                    shared.counters.late.add();
                    debug!("an answer came for which nobody waits any more");
                }
            }
            Err(error) => {
                shared.counters.unreadable.add();
                if let Some(times) = shared.complaints.unreadable_answer.due(Instant::now()) {
                    let why = crate::chain(&error);
                    warn!(
                        times,
                        "an answer can't be read: {why}; its call will time out"
                    );
                }
            }
        }
    }
    LinkError::Cancelled {
        queue: shared.reply_queue.name.clone(),
    }
}
