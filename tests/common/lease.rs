//! Real DHCP clients in a guest. Their hooks (`tests/peers/*.hook`) set what they got on the interface, and record it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;
use std::time::Duration;

use ipnet::Ipv4Net;
use nix::sys::signal::Signal;

use super::wait::{PATIENCE, wait_for};
use super::{Place, Running};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Client {
    /// busybox
    Udhcpc,
    /// ISC
    Dhclient,
    Dhcpcd,
}

impl Client {
    pub const ALL: [Self; 3] = [Self::Udhcpc, Self::Dhclient, Self::Dhcpcd];

    /// Where the client keeps leases between two boots; udhcpc keeps none.
    pub const DHCLIENT_LEASES: &'static str = "/var/lib/dhcp/dhclient.leases";
    pub const DHCPCD_LEASES: &'static str = "/var/lib/dhcpcd";

    fn argv(self, device: &str, more: &[&str]) -> Vec<String> {
        let own: &[&str] = match self {
            // -f: in front. Asked for: what its hook records and it would not ask for by itself.
            Self::Udhcpc => &[
                "udhcpc",
                "-f",
                "-s",
                "/peers/udhcpc.hook",
                "-t20",
                "-T1",
                "-A1",
                "-O",
                "mtu",
                "-O",
                "search",
                "-O",
                "staticroutes",
                "-O",
                "ntpsrv",
                "-O",
                "249",
                "-O",
                "58",
                "-O",
                "59",
                "-i",
            ],
            Self::Dhclient => &[
                "dhclient",
                "-4",
                "-d",
                "-cf",
                "/peers/dhclient.conf",
                "-lf",
                Self::DHCLIENT_LEASES,
                "-pf",
                "/run/dhclient.pid",
                "-sf",
                "/peers/dhclient.hook",
            ],
            Self::Dhcpcd => &[
                "dhcpcd",
                "-4",
                "-B",
                "-d",
                "-f",
                "/peers/dhcpcd.conf",
                "-c",
                "/peers/dhcpcd.hook",
            ],
        };
        // The device comes last, except for udhcpc's -i.
        let tail: Vec<&str> = match self {
            Self::Udhcpc => [&[device], more].concat(),
            Self::Dhclient | Self::Dhcpcd => [more, &[device]].concat(),
        };
        own.iter().chain(&tail).map(ToString::to_string).collect()
    }

    /// The client's own words for "I have this address now".
    fn is_bound(event: &str) -> bool {
        matches!(
            event,
            "bound" | "renew" | "BOUND" | "RENEW" | "REBIND" | "REBOOT"
        )
    }
}

/// A running client.
#[derive(Debug)]
pub struct DhcpClient {
    place: Place,
    client: Client,
    device: String,
    args: Vec<String>,
    running: Option<Running>,
    past: String,
    /// Records that were waited for already.
    seen: usize,
}

impl DhcpClient {
    pub(super) fn start(
        place: &Place,
        client: Client,
        device: &str,
        args: &[&str],
        configuration: &str,
    ) -> Self {
        let file = match client {
            Client::Udhcpc => None,
            Client::Dhclient => Some("/peers/dhclient.conf"),
            Client::Dhcpcd => Some("/peers/dhcpcd.conf"),
        };
        if let (Some(file), false) = (file, configuration.is_empty()) {
            let text = place.read(file).unwrap();
            place.write(file, &format!("{text}\n{configuration}\n"));
        }
        let mut started = Self {
            place: place.clone(),
            client,
            device: device.to_owned(),
            args: args.iter().map(ToString::to_string).collect(),
            running: None,
            past: String::new(),
            seen: 0,
        };
        started.seen = started.records().len();
        started.boot();
        started
    }

    /// Starts the client (again). One that keeps leases asks for its old address first (INIT-REBOOT).
    pub fn boot(&mut self) {
        assert!(self.running.is_none(), "{:?} runs already", self.client);
        let args: Vec<&str> = self.args.iter().map(String::as_str).collect();
        let argv = self.client.argv(&self.device, &args);
        self.running = Some(self.place.spawn(&argv));
    }

    /// Ends the client without a word to the server, as a power cut does.
    pub fn crash(&mut self) {
        if let Some(mut running) = self.running.take() {
            running.signal(Signal::SIGKILL);
            running.ended();
            self.past.push_str(&running.log());
        }
        let _none_left = self
            .place
            .run(&["sh", "-c", "rm -rf /run/dhclient.pid /run/dhcpcd*"]);
    }

    /// Asks the client to give its address back, and waits until it has ended.
    #[track_caller]
    pub fn release(&mut self) {
        let mut running = self.running.take().expect("the client is running");
        match self.client {
            Client::Udhcpc => {
                running.signal(Signal::SIGUSR2);
                wait_for("udhcpc to release", PATIENCE, || {
                    running
                        .log()
                        .contains("entering released state")
                        .then_some(())
                });
                running.signal(Signal::SIGTERM);
            }
            Client::Dhclient => {
                let argv = self.client.argv(&self.device, &["-r"]);
                let argv: Vec<_> = argv.iter().filter(|word| *word != "-d").collect();
                self.past.push_str(&self.place.run(&argv).stderr);
            }
            Client::Dhcpcd => {
                self.place.run(&["dhcpcd", "-4", "-k", &self.device]).ok();
            }
        }
        running.ended();
        self.past.push_str(&running.log());
    }

    /// The next lease: the first one, a renewed one, a rebound one.
    #[track_caller]
    pub fn bound(&mut self) -> Lease {
        let record = self.next("a lease", |record| Client::is_bound(record.event()));
        record.lease()
    }

    /// The next record with one of the client's own words: `RENEW`, `nak`, `EXPIRE` ...
    #[track_caller]
    pub fn event(&mut self, words: &[&str]) -> Record {
        self.next(&words.join(" or "), |record| {
            words.contains(&record.event())
        })
    }

    /// All that the hook recorded in this guest, oldest first.
    pub fn records(&self) -> Vec<Record> {
        (0..)
            .map_while(|n| self.place.read(&format!("/run/lease/{n:04}")))
            .map(|text| text.parse().unwrap())
            .collect()
    }

    /// Sends a signal to the client itself.
    pub fn signal(&mut self, signal: Signal) {
        if let Some(running) = &mut self.running {
            running.signal(signal);
        }
    }

    /// All that the client said.
    pub fn log(&self) -> String {
        let now = self.running.as_ref().map(Running::log);
        format!("{}{}", self.past, now.unwrap_or_default())
    }

    #[track_caller]
    fn next(&mut self, what: &str, wanted: impl Fn(&Record) -> bool) -> Record {
        let start = std::time::Instant::now();
        loop {
            for record in self.records().into_iter().skip(self.seen) {
                self.seen += 1;
                if wanted(&record) {
                    return record;
                }
            }
            assert!(
                start.elapsed() < PATIENCE,
                "{:?} did not come to {what}:\n{}",
                self.client,
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a hook was called with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record(BTreeMap<String, String>);

impl FromStr for Record {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let pairs = text.lines().filter_map(|line| line.split_once('='));
        Ok(Self(
            pairs
                .map(|(key, value)| (key.to_owned(), value.to_owned()))
                .collect(),
        ))
    }
}

impl Record {
    /// The client's own word for what happened.
    pub fn event(&self) -> &str {
        self.text("event").unwrap_or_default()
    }

    #[track_caller]
    fn lease(&self) -> Lease {
        Lease {
            event: self.event().to_owned(),
            address: self.one("address").expect("a lease has an address"),
            prefix: self.one("prefix").expect("a lease has a mask"),
            broadcast: self.one("broadcast"),
            routers: self.list("routers"),
            dns: self.list("dns"),
            ntp: self.list("ntp"),
            domain: self.text("domain").map(str::to_owned),
            search: self.list("search"),
            mtu: self.one("mtu"),
            routes: self
                .list::<String>("routes")
                .chunks_exact(2)
                .map(|pair| (pair[0].parse().unwrap(), pair[1].parse().unwrap()))
                .collect(),
            server_id: self.one("server"),
            lease: self.one("lease"),
            t1: self.one("t1"),
            t2: self.one("t2"),
            hostname: self.text("hostname").map(str::to_owned),
            raw: self
                .0
                .iter()
                .filter_map(|(key, value)| {
                    Some((key.strip_prefix("env.")?.to_owned(), value.clone()))
                })
                .collect(),
        }
    }

    /// Absent and empty are the same to a shell.
    fn text(&self, key: &str) -> Option<&str> {
        let value = self.0.get(key)?;
        (!value.is_empty()).then_some(value)
    }

    #[track_caller]
    fn one<T: FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> Option<T> {
        let value = self.text(key)?;
        Some(
            value
                .parse()
                .unwrap_or_else(|e| panic!("{key}={value}: {e:?}")),
        )
    }

    #[track_caller]
    fn list<T: FromStr<Err: std::fmt::Debug>>(&self, key: &str) -> Vec<T> {
        let words = self.text(key).unwrap_or_default().split_whitespace();
        words
            .map(|word| {
                word.parse()
                    .unwrap_or_else(|e| panic!("{key}: {word}: {e:?}"))
            })
            .collect()
    }
}

/// What a client got, in one form for all clients.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    pub event: String,
    pub address: Ipv4Addr,
    pub prefix: u8,
    pub broadcast: Option<Ipv4Addr>,
    pub routers: Vec<Ipv4Addr>,
    pub dns: Vec<Ipv4Addr>,
    pub ntp: Vec<Ipv4Addr>,
    pub domain: Option<String>,
    pub search: Vec<String>,
    pub mtu: Option<u16>,
    /// Option 121: destination and gateway (0.0.0.0: on the link), in the server's order.
    pub routes: Vec<(Ipv4Net, Ipv4Addr)>,
    pub server_id: Option<Ipv4Addr>,
    /// Seconds.
    pub lease: Option<u32>,
    pub t1: Option<u32>,
    pub t2: Option<u32>,
    pub hostname: Option<String>,
    /// The environment that the client gave its hook: its own names for everything.
    pub raw: BTreeMap<String, String>,
}
