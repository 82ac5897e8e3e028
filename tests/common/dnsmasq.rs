//! dnsmasq as Neutron's agent starts it, to compare with and to measure beside; and as a resolver.

use std::net::SocketAddr;

use super::{Place, Running};

/// What `neutron/agent/linux/dhcp.py` writes for one network; what is left out is there, and empty.
#[derive(Debug, Default)]
pub struct Dnsmasq<'a> {
    /// Tells apart the networks of one host.
    pub network: &'a str,
    pub hosts: &'a str,
    pub names: &'a str,
    pub options: &'a str,
    /// What an operator adds, by `dnsmasq_config_file`.
    pub config: &'a str,
}

impl Dnsmasq<'_> {
    /// Starts it; `more` is what the network adds: its ranges, the device, the domain.
    pub fn start(&self, place: &Place, more: &[&str]) -> Running {
        let mut running = place.spawn(&self.command(place, "-", more));
        running.says(&format!("read {}", self.file("opts")));
        running
    }

    /// Writes the files, and says how to start it. It logs to `log`.
    pub fn command(&self, place: &Place, log: &str, more: &[&str]) -> Vec<String> {
        self.write(place);
        for (file, text) in [("leases", ""), ("conf", self.config)] {
            place.write(&self.file(file), text);
        }
        let own = format!(
            "dnsmasq -k --log-facility={log} --user=root --no-hosts --no-resolv --pid-file={} \
             --dhcp-hostsfile={} --addn-hosts={} --dhcp-optsfile={} --dhcp-leasefile={} --conf-file={} \
             --dhcp-match=set:ipxe,175 --dhcp-userclass=set:ipxe6,iPXE --local-service --bind-dynamic",
            self.file("pid"),
            self.file("host"),
            self.file("addn_hosts"),
            self.file("opts"),
            self.file("leases"),
            self.file("conf"),
        );
        words(&own, more)
    }

    /// Writes the files that it reads again at a SIGHUP.
    pub fn write(&self, place: &Place) {
        for (file, text) in [
            ("host", self.hosts),
            ("addn_hosts", self.names),
            ("opts", self.options),
        ] {
            place.write(&self.file(file), text);
        }
    }

    /// On a tmpfs: a disk is slower.
    fn file(&self, name: &str) -> String {
        format!("/run/dnsmasq/{}/{name}", self.network)
    }
}

/// A resolver of the world outside, which knows what `more` says, and asks nobody.
pub fn resolver(place: &Place, at: SocketAddr, more: &[&str]) -> Running {
    let own = format!(
        "dnsmasq -k --log-facility=- --user=root --no-hosts --no-resolv --conf-file=/dev/null \
         --pid-file= --bind-interfaces --listen-address={} --port={}",
        at.ip(),
        at.port(),
    );
    let mut running = place.spawn(&words(&own, more));
    running.says("started");
    running
}

fn words(own: &str, more: &[&str]) -> Vec<String> {
    let words = own.split_whitespace().chain(more.iter().copied());
    words.map(str::to_owned).collect()
}
