//! What went through the broker, and when: who published which call.

use std::collections::BTreeMap;
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};
use serde_json::Value;

use crate::cloud::Cloud;

/// What the broker traces of itself.
const TRACE: &str = "amq.rabbitmq.trace";

/// Where the time went from a call of the API's to its effect.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Latency {
    pub(crate) call: Duration,
    /// Until the server published the notice.
    pub(crate) noticed: Duration,
    /// That the server took to answer what it was asked then.
    pub(crate) answered: Duration,
    /// The rest: from the notice on, without the server's answers.
    pub(crate) own: Duration,
}

/// Listens for as long as it is held.
#[derive(Debug)]
pub(crate) struct Notices<'c> {
    cloud: &'c Cloud,
    heard: Receiver<(Instant, Value)>,
}

impl<'c> Notices<'c> {
    pub(crate) fn listen(cloud: &'c Cloud) -> Self {
        cloud.broker.control(&["trace_on"]).ok();
        let (tell, heard) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        let place = cloud.place();
        std::thread::spawn(move || {
            place.inside(move || {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .build();
                runtime.unwrap().block_on(follow(&ready, &tell));
            });
        });
        is_ready.recv().expect("the listener listens");
        Self { cloud, heard }
    }

    /// Until `effect`, since the call at `begin`, which made the server publish the notice `method`; one of `questions` was
    /// asked for the rest.
    pub(crate) fn latency(
        &self,
        begin: Instant,
        effect: Instant,
        method: &str,
        questions: &[&str],
    ) -> Option<Latency> {
        // What was published before the effect is on its way here for a moment.
        std::thread::sleep(Duration::from_millis(300));
        let heard = self.heard.try_iter();
        let heard: Vec<_> = heard
            .filter(|(at, _)| (begin..effect).contains(at))
            .collect();
        let is = |message: &Value, method: &str| message["method"] == method;
        let (notice, _) = heard.iter().find(|(_, message)| is(message, method))?;
        let mut asked: BTreeMap<&str, Instant> = BTreeMap::new();
        let mut answered = Duration::ZERO;
        for (at, message) in heard.iter().filter(|(at, _)| at >= notice) {
            let Some(id) = message["_msg_id"].as_str() else {
                continue;
            };
            if questions.iter().any(|method| is(message, method)) {
                asked.insert(id, *at);
            } else if message.get("method").is_none()
                && let Some(asked) = asked.remove(id)
            {
                answered += *at - asked;
            }
        }
        Some(Latency {
            call: effect - begin,
            noticed: *notice - begin,
            answered,
            own: (effect - *notice).saturating_sub(answered),
        })
    }
}

impl Drop for Notices<'_> {
    fn drop(&mut self) {
        let _the_broker_may_be_gone = self.cloud.broker.control(&["trace_off"]);
    }
}

/// Until nobody listens to us.
async fn follow(ready: &mpsc::Sender<()>, tell: &mpsc::Sender<(Instant, Value)>) {
    let uri = "amqp://openstack:openstack@127.0.0.1:5672/%2f";
    let connection = Connection::connect(uri, ConnectionProperties::default()).await;
    let connection = connection.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let options = QueueDeclareOptions {
        exclusive: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel
        .queue_declare("".into(), options, FieldTable::default())
        .await;
    let queue = queue.unwrap().name().clone();
    let bound = channel.queue_bind(
        queue.clone(),
        TRACE.into(),
        "publish.#".into(),
        QueueBindOptions::default(),
        FieldTable::default(),
    );
    bound.await.unwrap();
    let options = BasicConsumeOptions {
        no_ack: true,
        ..BasicConsumeOptions::default()
    };
    let consumer = channel.basic_consume(queue, "".into(), options, FieldTable::default());
    let mut consumer = consumer.await.unwrap();
    ready.send(()).expect("someone waits for this");
    while let Some(Ok(delivery)) = consumer.next().await {
        let now = Instant::now();
        let envelope: Option<Value> = serde_json::from_slice(&delivery.data).ok();
        let inner =
            envelope.and_then(|all| serde_json::from_str(all["oslo.message"].as_str()?).ok());
        if let Some(message) = inner
            && tell.send((now, message)).is_err()
        {
            return;
        }
    }
}
