//! What a topology file means: the model that it gives, what stays when it changes, and what is said about a change.
#![allow(clippy::unwrap_used)] // A test that can't make its files has failed.

mod ipv6;
mod picks;
mod reload;
mod said;

use std::collections::BTreeMap;
use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use warren::model::{MacAddr, Network, Router, State};
use warren::topology::{Loaded, Source};

/// A directory with a topology and a state directory; gone with the test.
struct Host(PathBuf);

impl Host {
    fn new(name: &str) -> Self {
        let dir =
            std::env::temp_dir().join(format!("warren-topology-{name}-{}", std::process::id()));
        let _leftover = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn write(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.join("net.toml")
    }

    fn state_dir(&self) -> PathBuf {
        self.0.join("state")
    }

    fn open(&self) -> (Source, Loaded) {
        Source::open(&self.file(), &self.state_dir())
            .unwrap_or_else(|mistakes| panic!("{mistakes:#?}"))
    }

    /// Writes, and opens as a new daemon would.
    fn opened(&self, text: &str) -> State {
        self.write(text);
        self.open().1.state
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

fn network<'s>(state: &'s State, name: &str) -> &'s Network {
    state
        .networks
        .values()
        .find(|network| network.name == name)
        .unwrap()
}

fn router<'s>(state: &'s State, name: &str) -> &'s Router {
    state
        .routers
        .values()
        .find(|router| router.name == name)
        .unwrap()
}

/// First addresses and MACs of the instances, by name.
fn seats(state: &State) -> BTreeMap<String, (Vec<IpAddr>, MacAddr)> {
    let seat = |instance: &warren::model::Instance| {
        let (network, port) = instance.ports[0];
        let port = state.port(network, port).unwrap();
        (
            port.fixed_ips.iter().map(|fixed| fixed.ip).collect(),
            port.mac,
        )
    };
    state
        .instances
        .values()
        .map(|instance| (instance.name.clone(), seat(instance)))
        .collect()
}

fn text_of_network(instances: &[&str]) -> String {
    let mut text =
        "[[network]]\nname = \"blue\"\n[[network.subnet]]\ncidr = \"10.10.1.0/26\"\n".to_owned();
    for name in instances {
        text +=
            &format!("[[instance]]\nname = \"{name}\"\n[[instance.port]]\nnetwork = \"blue\"\n");
    }
    text
}
