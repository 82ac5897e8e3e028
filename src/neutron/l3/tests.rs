//! The role's pure parts, as tables.

use std::net::Ipv4Addr;

use serde_json::json;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::*;
use crate::model::{FloatingIp, FloatingIpId, Gateway, MacAddr, NetworkId, PortId, RouterPort};
use crate::neutron::decode::L3Notice;
use crate::neutron::sample;

fn router_id(n: u128) -> RouterId {
    RouterId(Uuid::from_u128(n))
}

fn floating_id(n: u128) -> FloatingIpId {
    FloatingIpId(Uuid::from_u128(n))
}

fn floating(n: u8, fixed: Option<u8>, status: FloatingIpStatus) -> FloatingIp {
    FloatingIp {
        id: floating_id(n.into()),
        floating_ip: Ipv4Addr::new(203, 0, 113, n),
        fixed_ip: fixed.map(|fixed| Ipv4Addr::new(10, 0, 0, fixed)),
        fixed_scope: None,
        status: Some(status),
    }
}

fn router(gateway: bool, floating_ips: Vec<FloatingIp>) -> Router {
    let leg = RouterPort {
        port: PortId(Uuid::from_u128(1)),
        network: NetworkId(Uuid::from_u128(2)),
        mac: MacAddr([2, 0, 0, 0, 0, 1]),
        admin_state_up: true,
        mtu: 1500,
        addresses: Vec::new(),
        subnets: Vec::new(),
        extra_subnets: Vec::new(),
        scopes: Default::default(),
    };
    Router {
        gateway: gateway.then_some(Gateway {
            port: leg,
            enable_snat: true,
        }),
        floating_ips,
        ..Router::new(router_id(1))
    }
}

#[test]
fn the_server_is_told_what_it_does_not_know() {
    use FloatingIpStatus::{Active, Down};
    let told = |pairs: &[(u8, u8)]| -> Told {
        let led = |&(id, fixed): &(u8, u8)| floating(id, Some(fixed), Down);
        let router = Arc::new(router(true, pairs.iter().map(led).collect()));
        statuses::of(&router, None, Active).1
    };
    for (name, before, gateway, floating_ips, want) in [
        (
            "after a start, believed active",
            None,
            true,
            vec![floating(9, Some(5), Active)],
            vec![],
        ),
        (
            "after a start, believed down",
            None,
            true,
            vec![floating(9, Some(5), Down)],
            vec![(9, "ACTIVE")],
        ),
        (
            "new",
            Some(told(&[])),
            true,
            vec![floating(9, Some(5), Down)],
            vec![(9, "ACTIVE")],
        ),
        (
            "new, believed active",
            Some(told(&[])),
            true,
            vec![floating(9, Some(5), Active)],
            vec![(9, "ACTIVE")],
        ),
        (
            "as before",
            Some(told(&[(9, 5)])),
            true,
            vec![floating(9, Some(5), Active)],
            vec![],
        ),
        (
            "as before, but the server says since that it is down",
            Some(told(&[(9, 5)])),
            true,
            vec![floating(9, Some(5), Down)],
            vec![(9, "ACTIVE")],
        ),
        (
            "moved",
            Some(told(&[(9, 5)])),
            true,
            vec![floating(9, Some(6), Active)],
            vec![(9, "ACTIVE")],
        ),
        (
            "gone",
            Some(told(&[(9, 5)])),
            true,
            vec![],
            vec![(9, "DOWN")],
        ),
        (
            "without gateway",
            Some(told(&[(9, 5)])),
            false,
            vec![floating(9, Some(5), Active)],
            vec![(9, "DOWN")],
        ),
        (
            "leads nowhere",
            None,
            true,
            vec![floating(9, None, Down)],
            vec![],
        ),
    ] {
        let router = Arc::new(router(gateway, floating_ips));
        let (statuses, _) = statuses::of(&router, before.as_ref(), Active);
        let want: Statuses = want
            .into_iter()
            .map(|(id, status)| (floating_id(id), status))
            .collect();
        assert_eq!(statuses, want, "{name}");
    }
}

#[test]
fn what_was_told_already_is_not_told_again() {
    use FloatingIpStatus::{Active, Down, Error};
    let says = |status| Arc::new(router(true, vec![floating(9, Some(5), status)]));
    let (down, down_still, error) = (says(Down), says(Down), says(Error));
    let mut told = None;
    for (name, router, now, want) in [
        ("first", &down, Active, Some("ACTIVE")),
        ("looked at again", &down, Active, None),
        ("said again", &down_still, Active, Some("ACTIVE")),
        ("and looked at", &down_still, Active, None),
        ("failed", &down_still, Error, Some("ERROR")),
        ("failed again", &down_still, Error, None),
        ("that is what the server says", &error, Error, None),
        ("works again", &error, Active, Some("ACTIVE")),
        ("and is looked at", &error, Active, None),
    ] {
        let (statuses, newer) = statuses::of(router, told.as_ref(), now);
        let want = want.map(|status| (floating_id(9), status));
        assert_eq!(statuses, want.into_iter().collect(), "{name}");
        told = Some(newer);
    }
    let (statuses, _) = statuses::of(&down, None, Error);
    assert_eq!(statuses, [(floating_id(9), "ERROR")].into(), "at once");
}

#[test]
fn who_waits_does_not_wait_for_a_full_sync() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    for n in 0..300 {
        errands.add(router_id(n), Lane::Sync, now);
    }
    let (sync, asked) = errands.next(now).expect("the sync");
    assert_eq!(asked.len(), 256);
    assert!(
        errands.next(now).is_none(),
        "one question of a sync at a time"
    );
    errands.add(router_id(7), Lane::Notice, now);
    errands.add(router_id(299), Lane::Notice, now);
    let (notice, asked) = errands.next(now).expect("the notice");
    assert_eq!(asked, [router_id(7), router_id(299)].into());
    errands.add(router_id(8), Lane::Notice, now);
    errands.next(now).expect("nor for another notice");
    let newer = errands.done(notice, &[router_id(7)]);
    assert_eq!(newer, [router_id(7)].into());
    let newer = errands.done(sync, &[router_id(7), router_id(9)]);
    assert_eq!(
        newer,
        [router_id(9)].into(),
        "7 was asked about later, and answered already"
    );
}

#[test]
fn a_router_that_was_told_gone_stays_gone() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    errands.add(router_id(1), Lane::Sync, now);
    let (question, _) = errands.next(now).expect("asked");
    errands.forget(router_id(1));
    assert!(errands.done(question, &[router_id(1)]).is_empty());
    errands.add(router_id(1), Lane::Notice, now);
    let (question, _) = errands.next(now).expect("asked again");
    assert_eq!(
        errands.done(question, &[router_id(1)]).len(),
        1,
        "made anew"
    );
}

#[test]
fn a_failing_router_waits_alone() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    let pause = Duration::from_secs(2);
    errands.failed(router_id(1), pause, now);
    errands.add(router_id(2), Lane::Sync, now);
    let (question, asked) = errands.next(now).expect("the other");
    assert_eq!(asked, [router_id(2)].into());
    errands.done(question, &[router_id(2)]);
    assert_eq!(errands.next_due(), Some(now + pause));
}

#[test]
fn a_list_does_not_know_what_came_after_it() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    let all: BTreeSet<RouterId> = (1..=5).map(router_id).collect();
    // 5 was asked about before the list, and is answered after it.
    errands.add(router_id(5), Lane::Notice, now);
    let (earlier, _) = errands.next(now).expect("asked");
    errands.list();
    // 1 has been answered, 2 is asked about, 3 is going to be; 4 and 5 are not.
    errands.add(router_id(1), Lane::Notice, now);
    let (question, _) = errands.next(now).expect("asked");
    errands.done(question, &[router_id(1)]);
    errands.add(router_id(2), Lane::Notice, now);
    errands.next(now).expect("asked");
    errands.add(router_id(3), Lane::Notice, now);
    errands.failed(router_id(4), Duration::from_secs(2), now);
    let gone = errands.listed(all);
    assert_eq!(gone, [router_id(4), router_id(5)].into());
    assert!(!errands.waiting().any(|id| id == router_id(4)));
    assert!(errands.done(earlier, &[router_id(5)]).is_empty(), "older");
}

#[test]
fn states_that_can_not_be_told_hold_up_no_others() {
    let (mut outbox, now) = (Outbox::default(), Instant::now());
    let (bad, good) = (router_id(1), router_id(2));
    let down = || Statuses::from([(floating_id(9), "DOWN")]);
    let active = || Statuses::from([(floating_id(9), "ACTIVE")]);
    outbox.add(good, Statuses::new(), now);
    assert!(outbox.next(now).is_none(), "nothing to tell");
    outbox.add(bad, down(), now);
    assert_eq!(outbox.next(now), Some((bad, down())));
    outbox.add(good, active(), now);
    outbox.failed(bad, down(), now);
    assert_eq!(outbox.next(now), Some((good, active())));
    outbox.told(good);
    assert_eq!(outbox.next_due(), Some(now + Duration::from_secs(2)));
    assert!(outbox.next(now).is_none());
    let later = now + Duration::from_secs(2);
    assert_eq!(outbox.next(later), Some((bad, down())));
    outbox.add(bad, active(), later);
    assert!(outbox.next(later).is_none(), "one call about it at a time");
    outbox.failed(bad, down(), later);
    assert_eq!(outbox.next(later), Some((bad, active())), "the newest");
    outbox.told(bad);
    assert_eq!(outbox.next_due(), None);
}

/// The role, and what it says to the loop. Nobody answers it.
fn role() -> (L3, mpsc::Receiver<Vec<Event>>) {
    let (parts, said) = sample::parts();
    (L3::new(parts, BTreeMap::new()), said)
}

#[tokio::test]
async fn a_router_that_became_ours_during_a_full_sync_stays() {
    let (mut role, _said) = role();
    role.sync_at(Instant::now());
    role.start_due();
    let id = router_id(1);
    role.take_in(L3Notice::Changed(vec![id])).await;
    role.start_due();
    let found = decode::Decoded {
        value: router(false, Vec::new()),
        remarks: Vec::new(),
    };
    let fetched = vec![(id, Ok(Some(Box::new(found))))];
    role.done(Done::Fetched(2, fetched)).await;
    role.done(Done::Listed(Ok(Vec::new()))).await;
    assert!(role.routers.contains_key(&id), "the list is older");
}

#[tokio::test]
async fn a_failed_sync_does_not_put_off_one_that_is_due() {
    let (mut role, _said) = role();
    role.sync_at(Instant::now());
    role.start_due();
    role.sync_at(Instant::now());
    let due = role.sync_again.expect("asked for");
    let error = CallError::Lost {
        topic: String::new(),
        method: String::new(),
    };
    role.done(Done::Listed(Err(error))).await;
    assert_eq!(role.sync_again, Some(due));
}

#[tokio::test]
async fn a_router_that_fails_does_not_hold_up_the_first_full_sync() {
    let (mut role, _said) = role();
    role.sync_at(Instant::now());
    role.start_due();
    role.done(Done::Listed(Ok(vec![router_id(1)]))).await;
    role.start_due();
    assert!(role.parts.synced.is_some(), "it had no turn yet");
    let error = decode::router(&json!({"id": router_id(1)})).expect_err("it says little");
    let fetched = vec![(router_id(1), Err(error.into()))];
    role.done(Done::Fetched(2, fetched)).await;
    role.start_due();
    assert!(role.parts.synced.is_none(), "told");
}
