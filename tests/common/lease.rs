//! What a DHCP client got, as its hook recorded it.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;

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

    /// Whether the event is one of the clients' words for "I have this address now".
    pub fn is_bound(&self) -> bool {
        matches!(
            self.event(),
            "bound" | "renew" | "BOUND" | "RENEW" | "REBIND" | "REBOOT"
        )
    }

    /// For a record that says "bound".
    #[track_caller]
    pub fn lease(&self) -> Lease {
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
