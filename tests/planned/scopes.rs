//! Address scopes: what is routed, what is translated, and what is dropped.

use warren::model::*;

use crate::cloud::{Cloud, SCOPE_X, SCOPE_Y, floating, leg, scoped};
use crate::common::{Guest, tcp_stream};
use crate::{ip, source_seen};

/// Network 1 is of the external network's scope, 2 of none, 3 of that scope too, 4 is the external one.
struct Scoped {
    cloud: Cloud,
    own: Guest,
    null: Guest,
    also: Guest,
    world: Guest,
}

/// The world knows the way to the networks of its scope, and, as nobody can be kept from trying, to the other.
fn scoped_cloud(name: &str, external: Option<AddressScopeId>) -> Option<Scoped> {
    let mut cloud = Cloud::new(name, 4)?;
    cloud.router.interfaces = vec![
        scoped(
            Some(SCOPE_X),
            leg(1, 1, &[("10.1.0.1/24", Some("10.1.0.1"))]),
        ),
        leg(2, 2, &[("10.2.0.1/24", Some("10.2.0.1"))]),
        scoped(
            Some(SCOPE_X),
            leg(3, 3, &[("10.3.0.1/24", Some("10.3.0.1"))]),
        ),
    ];
    let gateway = leg(9, 4, &[("203.0.113.5/24", Some("203.0.113.1"))]);
    cloud.router.gateway = Some(Gateway {
        port: scoped(external, gateway),
        enable_snat: true,
    });
    cloud.apply();
    let own = cloud.guest("own", 1, "10.1.0.11/24", "10.1.0.1");
    let null = cloud.guest("null", 2, "10.2.0.11/24", "10.2.0.1");
    let also = cloud.guest("also1", 3, "10.3.0.11/24", "10.3.0.1");
    let world = cloud.host.world("br4", "203.0.113.1/24");
    world.ip("route add 10.0.0.0/8 via 203.0.113.5");
    Some(Scoped {
        cloud,
        own,
        null,
        also,
        world,
    })
}

#[test]
fn one_scope_is_routed_two_are_not() {
    let Some(mut on) = scoped_cloud("scopes", Some(SCOPE_X)) else {
        return;
    };
    assert_eq!(
        source_seen(&on.own, "10.3.0.11", &on.also, 80),
        ip("10.1.0.11")
    );
    assert!(!on.own.ping("10.2.0.11"), "into another scope");
    assert!(!on.null.ping("10.1.0.11"), "out of another scope");
    assert!(
        on.null.ping("10.2.0.1"),
        "the router itself is there for all"
    );
    let seen = source_seen(&on.own, "203.0.113.1", &on.world, 80);
    assert_eq!(
        seen,
        ip("10.1.0.11"),
        "the outside's own scope is not translated"
    );
    let seen = source_seen(&on.null, "203.0.113.1", &on.world, 80);
    assert_eq!(seen, ip("203.0.113.5"), "another scope is");
    assert!(on.world.ping("10.1.0.11"), "in, in one scope");
    assert!(!on.world.ping("10.2.0.11"), "in, across scopes");

    // Without SNAT nothing hides the other scope, so it does not get out.
    on.cloud.router.gateway.as_mut().unwrap().enable_snat = false;
    on.cloud.apply();
    assert!(on.own.ping("203.0.113.1"));
    assert!(!on.null.ping("203.0.113.1"));
}

#[test]
fn a_floating_ip_leads_across_scopes() {
    let Some(mut on) = scoped_cloud("crossing", Some(SCOPE_X)) else {
        return;
    };
    on.cloud.router.floating_ips = vec![floating("203.0.113.20", "10.2.0.11", None)];
    on.cloud.apply();
    assert!(on.world.ping("203.0.113.20"), "in");
    let seen = source_seen(&on.world, "203.0.113.20", &on.null, 80);
    assert_eq!(seen, ip("203.0.113.1"), "in, from the true source");
    let seen = source_seen(&on.null, "203.0.113.1", &on.world, 81);
    assert_eq!(seen, ip("203.0.113.20"), "out, by the floating IP");
    let seen = source_seen(&on.own, "203.0.113.20", &on.null, 82);
    assert_eq!(seen, ip("203.0.113.5"), "round, from the other scope");
    assert!(
        !on.own.ping("10.2.0.11"),
        "its own address stays out of reach"
    );
    // Longer than the packets of a beginning: answers must find their connection's scope.
    for (from, to, address, port) in [
        (&on.world, &on.null, "203.0.113.20", 7000),
        (&on.null, &on.world, "203.0.113.1", 7001),
    ] {
        let stream = tcp_stream(from, to, address.parse().unwrap(), port);
        std::thread::sleep(std::time::Duration::from_millis(300));
        assert_eq!(stream.stop().broken, None, "{address}");
    }
    // The same with the connection's scope as the only thing that lets answers pass: SNAT off.
    on.cloud.router.gateway.as_mut().unwrap().enable_snat = false;
    on.cloud.apply();
    assert!(on.world.ping("203.0.113.20") && on.null.ping("203.0.113.1"));
}

#[test]
fn the_null_scope_is_one_too() {
    let Some(mut on) = scoped_cloud("null", None) else {
        return;
    };
    let seen = source_seen(&on.null, "203.0.113.1", &on.world, 80);
    assert_eq!(
        seen,
        ip("203.0.113.5"),
        "inside of the null scope all is as ever"
    );
    let seen = source_seen(&on.own, "203.0.113.1", &on.world, 80);
    assert_eq!(seen, ip("203.0.113.5"));
    assert!(on.world.ping("10.2.0.11"), "in, in the null scope");
    assert!(!on.world.ping("10.1.0.11"), "in, across scopes");
    assert!(!on.own.ping("10.2.0.11"));
    // A floating IP of the own scope, and one of another.
    on.cloud.router.floating_ips = vec![
        floating("203.0.113.20", "10.2.0.11", None),
        floating("203.0.113.21", "10.1.0.11", Some(SCOPE_X)),
    ];
    on.cloud.apply();
    assert!(on.world.ping("203.0.113.20") && on.world.ping("203.0.113.21"));
    assert!(
        on.null.ping("203.0.113.21") && on.own.ping("203.0.113.20"),
        "round"
    );
}

#[test]
fn each_family_has_its_scopes() {
    let Some(mut cloud) = Cloud::new("families", 3) else {
        return;
    };
    let dual = |port, n: u128, scope| {
        let (v4, v6) = (format!("10.{n}.0.1/24"), format!("fd00:{n}::1/64"));
        let mut leg = leg(port, n, &[(&v4, None), (&v6, None)]);
        leg.scopes.v6 = scope;
        leg
    };
    cloud.router.interfaces = vec![
        dual(1, 1, Some(SCOPE_Y)),
        dual(2, 2, Some(SCOPE_Y)),
        dual(3, 3, None),
    ];
    cloud.apply();
    let guests = [1, 2, 3].map(|n: u8| {
        let name = "x".repeat(n.into());
        let guest = cloud.guest(&name, n, &format!("10.{n}.0.11/24"), &format!("10.{n}.0.1"));
        guest.ip(&format!(
            "addr add fd00:{n}::11/64 dev eth0 nodad\nroute add default via fd00:{n}::1"
        ));
        guest
    });
    for n in [2, 3] {
        assert!(
            guests[0].ping(format!("10.{n}.0.11")),
            "v4 has no scopes here"
        );
    }
    assert!(guests[0].ping("fd00:2::11"));
    assert!(!guests[0].ping("fd00:3::11"));
    assert!(!guests[2].ping("fd00:1::11"));
}
