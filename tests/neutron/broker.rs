//! Whatever happens to the broker: guests feel nothing, services answer, and afterwards what was missed arrives.

use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use serde_json::{Value, json};

use crate::cloud::{Broker, Cloud, LONG, Node, id};
use crate::common::{Guest, HttpAnswer, tcp_stream, wait_for};
use crate::scene::{self, BINARIES, Warren, dhcp_answers, is_named};

/// So that the tests need not wait for what takes minutes by default.
const QUICK: &str = "\
[oslo_messaging_rabbit]
heartbeat_timeout_threshold = 4
rabbit_interval_max = 2
[DEFAULT]
agent_down_time = 9
[agent]
report_interval = 2
";

/// What an instance asks for, from time to time, while things happen to the broker.
struct Services<'a> {
    guest: &'a Guest,
    resolver: Ipv4Addr,
}

impl Services<'_> {
    /// What does not answer; `None`: all do.
    fn silent(&self) -> Option<String> {
        if !dhcp_answers(self.guest) {
            return Some("DHCP".into());
        }
        if !is_named(self.guest, self.resolver, "10.1.0.77") {
            return Some("DNS".into());
        }
        let answer = self.guest.curl("http://169.254.169.254/", &[]);
        match answer {
            Ok(answer) if answer.body == "metadata" => None,
            answer => Some(format!("metadata: {answer:?}")),
        }
    }

    /// Until told to stop: how often all of them answered.
    fn watch(&self, stop: &AtomicBool) -> Result<usize, String> {
        let mut rounds = 0;
        while !stop.load(Ordering::Relaxed) {
            match self.silent() {
                None => rounds += 1,
                Some(what) => return Err(format!("{what}, after {rounds} rounds")),
            }
            std::thread::sleep(Duration::from_millis(300)); // between two rounds
        }
        Ok(rounds)
    }
}

struct Stage<'a> {
    cloud: &'a Cloud,
    node: &'a Node,
    warren: Warren,
    network: Value,
    services: &'a Services<'a>,
    world: &'a Guest,
    /// The port that gets a floating IP, and loses it again.
    port: Value,
    floating: Value,
    /// Ports that were made meanwhile.
    made: u8,
}

impl Stage<'_> {
    /// `fault` happens, a port is made in the API and a floating IP set or taken away, which may wait for the broker, and
    /// `heal` ends the fault. Then warren has asked for everything once, and both have arrived.
    #[track_caller]
    fn survives(&mut self, what: &str, fault: impl FnOnce(&Broker), heal: impl FnOnce(&Broker)) {
        let (syncs, connects) = (self.warren.syncs(), self.connects());
        fault(&self.cloud.broker);
        assert_eq!(self.services.silent(), None, "{what}");
        self.made += 1;
        let address = format!("10.1.0.{}", 100 + self.made);
        let fixed = json!({"fixed_ips": [{"ip_address": address}]});
        let leads = self.made % 2 == 1;
        let to = leads.then(|| id(&self.port));
        std::thread::scope(|scope| {
            let making = scope.spawn(|| {
                self.cloud
                    .instance_port(id(&self.network), self.node.name(), fixed);
                let floating = id(&self.floating);
                let set = json!({"port_id": to});
                self.cloud.update("floatingip", floating, &set);
            });
            heal(&self.cloud.broker);
            making.join().unwrap();
        });
        let tail = || self.warren.service.tail();
        wait_for(
            &format!("{what}: what was missed\n{}", tail()),
            LONG,
            || is_named(self.services.guest, self.services.resolver, &address).then_some(()),
        );
        let floating = self.floating["floating_ip_address"].as_str().unwrap();
        wait_for(
            &format!("{what}: {floating} to lead: {leads}"),
            LONG,
            || (self.world.ping(floating) == leads).then_some(()),
        );
        let all_again = |after: [usize; 2]| after.iter().zip(syncs).all(|(now, was)| *now > was);
        wait_for(&format!("{what}: full sync\n{}", tail()), LONG, || {
            all_again(self.warren.syncs()).then_some(())
        });
        let (syncs_now, connects_now) = (self.warren.syncs(), self.connects());
        println!("{what}: connects {connects} -> {connects_now}, syncs {syncs:?} -> {syncs_now:?}");
        for (now, was) in syncs_now.iter().zip(syncs) {
            assert!(
                now - was <= connects_now - connects,
                "{what}: each connection is one full sync, no more\n{}",
                tail()
            );
        }
    }

    fn connects(&self) -> usize {
        self.warren.says("connected to the message broker")
    }
}

#[test]
#[ignore = "minutes long: make test-neutron runs it"]
fn nothing_that_happens_to_the_broker_is_felt() {
    let Some(cloud) = Cloud::start_with(QUICK) else {
        return;
    };
    let node = cloud.node("net1");
    node.configure("neutron.conf", QUICK);
    node.linuxbridge_agent();
    let _nova = cloud.nova(|_| HttpAnswer::new(200, "metadata"));
    let warren = Warren::start(&cloud, &node);
    let (network, subnet) = scene::network(&cloud, &node, "10.1.0.0/24");
    let external = json!({"name": "outside", "router:external": true, "provider:network_type": "flat", "provider:physical_network": "external"});
    let external = cloud.create("network", external);
    cloud.create("subnet", json!({"network_id": id(&external), "ip_version": 4, "cidr": "203.0.113.0/24", "gateway_ip": "203.0.113.1", "enable_dhcp": false}));
    let world = cloud.world("203.0.113.1/24");
    let router = json!({"external_gateway_info": {"network_id": id(&external)}});
    let router = cloud.create("router", router);
    let add = format!("/v2.0/routers/{}/add_router_interface", id(&router));
    cloud.put(&add, &json!({"subnet_id": id(&subnet)}));
    let (port, vm) = scene::guest(&cloud, &node, &network, "10.1.0.77");
    let floating = json!({"floating_network_id": id(&external), "port_id": id(&port)});
    let floating = cloud.create("floatingip", floating);
    let floating: Ipv4Addr = floating["floating_ip_address"]
        .as_str()
        .unwrap()
        .parse()
        .unwrap();
    wait_for("a way in and out", LONG, || {
        (world.ping(floating) && vm.ping("203.0.113.1")).then_some(())
    });
    let (asking_port, asking) = scene::guest(&cloud, &node, &network, "10.1.0.78");
    let services = Services {
        guest: &asking,
        resolver: scene::resolver(&cloud, &network),
    };
    wait_for("all services", LONG, || {
        services.silent().is_none().then_some(())
    });

    let ping = world.pinging(floating).flowing();
    let stream = tcp_stream(&vm, &world, Ipv4Addr::new(203, 0, 113, 1), 7777);
    let second = json!({"floating_network_id": id(&external)});
    let mut stage = Stage {
        world: &world,
        port: asking_port,
        floating: cloud.create("floatingip", second),
        cloud: &cloud,
        node: &node,
        warren,
        network,
        services: &services,
        made: 0,
    };
    broken_in_every_way(&mut stage);
    restarted_without_broker(&mut stage);
    server_restarted(&mut stage);
    given_up(&mut stage);

    let (pings, stream) = (ping.stop(), stream.stop());
    println!("{pings:?} {stream:?}");
    assert_eq!(pings.lost(), 0, "{pings:?}");
    assert_eq!(stream.broken, None, "{stream:?}");
    assert!(stream.longest_stall < Duration::from_secs(1), "{stream:?}");
}

/// Says so when it is dropped.
struct Ended<'a>(&'a AtomicBool);

impl Drop for Ended<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn broken_in_every_way(stage: &mut Stage<'_>) {
    let stop = AtomicBool::new(false);
    let services = stage.services;
    std::thread::scope(|scope| {
        let watching = scope.spawn(|| services.watch(&stop));
        // Else a panic here would wait for who watches, for ever.
        let ended = Ended(&stop);
        stage.survives("connections cut", Broker::close_all_connections, |_| {});
        let queues = |broker: &Broker| {
            broker.delete_queue("dhcp_agent.net1");
            broker.delete_queue("l3_agent.net1");
        };
        stage.survives("queues deleted", queues, |_| {});
        // The server does not see that, and stays deaf until it connects again.
        let exchange = |broker: &Broker| broker.delete_exchange("neutron");
        stage.survives("exchange deleted", exchange, Broker::close_all_connections);
        // Somebody makes it anew before we look: it has no binding of ours, and is nobody's to tell.
        let anew = |broker: &Broker| broker.make_exchange_anew("dhcp_agent_fanout", "fanout");
        stage.survives("exchange made anew", anew, |_| {});
        let another = |broker: &Broker| {
            broker.change_password("another");
            broker.close_all_connections();
        };
        let back = |broker: &Broker| broker.change_password("openstack");
        stage.survives("password changed", another, back);
        let gone = |broker: &Broker| broker.delete_vhost("/");
        stage.survives("virtual host deleted", gone, |broker| broker.add_vhost("/"));
        let again = |broker: &Broker| {
            broker.start();
            broker.wait();
        };
        stage.survives("killed", Broker::kill9, again);
        let noticed = stage.warren.says("connecting again");
        stage.cloud.broker.freeze();
        wait_for("the freeze to be noticed", LONG, || {
            (stage.warren.says("connecting again") > noticed).then_some(())
        });
        stage.survives("frozen", |_| {}, Broker::thaw);
        drop(ended);
        let rounds = watching.join().unwrap();
        println!("services: {rounds:?}");
        assert!(
            rounds.as_ref().is_ok_and(|rounds| *rounds > 5),
            "{rounds:?}"
        );
    });
}

fn restarted_without_broker(stage: &mut Stage<'_>) {
    let services = stage.services;
    let mut took = Vec::new();
    let mut restart = |stage: &mut Stage<'_>| {
        stage.warren.service.kill9();
        let begin = Instant::now();
        let ready = stage.warren.boot();
        let silent = services.silent();
        took.push((ready, begin.elapsed()));
        assert_eq!(silent, None, "{}", stage.warren.service.tail());
    };
    let (syncs, broker) = (stage.warren.syncs(), &stage.cloud.broker);
    broker.stop();
    restart(stage);
    restart(stage);
    println!("ready, and all services asked once, after {took:?}");
    let quickest = took.iter().map(|(ready, _)| *ready).min();
    assert!(quickest < Some(Duration::from_secs(1)), "{took:?}");
    assert_eq!(stage.warren.syncs(), syncs);
    broker.start();
    broker.wait();
    stage.survives("stopped", |_| {}, |_| {});
    stage.warren.known(stage.cloud, stage.node);
}

/// It goes on with a new server as with the old one.
fn server_restarted(stage: &mut Stage<'_>) {
    let cloud = stage.cloud;
    cloud.server.lock().unwrap().stop();
    assert_eq!(stage.services.silent(), None, "without a server");
    cloud.server.lock().unwrap().start();
    cloud.ready();
    let fixed = json!({"fixed_ips": [{"ip_address": "10.1.0.200"}]});
    cloud.instance_port(id(&stage.network), stage.node.name(), fixed);
    wait_for("what the new server says", LONG, || {
        is_named(stage.services.guest, stage.services.resolver, "10.1.0.200").then_some(())
    });
}

/// It was silent for so long that the server called it dead: then it asks for everything.
fn given_up(stage: &mut Stage<'_>) {
    stage.warren.known(stage.cloud, stage.node);
    let (syncs, revived) = (stage.warren.syncs(), stage.warren.says("revived"));
    stage.warren.service.signal(Signal::SIGSTOP);
    for binary in &BINARIES[..2] {
        wait_for(&format!("{binary} to be given up"), LONG, || {
            let agent = stage.cloud.agent(stage.node.name(), binary)?;
            (agent["alive"] == false).then_some(())
        });
    }
    stage.warren.service.signal(Signal::SIGCONT);
    let tail = || stage.warren.service.tail();
    wait_for(&format!("it to be revived\n{}", tail()), LONG, || {
        let now = stage.warren.syncs();
        let synced = now[0] > syncs[0] && now[1] > syncs[1];
        (synced && stage.warren.says("revived") > revived).then_some(())
    });
    assert_eq!(stage.services.silent(), None, "{}", tail());
}
