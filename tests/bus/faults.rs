//! What happens to brokers, and what we make of it.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;
use warren::neutron::bus::{Bus, CallError, Link, Notice, Settings};

use crate::LONG;
use crate::ground::{
    Ground, address, agent, args, away, cast, connected, notice, publish, serve, server, settings,
};

/// An agent and a server, each a bus.
struct Pair {
    agent: Bus,
    notices: Receiver<Notice>,
    server: Bus,
    held: Receiver<Notice>,
}

impl Pair {
    async fn start(ground: &Ground, settings: Settings) -> Self {
        let starting = ground.runtime.spawn(async move {
            let (server, asked) = Bus::start(settings.clone(), vec![server()]);
            connected(&server, 1).await;
            let (agent, notices) = Bus::start(settings, vec![agent()]);
            let held = serve(asked);
            Self {
                agent,
                notices,
                server,
                held,
            }
        });
        starting.await.unwrap()
    }

    /// How often each was connected.
    async fn times(&self) -> (u64, u64) {
        (
            connected(&self.agent, 1).await,
            connected(&self.server, 1).await,
        )
    }

    /// Both are back after they were away, and everything works both ways.
    async fn back(&mut self, since: (u64, u64), what: &str) {
        connected(&self.agent, since.0 + 1).await;
        connected(&self.server, since.1 + 1).await;
        self.works(what).await;
    }

    async fn works(&mut self, what: &str) {
        let told = args(json!({"after": what}));
        let asked = self
            .agent
            .call_within(LONG, "q-plugin", "1.0", "echo", told.clone())
            .await;
        assert_eq!(asked.unwrap(), Value::Object(told.clone()), "{what}");
        let telling = self
            .server
            .cast("dhcp_agent.net1", "1.0", "port_update_end", told.clone());
        telling.await.unwrap();
        let came = notice(&mut self.notices).await;
        assert_eq!(came.args, told, "{what}");
    }
}

#[test]
fn it_comes_back_from_whatever_happens_to_the_broker() {
    let Some(ground) = Ground::new("faults") else {
        return;
    };
    let broker = &ground.broker;
    ground.runtime.block_on(async {
        // One of the brokers that are named is not there, now or ever.
        let brokers = vec![address("127.0.0.1", 1), address("127.0.0.1", 5672)];
        let mut pair = Pair::start(
            &ground,
            Settings {
                brokers,
                ..settings()
            },
        )
        .await;
        pair.works("the start").await;

        // What was sent meanwhile waits for us, and who was asked meanwhile can still answer.
        let times = pair.times().await;
        let agent = pair.agent.clone();
        let asking = ground.runtime.spawn(async move {
            agent
                .call_within(LONG, "q-plugin", "1.0", "hold", args(json!({})))
                .await
        });
        let mut held = notice(&mut pair.held).await;
        broker.close_all_connections();
        pair.back(times, "all connections were cut").await;
        held.reply
            .take()
            .unwrap()
            .ok(json!("as if nothing had happened"));
        assert_eq!(
            asking.await.unwrap().unwrap(),
            json!("as if nothing had happened")
        );

        // A queue.
        let times = pair.times().await;
        broker.delete_queue("dhcp_agent.net1");
        connected(&pair.agent, times.0 + 1).await;
        pair.works("our queue was deleted").await;

        // Exchanges: the one that we publish to, and one that we would never miss.
        let times = pair.times().await;
        broker.delete_exchange("neutron");
        // Who sees it first makes it again, and the other one its bindings.
        let found = async {
            loop {
                let telling = pair.server.cast(
                    "dhcp_agent.net1",
                    "1.0",
                    "port_update_end",
                    args(json!({"bound": 1})),
                );
                telling.await.unwrap();
                if timeout(Duration::from_millis(500), pair.notices.recv())
                    .await
                    .is_ok()
                {
                    break;
                }
            }
            let asking = pair
                .agent
                .call_within(LONG, "q-plugin", "1.0", "echo", args(json!({})));
            asking.await.unwrap();
        };
        timeout(LONG, found).await.unwrap();
        let again = pair.times().await;
        assert!(
            again.0 > times.0 || again.1 > times.1,
            "someone saw it: {times:?}, {again:?}"
        );
        let times = pair.times().await;
        broker.delete_exchange("dhcp_agent_fanout");
        connected(&pair.agent, times.0 + 1).await;
        let channel = ground.channel().await;
        publish(
            &channel,
            "dhcp_agent_fanout",
            "",
            &cast("port_update_end", json!({"to": "all"}), "1"),
        )
        .await;
        assert_eq!(
            notice(&mut pair.notices).await.args,
            args(json!({"to": "all"}))
        );

        // The same, but somebody else makes it anew at once, without our bindings.
        for (exchange, kind) in [("dhcp_agent_fanout", "fanout"), ("neutron", "topic")] {
            let times = pair.times().await;
            broker.make_exchange_anew(exchange, kind);
            connected(&pair.agent, times.0 + 1).await;
            let body = cast("port_update_end", json!({"anew": exchange}), exchange);
            publish(&channel, exchange, "dhcp_agent.net1", &body).await;
            let came = notice(&mut pair.notices).await;
            assert_eq!(came.args, args(json!({"anew": exchange})));
            tokio::time::sleep(Duration::from_secs(7)).await; // several looks
            let again = connected(&pair.agent, 1).await;
            assert_eq!(again, times.0 + 1, "{exchange}: once");
        }

        // The password.
        let times = pair.times().await;
        broker.change_password("another-one");
        broker.close_all_connections();
        let why = away(&pair.agent, "log in").await;
        assert!(
            why.contains("correct user and password") && !why.contains("another-one"),
            "{why}"
        );
        broker.change_password(crate::broker::USER);
        pair.back(times, "the password was wrong for a while").await;

        // The virtual host.
        let times = pair.times().await;
        broker.delete_vhost("/");
        let why = away(&pair.agent, "log in").await;
        assert!(why.contains("virtual host"), "{why}");
        broker.add_vhost("/");
        pair.back(times, "the virtual host was gone for a while")
            .await;
        pair.agent.close().await;
        pair.server.close().await;
    });
}

#[test]
fn it_comes_back_when_the_broker_does() {
    let Some(ground) = Ground::new("comes") else {
        return;
    };
    let broker = &ground.broker;
    ground.runtime.block_on(async {
        let mut pair = Pair::start(&ground, settings()).await;
        pair.works("the start").await;

        // Stopped: calls say so within their time.
        let times = pair.times().await;
        broker.stop();
        away(&pair.agent, "").await;
        let start = Instant::now();
        let asked = pair
            .agent
            .call_within(
                Duration::from_millis(300),
                "q-plugin",
                "1.0",
                "echo",
                args(json!({})),
            )
            .await;
        assert!(matches!(&asked, Err(CallError::Away { .. })), "{asked:?}");
        assert!(
            start.elapsed() < Duration::from_secs(5),
            "{:?}",
            start.elapsed()
        );
        broker.start();
        broker.wait();
        pair.back(times, "the broker was stopped").await;

        // Killed: the queue that an answer would come to is gone, and who waits for one is told.
        let times = pair.times().await;
        let agent = pair.agent.clone();
        let asking = ground.runtime.spawn(async move {
            agent
                .call_within(LONG, "q-plugin", "1.0", "hold", args(json!({})))
                .await
        });
        let _never_answered = notice(&mut pair.held).await;
        broker.kill9();
        broker.start();
        broker.wait();
        pair.back(times, "the broker was killed").await;
        let asked = asking.await.unwrap();
        assert!(matches!(&asked, Err(CallError::Lost { .. })), "{asked:?}");

        // Frozen: the connections look well, and are not.
        let times = pair.times().await;
        let start = Instant::now();
        broker.freeze();
        away(&pair.agent, "").await;
        assert!(
            start.elapsed() < Duration::from_secs(20),
            "noticed after {:?}",
            start.elapsed()
        );
        // It takes connections, and says nothing on them: none is left hanging.
        away(&pair.agent, "is it frozen").await;
        let left = ground.connections();
        assert!(left <= 2, "one under way for each of us, but {left}");
        broker.thaw();
        pair.back(times, "the broker was frozen").await;
        assert_eq!(
            ground.connections(),
            4,
            "one to read and one to write, for each of us"
        );
    });
}

#[test]
fn an_alarm_stops_what_we_send_and_not_what_we_get() {
    let Some(ground) = Ground::new("alarm") else {
        return;
    };
    ground.runtime.block_on(async {
        let mut pair = Pair::start(&ground, settings()).await;
        pair.works("the start").await;
        let mut link = pair.agent.link();
        let watermark = |part| {
            ground
                .broker
                .control(&["set_vm_memory_high_watermark", part])
                .ok()
        };
        watermark("0.000001");
        // The broker still takes the first message of each connection, and then no more.
        let mut asked = Ok(Value::Null);
        for _ in 0..3 {
            let timeout = Duration::from_secs(2);
            asked = pair
                .agent
                .call_within(timeout, "q-plugin", "1.0", "echo", args(json!({})))
                .await;
        }
        assert!(
            matches!(&asked, Err(CallError::NotSent { .. })),
            "{asked:?}"
        );
        // The broker's own hand is not stopped by its alarm.
        let body = cast("port_update_end", json!({"in": "alarm"}), "1");
        ground.broker.eval(&format!(
            r#"rabbit_basic:publish(rabbit_misc:r(<<"/">>, exchange, <<"neutron">>), <<"dhcp_agent.net1">>, [], list_to_binary({body:?}))."#
        ));
        assert_eq!(
            notice(&mut pair.notices).await.args,
            args(json!({"in": "alarm"}))
        );
        let blocked = link.wait_for(|link| {
            matches!(
                link,
                Link::Connected {
                    blocked: Some(_),
                    ..
                }
            )
        });
        timeout(LONG, blocked).await.unwrap().unwrap();
        ground
            .broker
            .control(&["set_vm_memory_high_watermark", "0.4"])
            .ok();
        let free = link.wait_for(|link| matches!(link, Link::Connected { blocked: None, .. }));
        timeout(LONG, free).await.unwrap().unwrap();
        pair.works("the alarm").await;
        assert_eq!(pair.times().await, (1, 1), "nobody was cut off");
    });
}

/// Where our user may make only what every agent makes, our bindings are made again and again.
#[test]
fn a_user_who_may_do_little_is_heard_again_too() {
    let Some(ground) = Ground::new("little") else {
        return;
    };
    let broker = &ground.broker;
    let may_make = "^(neutron|dhcp_agent|dhcp_agent\\.net1|dhcp_agent_fanout|dhcp_agent_fanout_[0-9a-f]{32}|reply_.*)$";
    let user = crate::broker::USER;
    broker
        .control(&["set_permissions", user, may_make, ".*", ".*"])
        .ok();
    ground.runtime.block_on(async {
        let (bus, mut notices) = ground.bus().await;
        let channel = ground.channel().await;
        broker.make_exchange_anew("neutron", "topic");
        let heard = async {
            loop {
                let body = cast("port_update_end", json!({}), "1");
                publish(&channel, "neutron", "dhcp_agent.net1", &body).await;
                let waiting = timeout(Duration::from_millis(500), notices.recv());
                if waiting.await.is_ok() {
                    break;
                }
            }
        };
        timeout(LONG, heard).await.unwrap();
        assert_eq!(connected(&bus, 1).await, 1, "nobody was cut off");
        bus.close().await;
    });
}
