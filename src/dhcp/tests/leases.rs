//! What is remembered of who was told what.

use super::*;
use crate::dhcp::leases::LeaseState;

#[test]
fn a_declined_address_is_held_back_for_ten_minutes() {
    let mut world = World::new();
    let decline = |server| {
        ask(ANN, MessageType::Decline)
            .server(server)
            .requested("10.0.0.10")
    };
    world.tell(&decline("10.0.0.7"));
    assert!(
        world.said(&discover(ANN)).starts_with("offer"),
        "declined to another server"
    );
    world.tell(&decline("10.0.0.2"));
    assert_eq!(
        world.leases.list(&world.scope, world.now)[0].state,
        LeaseState::Declined
    );
    for (name, ask, want) in [
        ("not offered", discover(ANN), "silence"),
        ("not granted", select(ANN, "10.0.0.2", "10.0.0.10"), "nak"),
        ("not after a reboot", reboot(ANN, "10.0.0.10"), "nak"),
        ("nor by BOOTP", bootp(ANN), "silence"),
    ] {
        assert!(world.said(&ask).starts_with(want), "{name}");
    }
    world.wait(599);
    assert_eq!(world.said(&discover(ANN)), "silence");
    world.wait(1);
    assert!(world.said(&discover(ANN)).starts_with("offer"));

    world.tell(&decline("10.0.0.2"));
    assert!(
        world.said(&renew(ANN, "10.0.0.10")).starts_with("ack"),
        "who uses it keeps it"
    );
    assert!(
        world.said(&discover(ANN)).starts_with("offer"),
        "and then it is no longer declined"
    );

    world.tell(
        &ask(BOB, MessageType::Decline)
            .server("10.0.0.2")
            .requested("10.1.0.11"),
    );
    assert!(
        world.said(&discover(BOB)).starts_with("offer 10.0.0.11"),
        "the other address instead"
    );
    world.tell(
        &ask(BOB, MessageType::Decline)
            .server("10.0.0.2")
            .requested("10.0.0.10"),
    );
    assert!(
        world.said(&discover(ANN)).starts_with("offer"),
        "nobody declines for others"
    );
}

#[test]
fn a_declined_address_is_new_to_another_port() {
    let mut world = World::new();
    let decline = ask(ANN, MessageType::Decline)
        .server("10.0.0.2")
        .requested("10.0.0.10");
    world.tell(&decline);
    assert_eq!(world.said(&discover(ANN)), "silence");
    let [ann, heir] = [(ANN, "10.0.0.14"), (STRANGER, "10.0.0.10")]
        .map(|(last, address)| Arc::new(client(last, &[(0, address)])));
    let clients = &mut world.scope.clients;
    clients.remove(&ann.mac, ann.port);
    for client in [ann, heir] {
        clients.insert(client.mac, client.port, client);
    }
    for (last, want) in [(ANN, "offer 10.0.0.14"), (STRANGER, "offer 10.0.0.10")] {
        assert!(world.said(&discover(last)).starts_with(want), "{want}");
    }
}

#[test]
fn the_lease_table_tells_who_was_told_what() {
    let mut world = World::new();
    let states = |world: &World| -> Vec<_> {
        let list = world.leases.list(&world.scope, world.now);
        list.into_iter()
            .map(|lease| {
                (
                    lease.mac,
                    lease.address,
                    lease.state,
                    lease.seen_seconds_ago,
                )
            })
            .collect()
    };
    assert!(states(&world).is_empty());
    let row = |state, ago| vec![(mac(ANN), ip("10.0.0.10").into(), state, ago)];
    for (name, ask, wait, want) in [
        ("offered", discover(ANN), 0, row(LeaseState::Offered, 0)),
        (
            "another server was chosen",
            select(ANN, "10.0.0.7", "10.0.0.10"),
            0,
            vec![],
        ),
        (
            "bound",
            select(ANN, "10.0.0.2", "10.0.0.10"),
            0,
            row(LeaseState::Bound, 0),
        ),
        (
            "strangers are not in it",
            discover(STRANGER),
            7,
            row(LeaseState::Bound, 7),
        ),
        (
            "renewed",
            renew(ANN, "10.0.0.10"),
            1,
            row(LeaseState::Bound, 1),
        ),
        (
            "another's lease stays",
            select(ANN, "10.0.0.7", "10.0.0.10"),
            1,
            row(LeaseState::Bound, 2),
        ),
        (
            "released to another",
            ask(ANN, MessageType::Release)
                .server("10.0.0.7")
                .ciaddr("10.0.0.10"),
            0,
            row(LeaseState::Bound, 2),
        ),
        (
            "released",
            ask(ANN, MessageType::Release)
                .server("10.0.0.2")
                .ciaddr("10.0.0.10"),
            0,
            row(LeaseState::Released, 0),
        ),
    ] {
        world.tell(&ask);
        world.wait(wait);
        assert_eq!(states(&world), want, "{name}");
    }
    world.tell(&select(BOB, "10.1.0.2", "10.1.0.11"));
    assert_eq!(states(&world).len(), 2);
    let bob = world.scope.clients.get(&mac(BOB)).unwrap().port;
    world.scope.clients.remove(&mac(BOB), bob);
    world.leases.trim(&world.scope);
    assert_eq!(
        states(&world),
        row(LeaseState::Released, 0),
        "a port that is gone is not shown"
    );
    world.scope.clients = Claims::default();
    world.scope.by_client_id = Claims::default();
    world.leases.trim(&world.scope);
    world.scope = scope();
    assert!(states(&world).is_empty(), "and is forgotten");
}
