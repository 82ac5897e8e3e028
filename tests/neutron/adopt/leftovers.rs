//! What else agents may have left on a node.

use serde_json::json;

use super::life::Life;
use crate::cloud::{LONG, id};
use crate::common::wait_for;

/// A network and a router that the server takes from the node while nobody is there to hear of it.
pub(super) struct Strangers {
    network: String,
    router: String,
    subnet: String,
}

impl Strangers {
    /// The agents serve them.
    pub(super) fn begin(life: &Life<'_>) -> Self {
        let cloud = life.cloud;
        let network = cloud.create("network", json!({"name": "gone"}));
        let subnet = json!({"network_id": id(&network), "ip_version": 4, "cidr": "10.9.0.0/24"});
        let subnet = cloud.create("subnet", subnet);
        let gateway = json!({"network_id": life.outside});
        let router = cloud.create("router", json!({"external_gateway_info": gateway}));
        let leg = format!("/v2.0/routers/{}/add_router_interface", id(&router));
        cloud.put(&leg, &json!({"subnet_id": id(&subnet)}));
        let strangers = Self {
            network: id(&network).to_owned(),
            router: id(&router).to_owned(),
            subnet: id(&subnet).to_owned(),
        };
        for (namespace, program) in strangers.namespaces().iter().zip(["dnsmasq", "haproxy"]) {
            wait_for(&format!("{program} in {namespace}"), LONG, || {
                let is_there = life.net1.namespaces().contains(namespace);
                let runs = || {
                    let programs = life.programs_in(namespace);
                    programs.contains(&program.to_owned())
                };
                (is_there && runs()).then_some(())
            });
        }
        strangers
    }

    fn namespaces(&self) -> [String; 2] {
        [
            format!("qdhcp-{}", self.network),
            format!("qrouter-{}", self.router),
        ]
    }

    pub(super) fn leave(&self, life: &Life<'_>) {
        let cloud = life.cloud;
        let leg = format!("/v2.0/routers/{}/remove_router_interface", self.router);
        cloud.put(&leg, &json!({"subnet_id": self.subnet}));
        cloud.remove("router", &self.router);
        cloud.remove("network", &self.network);
        let here = life.net1.namespaces();
        assert!(self.namespaces().iter().all(|name| here.contains(name)));
        life.net1.ip("netns add qrouter-mine");
    }

    /// And nothing that is not of the agents' making.
    pub(super) fn are_gone(&self, life: &Life<'_>) {
        let mut expected = vec![life.dhcp.clone(), life.router.clone()];
        expected.extend(["other", "qrouter-mine"].map(str::to_owned));
        expected.sort();
        wait_for("namespaces that nobody knows to go", LONG, || {
            (life.net1.namespaces() == expected).then_some(())
        });
        let running = life.net1.processes();
        let left = (running.iter()).find(|it| ["dnsmasq", "haproxy"].contains(&it.name.as_str()));
        assert_eq!(left, None);
    }
}

/// keepalived, as a router leaves it that was highly available; and another one, which is somebody else's.
pub(super) struct Monitored;

impl Monitored {
    pub(super) fn leave(life: &Life<'_>) -> Self {
        let id = life.router.trim_start_matches("qrouter-");
        life.net1.ip("netns add other");
        for (namespace, dir) in [(life.router.as_str(), id), ("other", "other")] {
            let dir = format!("/var/lib/neutron/ha_confs/{dir}");
            // Without an address on its interface it waits.
            let conf = "vrrp_instance VR_1 {\n state BACKUP\n interface ha-0\n virtual_router_id 1\n priority 50\n nopreempt\n\
                        virtual_ipaddress {\n 169.254.0.1/24 dev ha-0\n }\n}\n";
            life.net1
                .place()
                .write(&format!("{dir}/keepalived.conf"), conf);
            let start = format!(
                "ip link add ha-0 type bridge; ip link set ha-0 up\n\
                 keepalived -P -f {dir}/keepalived.conf -p {dir}.pid -r {dir}.pid-vrrp >/dev/null 2>&1"
            );
            life.net1.run_in(namespace, &["sh", "-ec", &start]).ok();
            wait_for("keepalived and its worker", LONG, || {
                (keepaliveds(life, namespace) == 2).then_some(())
            });
        }
        Self
    }

    pub(super) fn are_ended(&self, life: &Life<'_>) {
        assert_eq!(keepaliveds(life, &life.router), 0);
        assert_eq!(keepaliveds(life, "other"), 2, "that was nobody's business");
    }
}

fn keepaliveds(life: &Life<'_>, namespace: &str) -> usize {
    let programs = life.programs_in(namespace);
    programs.iter().filter(|name| *name == "keepalived").count()
}

/// The agent's rules once more, as `iptables-legacy` has them.
pub(super) struct Legacy;

/// The machine need not have the programs: these are the agents', and need no more rights than warren has.
const PROGRAM: &str = "#!/bin/sh\n\
    export LD_LIBRARY_PATH=$(echo /run/peers/usr/lib/*-linux-gnu)\n\
    export XTABLES_LIBDIR=$LD_LIBRARY_PATH/xtables\n\
    exec /run/peers/usr/sbin/${0##*/} \"$@\"\n";

impl Legacy {
    pub(super) fn leave(life: &Life<'_>) -> Self {
        let copy =
            "iptables-save | iptables-legacy-restore; ip6tables-save | ip6tables-legacy-restore";
        life.net1.run_in(&life.router, &["bash", "-ec", copy]).ok();
        assert!(saved(life).contains("neutron-l3-agent-float-snat"));
        let machine = life.net1.machine();
        machine.sh("mount -t tmpfs programs /usr/local/sbin").ok();
        for family in ["iptables", "ip6tables"] {
            for what in ["save", "restore"] {
                let path = format!("/usr/local/sbin/{family}-legacy-{what}");
                machine.write(&path, PROGRAM);
                machine.sh(&format!("chmod 755 {path}")).ok();
            }
        }
        Self
    }

    pub(super) fn are_gone(&self, life: &Life<'_>) {
        wait_for("the rules of iptables-legacy to go", LONG, || {
            (!saved(life).contains("neutron-")).then_some(())
        });
    }
}

fn saved(life: &Life<'_>) -> String {
    let save = ["sh", "-c", "iptables-legacy-save; ip6tables-legacy-save"];
    life.net1.run_in(&life.router, &save).ok()
}
