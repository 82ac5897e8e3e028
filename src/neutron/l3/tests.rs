//! The role's pure parts, as tables.

use std::net::Ipv4Addr;

use uuid::Uuid;

use super::*;
use crate::model::{
    FloatingIp, FloatingIpId, FloatingIpStatus, Gateway, MacAddr, PortId, ProjectId, RouterPort,
};

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
        id: router_id(1),
        name: String::new(),
        project: ProjectId("p".into()),
        admin_state_up: true,
        interfaces: Vec::new(),
        gateway: gateway.then_some(Gateway {
            port: leg,
            enable_snat: true,
        }),
        routes: Vec::new(),
        floating_ips,
        port_forwardings: Vec::new(),
        conntrack_helpers: Vec::new(),
        forwarded: Vec::new(),
        kind: RouterKind::Legacy,
    }
}

#[test]
fn the_server_is_told_what_it_does_not_know() {
    use FloatingIpStatus::{Active, Down};
    let told = |pairs: &[(u8, u8)]| -> Told {
        let to = |&(id, fixed): &(u8, u8)| {
            (floating_id(id.into()), Some(Ipv4Addr::new(10, 0, 0, fixed)))
        };
        pairs.iter().map(to).collect()
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
        let (statuses, _) = statuses::of_working(&router(gateway, floating_ips), before.as_ref());
        let want: Statuses = want
            .into_iter()
            .map(|(id, status)| (floating_id(id), status))
            .collect();
        assert_eq!(statuses, want, "{name}");
    }
}

#[test]
fn what_failed_is_told_anew_once_it_works() {
    let router = router(true, vec![floating(9, Some(5), FloatingIpStatus::Active)]);
    assert_eq!(
        statuses::of_failed(&router),
        Statuses::from([(floating_id(9), "ERROR")])
    );
    let (statuses, _) = statuses::of_working(&router, Some(&Told::new()));
    assert_eq!(statuses, Statuses::from([(floating_id(9), "ACTIVE")]));
}

#[test]
fn who_waits_does_not_wait_for_a_full_sync() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    for n in 0..300 {
        errands.add(router_id(n), Lane::Sync, now);
    }
    let (lane, asked) = errands.next(now).expect("the sync");
    assert_eq!((lane, asked.len()), (Lane::Sync, 256));
    assert!(
        errands.next(now).is_none(),
        "one question of a sync at a time"
    );
    errands.add(router_id(7), Lane::Notice, now);
    errands.add(router_id(299), Lane::Notice, now);
    let (lane, asked) = errands.next(now).expect("the notice");
    assert_eq!(
        (lane, asked),
        (Lane::Notice, [router_id(7), router_id(299)].into())
    );
    let newer = errands.done(Lane::Notice, &[router_id(7)]);
    assert_eq!(newer, [router_id(7)].into());
    let newer = errands.done(Lane::Sync, &[router_id(7), router_id(8)]);
    assert_eq!(
        newer,
        [router_id(8)].into(),
        "7 was asked about later, and answered already"
    );
}

#[test]
fn a_router_that_was_told_gone_stays_gone() {
    let (mut errands, now) = (Errands::default(), Instant::now());
    errands.add(router_id(1), Lane::Sync, now);
    errands.next(now).expect("asked");
    errands.forget(router_id(1));
    assert!(errands.done(Lane::Sync, &[router_id(1)]).is_empty());
    errands.add(router_id(1), Lane::Notice, now);
    errands.next(now).expect("asked again");
    assert_eq!(
        errands.done(Lane::Notice, &[router_id(1)]).len(),
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
    let (_, asked) = errands.next(now).expect("the other");
    assert_eq!(asked, [router_id(2)].into());
    errands.done(Lane::Sync, &[router_id(2)]);
    assert_eq!(errands.next_due(), Some(now + pause));
}
