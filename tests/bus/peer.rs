//! With oslo.messaging on the other side.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc::Receiver;
use warren::neutron::bus::{Bus, CallError, Compression, Failure, Notice, Settings};

use crate::LONG;
use crate::broker::USER;
use crate::common::Running;
use crate::ground::{Ground, agent, args, notice, settings};

fn start(ground: &Ground, more: &[&str]) -> Running {
    let place = ground.host.place();
    place.write("/run/peer.py", include_str!("peer.py"));
    let url = format!("rabbit://{USER}:{USER}@127.0.0.1:5672/");
    let mut peer = place.spawn(&[&["python3", "/run/peer.py", &url][..], more].concat());
    peer.says("listening");
    peer
}

async fn ask(bus: &Bus, method: &str, arguments: Value) -> Result<Value, CallError> {
    bus.call_within(LONG, "q-plugin", "1.0", method, args(arguments))
        .await
}

/// Lets the peer call or tell us while we look at what comes.
async fn told(bus: &Bus, notices: &mut Receiver<Notice>, what: Value) -> (Value, Option<Notice>) {
    let mut asked = args(
        json!({"topic": "dhcp_agent", "server": null, "fanout": false, "how": "cast", "version": "1.0", "method": "port_update_end", "args": {}}),
    );
    asked.extend(args(what));
    let mut came = None;
    let asking = bus.call_within(LONG, "q-plugin", "1.0", "ask", asked);
    tokio::pin!(asking);
    loop {
        tokio::select! {
            answer = &mut asking => return (answer.unwrap(), came),
            notice = notices.recv() => {
                let mut notice = notice.unwrap();
                match (notice.method.as_str(), notice.reply.take()) {
                    ("network_create_end", Some(reply)) if notice.args.contains_key("slow") => {
                        // Longer than who asks waits for a sign of life.
                        tokio::spawn(async move {
                            tokio::time::sleep(Duration::from_millis(2500)).await;
                            reply.ok(json!("slow, but sure"));
                        });
                    }
                    ("network_create_end", Some(reply)) if notice.args.is_empty() => reply.failed(Failure {
                        class: "TypeError".to_owned(),
                        module: "builtins".to_owned(),
                        message: "payload is missing".to_owned(),
                    }),
                    ("network_create_end", Some(reply)) => reply.ok(json!({"seen": notice.args})),
                    _ => {}
                }
                came = Some(notice);
            }
        }
    }
}

#[test]
fn oslo_messaging_understands_us_and_we_it() {
    let Some(ground) = Ground::new("oslo") else {
        return;
    };
    let _peer = start(&ground, &[]);
    ground.runtime.block_on(async {
        let (bus, mut notices) = ground.bus().await;

        // We ask.
        let arguments = json!({"text": "grüße \"quoted\" \\ \u{1f30d}", "list": [1, null, {"a": 2.5}], "yes": true});
        assert_eq!(ask(&bus, "echo", arguments.clone()).await.unwrap(), arguments);
        let large = json!({"text": "x".repeat(3_000_000)});
        assert_eq!(ask(&bus, "echo", large.clone()).await.unwrap(), large);
        let context = ask(&bus, "context", json!({})).await.unwrap();
        assert_eq!(context["is_admin"], json!(true), "{context}");
        assert_eq!(context["roles"], json!([]), "{context}");
        assert!(context["request_id"].as_str().unwrap().starts_with("req-"), "{context}");
        let failure = |class: &str, message: &str| format!("{class}: {message}");
        for (name, method, version, want) in [
            ("raised", "fail", "1.0", failure("ValueError", "no luck")),
            ("unknown", "nothing", "1.0", failure("NoSuchMethod", "Endpoint does not support RPC method nothing")),
            ("too new", "echo", "1.9", failure("UnsupportedVersion", "Endpoint does not support RPC version 1.9. Attempted method: echo")),
        ] {
            let asked = bus.call_within(LONG, "q-plugin", version, method, args(json!({"text": "no luck"}))).await;
            let Err(CallError::Remote(failed)) = asked else { panic!("{name}: {asked:?}") };
            assert_eq!(failed.to_string(), want, "{name}");
        }

        // It asks and tells.
        let payload = json!({"payload": {"port": {"id": "p1"}}});
        for (name, server, fanout) in [("to this agent", json!("net1"), false), ("to all", json!(null), true), ("to any", json!(null), false)] {
            let (answer, came) = told(&bus, &mut notices, json!({"server": server, "fanout": fanout, "args": payload})).await;
            assert_eq!(answer, json!(["ok", null]), "{name}");
            let came = match came {
                Some(came) => came,
                None => notice(&mut notices).await,
            };
            assert_eq!((came.topic.as_str(), came.method.as_str()), ("dhcp_agent", "port_update_end"), "{name}");
            assert_eq!(Value::Object(came.args), payload, "{name}");
        }
        let call = |method: &str, arguments: Value| json!({"server": "net1", "how": "call", "method": method, "args": arguments});
        for (name, what, want) in [
            ("answered", call("network_create_end", payload.clone()), json!(["ok", {"seen": payload}])),
            ("failed", call("network_create_end", json!({})), json!(["failed", "TypeError", "payload is missing"])),
            ("dropped", call("port_update_end", json!({})), json!(["ok", null])),
            ("unknown", call("nothing", json!({})), json!(["failed", "NoSuchMethod", "Endpoint does not support RPC method nothing"])),
        ] {
            let (answer, _) = told(&bus, &mut notices, what).await;
            assert_eq!(answer, want, "{name}");
        }
        let mut newer = call("port_update_end", json!({}));
        newer["version"] = json!("1.7");
        let (answer, _) = told(&bus, &mut notices, newer).await;
        assert_eq!(answer, json!(["failed", "UnsupportedVersion", "Endpoint does not support RPC version 1.7. Attempted method: port_update_end"]));
        let mut monitored = call("network_create_end", json!({"slow": 1}));
        monitored["monitor"] = json!(1);
        let (answer, _) = told(&bus, &mut notices, monitored).await;
        assert_eq!(answer, json!(["ok", "slow, but sure"]), "signs of life kept it waiting");

        let counts = bus.counts();
        assert_eq!((counts.refused, counts.unreadable, counts.timed_out), (2, 0, 0), "{counts:?}");
        bus.close().await;
    });
    let left: Vec<String> = ground
        .broker
        .queues()
        .into_iter()
        .map(|queue| queue.name)
        .collect();
    assert!(
        !left
            .iter()
            .any(|name| name.starts_with("dhcp_agent_fanout_")),
        "{left:?}"
    );
    assert!(
        left.contains(&"dhcp_agent.net1".to_owned()),
        "what is meant for us waits: {left:?}"
    );
}

#[test]
fn compressed_both_ways() {
    let Some(ground) = Ground::new("gzip") else {
        return;
    };
    let _peer = start(&ground, &["gzip"]);
    ground.runtime.block_on(async {
        let settings = Settings {
            compression: Some(Compression::Gzip),
            ..settings()
        };
        let (bus, _notices) = ground
            .runtime
            .spawn(async { Bus::start(settings, vec![agent()]) })
            .await
            .unwrap();
        let large = json!({"text": "x".repeat(100_000)});
        assert_eq!(ask(&bus, "echo", large.clone()).await.unwrap(), large);
    });
}
