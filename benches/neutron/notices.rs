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

    /// Until `effect`, since `begin`: how long after the notice `method` was published, without the time that the server took to
    /// answer what was asked by one of `questions` meanwhile.
    pub(crate) fn own_share(
        &self,
        begin: Instant,
        effect: Instant,
        method: &str,
        questions: &[&str],
    ) -> Option<Duration> {
        // What was published before the effect is on its way here for a moment.
        std::thread::sleep(Duration::from_millis(300));
        let heard = self.heard.try_iter();
        let heard: Vec<_> = heard
            .filter(|(at, _)| (begin..effect).contains(at))
            .collect();
        let is = |message: &Value, method: &str| message["method"] == method;
        let (notice, _) = heard.iter().find(|(_, message)| is(message, method))?;
        let mut asked: BTreeMap<&str, Instant> = BTreeMap::new();
        let mut waited = Duration::ZERO;
        for (at, message) in heard.iter().filter(|(at, _)| at >= notice) {
            let Some(id) = message["_msg_id"].as_str() else {
                continue;
            };
            if questions.iter().any(|method| is(message, method)) {
                asked.insert(id, *at);
            } else if message.get("method").is_none()
                && let Some(asked) = asked.remove(id)
            {
                waited += *at - asked;
            }
        }
        Some((effect - *notice).saturating_sub(waited))
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
