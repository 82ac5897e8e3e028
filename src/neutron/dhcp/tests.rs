//! The role's pure parts, as tables.

use std::time::{Duration, Instant};

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::ask::Verdict;
use super::*;
use crate::model::{DeviceOwner, FixedIp, MacAddr, Port, Subnet, SubnetId};
use crate::neutron::bus::Failure;
use crate::neutron::decode::{self, DhcpNotice};
use crate::neutron::sample;

fn id(n: u128) -> Uuid {
    Uuid::from_u128(n)
}

fn port(n: u128, address: &str, revision: u64) -> Port {
    Port {
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        fixed_ips: [FixedIp {
            subnet: SubnetId(id(10)),
            ip: address.parse().expect("an address of the table"),
        }]
        .into(),
        revision,
        ..Port::new(PortId(id(n)), NetworkId(id(1)), DeviceOwner::Machine)
    }
}

fn subnet(n: u128, enable_dhcp: bool) -> Subnet {
    Subnet {
        enable_dhcp,
        ..Subnet::new(SubnetId(id(n)), "10.0.0.0/24".parse().expect("a network"))
    }
}

fn network(ports: impl IntoIterator<Item = Port>) -> Network {
    let ports = ports.into_iter().map(|port| (port.id, Arc::new(port)));
    Network {
        subnets: vec![subnet(10, true), subnet(11, false)],
        ports: ports.collect(),
        ..Network::new(NetworkId(id(1)))
    }
}

#[test]
fn a_late_word_about_a_port_changes_nothing() {
    for (name, known, word, takes) in [
        ("newer", Some(3), port(5, "10.0.0.9", 4), true),
        ("the same again", Some(3), port(5, "10.0.0.9", 3), true),
        ("older", Some(3), port(5, "10.0.0.9", 2), false),
        ("without revision", Some(3), port(5, "10.0.0.9", 0), false),
        ("unknown port", None, port(5, "10.0.0.9", 1), true),
    ] {
        let known = known.map(|revision| port(5, "10.0.0.5", revision));
        let mut network = network(known);
        assert_eq!(
            Change::Put(Arc::new(word)).apply(&mut network),
            takes,
            "{name}"
        );
    }
}

#[test]
fn an_answer_takes_in_what_came_while_it_was_under_way() {
    let mut journal = Journal::default();
    let net = NetworkId(id(1));
    journal.note(net, Change::Put(Arc::new(port(4, "10.0.0.4", 9))));
    let asked = journal.now();
    journal.note(net, Change::Put(Arc::new(port(5, "10.0.0.50", 2))));
    journal.note(net, Change::Gone(PortId(id(6))));
    journal.note(NetworkId(id(2)), Change::Gone(PortId(id(7))));
    // The answer is older than all of that.
    let old = [
        port(5, "10.0.0.5", 1),
        port(6, "10.0.0.6", 1),
        port(7, "10.0.0.7", 1),
    ];
    let mut answer = network(old);
    journal.catch_up(&mut answer, asked);
    let ids: Vec<_> = answer.ports.keys().copied().collect();
    assert_eq!(
        ids,
        [PortId(id(5)), PortId(id(7))],
        "4 came before it was asked for"
    );
    let moved = answer.ports.get(&PortId(id(5))).expect("it is there");
    assert_eq!(moved.fixed_ips[0].ip.to_string(), "10.0.0.50");
    journal.forget_before(journal.now());
    let mut answer = network([port(6, "10.0.0.6", 1)]);
    journal.catch_up(&mut answer, asked);
    assert_eq!(answer.ports.len(), 1, "forgotten");
}

#[test]
fn a_port_is_ready_once_it_is_served_as_it_is_now() {
    let (net, changed) = (NetworkId(id(1)), PortId(id(5)));
    let mut ready = Ready::default();
    for n in [5, 6, 7] {
        ready.wait(net, PortId(id(n)), Urgency::Network);
    }
    ready.wait(net, PortId(id(6)), Urgency::Now);
    let served = network([port(5, "10.0.0.5", 1), port(6, "10.0.0.6", 1)]);
    let newest = network([port(5, "10.0.0.55", 2), port(6, "10.0.0.6", 1)]);
    ready.served(&served, &newest);
    assert_eq!(
        ready.take(),
        [(Urgency::Now, PortId(id(6)))],
        "5 changed, 7 went"
    );
    ready.served(&newest, &newest);
    let told = ready.take();
    assert_eq!(told, [(Urgency::Network, changed)]);
    ready.failed(told);
    assert_eq!(ready.take(), [(Urgency::Network, changed)], "told again");
    assert!(!ready.is_due());
}

#[test]
fn who_waits_for_a_port_overtakes_and_a_call_is_bounded() {
    let mut ready = Ready::default();
    let many: Vec<Port> = (100..400).map(|n| port(n, "10.0.0.5", 1)).collect();
    let net = network(many);
    for port in net.ports.keys() {
        ready.wait(net.id, *port, Urgency::Network);
    }
    ready.wait(net.id, PortId(id(399)), Urgency::Now);
    ready.served(&net, &net);
    let first = ready.take();
    assert_eq!(first.len(), 64);
    assert_eq!(first[0], (Urgency::Now, PortId(id(399))));
}

#[test]
fn networks_wait_their_turn_and_failing_ones_alone() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    let (a, b) = (NetworkId(id(1)), NetworkId(id(2)));
    errands.add_given(a, json!({"id": 1}), 7, now);
    errands.add(b, Urgency::Now, now);
    let (first, errand) = errands.next(now, 9).expect("both are due");
    assert!(
        first == b && errand.given.is_none(),
        "somebody waits for it"
    );
    let (second, errand) = errands.next(now, 9).expect("the other");
    assert!(second == a && errand.given.is_some());
    assert_eq!(errands.oldest(), Some(7));
    errands.add(a, Urgency::Now, now);
    assert!(
        errands.next(now, 9).is_none(),
        "one question about it at a time"
    );
    errands.done(a);
    let (again, errand) = errands
        .next(now, 9)
        .expect("asked again, for the word that came meanwhile");
    assert!(again == a && errand.given.is_none());
    let first_pause = Duration::from_secs(5);
    errands.failed(a, first_pause, now);
    assert_eq!(errands.next_due(), Some(now + first_pause));
    let (_, _) = errands.next(now + first_pause, 9).expect("due by then");
    errands.failed(a, first_pause, now);
    assert_eq!(errands.next_due(), Some(now + 2 * first_pause), "doubled");
    errands.add(a, Urgency::Now, now);
    assert_eq!(errands.next_due(), Some(now), "news may be the cure");
}

#[test]
fn a_given_answer_does_not_replace_a_question() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    let net = NetworkId(id(1));
    errands.add(net, Urgency::Now, now);
    errands.add_given(net, json!({}), 0, now);
    let (_, errand) = errands.next(now, 0).expect("due");
    assert!(errand.given.is_none(), "a question hears something newer");
}

#[test]
fn deleted_ports_are_remembered_for_a_day() {
    let (mut tombs, now) = (Tombs::default(), Instant::now());
    let (old, young) = (PortId(id(1)), PortId(id(2)));
    tombs.add(old, now);
    tombs.add(young, now + Duration::from_secs(86_401));
    assert!(!tombs.has(old) && tombs.has(young));
    for n in 0..100_010 {
        tombs.add(PortId(id(1000 + n)), now + Duration::from_secs(86_402));
    }
    assert!(!tombs.has(young), "bounded");
}

#[test]
fn a_full_sync_ends_the_waiting_of_what_failed() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    let net = NetworkId(id(1));
    for _ in 0..5 {
        errands.failed(net, Duration::from_secs(5), now);
    }
    assert!(errands.next(now, 0).is_none());
    errands.add_given(net, json!({}), 0, now);
    let (_, errand) = errands.next(now, 0).expect("the server answers again");
    assert!(errand.given.is_none(), "it asks itself");
}

#[test]
fn the_journal_holds_one_word_of_each_port() {
    let mut journal = Journal::default();
    let net = NetworkId(id(1));
    for revision in [3, 5, 4] {
        let put = Change::Put(Arc::new(port(5, &format!("10.0.0.{revision}"), revision)));
        journal.note(net, put);
    }
    let mut answer = network([port(5, "10.0.0.2", 2)]);
    journal.catch_up(&mut answer, 2);
    let taken = answer.ports.get(&PortId(id(5))).expect("it is there");
    assert_eq!(taken.revision, 5, "the newest, though an older came last");
    journal.note(net, Change::Gone(PortId(id(5))));
    journal.catch_up(&mut answer, 0);
    assert!(answer.ports.is_empty());
    journal.forget_before(journal.now());
    let mut answer = network([port(5, "10.0.0.2", 2)]);
    journal.catch_up(&mut answer, 0);
    assert_eq!(answer.ports.len(), 1, "forgotten");
}

#[test]
fn errors_are_taken_as_the_reference_agent_takes_them() {
    let remote = |class: &str| {
        CallError::Remote(Failure {
            class: class.into(),
            module: String::new(),
            message: String::new(),
        })
    };
    let network = NetworkId(id(1));
    let port = |source| AskError::Port { network, source };
    let lost = || CallError::Lost {
        topic: String::new(),
        method: String::new(),
    };
    for (name, error, want, transient) in [
        ("conflict", port(PortError::Refused), Verdict::Leave, false),
        (
            "no address",
            port(PortError::Call(remote("IpAddressGenerationFailure"))),
            Verdict::Starved,
            false,
        ),
        (
            "no network",
            port(PortError::Call(remote("NetworkNotFound"))),
            Verdict::AgainQuietly,
            false,
        ),
        (
            "another failure",
            port(PortError::Call(remote("DBDeadlock"))),
            Verdict::Again,
            false,
        ),
        (
            "no answer",
            AskError::Call {
                network,
                source: lost(),
            },
            Verdict::Again,
            true,
        ),
        (
            "no answer",
            port(PortError::Call(lost())),
            Verdict::Again,
            true,
        ),
    ] {
        assert_eq!(error.verdict(), want, "{name}");
        assert_eq!(error.is_transient(), transient, "{name}");
    }
}

#[test]
fn who_takes_an_address_is_known_whatever_happened_to_it() {
    let mut networks = Networks::default();
    networks.put(Arc::new(network([
        port(5, "10.0.0.5", 1),
        port(6, "10.0.0.6", 1),
    ])));
    let net = NetworkId(id(1));
    let takes = |networks: &Networks, n, address| networks.takes_an_address(&port(n, address, 9));
    let put = |n, address, revision| Change::Put(Arc::new(port(n, address, revision)));
    assert!(takes(&networks, 7, "10.0.0.5"));
    assert!(!takes(&networks, 5, "10.0.0.5"), "its own");
    assert!(!takes(&networks, 7, "10.0.0.7"), "nobody's");
    let elsewhere = Port {
        network: NetworkId(id(2)),
        ..port(7, "10.0.0.5", 1)
    };
    assert!(!networks.takes_an_address(&elsewhere), "not on its network");
    assert!(networks.change(net, &put(5, "10.0.0.50", 2)));
    assert!(!takes(&networks, 7, "10.0.0.5"), "it moved away");
    assert!(takes(&networks, 7, "10.0.0.50"), "it moved there");
    assert!(!networks.change(net, &put(5, "10.0.0.51", 1)), "late");
    assert!(takes(&networks, 7, "10.0.0.50"));
    assert!(networks.change(net, &Change::Gone(PortId(id(6)))));
    assert!(!takes(&networks, 7, "10.0.0.6"), "it went");
    assert!(networks.change(net, &put(8, "10.0.0.8", 1)));
    let counts = [("networks", 1), ("subnets", 2), ("ports", 2)];
    assert_eq!(networks.counts(), counts);
    networks.put(Arc::new(network([port(9, "10.0.0.9", 1)])));
    assert!(!takes(&networks, 7, "10.0.0.50"), "said anew, without it");
    assert!(networks.remove(net) && !networks.remove(net));
    assert_eq!(
        networks.counts().map(|(_, count)| count),
        [0, 0, 0],
        "nothing is left"
    );
}

/// The role, and what it says to the loop. Nobody answers it.
fn role() -> (Dhcp, mpsc::Receiver<Vec<Event>>) {
    let (parts, said) = sample::parts();
    let naming = Arc::new(Naming::new("net1", ""));
    (Dhcp::new(parts, naming, BTreeMap::new()), said)
}

fn asked(network: Network) -> Result<Option<Box<Asked>>, AskError> {
    Ok(Some(Box::new(Asked {
        network,
        remarks: Vec::new(),
        trouble: None,
    })))
}

/// A full sync is under way.
fn syncing(role: &mut Dhcp) {
    role.sync_at(Instant::now());
    role.start_due();
    assert!(role.syncing.is_some());
}

#[tokio::test]
async fn what_became_ours_during_a_full_sync_stays() {
    let (mut role, _said) = role();
    let (scheduled, other) = (NetworkId(id(1)), NetworkId(id(2)));
    role.networks.put(Arc::new(Network {
        id: other,
        ..network([])
    }));
    syncing(&mut role);
    role.take_in(DhcpNotice::NetworkScheduled(scheduled)).await;
    role.start_due();
    role.asked(scheduled, 0, asked(network([]))).await;
    role.synced(Vec::new()).await;
    assert!(
        role.networks.get(scheduled).is_some(),
        "the answer is older"
    );
    assert!(role.networks.get(other).is_none(), "not ours any more");
}

#[tokio::test]
async fn what_went_during_a_full_sync_stays_gone() {
    let (mut role, _said) = role();
    let net = NetworkId(id(1));
    syncing(&mut role);
    role.take_in(DhcpNotice::NetworkGone(net)).await;
    role.synced(vec![json!({"id": net})]).await;
    assert!(!role.errands.has(net), "the answer is older");
}

#[tokio::test]
async fn an_answer_about_a_network_that_went_meanwhile_is_dropped() {
    let (mut role, mut said) = role();
    let net = NetworkId(id(1));
    role.take_in(DhcpNotice::NetworkScheduled(net)).await;
    role.start_due();
    let task = role.asking.get(&net).expect("it is asked about").id();
    role.take_in(DhcpNotice::NetworkGone(net)).await;
    // The answer had come, but nobody had looked at it yet.
    role.done(task, Done::Asked(net, 0, asked(network([]))))
        .await;
    assert!(role.networks.get(net).is_none());
    assert!(said.try_recv().is_err(), "nothing is served");
}

#[tokio::test]
async fn a_network_that_fails_does_not_hold_up_the_first_full_sync() {
    let (mut role, _said) = role();
    let (good, bad) = (NetworkId(id(1)), NetworkId(id(2)));
    syncing(&mut role);
    role.synced(vec![json!({"id": good}), json!({"id": bad})])
        .await;
    role.asked(good, 0, asked(network([]))).await;
    role.start_due();
    assert!(role.parts.synced.is_some(), "one had no turn yet");
    let error = decode::network(&json!({"id": bad}), &role.naming);
    role.asked(bad, 0, Err(error.expect_err("it says little").into()))
        .await;
    role.start_due();
    assert!(role.parts.synced.is_none(), "told");
}

#[tokio::test]
async fn only_news_of_our_own_port_are_asked_about() {
    let (mut role, _said) = role();
    let mut own = port(9, "10.0.0.2", 3);
    own.owner = DeviceOwner::Dhcp;
    let known = Network {
        dhcp_port: Some(Arc::new(own.clone())),
        ..network([])
    };
    let net = known.id;
    role.networks.put(Arc::new(known));
    role.put_port(own.clone()).await;
    assert!(!role.errands.has(net), "what we caused ourselves");
    role.put_port(Port { revision: 4, ..own }).await;
    assert!(role.errands.has(net));
}

#[tokio::test]
async fn a_subnet_of_a_network_that_is_not_ours_is_ignored() {
    let (mut role, _said) = role();
    let net = NetworkId(id(1));
    let gone = |network| DhcpNotice::SubnetGone {
        subnet: SubnetId(id(10)),
        network: Some(network),
    };
    role.take_in(gone(net)).await;
    assert!(!role.errands.has(net));
    role.networks.put(Arc::new(network([])));
    role.take_in(gone(net)).await;
    assert!(role.errands.has(net));
}

#[tokio::test]
async fn without_a_question_under_way_nothing_is_kept() {
    let (mut role, _said) = role();
    let net = network([]);
    role.networks.put(Arc::new(net));
    for n in 100..400 {
        role.put_port(port(n, &format!("10.0.{}.{}", n / 200, n % 200), 1))
            .await;
    }
    assert_eq!(role.journal.now(), 0);
    assert!(
        role.networks
            .get(NetworkId(id(1)))
            .is_some_and(|known| known.ports.len() > 200)
    );
}

#[tokio::test]
async fn a_failed_sync_does_not_put_off_one_that_is_due() {
    let (mut role, _said) = role();
    syncing(&mut role);
    role.sync_at(Instant::now());
    let due = role.sync_again.expect("asked for");
    let error = CallError::Lost {
        topic: String::new(),
        method: String::new(),
    };
    let task = tokio::spawn(async {}).id();
    role.done(task, Done::Synced(Err(error))).await;
    assert_eq!(role.sync_again, Some(due));
}
