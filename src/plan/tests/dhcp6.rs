//! What DHCPv6 serves in a network's namespace.

use super::*;
use crate::plan::scope::{Dhcp6Client, Dhcp6Scope};

/// `blue` with two IPv6 subnets, DHCP at ::2 of both, and a machine that has two addresses in the first, one in the other.
fn blue6(change: impl FnOnce(&mut Network)) -> Network {
    let mut network = blue();
    let dhcp = [
        (11, "10.0.0.2"),
        (21, "2001:db8:1::2"),
        (22, "2001:db8:2::2"),
    ];
    network.dhcp_port = Some(port(2, BLUE, DeviceOwner::Dhcp, &dhcp));
    network.subnets.push(subnet(21, "2001:db8:1::/64", None));
    network.subnets.push(subnet(22, "2001:db8:2::/64", None));
    let addresses = [
        (11, "10.0.0.7"),
        (21, "2001:db8:1::7"),
        (22, "2001:db8:2::7"),
        (21, "2001:db8:1::77"),
    ];
    let vm = port(7, BLUE, DeviceOwner::Machine, &addresses);
    let mut vm = Port::clone(&vm);
    let name = |fqdn: &str, address: &str| DnsAssignment {
        ip: ip(address),
        hostname: "vm".into(),
        fqdn: fqdn.into(),
    };
    vm.dns = [
        name("four.test", "10.0.0.7"),
        name("vm.blue.test", "2001:db8:1::77"),
    ]
    .into();
    vm.extra_dhcp_opts = [
        DhcpOption::parse_v4("mtu", "1400").unwrap(),
        DhcpOption::parse_v6("dns-server", "2001:db8::99").unwrap(),
    ]
    .into();
    network.ports.insert(vm.id, Arc::new(vm));
    change(&mut network);
    network
}

fn scope(network: &Network, settings: &Settings) -> Dhcp6Scope {
    dhcp6_scope(network, settings).unwrap()
}

fn first_mut(network: &mut Network) -> &mut Subnet {
    &mut network.subnets[1]
}

#[test]
fn every_pair_of_modes_says_whether_dhcpv6_has_a_part() {
    use Ipv6Mode::{Slaac, Stateful, Stateless};
    // Neutron's table: RA mode down, address mode across.
    let modes = [None, Some(Slaac), Some(Stateful), Some(Stateless)];
    let (no, yes, options) = (None, Some(true), Some(false));
    for (ra, row) in modes.into_iter().zip([
        [yes, no, yes, options],
        [no, no, yes, options],
        [no, no, yes, options],
        [no, no, yes, options],
    ]) {
        for (address, want) in modes.into_iter().zip(row) {
            let network = blue6(|network| {
                first_mut(network).ra_mode = ra;
                first_mut(network).address_mode = address;
            });
            let scope = scope(&network, &Settings::default());
            let served = scope.subnets.iter();
            let mut served = served.filter(|subnet| subnet.cidr.to_string() == "2001:db8:1::/64");
            let stateful = served.next().map(|subnet| subnet.stateful);
            assert_eq!(stateful, want, "RA {ra:?}, address {address:?}");
        }
    }
}

#[test]
fn subnets_are_served_with_their_options() {
    let served = |network: &Network| -> Vec<String> {
        let scope = dhcp6_scope(network, &Settings::default());
        let subnets = scope.iter().flat_map(|scope| &scope.subnets);
        subnets
            .map(|subnet| {
                let place = if subnet.local { "here" } else { "elsewhere" };
                format!(
                    "{} {place} dns {:?} ntp {:?}",
                    subnet.cidr, subnet.dns, subnet.ntp
                )
            })
            .collect()
    };
    let second = "2001:db8:2::/64 here dns [2001:db8:2::2] ntp []";
    for (name, network, want) in [
        (
            "ours is the name server",
            blue6(|_| {}),
            vec!["2001:db8:1::/64 here dns [2001:db8:1::2] ntp []", second],
        ),
        (
            "given name servers, of this version",
            blue6(|network| {
                first_mut(network).dns_nameservers = vec![ip("2001:db8::53"), ip("192.0.2.53")];
                first_mut(network).ntp_servers = vec![ip("2001:db8::123")];
            }),
            vec![
                "2001:db8:1::/64 here dns [2001:db8::53] ntp [2001:db8::123]",
                second,
            ],
        ),
        (
            "none at all",
            blue6(|network| first_mut(network).dns_nameservers = vec![ip("::")]),
            vec!["2001:db8:1::/64 here dns [] ntp []", second],
        ),
        (
            "every DHCP port is a name server, in the order of ids",
            blue6(|network| {
                let other = port(1, BLUE, DeviceOwner::Dhcp, &[(21, "2001:db8:1::3")]);
                network.ports.insert(other.id, other);
            }),
            vec![
                "2001:db8:1::/64 here dns [2001:db8:1::3, 2001:db8:1::2] ntp []",
                second,
            ],
        ),
        (
            "without DHCP",
            blue6(|network| first_mut(network).enable_dhcp = false),
            vec![second],
        ),
        (
            "a prefix that is still to come",
            blue6(|network| first_mut(network).cidr = net("::/64")),
            vec![second],
        ),
        (
            "a prefix that is too short",
            blue6(|network| first_mut(network).cidr = net("2001:db8::/63")),
            vec![second],
        ),
        (
            "of another segment",
            blue6(|network| {
                let far = network.subnets.remove(2);
                network.non_local_subnets.push(far);
            }),
            vec![
                "2001:db8:1::/64 here dns [2001:db8:1::2] ntp []",
                "2001:db8:2::/64 elsewhere dns [2001:db8:2::2] ntp []",
            ],
        ),
        ("no IPv6", blue(), vec![]),
        (
            "not up",
            blue6(|network| network.admin_state_up = false),
            vec![],
        ),
        (
            "no port of ours",
            blue6(|network| network.dhcp_port = None),
            vec![],
        ),
    ] {
        assert_eq!(served(&network), want, "{name}");
    }
}

#[test]
fn a_port_has_its_addresses_name_and_options() {
    let network = blue6(|_| {});
    let mac = MacAddr([0xfa, 0x16, 0x3e, 0, 0, 7]);
    let of = |scope: &Dhcp6Scope| Dhcp6Client::clone(scope.clients.get(&mac).unwrap());
    let all = of(&scope(&network, &Settings::default()));
    let six = |text: &str| text.parse().unwrap();
    let [one, two, last] = ["2001:db8:1::7", "2001:db8:2::7", "2001:db8:1::77"].map(six);
    assert_eq!(all.addresses, [(0, one), (1, two), (0, last)]);
    assert_eq!(all.fqdn.as_deref(), Some("vm.blue.test"));
    assert_eq!(
        all.options.iter().map(|of| of.code).collect::<Vec<_>>(),
        [23]
    );
    let common = |option: Result<DhcpOption, _>| CommonOption {
        option: option.unwrap(),
        forced: true,
    };
    let settings = Settings {
        every_address: false,
        dhcp_options: vec![
            common(DhcpOption::parse_v4("mtu", "1400")),
            common(DhcpOption::parse_v6("59", "loader")),
        ],
        ..Settings::default()
    };
    let one_each = scope(&network, &settings);
    assert_eq!(*one_each.options, settings.dhcp_options[1..]);
    let mut booting = network.clone();
    booting.dhcp_options = vec![
        DhcpOption::parse_v4("67", "loader").unwrap(),
        DhcpOption::parse_v6("59", "tftp://a/loader").unwrap(),
    ];
    let of_network = scope(&booting, &settings).options;
    assert_eq!(of_network[0], settings.dhcp_options[1]);
    assert_eq!(of_network[1].option, booting.dhcp_options[1]);
    assert_eq!(of_network.len(), 2, "after those of all networks");
    let search = |name: &str| DhcpOption::parse_v6("domain-search", name);
    let settings = Settings {
        dhcp_options: vec![common(search("all.org"))],
        ..settings
    };
    booting.dhcp_options = vec![search("lab.org").unwrap()];
    let of_network: Vec<DhcpOption> = {
        let options = scope(&booting, &settings).options;
        options.iter().map(|common| common.option.clone()).collect()
    };
    assert_eq!(
        of_network, booting.dhcp_options,
        "before the domain, and that before the one for all"
    );
    booting.dns_domain = String::new();
    assert_eq!(
        scope(&booting, &settings).options.len(),
        2,
        "without a domain"
    );
    let one_each = of(&one_each);
    assert_eq!(
        one_each.addresses,
        [(1, two), (0, last)],
        "of each subnet the last"
    );
}

#[test]
fn who_may_not_relay_and_who_is_known_by_an_id() {
    let mut scope = scope(&blue6(|_| {}), &Settings::default());
    let six = |text: &str| text.parse().unwrap();
    let is_tenant = |scope: &Dhcp6Scope, address| scope.tenants.get(&six(address)).is_some();
    for (address, want) in [
        ("2001:db8:1::7", true),
        ("2001:db8:2::7", true),
        ("fe80::f816:3eff:fe00:7", true),
        ("2001:db8:1::2", false),
        ("2001:db8:1::99", false),
    ] {
        assert_eq!(is_tenant(&scope, address), want, "{address}");
    }
    let before = scope.clone();
    let mut router = Port::clone(&port(
        9,
        BLUE,
        DeviceOwner::RouterInterface,
        &[(21, "2001:db8:1::9")],
    ));
    router.client_id = Some(b"duid".to_vec());
    scope.join(&router);
    assert!(!is_tenant(&scope, "2001:db8:1::9"), "a router may relay");
    let by_id = scope.by_client_id.get(&b"duid"[..]).unwrap();
    assert_eq!(
        Some(by_id),
        scope.clients.get(&router.mac),
        "by its MAC all the same"
    );
    scope.leave(&router);
    let mut star = Port::clone(&port(
        9,
        BLUE,
        DeviceOwner::Machine,
        &[(21, "2001:db8:1::9")],
    ));
    star.client_id = Some(Vec::new());
    scope.join(&star);
    assert!(scope.by_client_id.is_empty(), "`*` is no id");
    scope.leave(&star);
    assert_eq!(scope, before, "who leaves leaves nothing behind");
}
