//! An instance: what stands in for a virtual machine.

use std::net::Ipv4Addr;
use std::ops::Deref;
use std::str::FromStr;
use std::sync::Mutex;

use nix::unistd::Pid;

use super::holder::{Files, Holder};
use super::{Client, DhcpClient, Flood, Host, HttpAnswer, Lease, Output, Pinging, Place, Wire};

/// What the hooks of the clients need, and who reads it.
const PEERS: [(&str, &str); 10] = [
    ("lease.sh", include_str!("../peers/lease.sh")),
    ("udhcpc.hook", include_str!("../peers/udhcpc.hook")),
    ("dhclient.hook", include_str!("../peers/dhclient.hook")),
    ("dhcpcd.hook", include_str!("../peers/dhcpcd.hook")),
    ("dhclient.conf", include_str!("../peers/dhclient.conf")),
    ("dhcpcd.conf", include_str!("../peers/dhcpcd.conf")),
    ("v6.hook", include_str!("../peers/v6.hook")),
    ("dhclient6.conf", include_str!("../peers/dhclient6.conf")),
    ("dhcpcd6.conf", include_str!("../peers/dhcpcd6.conf")),
    ("dhcp6c.conf", include_str!("../peers/dhcp6c.conf")),
];

/// An instance. It has its own files (the peers', in a writable layer), so a client may do to them what it does to a real
/// machine. Its verbs beside these are those of [`Place`]. Dropping it is pulling the plug.
#[derive(Debug)]
pub struct Guest {
    place: Place,
    host: Place,
    name: String,
    /// DHCP clients that go on as they would in a real instance.
    clients: Mutex<Vec<DhcpClient>>,
    /// Its devices, and the host's end of each.
    taps: Mutex<Vec<(String, String)>>,
    // Last: the clients are ended first.
    holder: Holder,
}

impl Guest {
    /// Without any interface but `lo`.
    pub(super) fn boot(host: &Host, name: &str) -> Self {
        let mut command = host.machine().command(&[
            "unshare".as_ref(),
            "--mount".as_ref(),
            "--net".as_ref(),
            "--pid".as_ref(),
            "--uts".as_ref(),
            "--fork".as_ref(),
            "--kill-child".as_ref(),
            "--propagation=private".as_ref(),
            "--".as_ref(),
            "bash".as_ref(),
            "-c".as_ref(),
            include_str!("guest.sh").as_ref(),
            "guest".as_ref(),
            name.as_ref(),
            Files::Peers.path().as_os_str(),
        ]);
        command.env("product_name", "OpenStack Nova");
        let holder = Holder::start(command, 2);
        let place = Place {
            pid: holder.pid(),
            root: "/",
        };
        for (file, text) in PEERS {
            place.write(&format!("/peers/{file}"), text);
        }
        place.run(&["sh", "-c", "chmod 755 /peers/*.hook"]).ok();
        Self {
            place,
            host: host.place(),
            name: name.to_owned(),
            clients: Mutex::default(),
            taps: Mutex::default(),
            holder,
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The host's end of `eth0`, as an operator sees it on the bridge.
    #[track_caller]
    pub fn tap(&self) -> String {
        let taps = self.taps.lock().unwrap();
        let plugged = taps.iter().find(|(device, _)| device == "eth0");
        plugged.expect("a guest that is plugged").1.clone()
    }

    pub(super) fn plugged(&self, device: &str, tap: &str) {
        let pair = (device.to_owned(), tap.to_owned());
        self.taps.lock().unwrap().push(pair);
    }

    /// Its PID 1, as the host counts.
    pub(super) fn pid_on_host(&self) -> Pid {
        let status =
            std::fs::read_to_string(format!("/proc/{}/status", self.holder.pid())).unwrap();
        let numbers: Vec<&str> = status
            .lines()
            .find_map(|line| line.strip_prefix("NSpid:"))
            .expect("a kernel with PID namespaces")
            .split_whitespace()
            .collect();
        // The innermost is 1, the host's is the one before it.
        Pid::from_raw(numbers[numbers.len() - 2].parse().unwrap())
    }

    /// Boots busybox' client on `eth0`, and leaves it running. What it got is set on the interface.
    #[track_caller]
    pub fn udhcpc(&self) -> Lease {
        self.lease(Client::Udhcpc)
    }

    /// The same with ISC's.
    #[track_caller]
    pub fn dhclient(&self) -> Lease {
        self.lease(Client::Dhclient)
    }

    /// The same with dhcpcd.
    #[track_caller]
    pub fn dhcpcd(&self) -> Lease {
        self.lease(Client::Dhcpcd)
    }

    /// The same with any of them.
    #[track_caller]
    pub fn lease(&self, client: Client) -> Lease {
        let mut client = self.dhcp(client);
        let lease = client.bound();
        self.clients.lock().unwrap().push(client);
        lease
    }

    /// Starts a client on `eth0` that the test then steers.
    pub fn dhcp(&self, client: Client) -> DhcpClient {
        self.dhcp_with(client, &[])
    }

    /// The same with more arguments.
    pub fn dhcp_with(&self, client: Client, args: &[&str]) -> DhcpClient {
        DhcpClient::start(&self.place, client, false, args)
    }

    /// The same, where the client looks for another holder of an address before it takes it (RFC 2131 section 2.2).
    pub fn dhcp_probing(&self, client: Client) -> DhcpClient {
        DhcpClient::start(&self.place, client, true, &[])
    }

    /// More lines for the configuration file of dhclient or dhcpcd.
    pub fn configure(&self, client: Client, lines: &str) {
        DhcpClient::configure(&self.place, client, lines);
    }

    /// Whether one of three pings is answered.
    pub fn ping(&self, to: impl ToString) -> bool {
        self.run(&["ping", "-n", "-c3", "-i0.2", "-W1", &to.to_string()])
            .succeeded()
    }

    /// Pings until stopped, every 20 ms.
    pub fn pinging(&self, to: impl ToString) -> Pinging {
        Pinging::start(&self.place, &to.to_string())
    }

    /// Asks with curl; `Err` when there was no answer.
    pub fn curl(&self, url: &str, headers: &[(&str, &str)]) -> Result<HttpAnswer, Output> {
        self.curl_with(url, headers, &[])
    }

    /// The same, with more of curl's own arguments, like `--request PUT`.
    pub fn curl_with(
        &self,
        url: &str,
        headers: &[(&str, &str)],
        args: &[&str],
    ) -> Result<HttpAnswer, Output> {
        let mut argv: Vec<String> = ["curl", "--silent", "--show-error", "--include", "--globoff"]
            .iter()
            .chain(&["--max-time", "15", "--path-as-is"])
            .chain(args)
            .map(ToString::to_string)
            .collect();
        for (name, value) in headers {
            argv.extend(["--header".to_owned(), format!("{name}: {value}")]);
        }
        argv.push(url.to_owned());
        let output = self.run(&argv);
        if output.succeeded() {
            Ok(output.stdout.parse().unwrap())
        } else {
            Err(output)
        }
    }

    /// The body of an answer that must be a 200.
    #[track_caller]
    pub fn get(&self, url: &str) -> String {
        let answer = self
            .curl(url, &[])
            .unwrap_or_else(|output| panic!("{output}"));
        assert_eq!(answer.status, 200, "GET {url}: {}", answer.body);
        answer.body
    }

    /// Asks with dig: `["@10.0.0.2", "vm1.example", "A", "+tcp"]`. Without an answer the status is empty.
    pub fn dig(&self, args: &[&str]) -> DigAnswer {
        let argv = [&["dig", "+time=3", "+tries=2"], args].concat();
        self.run(&argv).stdout.parse().unwrap()
    }

    /// The addresses of a name as its programs find them: through /etc/resolv.conf.
    pub fn resolve(&self, name: &str) -> Vec<Ipv4Addr> {
        let output = self.run(&["getent", "ahostsv4", name]);
        let mut found: Vec<Ipv4Addr> = output
            .stdout
            .lines()
            .filter_map(|line| line.split_whitespace().next()?.parse().ok())
            .collect();
        found.dedup();
        found
    }

    /// Sends these frames by `eth0` over and over, so many per second, until the returned value is dropped.
    pub fn flood(&self, frames: Vec<Vec<u8>>, per_second: u32) -> Flood {
        Flood::start(&self.place, "eth0", frames, per_second)
    }

    /// Does `work` in so many threads over and over, until the returned value is dropped.
    pub fn hurry(&self, threads: usize, work: fn() -> u64) -> Flood {
        Flood::work(&self.place, threads, work)
    }

    /// The wire of `eth0`: crafted frames out, all frames in.
    pub fn wire(&self) -> Wire {
        Wire::open(&self.place, "eth0")
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // The kernel takes a dead namespace's devices away some time later; the next guest of this name may come at once.
        for (_, tap) in self.taps.lock().unwrap().drain(..) {
            let _host_may_be_gone = self.host.run(&["ip", "link", "del", &tap]);
        }
    }
}

impl Deref for Guest {
    type Target = Place;
    fn deref(&self) -> &Place {
        &self.place
    }
}

/// An answer as dig printed it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DigAnswer {
    /// `NOERROR`, `NXDOMAIN`, `REFUSED` ...; empty if nobody answered.
    pub status: String,
    /// `aa`, `ra`, `tc` ...
    pub flags: Vec<String>,
    /// The data of the answer section, in order: addresses, names.
    pub answers: Vec<String>,
    /// All that dig printed.
    pub text: String,
}

impl FromStr for DigAnswer {
    type Err = std::convert::Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut found = Self {
            text: text.to_owned(),
            ..Self::default()
        };
        let mut in_answers = false;
        for line in text.lines() {
            if let Some((_, rest)) = line.split_once("status: ") {
                found.status = rest.split(',').next().unwrap_or_default().to_owned();
            } else if let Some(rest) = line.strip_prefix(";; flags: ") {
                let flags = rest.split(';').next().unwrap_or_default();
                found.flags = flags.split_whitespace().map(str::to_owned).collect();
            } else if line.starts_with(';') || line.is_empty() {
                in_answers = line == ";; ANSWER SECTION:";
            } else if in_answers {
                found.answers.push(
                    line.split_whitespace()
                        .skip(4)
                        .collect::<Vec<_>>()
                        .join(" "),
                );
            }
        }
        Ok(found)
    }
}
