//! Session after session, for ever.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::seq::SliceRandom;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use super::pause::Pauses;
use super::reply::REPLIES;
use super::session::Session;
use super::shared::Shared;
use super::{Broker, Failover, connect};

/// At an orderly end, for answers that are under way.
const ANSWERING: Duration = Duration::from_secs(1);

/// Ends in order when `closing` becomes true.
pub(super) async fn supervise(shared: Arc<Shared>, mut closing: watch::Receiver<bool>) {
    let mut brokers = shared.settings.brokers.clone();
    // Each agent begins with another one.
    brokers.shuffle(&mut rand::rng());
    let mut pauses = Pauses::new(shared.settings.retry.clone(), brokers.len());
    let mut times = 0;
    loop {
        let Some(broker) = brokers.first() else {
            shared.away("transport_url names no broker".to_owned());
            return;
        };
        let opened = tokio::select! {
            opened = Session::open(&shared, broker) => opened,
            () = closed(&mut closing) => return,
        };
        let pause = match opened {
            Ok((mut session, publisher)) => {
                times += 1;
                let broker = connect::name(broker);
                info!(broker, times, "connected to the message broker");
                shared.connected(broker.clone(), times, publisher);
                let why = tokio::select! {
                    why = session.ended() => crate::chain(&why),
                    () = closed(&mut closing) => return close(&shared, session).await,
                };
                warn!(broker, "{why}; connecting again");
                shared.away(why);
                pauses.after_loss(rand::random())
            }
            Err(error) => {
                let why = crate::chain(&error);
                match shared.complaints.away.due(Instant::now()) {
                    Some(times) => warn!(times, "{why}; trying again"),
                    None => debug!("{why}; trying again"),
                }
                shared.away(why);
                pauses.after_failure(rand::random())
            }
        };
        next(&mut brokers, shared.settings.failover);
        tokio::select! {
            () = sleep(pause) => {}
            () = closed(&mut closing) => return,
        }
    }
}

fn next(brokers: &mut [Broker], failover: Failover) {
    match failover {
        Failover::RoundRobin => brokers.rotate_left(1),
        Failover::Shuffle => brokers.shuffle(&mut rand::rng()),
    }
}

async fn close(shared: &Shared, session: Session) {
    let all = u32::try_from(REPLIES).unwrap_or(u32::MAX);
    let _answered = timeout(ANSWERING, shared.replies.acquire_many(all)).await;
    session.close().await;
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|close| *close).await.is_err() {
        // The bus was dropped, and this task ends at its next rest.
        std::future::pending::<()>().await;
    }
}
