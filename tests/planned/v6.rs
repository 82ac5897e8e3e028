//! IPv6 on a router's legs, and its way out.

use warren::model::*;
use warren::plan::Ipv6Gateway;

use crate::cloud::{Cloud, leg};
use crate::common::{Guest, PATIENCE, Sender, wait_for};
use crate::{ip, source_seen};

/// Dual stack inside (network 1) and outside (network 2), where the subnet of v6 has this gateway.
fn dual(name: &str, gateway: Option<&str>) -> Option<Cloud> {
    let mut cloud = Cloud::new(name, 2)?;
    let inner = [("10.1.0.1/24", None), ("fd00:1::1/64", None)];
    cloud.router.interfaces = vec![leg(1, 1, &inner)];
    let outer = [
        ("203.0.113.5/24", Some("203.0.113.1")),
        ("2001:db8::5/64", gateway),
    ];
    cloud.router.gateway = Some(Gateway {
        port: leg(9, 2, &outer),
        enable_snat: true,
    });
    Some(cloud)
}

fn vm(cloud: &Cloud) -> Guest {
    let vm = cloud.guest("vm", 1, "10.1.0.11/24", "10.1.0.1");
    vm.ip("addr add fd00:1::11/64 dev eth0 nodad\nroute add default via fd00:1::1");
    vm
}

/// It is known by 2001:db8::1 and, further away, 2001:db8:1::1, and knows the way back.
fn world(cloud: &Cloud) -> Guest {
    let world = cloud.host.world("br2", "203.0.113.1/24");
    world.ip(
        "addr add 2001:db8::1/64 dev eth0 nodad\naddr add fe80::1/64 dev eth0 nodad\n\
         addr add 2001:db8:1::1/128 dev lo\nroute add fd00:1::/64 via 2001:db8::5",
    );
    world
}

/// Until the router's addresses have passed the check for duplicates.
fn reached(vm: &Guest, address: &str) {
    wait_for("the way out to work", PATIENCE, || {
        vm.ping(address).then_some(())
    });
}

#[test]
fn v6_is_routed_and_never_translated() {
    let Some(cloud) = dual("dual", Some("2001:db8::1")) else {
        return;
    };
    cloud.apply();
    let (vm, world) = (vm(&cloud), world(&cloud));
    reached(&vm, "2001:db8:1::1");
    assert_eq!(
        source_seen(&vm, "2001:db8:1::1", &world, 80),
        ip("fd00:1::11")
    );
    assert_eq!(
        source_seen(&vm, "203.0.113.1", &world, 80),
        ip("203.0.113.5")
    );
    let value = cloud.in_router(&[
        "sysctl",
        "-n",
        &format!("net.ipv6.conf.{}.accept_ra", cloud.gateway_device()),
    ]);
    assert_eq!(
        value.trim(),
        "0",
        "a gateway is known: nobody else's word is taken"
    );
}

#[test]
fn the_way_out_is_what_the_operator_says() {
    let Some(mut cloud) = dual("operator", None) else {
        return;
    };
    cloud.settings.ipv6_gateway = Ipv6Gateway::Address("fe80::1".parse().unwrap());
    cloud.apply();
    let (vm, _world) = (vm(&cloud), world(&cloud));
    reached(&vm, "2001:db8:1::1");
}

#[test]
fn the_way_out_is_what_the_outside_advertises() {
    let Some(mut cloud) = dual("advertised", None) else {
        return;
    };
    cloud.settings.ipv6_gateway = Ipv6Gateway::Advertised;
    cloud.apply();
    let (vm, world) = (vm(&cloud), world(&cloud));
    assert!(!vm.ping("2001:db8:1::1"));
    let wire = world.wire();
    let sender = Sender {
        mac: wire.mac(),
        ip: "fe80::1".parse().unwrap(),
    };
    wire.send(&sender.advertises(&[]));
    reached(&vm, "2001:db8:1::1");
    let route = cloud.in_router(&["ip", "-6", "route", "show", "default"]);
    assert!(
        route.contains("via fe80::1") && route.contains("proto ra"),
        "{route}"
    );
    cloud.apply();
    reached(&vm, "2001:db8:1::1");

    // A gateway that the subnet names takes its place, though not at once: what was advertised lives on beside it.
    let port = &mut cloud.router.gateway.as_mut().unwrap().port;
    port.subnets[1].gateway_ip = Some(ip("2001:db8::1"));
    cloud.apply();
    let routes = cloud.in_router(&["ip", "-6", "route", "show", "default"]);
    assert!(routes.contains("via 2001:db8::1"), "{routes}");
}

#[test]
fn a_prefix_that_is_not_there_yet_is_not_set() {
    let Some(mut cloud) = dual("provisional", None) else {
        return;
    };
    let waiting = leg(2, 1, &[("::1/64", Some("::1"))]);
    cloud.router.interfaces.push(waiting);
    cloud.apply();
    let addresses = cloud.in_router(&["ip", "-o", "-6", "addr", "show", "scope", "global"]);
    assert!(!addresses.contains(" ::1/64"), "{addresses}");
}
