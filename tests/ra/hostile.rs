//! What tenants advertise, redirect and flood: nothing of it is learned in our namespaces, and the neighbours are served.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use crate::common::{
    Advertised, Guest, Host, PATIENCE, Sender, checksum, prefix_option, settled, wait_for,
};
use crate::{BLUE1, CLOUD, ROUTER, default_route, learned};

/// The way out is somebody else's in both families, so that his word could change our routes.
const NEAR: &str = r#"
[[network]]
name = "near"
bridge = "br-near"
[[network.subnet]]
cidr = "10.5.0.0/24"
gateway = "10.5.0.1"
[[network.subnet]]
cidr = "fd00:5::/64"
gateway = "fe80::99"

[[instance]]
name = "victim"
[[instance.port]]
network = "near"
mac = "fa:16:3e:00:05:01"
"#;

const FAR4: &str = "192.0.2.1";
const FAR6: &str = "2001:db8:77::1";
const WRONG: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0x66);

/// Addresses, routes (those to far places too) and MTU that somebody holds, without what ages.
pub(crate) fn held(run: impl Fn(&[&str]) -> String) -> String {
    let mut text = String::new();
    for command in [
        "ip -6 -o addr show scope global",
        "ip -6 route show table all",
        "ip route show table all",
        "ip -o link",
    ] {
        text += &run(&command.split(' ').collect::<Vec<_>>());
    }
    // Counters and times differ in any case.
    let lines = text.lines().map(|line| {
        let end = line.find(" expires").or_else(|| line.find(" valid_lft"));
        line[..end.unwrap_or(line.len())].trim_end()
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Where packets to far places go now.
fn ways(run: impl Fn(&[&str]) -> String) -> String {
    [FAR4, FAR6]
        .map(|far| {
            let route = run(&["ip", "route", "get", far]);
            let words: Vec<_> = route.split_whitespace().collect();
            let via = words.iter().position(|word| *word == "via");
            format!("{far} via {}", via.map_or("-", |at| words[at + 1]))
        })
        .join(", ")
}

fn in_namespace<'a>(host: &'a Host, namespace: &'a str) -> impl Fn(&[&str]) -> String + 'a {
    move |argv| host.run_in(namespace, argv).ok()
}

fn in_guest(guest: &Guest) -> impl Fn(&[&str]) -> String + '_ {
    move |argv| guest.run(argv).ok()
}

/// "What is for `FAR4` goes to 10.5.0.66" (RFC 792), in answer to a packet that `to` has sent.
fn redirect_v4(from_mac: [u8; 6], to_mac: [u8; 6], to: Ipv4Addr) -> Vec<u8> {
    let far: Ipv4Addr = FAR4.parse().unwrap();
    let header = |length: u8, source: Ipv4Addr, target: Ipv4Addr| {
        let mut header = vec![0x45, 0, 0, length, 0, 0, 0x40, 0, 64, 1, 0, 0];
        header.extend(source.octets());
        header.extend(target.octets());
        let sum = checksum(0, &header);
        header[10..12].copy_from_slice(&sum.to_be_bytes());
        header
    };
    // An echo reply of ours is what the kernel believes this of without a socket.
    let mut message = vec![5, 1, 0, 0, 10, 5, 0, 66];
    message.extend(header(28, to, far));
    message.extend([0; 8]);
    let of_message = checksum(0, &message);
    message[2..4].copy_from_slice(&of_message.to_be_bytes());
    let mut frame = [to_mac, from_mac].concat();
    frame.extend([8, 0]);
    let length = u8::try_from(20 + message.len()).unwrap();
    frame.extend(header(length, Ipv4Addr::new(10, 5, 0, 1), to));
    frame.extend(message);
    frame
}

#[test]
fn what_tenants_advertise_and_redirect_is_not_believed() {
    let Some(host) = Host::new("rogue") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}{NEAR}"));
    let near = daemon.json(&["show", "network", "near"]);
    let ours: Vec<String> = [
        near.clone(),
        daemon.json(&["show", "network", "blue"]),
        daemon.json(&["show", "router", "r1"]),
    ]
    .iter()
    .map(|shown| shown["namespace"].as_str().unwrap().to_owned())
    .collect();
    // A machine as any: what we refuse it takes, so the frames are good.
    let victim = host.guest("victim", "br-near", "fa:16:3e:00:05:01");
    victim.ip(
        "addr add 10.5.0.50/24 dev eth0\nroute add default via 10.5.0.1\n\
               addr add fd00:5::50/64 dev eth0 nodad\nroute add default via fe80::99 dev eth0",
    );
    let rogues: Vec<Guest> = ["near", "blue", "outside"]
        .iter()
        .map(|network| {
            host.guest(
                &format!("r-{network}"),
                &format!("br-{network}"),
                "02:00:00:00:66:66",
            )
        })
        .collect();
    // It is the gateway, and whom it leads to.
    rogues[0].ip(
        "addr add 10.5.0.1/24 dev eth0\naddr add 10.5.0.66/24 dev eth0\n\
                  addr add fe80::99/64 dev eth0 nodad\naddr add fe80::66/64 dev eth0 nodad",
    );
    settled(&victim, "eth0");
    let before: Vec<_> = ours
        .iter()
        .map(|ns| held(in_namespace(&host, ns)))
        .collect();
    let ways_before = ways(in_namespace(&host, &ours[0]));
    assert_eq!(
        ways_before,
        format!("{FAR4} via 10.5.0.1, {FAR6} via fe80::99")
    );

    let mut options = prefix_option("fd66::".parse().unwrap());
    options.extend([5, 1, 0, 0, 0, 0, 5, 0]); // MTU 1280
    for rogue in &rogues {
        let wire = rogue.wire();
        let sender = Sender {
            mac: wire.mac(),
            ip: WRONG,
        };
        for _ in 0..3 {
            wire.send(&sender.advertises(&options));
        }
    }
    let wire = rogues[0].wire();
    let gateway = Sender {
        mac: wire.mac(),
        ip: "fe80::99".parse().unwrap(),
    };
    let port = near["ports"].as_array().unwrap();
    let own = port
        .iter()
        .find(|port| port["addresses"].to_string().contains("10.5.0.2"));
    let own = own.unwrap_or(&port[0]);
    let mac: netns::MacAddr = own["mac"].as_str().unwrap().parse().unwrap();
    let addresses = own["addresses"].as_array().unwrap().iter();
    let addresses: Vec<std::net::IpAddr> = addresses
        .map(|address| address.as_str().unwrap().parse().unwrap())
        .collect();
    let victim_mac: netns::MacAddr = "fa:16:3e:00:05:01".parse().unwrap();
    let mut targets: Vec<_> = addresses.iter().map(|ip| (mac, *ip)).collect();
    targets.push((victim_mac, "10.5.0.50".parse().unwrap()));
    targets.push((victim_mac, "fd00:5::50".parse().unwrap()));
    let redirect = || {
        for (mac, ip) in &targets {
            wire.send(&match ip {
                std::net::IpAddr::V4(ip) => redirect_v4(wire.mac(), mac.0, *ip),
                std::net::IpAddr::V6(ip) => {
                    let better = (wire.mac(), WRONG);
                    gateway.redirects((mac.0, *ip), FAR6.parse().unwrap(), better)
                }
            });
        }
    };
    wait_for("the victim to be led astray", PATIENCE, || {
        redirect();
        let led = ways(in_guest(&victim)) == format!("{FAR4} via 10.5.0.66, {FAR6} via {WRONG}");
        led.then_some(())
    });
    assert!(
        held(in_guest(&victim)).contains("fd66::"),
        "and to have its address"
    );
    redirect();

    for (ns, before) in ours.iter().zip(&before) {
        assert_eq!(&held(in_namespace(&host, ns)), before, "{ns}");
    }
    assert_eq!(ways(in_namespace(&host, &ours[0])), ways_before);
}

/// Of thc-ipv6, each for a moment.
const TOOLS: [&str; 9] = [
    "atk6-flood_router26 eth0",
    "atk6-fake_router26 -A fd66::/64 eth0",
    "atk6-kill_router6 eth0 *",
    "atk6-dos-new-ip6 eth0",
    "atk6-flood_solicitate6 eth0",
    "atk6-flood_advertise6 eth0",
    "atk6-flood_rs6 eth0",
    "atk6-flood_dhcpc6 -1 eth0",
    "atk6-flood_mld6 eth0",
];
const MOMENT: &str = "2";

#[test]
fn the_tools_of_an_attacker_are_nobody_elses() {
    let Some(host) = Host::new("thc") else {
        return;
    };
    let mut daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    learned(&blue, BLUE1);
    drop(blue);
    let attacker = host.guest("attacker", "br-blue", "02:00:00:00:09:09");
    let green = host.guest("green9", "br-green", "02:00:00:00:09:08");
    settled(&green, "eth0");
    let router = daemon.json(&["show", "router", "r1"])["namespace"].clone();
    let network = daemon.json(&["show", "network", "blue"])["namespace"].clone();
    let ours = [router, network].map(|ns| ns.as_str().unwrap().to_owned());
    let before = ours.each_ref().map(|ns| held(in_namespace(&host, ns)));
    let wire = green.wire();
    for tool in TOOLS {
        let mut argv = vec!["timeout", "-k1", MOMENT];
        argv.extend(tool.split(' '));
        let mut attack = attacker.spawn(&argv);
        let mut took = Vec::new();
        let mut asked = 0u128;
        while attack.is_alive() {
            // Each time somebody else, who is answered at once.
            asked += 1;
            let sender = Sender {
                mac: wire.mac(),
                ip: Ipv6Addr::from((0xfe80 << 112) | (0x1000 + asked)),
            };
            wire.drain();
            let begin = Instant::now();
            wire.send(&sender.solicits());
            let heard = wire.recv(Duration::from_secs(5), Advertised::parse);
            assert!(heard.is_some(), "{tool}: nobody answers in green");
            took.push(begin.elapsed());
            std::thread::sleep(Duration::from_millis(150));
        }
        took.sort();
        println!(
            "{tool}: {} answers in green, half within {:?}, the last after {:?}; it said {:?}",
            took.len(),
            took[took.len() / 2],
            took.last().unwrap(),
            attack.log().lines().last().unwrap_or_default()
        );
        assert!(daemon.is_alive());
    }
    for (ns, before) in ours.iter().zip(&before) {
        assert_eq!(&held(in_namespace(&host, ns)), before, "{ns}");
    }
    // Those who live beside the attacker come again, too.
    drop(attacker);
    let blue = host.guest("blue2", "br-blue", "fa:16:3e:00:01:01");
    learned(&blue, BLUE1);
    assert!(default_route(&blue).contains("proto ra"));
    assert!(daemon.log().len() < 200_000, "the log stays short");
}
