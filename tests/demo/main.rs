//! The main job end to end, as a transcript that a new user can read: `make demo`.
//!
//! It plays every part of `conf/demo.toml` with real clients, in a sandbox, and ends in a table of checks. Exit status 1 on
//! any cross.
#![allow(clippy::print_stdout, reason = "the transcript is the product")]
#![allow(clippy::unwrap_used, reason = "a panic is a cross in the table")]

#[path = "../common/mod.rs"]
mod common;
mod transcript;

use std::net::Ipv4Addr;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use common::{Client, Daemon, Guest, Host, HttpAnswer, HttpStub, tcp_stream, wait_until};
use ipnet::Ipv4Net;
use serde_json::Value;
use transcript::Transcript;

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/conf/demo.toml");
const METADATA: &str = "http://169.254.169.254";

fn main() -> ExitCode {
    // cargo hands its own arguments to every test: a filter that does not mean us is not for us.
    let mut filters = std::env::args()
        .skip(1)
        .filter(|argument| !argument.starts_with('-'));
    if std::env::args().any(|argument| argument == "--list")
        || filters.any(|filter| !"demo".contains(&filter))
    {
        return ExitCode::SUCCESS;
    }
    let begin = Instant::now();
    let before = traces();
    let Some(host) = Host::new("demo") else {
        return ExitCode::SUCCESS;
    };
    // Complaints are part of the transcript; a backtrace is not.
    std::panic::set_hook(Box::new(|_| {}));
    println!(
        "warren: one daemon that gives tenant networks DHCP, DNS, routers, floating IPs and metadata."
    );
    println!(
        "Everything below happens in namespaces of its own; this machine's network is not touched."
    );
    let mut say = Transcript::default();
    play(&mut say, &host);
    drop(host);
    say.check("nothing is left on this machine", |_| {
        assert!(
            wait_until(Duration::from_secs(10), || traces() == before),
            "before {before:?}, now {:?}",
            traces()
        );
        (
            (),
            format!(
                "{} interfaces, {} named namespaces, as before",
                before.0.len(),
                before.1.len()
            ),
        )
    });
    if say.end(begin) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Interfaces and named namespaces of the machine.
fn traces() -> (Vec<String>, Vec<String>) {
    let names = |directory: &str| {
        let mut names: Vec<String> = std::fs::read_dir(directory)
            .into_iter()
            .flatten()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    };
    (names("/sys/class/net"), names("/run/netns"))
}

/// An instance, with what the daemon says of it.
struct Instance {
    name: String,
    id: String,
    guest: Guest,
    client: Client,
    address: Ipv4Addr,
    fqdn: String,
    /// `warren show network` of its network.
    network: Value,
    /// What the file gives it.
    user_data: Option<String>,
}

/// Who plays.
struct Cast {
    instances: Vec<Instance>,
    /// On the external network, at its gateway's address.
    world: Guest,
    world_address: Ipv4Addr,
    /// The router's own external address.
    snat: Ipv4Addr,
    floating_ip: Ipv4Addr,
    /// Who is behind the floating IP.
    floating: usize,
    /// External port of `floating_ip` or another one, and who answers there on which port.
    forwarded: (Ipv4Addr, u16),
    forwarding: (usize, u16),
}

fn play(say: &mut Transcript, host: &Host) {
    let Some(mut daemon) = start(say, host) else {
        return;
    };
    let Some(cast) = say.check("two tenant networks and an external one came up", |say| {
        cast(say, host, &daemon)
    }) else {
        say.tell(&daemon.log());
        return;
    };
    boot(say, &cast);
    who_am_i(say, &cast);
    meet(say, &cast);
    let _web: Vec<HttpStub> = cast.instances.iter().map(web).collect();
    cross_the_border(say, &cast);
    survive(say, host, &mut daemon, &cast);
}

fn start(say: &mut Transcript, host: &Host) -> Option<Daemon> {
    say.title("One file says what there should be");
    let mut daemon = Daemon::on_file(host, FILE);
    say.check(
        "the file is sound, and its plan is told before anything is done",
        |say| {
            let check = host.warren(&["check", "--topology", FILE]);
            say.shell(
                "host",
                "warren check --topology conf/demo.toml",
                &check.stdout,
            );
            check.ok();
            let plan = host.warren(&[
                "plan",
                "--topology",
                FILE,
                "--state-dir",
                daemon.state_dir(),
            ]);
            say.shell(
                "host",
                "warren plan --topology conf/demo.toml",
                &plan.stdout,
            );
            let lines = plan.ok().lines().count();
            ((), format!("{lines} lines of plan"))
        },
    );
    say.title("One daemon makes it so");
    say.check("the daemon is ready", |say| {
        let begin = Instant::now();
        daemon.start();
        daemon.converged();
        let took = begin.elapsed();
        say.shell("host", "warren run --topology conf/demo.toml &", "");
        say.shell("host", "warren status", &daemon.warren(&["status"]).ok());
        (daemon, format!("all of it stands after {took:.1?}"))
    })
}

fn cast(say: &Transcript, host: &Host, daemon: &Daemon) -> (Cast, String) {
    let file: toml::Table = std::fs::read_to_string(FILE).unwrap().parse().unwrap();
    let names = |kind: &str| -> Vec<String> {
        let objects = file[kind].as_array().unwrap().iter();
        objects
            .map(|object| object["name"].as_str().unwrap().to_owned())
            .collect()
    };
    let networks: Vec<Value> = names("network")
        .iter()
        .map(|name| daemon.json(&["show", "network", name]))
        .collect();
    for network in &networks {
        assert_eq!(network["state"], "converged", "{network:#}");
    }
    let network = |name: &Value| {
        networks
            .iter()
            .find(|network| network["name"] == *name)
            .unwrap()
            .clone()
    };
    let instances: Vec<Instance> = names("instance")
        .iter()
        .enumerate()
        .map(|(number, name)| {
            let view = daemon.json(&["show", "instance", name]);
            let port = &view["ports"][0];
            Instance {
                name: name.clone(),
                id: text(&view["id"]),
                guest: host.guest(name, &text(&port["bridge"]), &text(&port["mac"])),
                client: [Client::Udhcpc, Client::Dhclient][number % 2],
                address: text(&port["addresses"][0]).parse().unwrap(),
                fqdn: text(&port["names"][0]),
                network: network(&port["network"]),
                user_data: file["instance"][number]
                    .get("user_data")
                    .map(|data| data.as_str().unwrap().to_owned()),
            }
        })
        .collect();
    let router = daemon.json(&["show", "router", &names("router")[0]]);
    let outside = network(&router["gateway"]["network"]);
    let subnet: Ipv4Net = text(&outside["subnets"][0]["cidr"]).parse().unwrap();
    let world_address: Ipv4Addr = text(&outside["subnets"][0]["gateway_ip"]).parse().unwrap();
    let world = host.world(
        &text(&outside["bridge"]),
        &format!("{world_address}/{}", subnet.prefix_len()),
    );
    let at = |address: &Value| {
        instances
            .iter()
            .position(|instance| text(address) == instance.address.to_string())
            .unwrap()
    };
    let (floating, forwarding) = (&router["floating_ips"][0], &router["port_forwardings"][0]);
    let port = |side: &str| u16::try_from(forwarding["ports"][side][0].as_u64().unwrap()).unwrap();
    let cast = Cast {
        floating: at(&floating["fixed_ip"]),
        floating_ip: text(&floating["floating_ip"]).parse().unwrap(),
        forwarded: (
            text(&forwarding["floating_ip"]).parse().unwrap(),
            port("external"),
        ),
        forwarding: (at(&forwarding["internal_ip"]), port("internal")),
        snat: text(&router["gateway"]["addresses"][0])
            .parse::<Ipv4Net>()
            .unwrap()
            .addr(),
        instances,
        world,
        world_address,
    };
    for network in &networks {
        say.tell(&format!(
            "network {:8} {:18} bridge {}{}",
            text(&network["name"]),
            text(&network["subnets"][0]["cidr"]),
            text(&network["bridge"]),
            if network["external"] == true {
                ", external"
            } else {
                ""
            }
        ));
    }
    let bridges = networks.len();
    (cast, format!("{bridges} networks, a router between them"))
}

fn boot(say: &mut Transcript, cast: &Cast) {
    say.title("Four instances boot, each with a DHCP client as images have it");
    for instance in &cast.instances {
        let (name, client) = (&instance.name, instance.client);
        say.check(
            &format!("{name} boots with {client:?}: address, routes, DNS, MTU").to_lowercase(),
            |say| {
                let lease = instance.guest.lease(client);
                let subnet = &instance.network["subnets"][0];
                let router: Ipv4Addr = text(&subnet["gateway_ip"]).parse().unwrap();
                assert_eq!(lease.address, instance.address);
                assert_eq!(
                    lease.dns,
                    [text(&subnet["dhcp_address"]).parse::<Ipv4Addr>().unwrap()]
                );
                assert_eq!(lease.mtu.map(u64::from), instance.network["mtu"].as_u64());
                let routed = instance.guest.run(&["ip", "route", "show", "default"]).ok();
                assert!(routed.contains(&format!("via {router} ")), "{routed}");
                let told = format!(
                    "{}/{} by {client:?}, default route by {router}, DNS {}, MTU {}",
                    lease.address,
                    lease.prefix,
                    lease.dns[0],
                    lease.mtu.unwrap()
                );
                say.tell(&format!("{name:8} {told}"));
                ((), told)
            },
        );
    }
}

fn who_am_i(say: &mut Transcript, cast: &Cast) {
    say.title("Each asks 169.254.169.254 who it is");
    say.check("each gets its own metadata and user data", |say| {
        for instance in &cast.instances {
            let url = format!("{METADATA}/openstack/latest/meta_data.json");
            let document = instance.guest.get(&url);
            let document: Value =
                serde_json::from_str(&document).unwrap_or_else(|e| panic!("{e}: {document}"));
            assert_eq!(
                (text(&document["uuid"]), text(&document["name"])),
                (instance.id.clone(), instance.name.clone())
            );
            say.shell(
                &instance.name,
                &format!("curl {url}"),
                &format!(
                    "{{\"uuid\": {}, \"hostname\": {}, ...}}",
                    document["uuid"], document["hostname"]
                ),
            );
            let answer = instance
                .guest
                .curl(&format!("{METADATA}/openstack/latest/user_data"), &[]);
            let answer = answer.unwrap_or_else(|output| panic!("{output}"));
            match &instance.user_data {
                Some(data) => assert_eq!(
                    (answer.status, &answer.body),
                    (200, data),
                    "{}",
                    instance.name
                ),
                None => assert_eq!(answer.status, 404, "{}: {}", instance.name, answer.body),
            }
        }
        let first = &cast.instances[0];
        say.shell(
            &first.name,
            &format!("curl {METADATA}/openstack/latest/user_data"),
            first.user_data.as_deref().unwrap_or_default(),
        );
        (
            (),
            "name, id and user data are those of conf/demo.toml".to_owned(),
        )
    });
    say.check("none gets its neighbour's, whatever it pretends", |say| {
        let (liar, other) = (&cast.instances[0], &cast.instances[1]);
        let address = other.address.to_string();
        let lies = [
            ("X-Forwarded-For", address.as_str()),
            ("X-Instance-ID", &other.id),
            ("Forwarded", &format!("for={address}")),
        ];
        let url = format!("{METADATA}/openstack/latest/meta_data.json");
        let answer = liar
            .guest
            .curl(&url, &lies)
            .unwrap_or_else(|output| panic!("{output}"));
        let document: Value = serde_json::from_str(&answer.body).unwrap_or_default();
        say.shell(
            &liar.name,
            &format!(
                "curl -H 'X-Forwarded-For: {address}' -H 'X-Instance-ID: {}' ...",
                other.id
            ),
            &format!(
                "{{\"uuid\": {}, \"hostname\": {}, ...}}",
                document["uuid"], document["hostname"]
            ),
        );
        assert_eq!(text(&document["uuid"]), liar.id);
        (
            (),
            format!(
                "{} pretended to be {}, and got its own",
                liar.name, other.name
            ),
        )
    });
}

fn meet(say: &mut Transcript, cast: &Cast) {
    say.title("They reach each other by name, across the router");
    say.check("every instance pings every other one by name", |say| {
        let mut pings = 0;
        for from in &cast.instances {
            for to in cast.instances.iter().filter(|to| to.name != from.name) {
                let found = from.guest.resolve(&to.fqdn);
                assert_eq!(found, [to.address], "{} looks up {}", from.name, to.fqdn);
                assert!(from.guest.ping(&to.fqdn), "{} pings {}", from.name, to.fqdn);
                pings += 1;
            }
        }
        let (from, to) = (&cast.instances[0], cast.instances.last().unwrap());
        let said = from.guest.run(&["ping", "-c2", "-i0.2", &to.fqdn]).ok();
        say.shell(
            &from.name,
            &format!("ping {}", to.fqdn),
            said.lines().next().unwrap_or_default(),
        );
        ((), format!("{pings} pairs, within and across networks"))
    });
}

/// Each instance says its own name on port 80.
fn web(instance: &Instance) -> HttpStub {
    let name = instance.name.clone();
    HttpStub::start(&instance.guest, "0.0.0.0:80", move |_| {
        HttpAnswer::new(200, name.clone())
    })
}

fn cross_the_border(say: &mut Transcript, cast: &Cast) {
    say.title("Out to the world, and in from it");
    // The world tells whoever asks which address it sees.
    let world = HttpStub::start(
        &cast.world,
        &format!("{}:80", cast.world_address),
        |request| HttpAnswer::new(200, request.from.ip().to_string()),
    );
    let out = format!("http://{}/", cast.world_address);
    let floating = &cast.instances[cast.floating];
    say.check("instances reach the world through SNAT", |say| {
        for instance in cast
            .instances
            .iter()
            .filter(|instance| instance.name != floating.name)
        {
            let seen = instance.guest.get(&out);
            say.shell(
                &instance.name,
                &format!("curl {out}"),
                &format!("you are {seen}"),
            );
            assert_eq!(seen, cast.snat.to_string(), "{}", instance.name);
        }
        ((), format!("the world sees {}, the router", cast.snat))
    });
    drop(world);
    let into = format!("http://{}/", cast.floating_ip);
    say.check(
        "the world reaches an instance through its floating IP",
        |say| {
            assert!(
                cast.world.ping(cast.floating_ip),
                "ping {}",
                cast.floating_ip
            );
            let name = cast.world.get(&into);
            say.shell("world", &format!("curl {into}"), &format!("I am {name}"));
            assert_eq!(name, floating.name);
            ((), format!("{} is {}", cast.floating_ip, floating.name))
        },
    );
    say.check("so do the instances inside, and itself (hairpin)", |say| {
        for instance in &cast.instances {
            let name = instance.guest.get(&into);
            say.shell(
                &instance.name,
                &format!("curl {into}"),
                &format!("I am {name}"),
            );
            assert_eq!(name, floating.name, "asked by {}", instance.name);
        }
        ((), format!("from all {} instances", cast.instances.len()))
    });
    say.check("a forwarded port leads to its instance", |say| {
        let (to, port) = cast.forwarding;
        let to = &cast.instances[to];
        let (name, address) = (to.name.clone(), format!("0.0.0.0:{port}"));
        // Port 80 is taken by the instance's own page, which says the same.
        let _page = (port != 80).then(|| {
            HttpStub::start(&to.guest, &address, move |_| {
                HttpAnswer::new(200, name.clone())
            })
        });
        let url = format!("http://{}:{}/", cast.forwarded.0, cast.forwarded.1);
        let said = cast.world.get(&url);
        say.shell("world", &format!("curl {url}"), &format!("I am {said}"));
        assert_eq!(said, to.name);
        (
            (),
            format!(
                "{}:{} is {}:{port}",
                cast.forwarded.0, cast.forwarded.1, to.name
            ),
        )
    });
}

fn survive(say: &mut Transcript, host: &Host, daemon: &mut Daemon, cast: &Cast) {
    say.title("The daemon is killed (SIGKILL) under traffic, and started again");
    let floating = &cast.instances[cast.floating];
    let (near, far) = (&cast.instances[0], cast.instances.last().unwrap());
    let flows = say.check(
        "traffic runs: a ping across the router, a TCP stream from the world",
        |_| {
            let ping = near.guest.pinging(far.address).flowing();
            let stream = tcp_stream(&cast.world, &floating.guest, cast.floating_ip, 7777);
            ping.goes_on(20);
            (
                (ping, stream),
                format!("{} to {}, world to {}", near.name, far.name, floating.name),
            )
        },
    );
    let Some((ping, stream)) = flows else { return };
    say.check("killed and started again, it serves again at once", |say| {
        say.shell("host", "kill -9 $(pidof warren)", "");
        daemon.kill9();
        ping.goes_on(25);
        say.shell("host", "warren run --topology conf/demo.toml &", "");
        let begin = Instant::now();
        daemon.start();
        let lease = near.guest.run(&[
            "udhcpc",
            "-f",
            "-n",
            "-q",
            "-t5",
            "-T1",
            "-i",
            "eth0",
            "-s",
            "/bin/true",
        ]);
        assert!(lease.succeeded(), "DHCP: {lease}");
        assert_eq!(near.guest.resolve(&far.fqdn), [far.address], "DNS");
        near.guest
            .get(&format!("{METADATA}/openstack/latest/meta_data.json"));
        let took = begin.elapsed();
        ping.goes_on(25);
        (
            (),
            format!("DHCP, DNS and metadata answered within {took:.1?} of the start"),
        )
    });
    say.check("the ping lost nothing", |say| {
        let report = ping.stop();
        say.tell(&format!(
            "ping: {} sent, {} answered",
            report.sent, report.received
        ));
        assert_eq!(report.lost(), 0, "{report:?}");
        (
            (),
            format!(
                "{} of {} answered, longest gap {:.0?}",
                report.received, report.sent, report.longest_gap
            ),
        )
    });
    say.check("the TCP stream went on", |say| {
        let report = stream.stop();
        say.tell(&format!(
            "TCP: {} numbers there and back, longest wait {:.0?}",
            report.echoed, report.longest_stall
        ));
        assert_eq!(report.broken, None, "{report:?}");
        assert!(report.longest_stall < Duration::from_secs(1), "{report:?}");
        (
            (),
            format!(
                "{} numbers there and back, longest wait {:.0?}",
                report.echoed, report.longest_stall
            ),
        )
    });
    say.check("there is nothing left to do", |say| {
        daemon.converged();
        let plan = host
            .warren(&[
                "plan",
                "--topology",
                FILE,
                "--state-dir",
                daemon.state_dir(),
            ])
            .ok();
        say.shell("host", "warren plan --topology conf/demo.toml", &plan);
        assert!(plan.contains("nothing to do"), "{plan}");
        ((), "the kernel is what the file says".to_owned())
    });
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("text, not {value}"))
        .to_owned()
}
