//! Real DHCPv6 clients in a guest.

use std::collections::BTreeMap;
use std::time::Duration;

use nix::sys::signal::Signal;

use super::common::{Daemon, Guest, Host, PATIENCE, Running, Udp6, settled, wait_for};
use super::lan::TOPOLOGY;
use super::message::option;

const DHCLIENT: &str = "dhclient -6 -d -v -cf /peers/dhclient6.conf -lf /var/lib/dhcp/six -pf /run/dhclient6.pid -sf /peers/v6.hook";
const DHCPCD: &str = "dhcpcd -6 -B -d -f /peers/dhcpcd6.conf -c /peers/v6.hook eth0";
const UDHCPC6: &str = "udhcpc6 -f -R -T 1 -i eth0 -s /peers/v6.hook";
const DHCP6C: &str = "dhcp6c -f -D -c /peers/dhcp6c.conf eth0";

struct Net {
    daemon: Daemon,
    host: Host,
}

impl Net {
    fn new(name: &str) -> Option<Self> {
        Self::with(name, "")
    }

    /// With machines beside those of the topology.
    fn with(name: &str, machines: &str) -> Option<Self> {
        let host = Host::new(name)?;
        let daemon = host.warren_run(&format!("{TOPOLOGY}{machines}"));
        Some(Self { daemon, host })
    }

    fn guest(&self, name: &str, last: u8) -> Guest {
        self.guest_on("lan", name, last)
    }

    /// Whose link-local address can be used: clients do not wait for it.
    fn guest_on(&self, bridge: &str, name: &str, last: u8) -> Guest {
        let mac = format!("fa:16:3e:00:00:{last:02x}");
        let guest = self.host.guest(name, bridge, &mac);
        settled(&guest, "eth0");
        guest
    }

    /// The state of this address' lease, once it is that.
    fn until(&self, address: &str, state: &str) {
        wait_for(&format!("{address} to be {state}"), PATIENCE, || {
            let shown = self.daemon.json(&["show", "network", "lan"]);
            let leases = shown["leases"].as_array().unwrap();
            let found = leases.iter().find(|lease| lease["address"] == address);
            (found?["state"] == state).then_some(())
        });
    }

    fn counter(&self, name: &str) -> u64 {
        let shown = self.daemon.json(&["show", "network", "lan"]);
        shown["counters"]["dhcp6"][name].as_u64().unwrap()
    }
}

fn start(guest: &Guest, command: &str) -> Running {
    guest.spawn(&command.split(' ').collect::<Vec<_>>())
}

/// The lease says all of this; the daemon knows of it, and its address works.
fn serves_ann(net: &Net, ann: &Guest, lease: &BTreeMap<String, String>, want: &[(&str, &str)]) {
    for (key, want) in want {
        let said = lease.get(*key).map(String::as_str);
        assert_eq!(said, Some(*want), "{key}: {lease:#?}");
    }
    net.until("2001:db8:1::a", "bound");
    // What a router would advertise.
    ann.ip("route add 2001:db8:1::/64 dev eth0");
    assert!(ann.ping("2001:db8:1::2"), "the address works");
}

/// The environment of the first call of the hook from `from` on that `wanted` likes.
#[track_caller]
fn record(
    guest: &Guest,
    client: &Running,
    from: usize,
    wanted: impl Fn(&BTreeMap<String, String>) -> bool,
) -> (usize, BTreeMap<String, String>) {
    let begin = std::time::Instant::now();
    loop {
        let records =
            (from..).map_while(|n| Some((n, guest.read(&format!("/run/lease6/{n:04}"))?)));
        for (n, text) in records {
            let pairs = text.lines().filter_map(|line| line.split_once('='));
            let found = pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect();
            if wanted(&found) {
                return (n + 1, found);
            }
        }
        assert!(
            begin.elapsed() < PATIENCE,
            "no such record; the client said:\n{}",
            client.log()
        );
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn reason(words: &[&str]) -> impl Fn(&BTreeMap<String, String>) -> bool {
    let words: Vec<String> = words.iter().map(ToString::to_string).collect();
    move |record| {
        record
            .get("reason")
            .is_some_and(|reason| words.contains(reason))
    }
}

#[test]
fn dhclient_gets_renews_rebinds_and_releases() {
    let Some(net) = Net::new("dhclient6") else {
        return;
    };
    let ann = net.guest("ann", 0xa);
    let command = format!("{DHCLIENT} eth0");
    let mut client = start(&ann, &command);
    let (mut seen, lease) = record(&ann, &client, 0, reason(&["BOUND6"]));
    let want = [
        ("new_ip6_address", "2001:db8:1::a"),
        // What it would rather have.
        ("new_max_life", "7500"),
        ("new_preferred_life", "7200"),
        ("new_dhcp6_name_servers", "2001:db8:1::2"),
        ("new_dhcp6_domain_search", "example.org."),
        ("new_dhcp6_sntp_servers", "2001:db8:1::123"),
    ];
    serves_ann(&net, &ann, &lease, &want);
    // After a power cut it confirms; its lease says that it is time to renew, then to rebind.
    for (times, word) in [
        ("renew 1;\n    rebind 90000;", "RENEW6"),
        ("renew 1;\n    rebind 2;", "REBIND6"),
    ] {
        client.signal(Signal::SIGKILL);
        client.ended();
        ann.sh("rm -f /run/dhclient6.pid").ok();
        let before = net.counter("replies");
        let file = ann.read("/var/lib/dhcp/six").unwrap();
        let (old, _) = file.rsplit_once("renew ").unwrap();
        let (old, starts) = old.rsplit_once("starts ").unwrap();
        let starts: u64 = starts.split(';').next().unwrap().parse().unwrap();
        let (_, rest) = file.rsplit_once("rebind ").unwrap();
        let (_, rest) = rest.split_once(';').unwrap();
        let aged = format!("{old}starts {};\n    {times}{rest}", starts - 100);
        ann.write("/var/lib/dhcp/six", &aged);
        client = start(&ann, &command);
        (seen, _) = record(&ann, &client, seen, reason(&[word]));
        assert!(
            net.counter("replies") >= before + 2,
            "{word}: confirmed, and more\n{}",
            client.log()
        );
        net.until("2001:db8:1::a", "bound");
    }
    client.signal(Signal::SIGKILL);
    client.ended();
    ann.sh(&format!(
        "rm -f /run/dhclient6.pid; timeout 20 {} -r eth0",
        DHCLIENT.replace(" -d", "")
    ))
    .ok();
    net.until("2001:db8:1::a", "released");
}

#[test]
fn dhclient_asks_for_options_alone() {
    let Some(net) = Net::new("stateless6") else {
        return;
    };
    let les = net.guest("les", 0xc);
    let client = start(&les, &format!("{DHCLIENT} -S eth0"));
    let named = |record: &BTreeMap<String, String>| record.contains_key("new_dhcp6_name_servers");
    let (_, told) = record(&les, &client, 0, named);
    let dns = told["new_dhcp6_name_servers"].as_str();
    let shown = net.daemon.json(&["show", "network", "lan"]);
    let subnets = shown["subnets"].as_array().unwrap();
    let own = subnets
        .iter()
        .find(|subnet| subnet["name"] == "own")
        .unwrap();
    assert_eq!(own["dhcp_address"], dns, "{told:#?}");
    assert_eq!(told["new_dhcp6_domain_search"], "example.org.");
    assert_eq!(told["new_dhcp6_info_refresh_time"], "86400");
}

#[test]
fn dhcpcd_gets_renews_and_releases() {
    let Some(net) = Net::new("dhcpcd6") else {
        return;
    };
    let opa = net.guest("opa", 0xb);
    opa.sh("mkdir -p /var/lib/dhcpcd").ok();
    let mut client = start(&opa, DHCPCD);
    let (seen, lease) = record(&opa, &client, 0, reason(&["BOUND6"]));
    let text = format!("{lease:#?}");
    for address in ["2001:db8:1::b", "2001:db8:2::b"] {
        assert!(
            text.contains(&format!("{address}\"")),
            "{address} in {text}"
        );
        net.until(address, "bound");
    }
    assert!(
        text.contains("new_dhcp6_domain_search\": \"example.org"),
        "{text}"
    );
    wait_for("both addresses to be set", PATIENCE, || {
        let set = opa.run(&["ip", "-6", "addr"]).ok();
        (set.contains("2001:db8:1::b/") && set.contains("2001:db8:2::b/")).then_some(())
    });
    opa.run(&["dhcpcd", "-6", "-n", "eth0"]).ok();
    record(
        &opa,
        &client,
        seen,
        reason(&["RENEW6", "REBIND6", "REBOOT6"]),
    );
    opa.run(&["dhcpcd", "-6", "-k", "eth0"]).ok();
    net.until("2001:db8:1::b", "released");
    client.signal(Signal::SIGTERM);
    client.ended();
}

#[test]
fn dhcp6c_gets_an_address_and_gives_it_back() {
    let Some(net) = Net::new("dhcp6c") else {
        return;
    };
    let ann = net.guest("ann", 0xa);
    ann.sh("mkdir -p /var/lib/dhcpv6 /var/db").ok();
    let mut client = start(&ann, DHCP6C);
    let named = |record: &BTreeMap<String, String>| record.contains_key("new_domain_name_servers");
    let (_, told) = record(&ann, &client, 0, named);
    assert_eq!(
        told["new_domain_name_servers"].trim(),
        "2001:db8:1::2",
        "{told:#?}"
    );
    net.until("2001:db8:1::a", "bound");
    wait_for("the address to be set", PATIENCE, || {
        let set = ann.run(&["ip", "-6", "addr"]).ok();
        set.contains("2001:db8:1::a/").then_some(())
    });
    client.signal(Signal::SIGTERM);
    net.until("2001:db8:1::a", "released");
}

/// Busybox', as Alpine has it. It releases by unicast, which nobody has allowed it, and is told so (RFC 8415 section 18.4).
#[test]
fn udhcpc6_gets_and_renews() {
    let Some(net) = Net::new("udhcpc6") else {
        return;
    };
    let ann = net.guest("ann", 0xa);
    let mut client = start(&ann, UDHCPC6);
    let (seen, lease) = record(&ann, &client, 0, reason(&["bound"]));
    let want = [
        ("ipv6", "2001:0db8:0001:0000:0000:0000:0000:000a"),
        ("dns", "2001:0db8:0001:0000:0000:0000:0000:0002"),
        ("search", "example.org"),
    ];
    serves_ann(&net, &ann, &lease, &want);
    client.signal(Signal::SIGUSR1);
    record(&ann, &client, seen, reason(&["renew"]));
    let before = net.counter("replies");
    client.signal(Signal::SIGTERM);
    client.ended();
    wait_for("it to be told something", PATIENCE, || {
        (net.counter("replies") > before).then_some(())
    });
    net.until("2001:db8:1::a", "bound");
}

/// A machine on a link that only a relay reaches.
const FAR: &str = r#"
[[instance]]
name = "far"
[[instance.port]]
network = "lan"
mac = "fa:16:3e:00:00:0d"
addresses = ["2001:db8:2::d"]
"#;

/// dnsmasq, which says whose the message is (option 79, RFC 6939).
#[test]
fn clients_behind_a_relay_are_served() {
    let Some(net) = Net::with("relayed6", FAR) else {
        return;
    };
    let relay = net.guest("relay", 0xaa);
    net.host.bridge("far");
    net.host.plug(&relay, "eth1", "far", "fa:16:3e:00:00:ab");
    settled(&relay, "eth1");
    // It is answered at its address on the far link, which it has to the near one as well.
    relay
        .sh("sysctl -qw net.ipv6.conf.all.forwarding=1 net.ipv6.conf.all.proxy_ndp=1")
        .ok();
    relay.ip(
        "addr add 2001:db8:1::9/64 dev eth0 nodad\naddr add 2001:db8:2::1/64 dev eth1 nodad\n\
         neigh add proxy 2001:db8:2::1 dev eth0",
    );
    let relayed = relay.wire();
    let command = "dnsmasq -k --log-facility=- --log-dhcp --port=0 --user=root --conf-file=/dev/null \
                   --dhcp-relay=2001:db8:2::1,2001:db8:1::2";
    let words: Vec<_> = command.split_whitespace().collect();
    let mut relaying = relay.spawn(&words);
    relaying.says("DHCP relay");
    let dhclient = format!("{DHCLIENT} eth0");
    for (name, command) in [("dhclient", dhclient.as_str()), ("dhcpcd", DHCPCD)] {
        relayed.drain();
        let far = net.guest_on("far", name, 0xd);
        far.sh("mkdir -p /var/lib/dhcpcd").ok();
        let client = start(&far, command);
        record(&far, &client, 0, reason(&["BOUND6"]));
        wait_for("the address to be set", PATIENCE, || {
            let set = far.run(&["ip", "-6", "addr"]).ok();
            set.contains("2001:db8:2::d/").then_some(())
        });
        net.until("2001:db8:2::d", "bound");
        for (kind, what) in [(12, "passed on"), (13, "answered")] {
            let whose = option(79, &[0, 1, 0xfa, 0x16, 0x3e, 0, 0, 0xd]);
            let seen = relayed.recv(PATIENCE, |frame| {
                Udp6::parse(frame).filter(|udp| udp.payload.first() == Some(&kind))
            });
            let seen = seen.unwrap_or_else(|| panic!("{name}: nothing {what}"));
            let told = seen.payload.windows(whose.len()).any(|part| part == whose);
            assert_eq!(told, kind == 12, "{name}: {what}: {seen:?}");
        }
    }
    assert_eq!(net.counter("elsewhere") + net.counter("forged"), 0);
}
