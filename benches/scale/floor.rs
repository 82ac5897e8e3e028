//! The floor: bare netlink that makes what the daemon makes, and does nothing else.
//!
//! The same namespaces, bridges, cables, addresses, routes, settings, marks and nftables tables; the work is laid out
//! beforehand and not counted. Nothing is looked at, nothing is watched and nothing is served. What one message
//! can say is said in one, indexes are chosen and not asked for, and messages leave in batches. Afterwards `warren plan`
//! has to find nothing to do.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use netns::spec::{Link, LinkKind, Route};
use netns::{DevName, NsName, Spec};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use serde::{Deserialize, Serialize};

use crate::figures::cpu_time_with_children;
use crate::netlink::{Batch, Body};

/// What is to be made.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Work {
    /// Of all targets.
    pub host: Spec,
    /// Without their tables.
    pub namespaces: BTreeMap<NsName, Spec>,
    /// Their tables, as `nft -j` lists them.
    pub tables: BTreeMap<NsName, String>,
}

mod word {
    //! `linux/rtnetlink.h`, `if_link.h`, `if_addr.h`, `veth.h`
    pub(super) const NEWLINK: u16 = 16;
    pub(super) const NEWADDR: u16 = 20;
    pub(super) const NEWROUTE: u16 = 24;
    pub(super) const IFF_UP: u32 = 1;
    pub(super) const IFLA_ADDRESS: u16 = 1;
    pub(super) const IFLA_IFNAME: u16 = 3;
    pub(super) const IFLA_MTU: u16 = 4;
    pub(super) const IFLA_MASTER: u16 = 10;
    pub(super) const IFLA_LINKINFO: u16 = 18;
    pub(super) const IFLA_IFALIAS: u16 = 20;
    pub(super) const IFLA_NET_NS_FD: u16 = 28;
    pub(super) const IFLA_NUM_TX_QUEUES: u16 = 31;
    pub(super) const IFLA_NUM_RX_QUEUES: u16 = 32;
    pub(super) const IFLA_INFO_KIND: u16 = 1;
    pub(super) const IFLA_INFO_DATA: u16 = 2;
    pub(super) const IFLA_BR_FORWARD_DELAY: u16 = 1;
    pub(super) const IFLA_BR_STP_STATE: u16 = 5;
    pub(super) const IFLA_BR_MCAST_SNOOPING: u16 = 23;
    pub(super) const VETH_INFO_PEER: u16 = 1;
    pub(super) const IFA_ADDRESS: u16 = 1;
    pub(super) const IFA_LOCAL: u16 = 2;
    pub(super) const IFA_BROADCAST: u16 = 4;
    pub(super) const RTA_DST: u16 = 1;
    pub(super) const RTA_OIF: u16 = 4;
    pub(super) const RTA_GATEWAY: u16 = 5;
}

/// The first index of what we make: behind all that is there by itself.
const FIRST: u32 = 1000;

/// Makes it all; how long that took.
pub(crate) fn build(work: &Work, threads: usize) -> Duration {
    let home = File::open("/proc/self/ns/net").unwrap();
    // As `ip netns` does it; not counted.
    fs::create_dir_all("/run/netns").unwrap();
    let begin = Instant::now();
    let indexes: BTreeMap<&DevName, u32> = work.host.links.keys().zip(FIRST..).collect();
    bridges(&work.host, &indexes);
    let all: Vec<_> = work.namespaces.iter().collect();
    let (home, indexes) = (&home, &indexes);
    std::thread::scope(|scope| {
        for some in all.chunks(all.len().div_ceil(threads)) {
            scope.spawn(move || {
                for (name, spec) in some {
                    namespace(name, spec, home, indexes);
                    if let Some(table) = work.tables.get(name) {
                        load(table);
                    }
                    setns(home, CloneFlags::CLONE_NEWNET).unwrap();
                }
            });
        }
    });
    far_ends(&work.host, indexes);
    begin.elapsed()
}

fn bridges(host: &Spec, indexes: &BTreeMap<&DevName, u32>) {
    let bridges = || {
        host.links
            .iter()
            .filter(|(_, link)| link.kind == LinkKind::Bridge)
    };
    let mut batch = Batch::open();
    for (dev, link) in bridges() {
        let mut body = Body::link(indexes[dev], 0);
        describe(&mut body, dev, link);
        body.nest(word::IFLA_LINKINFO, |info| {
            info.text(word::IFLA_INFO_KIND, "bridge");
            info.nest(word::IFLA_INFO_DATA, |data| {
                data.put(word::IFLA_BR_FORWARD_DELAY, &0_u32.to_ne_bytes());
                data.put(word::IFLA_BR_STP_STATE, &0_u32.to_ne_bytes());
                data.put(word::IFLA_BR_MCAST_SNOOPING, &[0]);
            });
        });
        batch.create(word::NEWLINK, body);
    }
    batch.send();
    settings(host, |link| link.kind == LinkKind::Bridge);
    for (dev, _) in bridges() {
        let mut body = Body::link(indexes[dev], word::IFF_UP);
        body.text(word::IFLA_IFALIAS, &host.ownership.alias);
        batch.change(word::NEWLINK, body);
    }
    batch.send();
}

/// Leaves this thread inside.
fn namespace(name: &NsName, spec: &Spec, home: &File, far: &BTreeMap<&DevName, u32>) {
    let path = Path::new("/run/netns").join(name.as_str());
    File::create_new(&path).unwrap();
    unshare(CloneFlags::CLONE_NEWNET).unwrap();
    let here = PathBuf::from("/proc/thread-self/ns/net");
    mount(
        Some(&here),
        &path,
        None::<&str>,
        MsFlags::MS_BIND,
        None::<&str>,
    )
    .unwrap();
    // What is about no device, or about all that are still to come.
    for (key, value) in spec
        .sysctls
        .iter()
        .filter(|(key, _)| of_device(spec, key).is_none())
    {
        set(key, value);
    }
    let indexes: BTreeMap<&DevName, u32> = spec
        .links
        .keys()
        .zip(FIRST..)
        .map(|(dev, index)| (dev, if dev.as_str() == "lo" { 1 } else { index }))
        .collect();
    let mut batch = Batch::open();
    for (dev, link) in &spec.links {
        let LinkKind::Veth { peer, .. } = &link.kind else {
            batch.change(word::NEWLINK, Body::link(indexes[dev], word::IFF_UP));
            continue;
        };
        let mut body = Body::link(indexes[dev], word::IFF_UP);
        describe(&mut body, dev, link);
        one_queue(&mut body);
        body.nest(word::IFLA_LINKINFO, |info| {
            info.text(word::IFLA_INFO_KIND, "veth");
            info.nest(word::IFLA_INFO_DATA, |data| {
                data.nest(word::VETH_INFO_PEER, |end| {
                    end.header(&Body::link(far[peer], 0));
                    end.text(word::IFLA_IFNAME, peer.as_str());
                    one_queue(end);
                    if let Some(mtu) = link.mtu {
                        end.put(word::IFLA_MTU, &mtu.to_ne_bytes());
                    }
                    end.put(word::IFLA_NET_NS_FD, &home.as_raw_fd().to_ne_bytes());
                });
            });
        });
        batch.create(word::NEWLINK, body);
        let mut alias = Body::link(indexes[dev], 0);
        alias.text(word::IFLA_IFALIAS, &spec.ownership.alias);
        batch.change(word::NEWLINK, alias);
    }
    for (dev, link) in &spec.links {
        for net in link.addrs.iter().flatten() {
            let (IpAddr::V4(address), IpAddr::V4(broadcast)) = (net.addr(), net.broadcast()) else {
                continue;
            };
            let mut body = Body::address(net.prefix_len(), indexes[dev]);
            body.put(word::IFA_LOCAL, &address.octets());
            body.put(word::IFA_ADDRESS, &address.octets());
            if net.prefix_len() < 31 {
                body.put(word::IFA_BROADCAST, &broadcast.octets());
            }
            batch.create(word::NEWADDR, body);
        }
    }
    for route in &spec.routes {
        batch.create(word::NEWROUTE, route_body(spec, route, &indexes));
    }
    batch.send();
    for (key, value) in spec
        .sysctls
        .iter()
        .filter(|(key, _)| of_device(spec, key).is_some())
    {
        set(key, value);
    }
}

/// Into their bridges, and up.
fn far_ends(host: &Spec, indexes: &BTreeMap<&DevName, u32>) {
    let ends = || {
        host.links
            .iter()
            .filter(|(_, link)| link.kind == LinkKind::Existing)
    };
    settings(host, |link| link.kind == LinkKind::Existing);
    let mut batch = Batch::open();
    for (dev, link) in ends() {
        let mut body = Body::link(indexes[dev], word::IFF_UP);
        body.text(word::IFLA_IFALIAS, &host.ownership.alias);
        if let Some(bridge) = &link.master {
            body.put(word::IFLA_MASTER, &indexes[bridge].to_ne_bytes());
        }
        batch.change(word::NEWLINK, body);
    }
    batch.send();
}

/// Of each end of a pair, as the daemon says it.
fn one_queue(body: &mut Body) {
    body.put(word::IFLA_NUM_TX_QUEUES, &1_u32.to_ne_bytes());
    body.put(word::IFLA_NUM_RX_QUEUES, &1_u32.to_ne_bytes());
}

fn describe(body: &mut Body, dev: &DevName, link: &Link) {
    body.text(word::IFLA_IFNAME, dev.as_str());
    if let Some(mac) = link.mac {
        body.put(word::IFLA_ADDRESS, &mac.0);
    }
    if let Some(mtu) = link.mtu {
        body.put(word::IFLA_MTU, &mtu.to_ne_bytes());
    }
}

fn route_body(spec: &Spec, route: &Route, indexes: &BTreeMap<&DevName, u32>) -> Body {
    let mut body = Body::route(
        route.destination.prefix_len(),
        spec.ownership.protocol,
        route.via.is_empty(),
    );
    if let (IpAddr::V4(destination), 1..) =
        (route.destination.addr(), route.destination.prefix_len())
    {
        body.put(word::RTA_DST, &destination.octets());
    }
    for via in &route.via {
        if let IpAddr::V4(via) = via {
            body.put(word::RTA_GATEWAY, &via.octets());
        }
    }
    if let Some(dev) = &route.dev {
        body.put(word::RTA_OIF, &indexes[dev].to_ne_bytes());
    }
    body
}

/// The device that a setting is about, if it is one of the Spec's.
fn of_device<'a>(spec: &'a Spec, key: &str) -> Option<&'a DevName> {
    let name = DevName::new(key.split('/').nth(3)?).ok()?;
    spec.links.get_key_value(&name).map(|(dev, _)| dev)
}

/// Of such devices.
fn settings(spec: &Spec, such: impl Fn(&Link) -> bool) {
    for (key, value) in &spec.sysctls {
        if of_device(spec, key).is_some_and(|dev| such(&spec.links[dev])) {
            set(key, value);
        }
    }
}

fn set(key: &str, value: &str) {
    fs::write(Path::new("/proc/sys").join(key), value).unwrap_or_else(|e| panic!("{key}: {e}"));
}

fn load(table: &str) {
    let mut child = Command::new("nft")
        .args(["-j", "-f", "-"])
        .stdin(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(table.as_bytes())
        .unwrap();
    assert!(child.wait().unwrap().success());
}

/// Prints how many seconds the work of this file took, and how many of CPU time.
pub(crate) fn run(work: &str) {
    let work: Work = serde_json::from_slice(&fs::read(work).unwrap()).unwrap();
    let threads = std::thread::available_parallelism().unwrap().get();
    let me = nix::unistd::getpid();
    let before = cpu_time_with_children(me);
    let took = build(&work, threads);
    let cpu = cpu_time_with_children(me) - before;
    println!("{} {}", took.as_secs_f64(), cpu.as_secs_f64());
}
