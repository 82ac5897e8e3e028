//! The same subnets advertised by warren and by radvd, as Neutron configures it: each field of what came over the wire.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::net::Ipv6Addr;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::common::{
    ALL_NODES, Advertised, Guest, Host, PATIENCE, Running, Sender, Wire, blessed, settled, wait_for,
};
use crate::{CLOUD, ROUTER};

/// What each said, as a file; a change of it is seen in review. Why they differ: docs/ipv6.md.
const BESIDE: &str = "tests/ra/beside.txt";
const ASKING: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 9);
const APART: Duration = Duration::from_secs(3);
/// Clocks, wakers and a busy machine.
const BLUR: Duration = Duration::from_millis(100);

/// A network of the cloud, and what makes radvd speak of it as Neutron's agent would.
struct Row {
    network: &'static str,
    mtu: u32,
    radvd: String,
}

fn rows() -> Vec<Row> {
    // Neutron does not tell the domain.
    let slaac = "   RDNSS  fd00::53  fd00::54  {};\n   DNSSL test {};\n".to_owned();
    let managed = "   AdvManagedFlag on;\n".to_owned();
    let other = "   AdvOtherConfigFlag on;\n".to_owned();
    let row = |network, mtu, radvd| Row {
        network,
        mtu,
        radvd,
    };
    vec![
        row("blue", 1400, slaac + &prefix("fd00:1::/64", "on")),
        row("green", 1500, managed + &prefix("fd00:2::/64", "off")),
        row("teal", 1500, other + &prefix("fd00:3::/64", "on")),
        row("grey", 1500, String::new()),
    ]
}

/// radvd's configuration as Neutron's agent writes it (`agent/linux/ra.py`).
fn conf(mtu: u32, more: &str) -> String {
    format!(
        "interface eth0\n{{\n   AdvSendAdvert on;\n   MinRtrAdvInterval 30;\n   MaxRtrAdvInterval 100;\n   \
         AdvLinkMTU {mtu};\n{more}\n   route fe80::a9fe:a9fe/128 {{\n   }};\n}};\n"
    )
}

fn prefix(net: &str, autonomous: &str) -> String {
    format!(
        "   prefix {net}\n   {{\n        AdvOnLink on;\n        AdvAutonomous {autonomous};\n   }};\n"
    )
}

/// A radvd at work, and who hears it.
struct Radvd {
    peer: Guest,
    wire: Wire,
    /// Held for its `Drop`.
    _listener: Guest,
}

impl Radvd {
    fn new(host: &Host) -> Self {
        host.bridge("br-radvd");
        let peer = host.guest("radvd", "br-radvd", "02:00:00:00:ff:02");
        peer.run(&["sysctl", "-qw", "net.ipv6.conf.all.forwarding=1"])
            .ok();
        settled(&peer, "eth0");
        let listener = host.guest("listener", "br-radvd", "02:00:00:00:ff:03");
        Self {
            peer,
            wire: listener.wire(),
            _listener: listener,
        }
    }

    fn start(&self, conf: &str) -> Running {
        self.peer.write("/run/radvd.conf", conf);
        let command = "radvd -n -m stderr -C /run/radvd.conf -p /run/radvd.pid";
        self.peer.spawn(&command.split(' ').collect::<Vec<_>>())
    }
}

impl Radvd {
    /// Its answer. The first one to everyone comes before it heeds signals, so that is none.
    #[track_caller]
    fn asked(&self) -> Advertised {
        let asking = Sender {
            mac: self.wire.mac(),
            ip: ASKING,
        };
        self.wire.drain();
        wait_for("radvd to answer", PATIENCE, || {
            self.wire.send(&asking.solicits());
            let answer = |frame: &[u8]| Advertised::parse(frame).filter(|said| said.to == ASKING);
            self.wire.recv(Duration::from_secs(1), answer)
        })
    }
}

/// The next one that `wanted` likes.
#[track_caller]
fn hear(wire: &Wire, wanted: impl Fn(&Advertised) -> bool) -> Advertised {
    let heard = wire.recv(PATIENCE, |frame| Advertised::parse(frame).filter(&wanted));
    heard.expect("an advertisement")
}

fn is_last(said: &Advertised) -> bool {
    said.fields["router lifetime"] == "0"
}

/// To who asks, or to everyone.
fn ask(wire: &Wire) -> Advertised {
    let asking = Sender {
        mac: wire.mac(),
        ip: ASKING,
    };
    wire.drain();
    wire.send(&asking.solicits());
    hear(wire, |said| {
        !is_last(said) && (said.to == ASKING || said.to == ALL_NODES)
    })
}

/// Both beside each other: a field that they agree on once.
fn write_fields(text: &mut String, title: &str, ours: &Advertised, theirs: &Advertised) {
    for said in [ours, theirs] {
        let mac = netns::MacAddr(said.from_mac);
        assert_eq!(
            said.from,
            mac.link_local(),
            "from the address that its MAC makes"
        );
    }
    writeln!(text, "{title}").unwrap();
    let names: BTreeSet<_> = ours.fields.keys().chain(theirs.fields.keys()).collect();
    for name in names {
        let of = |said: &Advertised| said.fields.get(name).map_or("-", String::as_str).to_owned();
        let (our, their) = (of(ours), of(theirs));
        match our == their {
            true => writeln!(text, "  {name}: {our}"),
            false => writeln!(text, "  {name}\n    warren {our}\n    radvd  {their}"),
        }
        .unwrap();
    }
}

#[test]
fn field_by_field_beside_radvd() {
    let Some(host) = Host::new("radvd") else {
        return;
    };
    let daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let radvd = Radvd::new(&host);
    let mut guests = Vec::new();
    let mut ends = Vec::new();
    let mut text = String::new();
    for row in rows() {
        let mac = "02:00:00:00:09:09";
        let name = row.network;
        let guest = host.guest(&format!("{name}9"), &format!("br-{name}"), mac);
        let wire = guest.wire();
        let ours = ask(&wire);
        let mut running = radvd.start(&conf(row.mtu, &row.radvd));
        let theirs = radvd.asked();
        write_fields(&mut text, &format!("{name}, asked"), &ours, &theirs);
        running.signal(Signal::SIGTERM);
        running.ended();
        let last = |frame: &[u8]| Advertised::parse(frame).filter(is_last);
        let end = radvd.wire.recv(PATIENCE, last);
        ends.push(end.unwrap_or_else(|| panic!("no end; radvd: {}", running.log())));
        guests.push((name, guest, wire));
    }
    // The prefix goes from what is advertised.
    let first = &rows()[0];
    let mut running = radvd.start(&conf(first.mtu, &first.radvd));
    radvd.asked();
    let has_prefix = |said: &Advertised| said.fields.contains_key("prefix fd00:1::/64");
    radvd.peer.write("/run/radvd.conf", &conf(first.mtu, ""));
    radvd.wire.drain();
    running.signal(Signal::SIGHUP);
    let theirs = hear(&radvd.wire, |said| !has_prefix(said));
    let cloud = CLOUD.replacen(
        "dns_servers = [\"fd00::53\", \"fd00::54\"]",
        "ipv6_ra_mode = \"none\"\nipv6_address_mode = \"slaac\"",
        1,
    );
    let (.., wire) = &guests[0];
    wire.drain();
    daemon.rewrite(&format!("{cloud}{ROUTER}"));
    let ours = hear(wire, |said| {
        !said.fields.contains_key("name servers (RDNSS)")
    });
    write_fields(&mut text, "blue, without its prefix", &ours, &theirs);
    daemon.rewrite(&format!("{CLOUD}{ROUTER}"));
    hear(wire, |said| {
        said.fields.contains_key("name servers (RDNSS)")
    });
    // All of it goes.
    guests.iter().for_each(|(.., wire)| wire.drain());
    daemon.rewrite(CLOUD);
    for ((name, _, wire), theirs) in guests.iter().zip(&ends) {
        let ours = hear(wire, is_last);
        write_fields(&mut text, &format!("{name}, the end"), &ours, theirs);
    }
    blessed(BESIDE, &text);
}

/// When one side spoke.
#[derive(Debug, Default)]
struct Times {
    to_all: Vec<Instant>,
    /// By who asked.
    alone: BTreeMap<Ipv6Addr, Instant>,
}

impl Times {
    /// What is heard until then.
    fn listen(&mut self, wire: &Wire, until: Instant) {
        let left = until.saturating_duration_since(Instant::now());
        let _quiet: Option<()> = wire.recv(left, |frame| {
            if let Some(said) = Advertised::parse(frame) {
                match said.to {
                    ALL_NODES => self.to_all.push(Instant::now()),
                    one => _ = self.alone.insert(one, Instant::now()),
                }
            }
            None
        });
    }

    fn pauses(&self) -> Vec<Duration> {
        let pairs = self.to_all.windows(2);
        pairs.map(|pair| pair[1] - pair[0]).collect()
    }
}

/// Unasked: three within 16 s of each other at first; of radvd two. Asked: each within half a second or by one to all that was due anyway,
/// and those to all never closer than three seconds (RFC 4861 sections 6.2.4 and 6.2.6).
#[test]
fn the_times_of_both_are_those_of_the_rfc() {
    let Some(host) = Host::new("ra-times") else {
        return;
    };
    let radvd = Radvd::new(&host);
    host.bridge("br-blue");
    let guest = host.guest("blue9", "br-blue", "02:00:00:00:09:09");
    let wire = guest.wire();
    let _daemon = host.warren_run(&format!("{CLOUD}{ROUTER}"));
    let _running = radvd.start(&conf(1400, &rows()[0].radvd));
    std::thread::scope(|scope| {
        for (whose, wire, quick) in [("warren", &wire, 2), ("radvd", &radvd.wire, 1)] {
            scope.spawn(move || check_times(whose, wire, quick));
        }
    });
}

/// `quick`: so many pauses are short at first.
fn check_times(whose: &str, wire: &Wire, quick: usize) {
    let mut times = Times::default();
    let begin = Instant::now();
    while times.to_all.len() <= quick && begin.elapsed() < 2 * PATIENCE {
        times.listen(wire, Instant::now() + APART);
    }
    assert!(times.to_all.len() > quick, "{whose}: {:?}", times.pauses());
    let early = times.pauses();
    assert!(
        early
            .iter()
            .take(quick)
            .all(|pause| *pause <= Duration::from_secs(16) + BLUR),
        "{whose}: {early:?}"
    );
    // Many ask, each from an address of its own, in the time of three to all.
    let begin = Instant::now();
    let mut asked = BTreeMap::new();
    for n in 0..40u64 {
        let ip = Ipv6Addr::from((0xfe80 << 112) | u128::from(0x100 + n));
        let sender = Sender {
            mac: wire.mac(),
            ip,
        };
        asked.insert(ip, Instant::now());
        wire.send(&sender.solicits());
        times.listen(
            wire,
            begin + Duration::from_millis(200) * u32::try_from(n + 1).unwrap(),
        );
    }
    times.listen(wire, Instant::now() + APART);
    let pauses = times.pauses();
    assert!(
        pauses.iter().all(|pause| *pause + BLUR >= APART),
        "{whose}: those to all are {pauses:?} apart"
    );
    let answer = |ip: &Ipv6Addr, at: &Instant| {
        let to_all = times.to_all.iter().find(|heard| *heard >= at);
        let own = times.alone.get(ip);
        own.into_iter()
            .chain(to_all)
            .map(|heard| *heard - *at)
            .min()
    };
    let late: Vec<_> = asked
        .iter()
        .map(|(ip, at)| (ip, answer(ip, at)))
        .filter(|(_, took)| took.is_none_or(|took| took > Duration::from_millis(500) + BLUR))
        .collect();
    println!(
        "{whose}: {} to all, {} alone; the closest two to all {:?} apart; later than half a second: {late:?}",
        times.to_all.len(),
        times.alone.len(),
        pauses.iter().min()
    );
    assert!(late.is_empty(), "{whose}: {late:?}");
}
