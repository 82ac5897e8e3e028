//! A network node: a host with Neutron's agents, real L2 plugging, and instances.

use std::ops::Deref;
use std::sync::Mutex;

use serde_json::Value;

use super::openvswitch::Switch;
use super::{Api, Cloud, LONG, Service, config, id};
use crate::common::{Guest, Host, WARREN, wait_for};

const CONF: &str = "/etc/neutron/neutron.conf";
const DHCP: &str = "/etc/neutron/dhcp_agent.ini";
const L3: &str = "/etc/neutron/l3_agent.ini";
const METADATA: &str = "/etc/neutron/metadata_agent.ini";
const LINUXBRIDGE: &str = "/etc/neutron/plugins/ml2/linuxbridge_agent.ini";
const OPENVSWITCH: &str = "/etc/neutron/plugins/ml2/openvswitch_agent.ini";

/// `/etc/neutron` and `/var/lib/neutron` are the same for the agents and for warren, though each has the rest of its own
/// files: the agents those of the cloud's root file system, warren the machine's. Its verbs beside these are those of a
/// sandboxed [`Host`].
#[derive(Debug)]
pub struct Node {
    name: String,
    address: String,
    api: Api,
    /// Started by the test, in order.
    agents: Mutex<Vec<Service>>,
    switch: Mutex<Option<Switch>>,
    // Last: it takes all along.
    host: Host,
}

impl Node {
    pub(super) fn join(cloud: &Cloud, name: &str, number: u8) -> Self {
        let host = Cloud::machine(cloud.release, name);
        let host = host.expect("the control plane's namespaces could be made");
        for (device, network) in [("management", "m"), ("external", "x")] {
            let end = format!("{network}.{number}");
            cloud.host().cable(&end, &host, device);
            cloud.host().ip(&format!("link set {end} master {device}"));
        }
        let address = format!("10.254.0.{number}");
        host.ip(&format!("addr add {address}/24 dev management"));
        let node = Self {
            name: name.to_owned(),
            address,
            api: (**cloud).clone(),
            agents: Mutex::default(),
            switch: Mutex::default(),
            host,
        };
        node.furnish();
        node
    }

    /// The files.
    fn furnish(&self) {
        let place = self.place();
        let hosts = format!("127.0.0.1 localhost {}\n", self.name);
        for (path, text) in [
            ("/etc/hosts", hosts.as_str()),
            ("/etc/neutron/rootwrap.conf", config::ROOTWRAP),
            ("/usr/local/sbin/ebtables", config::EBTABLES),
            (CONF, &config::node(&self.name)),
            (DHCP, config::DHCP),
            (L3, config::L3),
            (METADATA, config::METADATA),
            (LINUXBRIDGE, &config::linuxbridge(&self.address)),
            (OPENVSWITCH, &config::openvswitch(&self.address)),
        ] {
            place.write(path, text);
        }
        place
            .sh("chmod 755 /usr/local/sbin/ebtables; mkdir /run/openvswitch")
            .ok();
        let shared = "for at in /etc/neutron /var/lib/neutron /run/openvswitch; do\n\
                      mkdir -p $at; mount --bind /run/peers$at $at; done";
        self.machine().sh(shared).ok();
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// On the management network.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// More lines for one of the configuration files in `/etc/neutron`; they win over those that are there.
    pub fn configure(&self, file: &str, lines: &str) {
        let path = format!("/etc/neutron/{file}");
        let text = self.place().read(&path).unwrap_or_default();
        self.place().write(&path, &format!("{text}\n{lines}\n"));
    }

    /// Neutron's own DHCP agent. Like the others below it is alive in the server's eyes when this returns, goes on until
    /// [`Node::stop`], and reads `neutron.conf` and a file of its own.
    #[track_caller]
    pub fn reference_dhcp_agent(&self) {
        self.agent("neutron-dhcp-agent", DHCP);
    }

    #[track_caller]
    pub fn reference_l3_agent(&self) {
        self.agent("neutron-l3-agent", L3);
    }

    #[track_caller]
    pub fn reference_metadata_agent(&self) {
        self.agent("neutron-metadata-agent", METADATA);
    }

    /// All three of them.
    #[track_caller]
    pub fn reference_agents(&self) {
        let all = [
            ("neutron-dhcp-agent", DHCP),
            ("neutron-l3-agent", L3),
            ("neutron-metadata-agent", METADATA),
        ];
        let started = all.map(|(binary, file)| self.starting(binary, file));
        started.into_iter().for_each(|agent| self.started(agent));
    }

    #[track_caller]
    pub fn linuxbridge_agent(&self) {
        self.agent("neutron-linuxbridge-agent", LINUXBRIDGE);
    }

    /// Open vSwitch's daemons, with the integration bridge in userspace, and Neutron's agent for it.
    #[track_caller]
    pub fn openvswitch(&self) {
        *self.switch.lock().unwrap() = Some(Switch::start(&self.place()));
        self.agent("neutron-openvswitch-agent", OPENVSWITCH);
    }

    /// Starts `warren` with these arguments, in the project's directory, and does not wait for anything.
    pub fn warren_start(&self, args: &[&str]) -> Service {
        let argv = [&WARREN[..], args].concat();
        let mut warren = Service::new(&self.machine(), "warren", &argv);
        warren.start();
        warren
    }

    /// Starts `warren` under the name of an agent, as packages link it.
    pub fn warren_as(&self, name: &str, args: &[&str]) -> Service {
        let [.., program] = WARREN;
        let link = format!("/run/agents/{name}");
        let make = format!("mkdir -p /run/agents; ln -sf {program} {link}");
        self.machine().sh(&make).ok();
        let argv = [&[link.as_str()], args].concat();
        let mut agent = Service::new(&self.machine(), name, &argv);
        agent.start();
        agent
    }

    /// Ends an agent in good order. What it made on the node stays.
    #[track_caller]
    pub fn stop(&self, agent: &str) {
        self.taken(agent).stop();
    }

    /// Ends an agent with SIGKILL.
    #[track_caller]
    pub fn kill9(&self, agent: &str) {
        self.taken(agent).kill9();
    }

    /// What an agent of this name has said since it was started.
    #[track_caller]
    pub fn log(&self, agent: &str) -> String {
        let agents = self.agents.lock().unwrap();
        let found = agents.iter().find(|service| service.name() == agent);
        found.expect("an agent that runs").log()
    }

    /// An instance with this port on `eth0`, as Nova would have plugged it.
    #[track_caller]
    pub fn guest(&self, name: &str, port: &Value) -> Guest {
        let guest = self.unplugged(name);
        self.plug(&guest, "eth0", port);
        guest
    }

    /// Gives an instance an interface for this port, as Nova does: on the network's bridge, which it makes if the agent has
    /// not; with Open vSwitch on the integration bridge. [`Api::port_active`] tells when the L2 agent is done with it.
    #[track_caller]
    pub fn plug(&self, guest: &Guest, device: &str, port: &Value) {
        let mac = port["mac_address"].as_str().expect("a port has a MAC");
        let tap = format!("tap{}", &id(port)[..11]);
        self.plug_tap(guest, device, &tap, mac);
        if let Some(switch) = &*self.switch.lock().unwrap() {
            switch.add(&tap, id(port), mac);
            // The checksums that a virtual device leaves to hardware stay undone in a datapath in userspace.
            guest.run(&["ethtool", "-K", device, "tx", "off"]).ok();
            return;
        }
        let network = port["network_id"].as_str().expect("a port has a network");
        let bridge = format!("brq{}", &network[..11]);
        // The agent may be quicker.
        self.run(&[
            "ip",
            "link",
            "add",
            &bridge,
            "type",
            "bridge",
            "forward_delay",
            "0",
        ]);
        self.ip(&format!(
            "link set {bridge} up\nlink set {tap} master {bridge}"
        ));
    }

    /// The ends of its agents' logs, for a failure's message.
    pub fn tails(&self) -> String {
        let agents = self.agents.lock().unwrap();
        agents.iter().map(Service::tail).collect()
    }

    #[track_caller]
    fn agent(&self, binary: &str, file: &str) {
        self.started(self.starting(binary, file));
    }

    /// With when the server saw it start last time.
    #[track_caller]
    fn starting(&self, binary: &str, file: &str) -> (Service, Option<Value>) {
        let before = self.api.agent(&self.name, binary);
        let started = before.map(|agent| agent["started_at"].clone());
        let argv = [binary, "--config-file", CONF, "--config-file", file];
        let mut service = Service::new(&self.place(), binary, &argv);
        service.start();
        (service, started)
    }

    #[track_caller]
    fn started(&self, (mut service, started): (Service, Option<Value>)) {
        let what = format!("{} on {} to report", service.name(), self.name);
        wait_for(&what, LONG, || {
            assert!(service.is_alive(), "{}", service.tail());
            let agent = self.api.agent(&self.name, service.name())?;
            let is_new = started.as_ref() != Some(&agent["started_at"]);
            (is_new && agent["alive"] == true).then_some(())
        });
        self.agents.lock().unwrap().push(service);
    }

    #[track_caller]
    fn taken(&self, agent: &str) -> Service {
        let mut agents = self.agents.lock().unwrap();
        let at = agents.iter().position(|service| service.name() == agent);
        agents.remove(at.unwrap_or_else(|| panic!("{agent} does not run on {}", self.name)))
    }
}

impl Deref for Node {
    type Target = Host;
    fn deref(&self) -> &Host {
        &self.host
    }
}
