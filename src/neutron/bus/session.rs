//! One life with one broker: everything is made from nothing, and the first thing that goes wrong ends it.

use std::sync::Arc;
use std::time::Duration;

use futures_util::{Stream, StreamExt};
use lapin::options::{BasicConsumeOptions, BasicQosOptions, ConfirmSelectOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Consumer, Event};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tracing::{info, warn};

use super::connect::{Connected, connect, name};
use super::declare::{self, Queue, QueueRole};
use super::error::LinkError;
use super::ground::{Ground, open, short};
use super::listen::listen;
use super::publish::Publisher;
use super::replies::replies;
use super::shared::{Ear, Shared};
use super::witness::{self, Watched, look_after};
use super::{Broker, Settings};

/// What we have of a queue and did not acknowledge yet, unless `rabbit_qos_prefetch_count` says otherwise: oslo.messaging
/// then takes all that there is, into memory that has no limit.
const PREFETCH: u16 = 32;
/// For all declarations together, on a broker that all agents come back to at once.
const DECLARING: Duration = Duration::from_secs(60);

/// Dropping it cuts both connections.
///
/// A broker that runs short of memory stops to read a connection that publishes, acknowledgements and all. So what we
/// read comes over another one.
#[derive(Debug)]
pub(super) struct Session {
    tasks: JoinSet<LinkError>,
    inward: Connected,
    outward: Connected,
    /// Queues and exchanges to delete at an orderly end.
    ours: Vec<String>,
    witnesses: Vec<String>,
}

impl Session {
    /// When this returns we are heard and hear.
    pub(super) async fn open(
        shared: &Arc<Shared>,
        broker: &Broker,
    ) -> Result<(Self, Publisher), LinkError> {
        let settings = &shared.settings;
        let inward = connect(settings, broker).await?;
        let outward = connect(settings, broker).await?;
        let late = |_| LinkError::Late {
            what: "declare our queues on",
            broker: name(broker),
            within: DECLARING,
        };
        let furnished = timeout(DECLARING, furnish(shared, &inward)).await;
        let Furnished {
            ground,
            watched,
            ears,
            answers,
            ours,
        } = furnished.map_err(late)??;
        let channel = timeout(DECLARING, outlet(settings, &outward)).await;
        let (broken, mut breaks) = mpsc::channel(1);
        let publisher = Publisher::new(channel.map_err(late)??, broken);

        let witnesses = watched.iter().filter_map(Watched::own);
        let witnesses = witnesses.map(str::to_owned).collect();
        let mut tasks = JoinSet::new();
        tasks.spawn(watch(
            inward.connection.events_listener(),
            Arc::clone(shared),
        ));
        tasks.spawn(watch(
            outward.connection.events_listener(),
            Arc::clone(shared),
        ));
        tasks.spawn(async move { breaks.recv().await.unwrap_or(LinkError::Ended) });
        tasks.spawn(look_after(ground, watched, Arc::clone(shared)));
        tasks.spawn(replies(Arc::clone(shared), answers));
        for (ear, consumers) in ears.into_iter().enumerate() {
            tasks.spawn(listen(Arc::clone(shared), ear, consumers));
        }
        let session = Self {
            tasks,
            inward,
            outward,
            ours,
            witnesses,
        };
        Ok((session, publisher))
    }

    /// Waits for what ends it. Cancel-safe.
    pub(super) async fn ended(&mut self) -> LinkError {
        match self.tasks.join_next().await {
            Some(Ok(error)) => error,
            // One of them panicked: the next session has new ones.
            Some(Err(_)) | None => LinkError::Ended,
        }
    }

    /// In order. Waits for the broker without a limit of its own.
    pub(super) async fn close(mut self) {
        self.tasks.shutdown().await;
        if let Ok(ground) = Ground::new(&self.inward.connection).await {
            for queue in &self.ours {
                if let Err(error) = ground.delete(queue).await {
                    let why = crate::chain(&error);
                    warn!("a queue of ours stays until it expires: {why}");
                }
            }
            for witness in &self.witnesses {
                if let Err(error) = ground.delete_exchange(witness).await {
                    let why = crate::chain(&error);
                    warn!("an exchange of ours stays until the next start: {why}");
                }
            }
        }
        for Connected { connection, .. } in [&self.inward, &self.outward] {
            // What can't be closed gets cut.
            let _closed = connection.close(200, "OK".into()).await;
        }
    }
}

struct Furnished {
    ground: Ground,
    watched: Vec<Watched>,
    /// Queues and consumers of each listener.
    ears: Vec<Vec<(String, Consumer)>>,
    answers: Consumer,
    ours: Vec<String>,
}

/// Declares all, then consumes all.
async fn furnish(shared: &Shared, inward: &Connected) -> Result<Furnished, LinkError> {
    let settings = &shared.settings;
    let mut ground = Ground::new(&inward.connection).await?;
    // Answers to calls from before the break may wait there; if it is gone, so are they.
    let none_waits = shared.waiting().none_is_sent();
    if !none_waits && !ground.has_queue(&shared.reply_queue).await? {
        shared.waiting().lose_sent();
    }
    let mut all = Vec::new();
    for ear in &shared.ears {
        let wanted = declare::listener(settings, &ear.listener, &ear.suffix);
        for exchange in &wanted.exchanges {
            ground.exchange(exchange).await?;
        }
        for queue in &wanted.queues {
            ground.queue(queue).await?;
        }
        all.push(wanted.queues);
    }
    ground.queue(&shared.reply_queue).await?;
    let watched = witness::place(&mut ground, shared).await?;

    let channel = open(&inward.connection).await?;
    let prefetch = match settings.prefetch {
        0 => PREFETCH,
        set => set,
    };
    (channel
        .basic_qos(prefetch, BasicQosOptions::default())
        .await)
        .map_err(LinkError::Channel)?;
    let mut tags = 1..;
    let mut ears = Vec::new();
    for (queues, ear) in all.iter().zip(&shared.ears) {
        let mut consumers = Vec::new();
        for queue in queues {
            let tag = tags.next().unwrap_or_default();
            let consumer = consume(settings, &channel, queue, tag, Some(ear)).await?;
            consumers.push((queue.name.clone(), consumer));
        }
        ears.push(consumers);
    }
    let tag = tags.next().unwrap_or_default();
    let answers = consume(settings, &channel, &shared.reply_queue, tag, None).await?;
    let ours = all
        .iter()
        .flatten()
        .filter(|queue| queue.role == QueueRole::Ours);
    Ok(Furnished {
        ground,
        watched,
        ears,
        answers,
        ours: ours.map(|queue| queue.name.clone()).collect(),
    })
}

async fn consume(
    settings: &Settings,
    channel: &Channel,
    queue: &Queue,
    tag: u32,
    ear: Option<&Ear>,
) -> Result<Consumer, LinkError> {
    let mut arguments = FieldTable::default();
    if let (QueueRole::Stream, Some(ear)) = (queue.role, ear) {
        let from = match ear.offset.next() {
            Some(next) => AMQPValue::LongLongInt(next),
            None => AMQPValue::LongString("last".into()),
        };
        arguments.insert("x-stream-offset".into(), from);
    }
    if settings.queues.cancel_on_failover {
        arguments.insert("x-cancel-on-ha-failover".into(), AMQPValue::Boolean(true));
    }
    let (name, tag) = (short(&queue.name)?, tag.to_string().into());
    let options = BasicConsumeOptions::default();
    let consuming = channel.basic_consume(name, tag, options, arguments).await;
    consuming.map_err(|source| LinkError::Consume {
        queue: queue.name.clone(),
        source,
    })
}

/// A channel to publish on.
async fn outlet(settings: &Settings, outward: &Connected) -> Result<Channel, LinkError> {
    let mut ground = Ground::new(&outward.connection).await?;
    ground.exchange(&declare::control(settings)).await?;
    let channel = ground.into_channel();
    let confirm = channel
        .confirm_select(ConfirmSelectOptions::default())
        .await;
    confirm.map_err(LinkError::Channel)?;
    Ok(channel)
}

/// What befalls a connection as a whole.
async fn watch(events: impl Stream<Item = Event>, shared: Arc<Shared>) -> LinkError {
    let mut events = std::pin::pin!(events);
    while let Some(event) = events.next().await {
        match event {
            Event::ConnectionBlocked(reason) => {
                warn!("the broker takes no messages for now: {reason}; calls wait");
                shared.blocked(Some(reason));
            }
            Event::ConnectionUnblocked => {
                info!("the broker takes messages again");
                shared.blocked(None);
            }
            Event::Error(error) => return LinkError::Broken(error),
            _ => {}
        }
    }
    LinkError::Ended
}
