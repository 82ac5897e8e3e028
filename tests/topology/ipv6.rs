//! IPv6 subnets and their modes.

use warren::model::Ipv6Mode;
use warren::topology::events;

use super::{Host, network, router, seats};

/// Dual stack: one subnet of each way to an IPv6 address.
const DUAL: &str = r#"
[[network]]
name = "blue"
subnet = [
    { cidr = "10.10.1.0/24" },
    { cidr = "fd00:1::/64" },
    { cidr = "fd00:2::/64", ipv6_ra_mode = "dhcpv6-stateful", ipv6_address_mode = "dhcpv6-stateful" },
    { cidr = "fd00:3::/80", dns_servers = ["fd00:3::53"] },
]

[[network]]
name = "outside"
external = true
subnet = [{ cidr = "203.0.113.0/24" }, { cidr = "2001:db8::/64", gateway = "fe80::1" }]

[[router]]
name = "r1"
interfaces = ["10.10.1.0/24", "fd00:1::/64", { subnet = "fd00:2::/64", address = "fd00:2::99" }]
gateway = { network = "outside", address = "2001:db8::9" }
routes = [{ to = "default", via = "fd00:1::77" }, { to = "fd77::/16", via = "fd00:2::5" }]
floating_ip = [{ instance = "web" }]

[[instance]]
name = "web"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:00:0b"

[[instance]]
name = "db"
[[instance.port]]
network = "blue"
mac = "fa:16:3e:00:00:0c"
addresses = ["10.10.1.12", "fd00:2::12", "fd00:3::/80"]
dhcp_options = [{ name = "ntp-server", value = "fd00::123", ip_version = 6 }]
"#;

#[test]
fn ipv6_beside_ipv4() {
    let host = Host::new("dual");
    let state = host.opened(DUAL);
    let blue = network(&state, "blue");
    let modes: Vec<_> = blue
        .subnets
        .iter()
        .map(|subnet| (subnet.ra_mode, subnet.address_mode))
        .collect();
    let both = |mode| (Some(mode), Some(mode));
    assert_eq!(
        modes,
        [
            (None, None),
            both(Ipv6Mode::Slaac),
            both(Ipv6Mode::Stateful),
            both(Ipv6Mode::Stateful),
        ]
    );
    let seats = seats(&state);
    let texts =
        |name: &str| -> Vec<String> { seats[name].0.iter().map(ToString::to_string).collect() };
    let web = texts("web");
    assert_eq!(web.len(), 3, "{web:?}");
    assert!(web[0].starts_with("10.10.1."), "{web:?}");
    assert!(
        web[1].starts_with("fd00:2::"),
        "picked of the first: {web:?}"
    );
    assert_eq!(web[2], "fd00:1::f816:3eff:fe00:b", "made of the MAC");
    let db = texts("db");
    assert_eq!(
        (&db[0][..], &db[1][..], &db[3][..]),
        ("10.10.1.12", "fd00:2::12", "fd00:1::f816:3eff:fe00:c")
    );
    assert!(db[2].starts_with("fd00:3::"), "{db:?}");

    let own = blue.dhcp_port.as_ref().unwrap();
    assert_eq!(own.fixed_ips.len(), 4, "on every subnet");
    let made = own.mac.eui64("fd00:1::".parse().unwrap());
    assert!(own.fixed_ips.iter().any(|fixed| fixed.ip == made));

    let r1 = router(&state, "r1");
    let legs: Vec<_> = r1
        .interfaces
        .iter()
        .map(|leg| {
            leg.addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        })
        .collect();
    assert_eq!(
        legs,
        [vec!["10.10.1.1/24"], vec!["fd00:1::1/64", "fd00:2::99/64"]],
        "IPv6 subnets share a leg"
    );
    assert_eq!(r1.interfaces[1].subnets[0].ra_mode, Some(Ipv6Mode::Slaac));
    let gateway = &r1.gateway.as_ref().unwrap().port;
    let outer: Vec<_> = gateway.addresses.iter().map(ToString::to_string).collect();
    assert_eq!(outer[0], "2001:db8::9/64");
    assert!(outer[1].starts_with("203.0.113."), "{outer:?}");
    let floating = &r1.floating_ips[0];
    assert_eq!(
        floating.fixed_ip.map(|ip| ip.to_string()),
        Some(web[0].clone())
    );
    let to: Vec<_> = r1
        .routes
        .iter()
        .map(|route| route.destination.to_string())
        .collect();
    assert_eq!(to, ["::/0", "fd77::/16"]);

    let again = host.open().1.state;
    assert!(events(&state, &again).is_empty(), "chosen once");
}

#[test]
fn the_modes_of_a_subnet() {
    let host = Host::new("modes");
    for (name, keys, want) in [
        (
            "nothing said",
            "",
            (Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Slaac)),
        ),
        (
            "none",
            "ipv6_ra_mode = false\nipv6_address_mode = \"none\"",
            (None, None),
        ),
        ("no DHCP", "dhcp = false", (None, None)),
        (
            "another's router",
            "ipv6_address_mode = \"dhcpv6-stateless\"",
            (None, Some(Ipv6Mode::Stateless)),
        ),
        (
            "another's addresses",
            "ipv6_ra_mode = \"dhcpv6-stateful\"",
            (Some(Ipv6Mode::Stateful), None),
        ),
        (
            "left to us",
            "ipv6_ra_mode = \"auto\"\nipv6_address_mode = true",
            (Some(Ipv6Mode::Slaac), Some(Ipv6Mode::Slaac)),
        ),
    ] {
        let state = host.opened(&format!(
            "[[network]]\nname = \"b\"\n[[network.subnet]]\ncidr = \"fd00::/64\"\n{keys}\n"
        ));
        let subnet = &network(&state, "b").subnets[0];
        assert_eq!((subnet.ra_mode, subnet.address_mode), want, "{name}");
    }
}
