//! What the file says is what the model holds.

use std::collections::BTreeSet;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use warren::model::Attachment;
use warren::pace::Limits;
use warren::topology::{Code, MetadataSource, Source, load};

use super::{Host, network, router, seats};

#[test]
fn the_demo() {
    let loaded = load(Path::new("conf/demo.toml"), Path::new("/nonexistent")).unwrap();
    assert_eq!(loaded.warnings, vec![]);
    assert_eq!(loaded.metadata, MetadataSource::File);
    assert_eq!(loaded.resolvers, None);
    let state = &loaded.state;
    let names: Vec<_> = state
        .instances
        .values()
        .map(|instance| instance.name.as_str())
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    assert_eq!(names, ["blue1", "blue2", "green1", "green2"]);
    let (blue, green, outside) = (
        network(state, "blue"),
        network(state, "green"),
        network(state, "outside"),
    );
    assert_eq!((blue.mtu, green.mtu), (1500, 1450));
    assert!(outside.external && outside.dhcp_port.is_none() && !outside.subnets[0].enable_dhcp);
    assert!(blue.dhcp_port.is_some() && green.dhcp_port.is_some());
    assert!(matches!(blue.attachment, Attachment::Local { .. }));

    let r1 = router(state, "r1");
    let legs: Vec<_> = r1
        .interfaces
        .iter()
        .map(|leg| leg.addresses[0].to_string())
        .collect();
    assert_eq!(legs, ["10.10.1.1/24", "10.10.2.1/24"]);
    assert_eq!(r1.interfaces[1].mtu, 1450);
    let gateway = r1.gateway.as_ref().unwrap();
    assert!(gateway.enable_snat);
    assert_eq!(gateway.port.addresses[0].to_string(), "203.0.113.10/24");
    assert_eq!(
        gateway.port.subnets[0].gateway_ip,
        Some(IpAddr::from([203, 0, 113, 1]))
    );

    let seats = seats(state);
    let green1 = seats["green1"].0[0];
    assert_eq!(
        r1.floating_ips[0].floating_ip,
        Ipv4Addr::new(203, 0, 113, 20)
    );
    assert_eq!(r1.floating_ips[0].fixed_ip.map(IpAddr::V4), Some(green1));
    let range = u32::from(Ipv4Addr::new(10, 10, 2, 100))..=u32::from(Ipv4Addr::new(10, 10, 2, 199));
    assert!(
        matches!(green1, IpAddr::V4(ip) if range.contains(&u32::from(ip))),
        "{green1} is of the allocation"
    );
    let forwarding = &r1.port_forwardings[0];
    assert_eq!(forwarding.internal_ip, Ipv4Addr::new(10, 10, 1, 11));
    assert_eq!(
        (forwarding.ports.external, forwarding.ports.internal),
        ((8080, 8080), (80, 80))
    );

    let blue1 = state
        .instances
        .values()
        .find(|instance| instance.name == "blue1")
        .unwrap();
    assert_eq!(blue1.public_keys[0].name, "ada@demo");
    assert_eq!(blue1.metadata["role"], "web");
    assert!(
        blue1
            .user_data
            .as_ref()
            .unwrap()
            .starts_with(b"#cloud-config\n")
    );
    let port = state.port(blue1.ports[0].0, blue1.ports[0].1).unwrap();
    assert_eq!(port.mac.to_string(), "fa:16:3e:00:01:11");
    assert_eq!(&*port.dns[0].fqdn, "blue1.demo.warren");
    assert_eq!(port.instance.as_ref(), Some(&blue1.id));
}

#[test]
fn ids_that_are_given_are_taken() {
    let host = Host::new("given");
    let id = |last: u32| format!("0d60a1cc-5d0e-4f5e-8f3c-{last:012}");
    let state = host.opened(&format!(
        "[[network]]\nname = \"blue\"\nid = \"{}\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\nid = \"{}\"\n\
         [[instance]]\nname = \"web\"\nid = \"{}\"\n[[instance.port]]\nnetwork = \"{}\"\nid = \"{}\"\n\
         [[router]]\nname = \"r\"\nid = \"{}\"\ninterfaces = [\"{}\"]\n",
        id(1), id(2), id(3), id(1), id(4), id(5), id(2),
    ));
    let blue = network(&state, "blue");
    assert_eq!(
        (blue.id.to_string(), blue.subnets[0].id.to_string()),
        (id(1), id(2))
    );
    let web = state.instances.values().next().unwrap();
    assert_eq!(
        (web.id.to_string(), web.ports[0].1.to_string()),
        (id(3), id(4))
    );
    assert_eq!(router(&state, "r").id.to_string(), id(5));
    assert_eq!(
        router(&state, "r").interfaces[0].subnets[0].id.to_string(),
        id(2)
    );
}

#[test]
fn what_networks_and_subnets_say() {
    let host = Host::new("says");
    let state = host.opened(
        "dns_domain = \"Example.org.\"\n\
         [[network]]\nname = \"v\"\ntype = \"vlan\"\ndevice = \"eth1\"\ntag = 7\n\
         [[network]]\nname = \"f\"\ntype = \"flat\"\ndevice = \"eth2\"\nbridge = \"br-f\"\ndns_domain = \"\"\n\
         [[network]]\nname = \"x\"\ntype = \"vxlan\"\nvni = 9\nlocal = \"192.0.2.1\"\nremotes = [\"192.0.2.2\"]\n\
         [[network.subnet]]\ncidr = \"10.0.0.0/24\"\ngateway = \"none\"\ndns_servers = \"none\"\nntp_servers = [\"192.0.2.9\"]\n\
         host_routes = [{ to = \"default\", via = \"10.0.0.9\" }]\n\
         [[network.subnet]]\nname = \"second\"\ncidr = \"10.0.1.0/24\"\ngateway = false\ndhcp = false\ndns_forwarders = [\"192.0.2.8\"]\n",
    );
    let (v, f, x) = (
        network(&state, "v"),
        network(&state, "f"),
        network(&state, "x"),
    );
    assert!(
        matches!(&v.attachment, Attachment::Vlan { device, tag: 7, .. } if device.as_str() == "eth1")
    );
    assert!(matches!(&f.attachment, Attachment::Flat { bridge, .. } if bridge.as_str() == "br-f"));
    let Attachment::Vxlan { vxlan, .. } = &x.attachment else {
        panic!("{:?}", x.attachment)
    };
    assert_eq!((vxlan.vni, vxlan.port, vxlan.remotes.len()), (9, 4789, 1));
    assert_eq!((v.mtu, x.mtu), (1500, 1450));
    assert_eq!(
        (v.dns_domain.as_str(), f.dns_domain.as_str()),
        ("example.org", "")
    );
    let (first, second) = (&x.subnets[0], &x.subnets[1]);
    assert_eq!((first.gateway_ip, second.gateway_ip), (None, None));
    assert_eq!(first.dns_nameservers, [IpAddr::V4(Ipv4Addr::UNSPECIFIED)]);
    assert_eq!(first.host_routes[0].destination.to_string(), "0.0.0.0/0");
    assert_eq!(
        (first.name.as_str(), second.name.as_str()),
        ("10.0.0.0/24", "second")
    );
    assert!(first.enable_dhcp && !second.enable_dhcp);
    let own = &x.dhcp_port.as_ref().unwrap().fixed_ips;
    assert_eq!(
        own.iter().map(|fixed| fixed.subnet).collect::<Vec<_>>(),
        [first.id],
        "an address where DHCP is"
    );
}

#[test]
fn what_ports_and_routers_say() {
    let host = Host::new("ports");
    let state = host.opened(
        "[[network]]\nname = \"in\"\n[[network.subnet]]\ncidr = \"10.0.0.0/24\"\n[[network.subnet]]\nname = \"second\"\ncidr = \"10.0.1.0/24\"\n\
         [[network]]\nname = \"out\"\nexternal = true\n[[network.subnet]]\ncidr = \"203.0.113.0/25\"\n[[network.subnet]]\ncidr = \"203.0.113.128/25\"\n\
         [[router]]\nname = \"r\"\ninterfaces = [\"second\", { network = \"in\", address = \"10.0.0.9\" }]\ngateway = \"out\"\n\
         routes = [{ to = \"172.16.0.0/12\", via = \"10.0.0.7\" }]\n\
         [[router.floating_ip]]\n[[router.floating_ip]]\ninstance = \"web\"\nport = \"b\"\naddress = \"203.0.113.200\"\n\
         [[router.port_forwarding]]\nprotocol = \"udp\"\nexternal_port = \"100-109\"\ninternal_port = \"200-204\"\nfixed = \"10.0.1.77\"\n\
         [[instance]]\nname = \"web\"\n[[instance.port]]\nname = \"a\"\nnetwork = \"in\"\naddresses = [\"second\", \"10.0.0.5\", \"second\"]\n\
         dhcp_options = { client-id = \"01:02\", 26 = 1400 }\n\
         [[instance.port]]\nname = \"b\"\nnetwork = \"in\"\n[[instance.port]]\nname = \"c\"\nnetwork = \"in\"\naddresses = []\n",
    );
    let r = router(&state, "r");
    let own: Vec<_> = r
        .interfaces
        .iter()
        .map(|leg| leg.addresses[0].to_string())
        .collect();
    assert_eq!(own, ["10.0.1.1/24", "10.0.0.9/24"]);
    let gateway = &r.gateway.as_ref().unwrap().port;
    assert_eq!((gateway.subnets.len(), gateway.extra_subnets.len()), (1, 1));
    assert_eq!(r.routes[0].nexthop.to_string(), "10.0.0.7");

    let web = state.instances.values().next().unwrap();
    let [a, b, c] = [0, 1, 2].map(|nth| state.port(web.ports[nth].0, web.ports[nth].1).unwrap());
    let subnets: Vec<_> = a
        .fixed_ips
        .iter()
        .map(|fixed| fixed.ip.to_string().rsplit_once('.').unwrap().0.to_owned())
        .collect();
    assert_eq!(
        subnets,
        ["10.0.1", "10.0.0", "10.0.1"],
        "in the order of the file"
    );
    assert_eq!(
        a.fixed_ips
            .iter()
            .map(|fixed| fixed.ip)
            .collect::<BTreeSet<_>>()
            .len(),
        3
    );
    assert_eq!(
        (a.client_id.as_deref(), a.extra_dhcp_opts.len()),
        (Some(&[1, 2][..]), 1)
    );
    assert_eq!((b.fixed_ips.len(), c.fixed_ips.len()), (1, 0));

    assert_eq!(r.floating_ips[0].fixed_ip, None);
    assert_eq!(
        r.floating_ips[1].fixed_ip.map(IpAddr::V4),
        Some(b.fixed_ips[0].ip)
    );
    let forwarding = &r.port_forwardings[0];
    assert_eq!(
        IpAddr::V4(forwarding.floating_ip),
        gateway.addresses[0].addr(),
        "the gateway's own"
    );
    assert_eq!(forwarding.internal_ip, Ipv4Addr::new(10, 0, 1, 77));
    // A target that is nobody's yet is not given to anybody either.
    let everyone = network(&state, "in")
        .ports
        .values()
        .flat_map(|port| &port.fixed_ips);
    assert!(
        everyone
            .into_iter()
            .all(|fixed| fixed.ip != IpAddr::V4(forwarding.internal_ip))
    );
}

#[test]
fn settings() {
    let host = Host::new("settings");
    host.write(
        "lease = \"infinite\"\ndns_resolvers = [\"192.0.2.1\", \"192.0.2.2:5353\", \"[2001:db8::1]:53\"]\ndns_joined = false\n\
         dns_cache = 0\ndns_rebind_protection = true\ndns_rebind_allowed = [\"Corp.example.\"]\n\
         dhcp_broadcast = true\nsnat_random_ports = false\nadvertise_without_router = true\n[metadata]\nisolated = false\nforce = true\nport = 9000\n\
         [limits]\ndhcp_client = 1000\ndns_others = 1\n",
    );
    let loaded = host.open().1;
    let settings = &loaded.settings;
    assert_eq!(settings.lease, u32::MAX);
    assert_eq!(
        settings
            .host_resolvers
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>(),
        ["192.0.2.1:53", "192.0.2.2:5353", "[2001:db8::1]:53"]
    );
    assert_eq!(loaded.resolvers.as_ref(), Some(&settings.host_resolvers));
    assert!(
        !settings.joined_names
            && settings.authoritative_dns
            && settings.broadcast_reply
            && !settings.random_fully
            && settings.advertise_without_router
    );
    assert_eq!(settings.dns_cache, 0);
    assert_eq!(
        settings.no_rebind.as_ref().unwrap().except,
        ["corp.example"]
    );
    assert!(!settings.metadata.isolated && settings.metadata.routed && settings.metadata.force);
    assert_eq!(settings.metadata.port, 9000);
    let mut limits = Limits::default();
    limits.dhcp.client = limits.dhcp.client.scaled_to(1000);
    limits.dns.others = limits.dns.others.scaled_to(1);
    assert_eq!(settings.limits, limits);
}

#[test]
fn a_file_that_cannot_be_read() {
    let host = Host::new("unreadable");
    let code = |host: &Host| {
        let mistakes = Source::open(&host.file(), &host.state_dir(), Default::default())
            .err()
            .unwrap();
        assert_eq!(
            (mistakes.len(), mistakes[0].line, mistakes[0].column),
            (1, 1, 1)
        );
        mistakes[0].code
    };
    assert_eq!(code(&host), Code::Unreadable, "not there");
    fs::write(host.file(), b"name = \"\xff\"").unwrap();
    assert_eq!(code(&host), Code::Unreadable, "not UTF-8");
    fs::remove_file(host.file()).unwrap();
    fs::create_dir(host.file()).unwrap();
    assert_eq!(code(&host), Code::Unreadable, "a directory");
}

/// Not a timed test: the figure is for a person to see (`--nocapture`).
#[test]
fn ten_thousand_ports() {
    let host = Host::new("large");
    let mut text =
        "[[network]]\nname = \"blue\"\n[[network.subnet]]\ncidr = \"10.0.0.0/16\"\n".to_owned();
    for nth in 0..10_000 {
        text += &format!(
            "[[instance]]\nname = \"vm-{nth}\"\nmetadata = {{ role = \"web\" }}\n[[instance.port]]\nnetwork = \"blue\"\n"
        );
    }
    host.write(&text);
    let begin = std::time::Instant::now();
    let (mut source, loaded) = host.open();
    let opened = begin.elapsed();
    let ports = &network(&loaded.state, "blue").ports;
    assert_eq!(
        ports
            .values()
            .map(|port| port.fixed_ips[0].ip)
            .collect::<BTreeSet<_>>()
            .len(),
        10_000
    );
    assert_eq!(
        ports
            .values()
            .map(|port| port.mac)
            .collect::<BTreeSet<_>>()
            .len(),
        10_000
    );
    host.write(
        &(text + "[[instance]]\nname = \"one-more\"\n[[instance.port]]\nnetwork = \"blue\"\n"),
    );
    let begin = std::time::Instant::now();
    assert_eq!(source.reload().unwrap().len(), 2);
    eprintln!(
        "10,000 ports: opened in {opened:?}, loaded again in {:?}",
        begin.elapsed()
    );
}
