//! What a topology file means: the model that it gives, what stays when it changes, and what is said about a change.
#![allow(clippy::unwrap_used)] // A test that can't make its files has failed.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use warren::model::{Attachment, Event, Ipv6Mode, MacAddr, Network, Router, State};
use warren::pace::Limits;
use warren::topology::{Code, Loaded, MetadataSource, Source, events, load};

/// A directory with a topology and a state directory; gone with the test.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("warren-topology-{name}-{}", std::process::id()));
        let _leftover = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.join("net.toml")
    }

    fn state_dir(&self) -> PathBuf {
        self.0.join("state")
    }

    fn open(&self) -> (Source, Loaded) {
        Source::open(&self.file(), &self.state_dir())
            .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    /// Writes, and opens as a new daemon would.
    fn opened(&self, text: &str) -> State {
        self.write(text);
        self.open().1.state
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn network<'s>(state: &'s State, name: &str) -> &'s Network {
    state
        .networks
        .values()
        .find(|network| network.name == name)
        .unwrap()
}

fn router<'s>(state: &'s State, name: &str) -> &'s Router {
    state
        .routers
        .values()
        .find(|router| router.name == name)
        .unwrap()
}

/// First addresses and MACs of the instances, by name.
fn seats(state: &State) -> BTreeMap<String, (Vec<IpAddr>, MacAddr)> {
    let seat = |instance: &warren::model::Instance| {
        let (network, port) = instance.ports[0];
        let port = state.port(network, port).unwrap();
        (
            port.fixed_ips.iter().map(|fixed| fixed.ip).collect(),
            port.mac,
        )
    };
    state
        .instances
        .values()
        .map(|instance| (instance.name.clone(), seat(instance)))
        .collect()
}

fn text_of_network(instances: &[&str]) -> String {
    let mut text =
        "[[network]]\nname = \"blue\"\n[[network.subnet]]\ncidr = \"10.10.1.0/26\"\n".to_owned();
    for name in instances {
        text +=
            &format!("[[instance]]\nname = \"{name}\"\n[[instance.port]]\nnetwork = \"blue\"\n");
    }
    text
}

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

/// These are in names of devices and namespaces, and in images and firewalls: whoever changes them renames the world.
#[test]
fn ids_macs_and_picks_are_for_ever() {
    let host = Host::new("for-ever");
    let state = host.opened(
        &(text_of_network(&["web"]) + "[[router]]\nname = \"r1\"\ninterfaces = [\"blue\"]\n"),
    );
    let blue = network(&state, "blue");
    let web = state.instances.values().next().unwrap();
    let port = state.port(web.ports[0].0, web.ports[0].1).unwrap();
    let dhcp = blue.dhcp_port.as_ref().unwrap();
    let r1 = router(&state, "r1");
    let found = [
        ("network", blue.id.to_string()),
        ("bridge", blue.bridge().unwrap().to_string()),
        ("subnet", blue.subnets[0].id.to_string()),
        ("DHCP port", dhcp.id.to_string()),
        ("DHCP MAC", dhcp.mac.to_string()),
        ("DHCP address", dhcp.fixed_ips[0].ip.to_string()),
        ("instance", web.id.to_string()),
        ("port", port.id.to_string()),
        ("port's MAC", port.mac.to_string()),
        ("port's address", port.fixed_ips[0].ip.to_string()),
        ("router", r1.id.to_string()),
        ("router's port", r1.interfaces[0].port.to_string()),
        ("router's MAC", r1.interfaces[0].mac.to_string()),
    ];
    let want = [
        ("network", "1b3bced2-adbf-5f51-8d4a-7a14cf3cc9b4"),
        ("bridge", "brq1b3bced2-ad"),
        ("subnet", "2ca217b6-3a12-5209-9a04-9723936ed42b"),
        ("DHCP port", "7b3c41db-dd28-5305-ac28-9669ebdbf53c"),
        ("DHCP MAC", "fa:16:3e:5a:eb:e9"),
        ("DHCP address", "10.10.1.8"),
        ("instance", "52dee865-de69-5e5d-bb09-ae9209799451"),
        ("port", "7139477b-22d4-5282-b979-b682e0a11f68"),
        ("port's MAC", "fa:16:3e:5c:a4:04"),
        ("port's address", "10.10.1.32"),
        ("router", "bf7d7d74-28d2-545f-a776-733d211bc29d"),
        ("router's port", "d64fb663-bfb8-5c01-9d69-46223ec43ffc"),
        ("router's MAC", "fa:16:3e:24:d5:0a"),
    ];
    assert_eq!(found, want.map(|(what, id)| (what, id.to_owned())));
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

/// Whatever comes and goes around them, in whatever order of the file.
#[test]
fn who_has_an_address_keeps_it() {
    let host = Host::new("keeps");
    let before = seats(&host.opened(&text_of_network(&["a", "b", "c"])));
    for others in [
        &["a", "b", "c", "d", "e"][..],
        &["e", "d", "c", "b", "a"],
        &["x1", "x2", "x3", "x4", "x5", "x6", "x7", "a", "b", "c"],
        &["c", "b", "a"],
    ] {
        let after = seats(&host.opened(&text_of_network(others)));
        for name in ["a", "b", "c"] {
            assert_eq!(after[name], before[name], "{name} of {others:?}");
        }
    }
}

#[test]
fn a_host_that_lost_its_state_chooses_the_same() {
    let (one, other) = (Host::new("lost-one"), Host::new("lost-other"));
    let text = text_of_network(&["a", "b", "c"]);
    assert_eq!(seats(&one.opened(&text)), seats(&other.opened(&text)));
}

#[test]
fn hosts_have_dhcp_ports_of_their_own() {
    let own = |host: &str| {
        let home = Host::new(&format!("own-{host}"));
        let state = home.opened(&format!("host = \"{host}\"\n{}", text_of_network(&["a"])));
        let port = network(&state, "blue").dhcp_port.clone().unwrap();
        (port.id, port.mac, port.fixed_ips[0].ip, seats(&state))
    };
    let (one, other) = (own("node-a"), own("node-b"));
    assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
    assert_eq!(one.3, other.3, "instances are the same on both");
}

#[test]
fn an_address_that_the_file_gives_away_moves_its_owner() {
    let host = Host::new("moves");
    let before = seats(&host.opened(&text_of_network(&["a", "b"])));
    let had = before["a"].0[0];
    host.write(&format!("{}[[instance]]\nname = \"c\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [\"{had}\"]\n", text_of_network(&["a", "b"])));
    let loaded = host.open().1;
    let after = seats(&loaded.state);
    assert_eq!(after["c"].0[0], had);
    assert_ne!(after["a"].0[0], had);
    assert_eq!(after["b"], before["b"]);
    assert_eq!(
        loaded
            .warnings
            .iter()
            .map(|warning| warning.code)
            .collect::<Vec<_>>(),
        [Code::PickMoved]
    );
    assert!(
        loaded.warnings[0].why.contains(&had.to_string()),
        "{}",
        loaded.warnings[0]
    );
}

#[test]
fn a_pick_goes_with_its_owner() {
    let host = Host::new("goes");
    host.opened(&text_of_network(&["a", "b"]));
    let kept = |host: &Host| fs::read_to_string(host.state_dir().join("picks.json")).unwrap();
    let with_both = kept(&host);
    host.opened(&text_of_network(&["b"]));
    assert!(kept(&host).len() < with_both.len());
    // All of a full subnet can be had by others.
    let names: Vec<String> = (0..60).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let full = seats(&host.opened(&text_of_network(&names)));
    assert_eq!(
        full.values()
            .map(|seat| seat.0[0])
            .collect::<BTreeSet<_>>()
            .len(),
        60
    );
}

#[test]
fn corrupt_picks_are_told_and_made_anew() {
    let host = Host::new("corrupt");
    let before = seats(&host.opened(&text_of_network(&["a", "b", "c"])));
    for corrupt in [
        "",
        "{",
        "[]",
        "{\"addresses\": 5, \"macs\": {}}",
        "\u{0}\u{1}",
    ] {
        fs::write(host.state_dir().join("picks.json"), corrupt).unwrap();
        let loaded = host.open().1;
        assert_eq!(
            loaded
                .warnings
                .iter()
                .map(|warning| warning.code)
                .collect::<Vec<_>>(),
            [Code::Picks],
            "{corrupt:?}"
        );
        assert_eq!(seats(&loaded.state), before, "{corrupt:?}");
        assert_eq!(host.open().1.warnings, vec![], "{corrupt:?}: told once");
    }
    // Well-formed nonsense: an address of elsewhere, and one twice.
    let kept = fs::read_to_string(host.state_dir().join("picks.json")).unwrap();
    let a = before["a"].0[0].to_string();
    for (from, to) in [
        (a.as_str(), "192.0.2.1"),
        (a.as_str(), "10.10.1.0"),
        (a.as_str(), &before["b"].0[0].to_string()),
    ] {
        fs::write(host.state_dir().join("picks.json"), kept.replace(from, to)).unwrap();
        let after = seats(&host.open().1.state);
        assert_eq!(
            after
                .values()
                .map(|seat| seat.0[0])
                .collect::<BTreeSet<_>>()
                .len(),
            3,
            "{to}"
        );
    }
}

#[test]
fn picks_that_cannot_be_written_are_a_warning() {
    let host = Host::new("unwritable");
    host.write(&text_of_network(&["a"]));
    fs::write(host.state_dir(), "a file where the directory should be").unwrap();
    let warnings = host.open().1.warnings;
    assert!(
        warnings.iter().all(|warning| warning.code == Code::Picks) && !warnings.is_empty(),
        "{warnings:?}"
    );
}

#[test]
fn looking_writes_nothing() {
    let host = Host::new("looking");
    host.write(&text_of_network(&["a"]));
    let seen = load(&host.file(), &host.state_dir()).unwrap();
    assert!(!host.state_dir().exists());
    assert_eq!(
        seats(&seen.state),
        seats(&host.open().1.state),
        "what was shown is what comes"
    );
}

#[test]
fn a_file_that_cannot_be_read() {
    let host = Host::new("unreadable");
    let code = |host: &Host| {
        let mistakes = Source::open(&host.file(), &host.state_dir()).err().unwrap();
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

#[test]
fn a_reload_says_what_changed() {
    let host = Host::new("reload");
    host.write(&text_of_network(&["a", "b"]));
    let (mut source, loaded) = host.open();
    let shown = |events: &[Event]| -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::Network(_) => "network",
            Event::NetworkGone(_) => "network gone",
            Event::Port(_) => "port",
            Event::PortGone(..) => "port gone",
            Event::Router(_) => "router",
            Event::RouterGone(_) => "router gone",
            Event::Instance(_) => "instance",
            Event::InstanceGone(_) => "instance gone",
            Event::Complete { .. } => "complete",
        };
        events.iter().map(word).collect()
    };
    assert_eq!(shown(&source.reload().unwrap()), [""; 0], "nothing changed");
    let router = "[[router]]\nname = \"r\"\ninterfaces = [\"blue\"]\n";
    let wide =
        text_of_network(&["a", "b", "c"]).replace("name = \"blue\"", "name = \"blue\"\nmtu = 1400");
    for (name, text, want) in [
        (
            "an instance more",
            text_of_network(&["a", "b", "c"]),
            &["port", "instance"][..],
        ),
        ("another order", text_of_network(&["c", "a", "b"]), &[]),
        (
            "other metadata",
            text_of_network(&["a", "b", "c"])
                + "[[instance]]\nname = \"d\"\nhostname = \"z\"\n[[instance.port]]\nnetwork = \"blue\"\n",
            &["port", "instance"],
        ),
        (
            "an instance less",
            text_of_network(&["a", "b", "c"]),
            &["instance gone", "port gone"],
        ),
        (
            "a router",
            text_of_network(&["a", "b", "c"]) + router,
            &["port", "router"],
        ),
        (
            "no router",
            text_of_network(&["a", "b", "c"]),
            &["router gone", "port gone"],
        ),
        ("another MTU", wide, &["network"]),
        (
            "nothing at all",
            String::new(),
            &[
                "instance gone",
                "instance gone",
                "instance gone",
                "network gone",
            ],
        ),
    ] {
        host.write(&text);
        assert_eq!(shown(&source.reload().unwrap()), want, "{name}");
    }
    assert_eq!(
        loaded.state.instances.len(),
        2,
        "what was loaded first is a value of its own"
    );
}

#[test]
fn a_broken_edit_changes_nothing() {
    let host = Host::new("broken-edit");
    host.write(&text_of_network(&["a"]));
    let (mut source, _) = host.open();
    let before = seats(&source.loaded().state);
    for broken in ["[[network", "lease = 0\n", &text_of_network(&["a", "a"])] {
        host.write(broken);
        assert!(source.reload().is_err(), "{broken}");
        assert_eq!(seats(&source.loaded().state), before);
    }
    host.write(&text_of_network(&["a"]));
    assert_eq!(source.reload().unwrap().len(), 0);
}

/// Until they are right, too: whoever makes the missing file wants it to be seen.
#[test]
fn files_to_watch() {
    let host = Host::new("files");
    let text = text_of_network(&["a"]).replace(
        "name = \"a\"",
        "name = \"a\"\nuser_data_file = \"sub/data\"",
    );
    let both: BTreeSet<_> = [host.file(), host.0.join("sub/data")].into();
    host.write(&text);
    assert!(load(&host.file(), &host.state_dir()).is_err());
    assert_eq!(warren::topology::files(&host.file()), both);
    fs::create_dir(host.0.join("sub")).unwrap();
    fs::write(host.0.join("sub/data"), "x").unwrap();
    assert_eq!(host.open().1.files, both);
    host.write("[[network");
    assert_eq!(warren::topology::files(&host.file()), [host.file()].into());
}

/// From any state to any other: the events lead there, and then there are none.
#[test]
fn events_lead_from_one_state_to_the_other() {
    let mut states = vec![State::default()];
    let demo = fs::read_to_string("conf/demo.toml").unwrap();
    for (nth, text) in [
        demo.clone(),
        demo.replace("mtu = 1450", "mtu = 1400"),
        demo.replace("203.0.113.20", "203.0.113.21"),
        demo.replace("10.10.1.0/24", "10.10.1.0/25"),
        demo.replace("instance = \"green1\"", "instance = \"green2\""),
        text_of_network(&["blue1", "x"]),
        text_of_network(&["x"]),
        String::new(),
    ]
    .into_iter()
    .enumerate()
    {
        let host = Host::new(&format!("events-{nth}"));
        states.push(host.opened(&text));
    }
    for old in &states {
        for new in &states {
            let mut state = old.clone();
            for event in events(old, new) {
                state.apply(&event);
            }
            assert_eq!(state.networks, new.networks);
            assert_eq!(state.routers, new.routers);
            assert_eq!(state.instances, new.instances);
            assert_eq!(events(&state, new).len(), 0);
        }
    }
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
