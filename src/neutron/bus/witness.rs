//! Whether our queues are still bound to their exchanges. Who deletes an exchange takes our bindings with it, the broker
//! tells nobody, and the next server or agent makes it anew without them: what is sent to us is lost from then on.
//!
//! So each exchange has a witness: an exchange of ours that is bound to it, and that the broker takes away together with
//! that binding. If a witness is gone, so are our bindings. Then the session ends, and the next one declares everything
//! and asks for what was missed.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use tracing::info;

use super::declare::{self, Exchange, Queue};
use super::error::{LinkError, refusal};
use super::ground::Ground;
use super::shared::Shared;

/// Between two looks, each a question per exchange; more often only if heartbeats are.
const LOOKING: Duration = Duration::from_secs(15);

/// What tells whether an exchange has been there all the time.
#[derive(Debug)]
pub(super) struct Watched {
    exchange: String,
    /// Its witness; or the exchange itself, where this user may make none.
    by: Exchange,
}

impl Watched {
    /// The witness, if there is one.
    pub(super) fn own(&self) -> Option<&str> {
        (self.by.name != self.exchange).then_some(&self.by.name)
    }
}

/// Gives a witness to each exchange that our listeners use.
pub(super) async fn place(ground: &mut Ground, shared: &Shared) -> Result<Vec<Watched>, LinkError> {
    let mut all = Vec::new();
    let mut seen = BTreeSet::new();
    for ear in &shared.ears {
        let wanted = declare::listener(&shared.settings, &ear.listener, &ear.suffix);
        for exchange in wanted.exchanges {
            if !seen.insert(exchange.name.clone()) {
                continue;
            }
            let witness = declare::witness(&exchange, &ear.listener);
            let by = match ground.witness(&exchange, &witness).await {
                Ok(()) => witness,
                Err(error) => {
                    let Some((_, why)) = refused(&error) else {
                        return Err(error);
                    };
                    info!(
                        exchange = exchange.name,
                        why,
                        "no exchange of ours may be bound to it: our bindings are made again and again instead"
                    );
                    ground.renew().await?;
                    exchange.clone()
                }
            };
            all.push(Watched {
                exchange: exchange.name,
                by,
            });
        }
    }
    Ok(all)
}

/// Until one is gone.
pub(super) async fn look_after(
    mut ground: Ground,
    watched: Vec<Watched>,
    shared: Arc<Shared>,
) -> LinkError {
    let pause = match shared.settings.heartbeat {
        0 => LOOKING,
        seconds => LOOKING.min(Duration::from_secs(seconds.into())),
    };
    let unwitnessed = unwitnessed(&watched, &shared);
    loop {
        tokio::time::sleep(pause).await;
        for Watched { exchange, by } in &watched {
            if let Err(error) = ground.look_for(by, exchange).await {
                return error;
            }
        }
        for queue in &unwitnessed {
            if let Err(error) = ground.bind(queue).await {
                return error;
            }
        }
    }
}

/// The queues whose exchange has no witness.
fn unwitnessed(watched: &[Watched], shared: &Shared) -> Vec<Queue> {
    let bare: BTreeSet<&str> = watched
        .iter()
        .filter(|watched| watched.own().is_none())
        .map(|watched| watched.exchange.as_str())
        .collect();
    let queues = shared
        .ears
        .iter()
        .flat_map(|ear| declare::listener(&shared.settings, &ear.listener, &ear.suffix).queues);
    let on_bare = |queue: &Queue| {
        let binding = queue.binding.as_ref();
        binding.is_some_and(|(exchange, _)| bare.contains(exchange.as_str()))
    };
    queues.filter(on_bare).collect()
}

fn refused(error: &LinkError) -> Option<(u16, &str)> {
    match error {
        LinkError::Declare { source, .. } => refusal(source),
        _ => None,
    }
}
