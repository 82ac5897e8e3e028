//! What the bus itself adds to a message's way.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::time::timeout;
use warren::neutron::bus::Bus;

use crate::LONG;
use crate::ground::{Ground, agent, args, connected, serve, server, settings};

/// There and back again, both through the broker: nothing waits for a timer, for Nagle or for a full buffer.
#[test]
fn a_call_and_its_answer_take_milliseconds() {
    let Some(ground) = Ground::new("speed") else {
        return;
    };
    ground.runtime.block_on(async {
        let starting = ground.runtime.spawn(async {
            let (server, asked) = Bus::start(settings(), vec![server()]);
            (server, serve(asked), Bus::start(settings(), vec![agent()]))
        });
        let (server, _held, (bus, _notices)) = starting.await.unwrap();
        connected(&server, 1).await;
        connected(&bus, 1).await;
        let mut times = Vec::new();
        for n in 0..200 {
            let start = Instant::now();
            let asking = bus.call_within(LONG, "q-plugin", "1.0", "echo", args(json!({"n": n})));
            timeout(LONG, asking).await.unwrap().unwrap();
            times.push(start.elapsed());
        }
        times.sort_unstable();
        let median = times[times.len() / 2];
        println!("median {median:?}, worst {:?}", times[times.len() - 1]);
        // Four messages, each confirmed; a delayed TCP acknowledgement alone would be 40 ms.
        assert!(median < Duration::from_millis(30), "{median:?}");
    });
}
