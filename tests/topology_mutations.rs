//! Whatever is in the file: it loads, or every mistake has a place in it. Nothing panics, nothing takes for ever.

mod common;

use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

use common::{Daemon, Host, PATIENCE, wait_for};
use warren::topology::{Mistake, check};

/// Files that bring every kind of table.
const SEEDS: [&str; 2] = [
    include_str!("../conf/demo.toml"),
    r##"
dns_domain = "example.org"
dns_resolvers = ["192.0.2.1", "192.0.2.2:5353"]
lease = "12h"
lease_renewal = 3600
host = "node-a"
[[network]]
name = "x"
type = "vxlan"
vni = 5001
local = "192.0.2.11"
remotes = ["192.0.2.12"]
[[network.subnet]]
name = "first"
cidr = "10.0.0.0/22"
gateway = "10.0.0.254"
dhcp_address = "10.0.0.2"
allocation = ["10.0.0.10-10.0.0.99", "10.0.1.0-10.0.1.255"]
dns_servers = "none"
ntp_servers = ["192.0.2.9"]
host_routes = [{ to = "default", via = "10.0.0.9" }]
[[network.subnet]]
cidr = "10.0.8.0/31"
gateway = false
dhcp = false
[[network]]
name = "v"
type = "vlan"
device = "eth1"
tag = 7
external = true
mtu = 9000
[[network.subnet]]
cidr = "198.51.100.0/24"
[[instance]]
name = "m"
id = "0d60a1cc-5d0e-4f5e-8f3c-3f3a6c1a7d11"
hostname = "mail"
keys = [{ name = "k", key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINLvW3sqvrUmgGzCRr9t7lcZn5ply" }]
vendor_data = { cloud-init = "#cloud-config\n", list = [1, 2.5, true, 1979-05-27] }
[[instance.port]]
network = "x"
addresses = ["10.0.0.11", "first"]
dhcp_options = [{ name = "tag:ipxe,67", value = "a" }, { name = 42, value = ["10.0.0.1", "10.0.0.2"], ip_version = 4 }]
[[instance.port]]
network = "v"
name = "out"
[[router]]
name = "r"
interfaces = ["first", { network = "x", subnet = "10.0.8.0/31", address = "10.0.8.1" }]
gateway = { network = "v", snat = false }
routes = [{ to = "172.16.0.0/12", via = "10.0.0.7" }]
[[router.floating_ip]]
instance = "m"
port = "x"
[[router.port_forwarding]]
protocol = "udp"
external_port = "100-109"
internal_port = "200-204"
fixed = "10.0.0.77"
[metadata]
source = "file"
isolated = false
port = 9000
"##,
];

/// Pieces that are something to somebody.
const PIECES: [&str; 44] = [
    "\"",
    "'",
    "\"\"\"",
    "[",
    "]",
    "[[",
    "]]",
    "{",
    "}",
    "=",
    ",",
    ".",
    "#",
    "\n",
    "\r\n",
    "\\",
    "\u{0}",
    "\u{7f}",
    "ä",
    "日本",
    "\u{202e}",
    "-1",
    "0",
    "99999999999999999999999",
    "1e999",
    "nan",
    "0x",
    "true",
    "\"0.0.0.0\"",
    "\"255.255.255.255\"",
    "\"0.0.0.0/0\"",
    "\"10.10.1.1/32\"",
    "\"::/0\"",
    "\"169.254.169.254\"",
    "\"\"",
    "[]",
    "{ }",
    "[[network]]\n",
    "[[router.floating_ip]]\n",
    "name = \"blue\"\n",
    "cidr = \"10.10.0.0/16\"\n",
    "\"none\"",
    "\"4294967295-1\"",
    "1979-05-27T07:32:00Z",
];

/// xorshift64*: the same files each time.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(drawn).unwrap_or_default() % bound.max(1)
    }
}

fn boundary(text: &str, random: &mut Random) -> usize {
    let mut at = random.below(text.len() + 1);
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

fn mutate(text: &mut String, random: &mut Random) {
    let (a, b) = (boundary(text, random), boundary(text, random));
    let (from, to) = (a.min(b), a.max(b));
    let lines: Vec<String> = text.lines().map(str::to_owned).collect();
    let line = random.below(lines.len());
    match random.below(8) {
        // A character less, a long cut, the end missing.
        0 => text.replace_range(
            from..text[from..]
                .char_indices()
                .nth(1)
                .map_or(text.len(), |(at, _)| from + at),
            "",
        ),
        1 => text.replace_range(from..to, ""),
        2 => text.truncate(from),
        3 => text.insert_str(from, PIECES[random.below(PIECES.len())]),
        // A line less, a line twice, two lines changed round.
        4 if !lines.is_empty() => *text = [&lines[..line], &lines[line + 1..]].concat().join("\n"),
        5 if !lines.is_empty() => *text = [&lines[..=line], &lines[line..]].concat().join("\n"),
        6 if !lines.is_empty() => {
            let (mut lines, other) = (lines.clone(), random.below(lines.len()));
            lines.swap(line, other);
            *text = lines.join("\n");
        }
        // Another value.
        _ => {
            let Some(value) = lines.get(line).and_then(|line| line.split_once('=')) else {
                return;
            };
            let (old, new) = (
                format!("{}={}", value.0, value.1),
                format!("{}= {}", value.0, PIECES[random.below(PIECES.len())]),
            );
            *text = text.replacen(&old, &new, 1);
        }
    }
}

/// The first mistake that says nothing, or is nowhere in the file.
fn lost<'m>(mistakes: &'m [Mistake], text: &str) -> Option<&'m Mistake> {
    // An empty last line counts: a file's end is a place too.
    let lengths: Vec<usize> = text.split('\n').map(|line| line.chars().count()).collect();
    mistakes.iter().find(|mistake| {
        let length = lengths.get(mistake.line.wrapping_sub(1)).copied();
        let is_placed = length.is_some_and(|length| (1..=length + 1).contains(&mistake.column));
        let parts = [&mistake.object, &mistake.why, &mistake.fix];
        !is_placed || parts.iter().any(|part| part.is_empty())
    })
}

#[test]
fn mutated_files() {
    let mut random = Random(0x1234_5678_9abc_def1);
    let (mut good, mut bad) = (0, 0);
    for round in 0..4_000 {
        let mut text = SEEDS[round % SEEDS.len()].to_owned();
        for _ in 0..=random.below(4) {
            mutate(&mut text, &mut random);
        }
        match check(&text, Path::new("conf/mutated.toml")) {
            Ok(_) => good += 1,
            Err(mistakes) => {
                bad += 1;
                assert!(!mistakes.is_empty(), "refused without a reason:\n{text}");
                let lost = lost(&mistakes, &text);
                assert!(lost.is_none(), "{lost:?} is nowhere in:\n{text}");
            }
        }
    }
    // Both ways are taken, or the mutations are no good.
    assert!(good > 100 && bad > 1_000, "{good} good, {bad} bad");
}

/// The same through the whole of it, from disk: what is good gives a state too.
#[test]
fn mutated_files_on_disk() {
    let dir = std::env::temp_dir().join(format!("warren-mutated-{}", std::process::id()));
    fs::create_dir_all(&dir).expect("a temporary directory");
    let mut random = Random(42);
    for round in 0..1_000 {
        let mut bytes = SEEDS[round % SEEDS.len()].as_bytes().to_vec();
        for _ in 0..=random.below(3) {
            let at = random.below(bytes.len());
            bytes[at] = u8::try_from(random.below(256)).unwrap_or_default();
        }
        fs::write(dir.join("net.toml"), &bytes).expect("a file");
        // The state directory stays, so that picks of other files are in the way.
        match warren::topology::Source::open(&dir.join("net.toml"), &dir, Default::default()) {
            Ok((_, events)) => drop(events),
            Err(mistakes) => assert!(!mistakes.is_empty()),
        }
    }
    fs::remove_dir_all(dir).expect("it is ours");
}

/// The daemon is given 1,200 of them while it serves. After each batch it is the same process, and an instance is answered.
#[test]
fn the_daemon_outlives_mutated_files() {
    let Some(host) = Host::new("mutated") else {
        return;
    };
    let mut daemon = host.warren_run(common::ROUTED);
    let pid = daemon.pid();
    let blue = host.guest("blue1", "br-blue", "fa:16:3e:00:01:01");
    blue.udhcpc();
    let seeds = [common::ROUTED, SEEDS[0], SEEDS[1]];
    let mut random = Random(0x5eed);
    for batch in 0..20 {
        for round in 0..60 {
            let mut text = seeds[round % seeds.len()].to_owned();
            for _ in 0..=random.below(3) {
                mutate(&mut text, &mut random);
            }
            read(&mut daemon, &text);
        }
        read(&mut daemon, common::ROUTED);
        daemon.converged();
        assert_eq!(daemon.pid(), pid, "batch {batch}: {}", daemon.log());
        // A good mutant without the bridge took it from under the instance.
        host.ip(&format!("link set {} master br-blue", blue.tap()));
        let names = blue.resolve("blue1.test");
        assert_eq!(names, [Ipv4Addr::new(10, 0, 1, 11)], "batch {batch}");
    }
    let log = daemon.log();
    let [taken, refused] = TOLD.map(|told| log.matches(told).count());
    assert!(taken + refused >= 1_200, "{taken} taken, {refused} refused");
    assert!(
        taken > 100 && refused > 300,
        "{taken} taken, {refused} refused"
    );
    assert!(!log.contains("panic"), "{log}");
}

const TOLD: [&str; 2] = ["topology loaded", "topology refused"];

/// Lets the daemon read this file, and waits until it said what it thinks of it.
fn read(daemon: &mut Daemon, text: &str) {
    let told = |daemon: &Daemon| {
        TOLD.map(|told| daemon.log().matches(told).count())
            .iter()
            .sum::<usize>()
    };
    daemon.rewrite(text);
    let before = told(daemon);
    daemon.reload();
    wait_for("the file to be read", PATIENCE, || {
        (told(daemon) > before).then_some(())
    });
}

/// What a parser may trip over although a person would never write it.
#[test]
fn strange_files() {
    let deep = format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000));
    let deep_tables = format!("x = {}1{}", "{ a = ".repeat(10_000), " }".repeat(10_000));
    let dotted = format!("{} = 1", vec!["a"; 100_000].join("."));
    let long = format!("[[network]]\nname = \"{}\"", "x".repeat(1_000_000));
    let many =
        "[[network]]\nname = \"a\"\n[[network.subnet]]\ncidr = \"10.0.0.0/8\"\n".repeat(2_000);
    let nowhere = (0..5_000)
        .map(|n| format!("[[instance]]\nname = \"i{n}\"\n[[instance.port]]\nnetwork = \"n{n}\"\n"))
        .collect::<String>();
    for (name, text) in [
        ("nothing", ""),
        ("a byte order mark", "\u{feff}lease = 0"),
        ("deep lists", &deep),
        ("deep tables", &deep_tables),
        ("dotted", &dotted),
        ("a long name", &long),
        ("the same often", &many),
        ("many lost", &nowhere),
    ] {
        let mistakes = check(text, Path::new("x.toml")).err().unwrap_or_default();
        let lost = lost(&mistakes, text);
        assert!(lost.is_none(), "{name}: {lost:?}");
        assert_eq!(mistakes.is_empty(), text.is_empty(), "{name}");
    }
}
