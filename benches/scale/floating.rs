//! One floating IP more on a router of many: what it takes in the kernel, and from the source's word on.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use netns::{Namespace, Spec, Step};
use uuid::Uuid;
use warren::model::{Event, FloatingIp, FloatingIpId, Router, Target};
use warren::plan;
use warren::status::{Ask, Convergence, Reply};
use warren::topology;

use crate::cloud;
use crate::common::Host;
use crate::daemon::Loop;
use crate::figures::median;
use crate::run_inside;

const FLOATING_IPS: u16 = 5_000;
const TOPOLOGY: &str = "/run/warren/topology.toml";
const ADDED: u16 = 30;

pub(crate) fn measure() {
    let Some(host) = Host::new("bench-floating") else {
        return;
    };
    host.machine().write(TOPOLOGY, &crowded_router());
    println!("one floating IP more on a router of {FLOATING_IPS}");
    print!("{}", run_inside(&host, "floating", TOPOLOGY));
}

/// Its router has a floating IP for every instance of the crowd.
fn crowded_router() -> String {
    let mut text = cloud::crowd(FLOATING_IPS);
    text.push_str(cloud::OUTSIDE);
    text.push_str("[[router]]\nname = \"r\"\ninterfaces = [\"crowd\"]\ngateway = { network = \"outside\", address = \"198.18.0.2\" }\n");
    for number in 0..FLOATING_IPS {
        write!(
            text,
            "[[router.floating_ip]]\naddress = \"{}\"\ninstance = \"vm{number}\"\n",
            floating(number)
        )
        .unwrap();
    }
    text
}

fn floating(number: u16) -> Ipv4Addr {
    let [high, low] = (number + 256).to_be_bytes();
    Ipv4Addr::new(198, 18, high, low)
}

#[tokio::main]
pub(crate) async fn inside(topology: &str) {
    let state_dir = Path::new("/run/warren/state-of-bench");
    let loaded = topology::load(Path::new(topology), state_dir).unwrap();
    let (mut state, settings) = (loaded.state, loaded.settings);
    let daemon = Loop::start(state_dir, state.clone(), settings.clone()).await;
    let mut router = Router::clone(state.routers.values().next().unwrap());
    let target = Target::Router(router.id);

    let mut took = Vec::new();
    for number in FLOATING_IPS..FLOATING_IPS + ADDED {
        more(&mut router, number);
        tokio::time::sleep(Duration::from_millis(200)).await;
        let begin = Instant::now();
        daemon.tell(Event::Router(Arc::new(router.clone()))).await;
        while !has(&daemon, &router).await {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        took.push(begin.elapsed());
    }
    println!(
        "  from the source's event, until the router says so: {:.2?}, median of {ADDED} (no goal)",
        median(&took)
    );
    // The loop ends, so that nobody else looks at the namespace from now on.
    drop(daemon);

    let namespace = Namespace::open(&plan::namespace(target)).unwrap().unwrap();
    let handles = handles(&namespace).await;
    let mut parts: BTreeMap<&str, Vec<Duration>> = BTreeMap::new();
    for number in FLOATING_IPS + ADDED..FLOATING_IPS + 2 * ADDED {
        more(&mut router, number);
        state.routers.insert(router.id, Arc::new(router.clone()));
        let spec = plan::plan(&state, target, &settings)
            .unwrap()
            .inside
            .unwrap();
        for (part, took) in add(&namespace, &spec).await {
            parts.entry(part).or_default().push(took);
        }
    }
    assert_eq!(
        self::handles(&namespace).await,
        handles,
        "the rules are those from before"
    );
    let middle = |part| median(&parts[part]);
    println!(
        "  in the kernel (two elements of maps and an address): {:.0?}, median of {ADDED} (to reach: 1 ms); around it, to change {:.2?}, to look at all that is there {:.2?}, to compare {:.2?}; the table was not loaded again",
        middle("kernel"),
        middle("apply"),
        middle("observe"),
        middle("diff"),
    );
}

fn more(router: &mut Router, number: u16) {
    let [high, low] = (number + 256).to_be_bytes();
    router.floating_ips.push(FloatingIp {
        id: FloatingIpId(Uuid::from_u128(number.into())),
        floating_ip: floating(number),
        fixed_ip: Some(Ipv4Addr::new(10, 64, high, low)),
        fixed_scope: None,
        status: None,
    });
}

/// Looks, compares and changes, each by itself; how long each took.
async fn add(namespace: &Namespace, spec: &Spec) -> [(&'static str, Duration); 4] {
    let begin = Instant::now();
    let actual = netns::observe(namespace, spec).await.unwrap();
    let observed = Instant::now();
    let steps = netns::diff(spec, &actual);
    let compared = Instant::now();
    let applied = netns::apply(namespace, spec, &actual, &steps)
        .await
        .unwrap();
    let done = Instant::now();
    let [Step::ChangeMaps { changes, .. }, Step::AddAddress { .. }] = &applied.steps[..] else {
        panic!("more than was asked: {:?}", applied.steps);
    };
    let elements: usize = changes
        .values()
        .map(|change| change.add.len() + change.remove.len())
        .sum();
    assert_eq!(elements, 2);
    [
        ("observe", observed - begin),
        ("diff", compared - observed),
        ("apply", done - compared),
        ("kernel", applied.in_kernel),
    ]
}

/// Of every rule; a load would make new ones.
async fn handles(namespace: &Namespace) -> Vec<String> {
    let list = || {
        std::process::Command::new("nft")
            .args(["-a", "-t", "list", "table", "inet", plan::MARK])
            .output()
    };
    let output = namespace.enter(list).await.unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines()
        .filter(|line| line.contains("# handle"))
        .map(str::to_owned)
        .collect()
}

/// Whether the loop has heard of all floating IPs, and made them.
async fn has(daemon: &Loop, router: &Router) -> bool {
    match daemon.ask(Ask::Router(router.name.clone())).await {
        Reply::Router(view) => {
            view.floating_ips.len() == router.floating_ips.len()
                && view.convergence == Convergence::Converged
        }
        other => panic!("{other:?}"),
    }
}
