//! Real DHCP clients in a guest. Their hooks (`tests/peers/*.hook`) set what they got on the interface, and record it.

use std::time::Instant;

use nix::sys::signal::Signal;

use super::wait::PATIENCE;
use super::{Lease, Place, Record, Running};

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

    /// In front. Asked for is what the hook records and the client would not ask for by itself.
    fn command(self) -> &'static str {
        match self {
            Self::Udhcpc => {
                "udhcpc -f -s /peers/udhcpc.hook -t20 -T1 -A1 -O mtu -O search -O staticroutes -O 249 -O ntpsrv -O 58 -O 59"
            }
            Self::Dhclient => {
                "dhclient -4 -d -cf /peers/dhclient.conf -lf /var/lib/dhcp/dhclient.leases -pf /run/dhclient.pid -sf /peers/dhclient.hook"
            }
            Self::Dhcpcd => "dhcpcd -4 -B -d -f /peers/dhcpcd.conf -c /peers/dhcpcd.hook",
        }
    }

    /// `None` where all is said by arguments.
    fn configuration(self) -> Option<&'static str> {
        match self {
            Self::Udhcpc => None,
            Self::Dhclient => Some("/peers/dhclient.conf"),
            Self::Dhcpcd => Some("/peers/dhcpcd.conf"),
        }
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Udhcpc => "udhcpc",
            Self::Dhclient => "dhclient",
            Self::Dhcpcd => "dhcpcd",
        })
    }
}

/// A client on one interface. It ends, without a word to the server, when this is dropped.
#[derive(Debug)]
pub struct DhcpClient {
    place: Place,
    client: Client,
    device: &'static str,
    args: Vec<String>,
    running: Option<Running>,
    past: String,
    /// Records that were waited for already.
    seen: usize,
}

impl DhcpClient {
    /// `probing`: the client looks for another holder of an address before it takes it. dhcpcd does so unless it is told
    /// not to; for dhclient its hook does, when it finds a file.
    pub(super) fn start(place: &Place, client: Client, probing: bool, args: &[&str]) -> Self {
        let probe: &[&str] = match (client, probing) {
            (Client::Udhcpc, true) => &["-a"],
            (Client::Dhcpcd, false) => &["--noarp"],
            (Client::Udhcpc, false) | (Client::Dhcpcd, true) | (Client::Dhclient, _) => &[],
        };
        if probing {
            place.write("/peers/probe", "");
        }
        let mut started = Self {
            place: place.clone(),
            client,
            device: "eth0",
            args: probe.iter().chain(args).map(ToString::to_string).collect(),
            running: None,
            past: String::new(),
            seen: 0,
        };
        started.seen = started.records().len();
        started.boot();
        started
    }

    /// More lines for the client's configuration file.
    pub(super) fn configure(place: &Place, client: Client, lines: &str) {
        let file = client.configuration().expect("a client that reads a file");
        let text = place.read(file).unwrap_or_default();
        place.write(file, &format!("{text}\n{lines}\n"));
    }

    /// Starts the client again. dhclient and dhcpcd keep their lease, and ask for it first (INIT-REBOOT).
    pub fn boot(&mut self) {
        assert!(self.running.is_none(), "{} runs already", self.client);
        self.running = Some(self.place.spawn(&self.argv(&[])));
    }

    /// Ends the client without a word to the server, as a power cut does.
    pub fn crash(&mut self) {
        if let Some(running) = self.running.take() {
            self.finish(running, Signal::SIGKILL);
        }
        // Their locks are no use to anyone either.
        self.place.sh("rm -rf /run/dhclient.pid /run/dhcpcd*").ok();
    }

    /// Asks the client to give its address back, and waits until it has ended.
    #[track_caller]
    pub fn release(&mut self) {
        let running = self.running.take().expect("the client is running");
        match self.client {
            Client::Udhcpc => {
                let mut running = running;
                running.signal(Signal::SIGUSR2);
                running.says("entering released state");
                self.finish(running, Signal::SIGTERM);
            }
            Client::Dhclient => {
                let release: Vec<String> = self.argv(&["-r"]);
                let release: Vec<&String> = release.iter().filter(|word| *word != "-d").collect();
                self.past.push_str(&self.place.run(&release).stderr);
                self.finish(running, Signal::SIGCONT);
            }
            Client::Dhcpcd => {
                // It may have lost its patience with the one that runs; ours is greater.
                let release = self.place.run(&["dhcpcd", "-4", "-k", self.device]);
                self.past.push_str(&release.stderr);
                self.finish(running, Signal::SIGCONT);
            }
        }
    }

    /// The next lease: the first one, a renewed one, a rebound one.
    #[track_caller]
    pub fn bound(&mut self) -> Lease {
        let lease = self.next("a lease", Record::is_bound).lease();
        if let (Client::Dhclient, Some(running)) = (self.client, &mut self.running) {
            // Only now does it keep the lease for the next boot.
            running.says(&format!("bound to {}", lease.address));
        }
        lease
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
        let begin = Instant::now();
        loop {
            for record in self.records().into_iter().skip(self.seen) {
                self.seen += 1;
                if wanted(&record) {
                    return record;
                }
            }
            assert!(
                begin.elapsed() < PATIENCE,
                "{} did not come to {what}:\n{}",
                self.client,
                self.log()
            );
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
    }

    fn argv(&self, more: &[&str]) -> Vec<String> {
        let device: &[&str] = match self.client {
            Client::Udhcpc => &["-i", self.device],
            Client::Dhclient | Client::Dhcpcd => &[self.device],
        };
        let command = self.client.command().split(' ');
        command
            .chain(self.args.iter().map(String::as_str))
            .chain(more.iter().copied())
            .chain(device.iter().copied())
            .map(str::to_owned)
            .collect()
    }

    #[track_caller]
    fn finish(&mut self, mut running: Running, signal: Signal) {
        running.signal(signal);
        running.ended();
        self.past.push_str(&running.log());
    }
}
