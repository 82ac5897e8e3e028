//! On real Open vSwitch (userspace datapath); the openvswitch agent's part is played by hand.

use std::path::PathBuf;
use std::time::Duration;

use warren::model::{Event, Kinds};
use warren::plug::{Driver, OpenVswitch, OvsdbAddress, OvsdbTls};

use crate::node::Node;
use crate::tenant::{
    self, BLUE, DHCP, DHCP_MAC, R1, ROUTER, complete, dhcp_namespace, router_namespace,
};
use crate::world::{eventually, on_a_host, sh, try_sh};

const SOCKET: &str = "/run/peers/run/openvswitch/db.sock";

pub(crate) fn driver(database: OvsdbAddress, veth: bool) -> Driver {
    Driver::OpenVswitch(OpenVswitch {
        bridge: "br-int".into(),
        database,
        timeout: Duration::from_secs(10),
        veth,
        userspace: true,
    })
}

pub(crate) fn unix() -> OvsdbAddress {
    OvsdbAddress::Unix(PathBuf::from(SOCKET))
}

fn tcp() -> OvsdbAddress {
    OvsdbAddress::Tcp("127.0.0.1:6640".parse().unwrap())
}

pub(crate) fn start_database() {
    sh("mkdir -p /run/openvswitch
        [ -e /run/conf.db ] || ovsdb-tool create /run/conf.db /usr/share/openvswitch/vswitch.ovsschema
        ovsdb-server /run/conf.db --remote=punix:/run/openvswitch/db.sock --remote=db:Open_vSwitch,Open_vSwitch,manager_options \
          --private-key=db:Open_vSwitch,SSL,private_key --certificate=db:Open_vSwitch,SSL,certificate \
          --ca-cert=db:Open_vSwitch,SSL,ca_cert --pidfile --log-file=/run/ovsdb.log --detach --no-chdir
        ovs-vsctl --no-wait init");
}

pub(crate) fn start_switch() {
    sh("ovs-vswitchd --pidfile --log-file=/run/vswitchd.log --detach --no-chdir --disable-system");
}

fn stop(daemon: &str) {
    sh(&format!(
        "ovs-appctl -t {daemon} exit; while [ -e /run/openvswitch/{daemon}.pid ]; do sleep 0.02; done"
    ));
}

pub(crate) fn add_bridge() {
    sh("ovs-vsctl add-br br-int -- set bridge br-int datapath_type=netdev fail-mode=secure");
    agent_adds_flows();
}

/// They are the agent's: a bridge that is made, or a switch that starts anew, has none.
fn agent_adds_flows() {
    sh("ovs-ofctl add-flow br-int actions=NORMAL");
}

/// What the L2 agent does with a port once the server has told it the network (`ovs_neutron_agent: port_bound`).
fn agent_wires(port: &str) {
    sh(&format!(
        "ovs-vsctl set Port {port} tag=1 other_config:tag=1 -- clear Port {port} vlan_mode -- clear Port {port} trunks"
    ));
}

fn get(table: &str, row: &str, column: &str) -> String {
    sh(&format!("ovs-vsctl get {table} {row} {column}"))
}

fn ping() -> String {
    format!("ip netns exec {} ping -c1 -W1 10.0.0.1", dhcp_namespace())
}

/// TCP, whose checksums a switch in user space does not fill in: DNS of the network, asked from the router.
fn over_tcp() -> String {
    let ask = "dig +tcp +time=2 +tries=1 @10.0.0.2 version.bind";
    format!(
        "ip netns exec {} {ask} | grep -q 'status:'",
        router_namespace()
    )
}

/// How often the switch was told of a change, and all that is configured.
fn written() -> String {
    sh("ovs-vsctl get Open_vSwitch . next_cfg
        ovs-vsctl --columns=_uuid,name,tag,trunks,vlan_mode,external_ids,other_config list Port
        ovs-vsctl --columns=_uuid,name,type,external_ids list Interface")
}

/// With the agent, and not before. Nothing is written for ports that are well, whoever looks: not by the next daemon, either.
async fn comes_alive(node: Node, ports: [&str; 2], driver: Driver) -> Node {
    assert!(!try_sh(&ping()).0, "dead until the agent has been there");
    for port in ports {
        agent_wires(port);
    }
    eventually(&ping()).await;
    sh(&over_tcp());
    assert_eq!(node.steps().await, Vec::<String>::new());
    let before = written();
    node.stop().await;
    let node = Node::with_tenant(driver).await;
    node.converged(2).await;
    sh(&ping());
    assert_eq!(written(), before);
    node
}

#[test]
fn internal_ports() {
    on_a_host("openvswitch::internal_ports", || async {
        let (dhcp, leg) = (format!("tap{DHCP}"), format!("qr-{ROUTER}"));
        let driver = || driver(tcp(), false);
        // Nobody listens; then there is no bridge; then all is well, without anybody's doing here.
        let node = Node::with_tenant(driver()).await;
        let error = node.error().await;
        assert!(
            error.contains("[W1501]") && error.contains("set-manager ptcp:6640:127.0.0.1"),
            "{error}"
        );
        start_database();
        start_switch();
        sh("ovs-vsctl set-manager ptcp:6640:127.0.0.1");
        node.error_with("no such bridge").await;
        assert!(node.error().await.contains("br-int"));
        add_bridge();
        node.converged(2).await;

        let port = |column| get("Port", &dhcp, column);
        let interface = |column| get("Interface", &dhcp, column);
        assert_eq!(
            [port("tag"), port("vlan_mode"), port("trunks")],
            ["4095", "trunk", "[4095]"]
        );
        assert_eq!(interface("type"), "internal");
        let ids = interface("external_ids");
        let want = format!(
            "{{attached-mac=\"{DHCP_MAC}\", iface-id=\"0d000000-0000-0000-0000-000000000000\", iface-status=active}}"
        );
        assert_eq!(ids, want);
        let device = sh(&format!("ip -n {} link show {dhcp}", dhcp_namespace()));
        for part in ["mtu 1450", ",UP", DHCP_MAC, "alias warren"] {
            assert!(device.contains(part), "{part}: {device}");
        }
        let node = comes_alive(node, [&dhcp, &leg], driver()).await;
        let before = written();

        // A database that is away disturbs nobody whose device is there. (Open vSwitch itself forwards nothing in user
        // space as long as it is away.)
        stop("ovsdb-server");
        node.stop().await;
        let node = Node::with_tenant(driver()).await;
        node.converged(2).await;
        start_database();
        eventually(&ping()).await;
        assert_eq!(written(), before);

        // A switch that starts again leaves its devices behind, dead, and makes new ones on the host. They are fetched; the
        // ports stay as they are, so that nobody waits for the agent.
        stop("ovs-vswitchd");
        start_switch();
        agent_adds_flows();
        eventually(&ping()).await;
        node.converged(2).await;
        assert_eq!(node.steps().await, Vec::<String>::new());
        assert_eq!(written(), before);
        let on_host = sh("ip -o link");
        assert!(
            !on_host.contains(&dhcp) && !on_host.contains(&leg),
            "{on_host}"
        );

        // A device that vanished is made anew, dead until the agent has been there again.
        let uuid = get("Port", &dhcp, "_uuid");
        sh(&format!("ip -n {} link del {dhcp}", dhcp_namespace()));
        eventually(&format!(
            "[ $(ovs-vsctl get Port {dhcp} _uuid) != {uuid} ] && ip -n {} link show {dhcp}",
            dhcp_namespace()
        ))
        .await;
        node.converged(2).await;
        assert_eq!(get("Port", &dhcp, "tag"), "4095");
        agent_wires(&dhcp);
        eventually(&ping()).await;

        // Gone with the router; with a namespace that somebody else deleted; and with the network.
        node.say(vec![Event::RouterGone(R1)]).await;
        eventually(&format!("! ovs-vsctl get Port {leg} tag")).await;
        node.converged(1).await;
        node.stop().await;
        sh(&format!("ip netns del {}", dhcp_namespace()));
        get("Port", &dhcp, "tag");
        let node = Node::start(driver());
        node.say(vec![Event::NetworkGone(BLUE), complete()]).await;
        eventually(&format!("! ovs-vsctl get Port {dhcp} tag")).await;
        node.converged(0).await;
        node.say(tenant::events()).await;
        node.converged(2).await;
        node.say(vec![Event::NetworkGone(BLUE), Event::RouterGone(R1)])
            .await;
        node.converged(0).await;
        assert_eq!(sh("ip netns list"), "");
        assert_eq!(sh("ovs-vsctl list-ports br-int"), "");
        node.stop().await;
    });
}

#[test]
fn pairs() {
    on_a_host("openvswitch::pairs", || async {
        start_database();
        start_switch();
        add_bridge();
        let (dhcp, leg) = (format!("tap{DHCP}"), format!("tap{ROUTER}"));
        let driver = || driver(unix(), true);
        let node = Node::with_tenant(driver()).await;
        node.converged(2).await;
        let port = |column| get("Port", &leg, column);
        assert_eq!(
            [port("tag"), port("vlan_mode"), port("trunks")],
            ["4095", "trunk", "[4095]"]
        );
        assert_eq!(get("Interface", &leg, "type"), "\"\"");
        assert_eq!(
            sh(&format!("sysctl -n net.ipv6.conf.{leg}.disable_ipv6")),
            "1"
        );
        for (device, namespace) in [
            (format!("ns-{DHCP}"), dhcp_namespace()),
            (format!("qr-{ROUTER}"), router_namespace()),
        ] {
            let features = sh(&format!("ip netns exec {namespace} ethtool -k {device}"));
            for off in ["rx-checksumming: off", "tx-checksumming: off"] {
                assert!(features.contains(off), "{features}");
            }
        }
        let node = comes_alive(node, [&dhcp, &leg], driver()).await;
        let before = written();

        // The switch starts again: its ports' devices are ours, and stayed.
        stop("ovs-vswitchd");
        start_switch();
        agent_adds_flows();
        eventually(&ping()).await;
        assert_eq!(written(), before);

        // Somebody takes a port away (neutron-ovs-cleanup does): it comes again with the next look.
        sh(&format!("ovs-vsctl del-port {dhcp}"));
        node.stop().await;
        let node = Node::with_tenant(driver()).await;
        node.converged(2).await;
        agent_wires(&dhcp);
        eventually(&ping()).await;

        node.say(vec![Event::NetworkGone(BLUE), Event::RouterGone(R1)])
            .await;
        node.converged(0).await;
        assert_eq!(sh("ip netns list"), "");
        assert_eq!(sh("ovs-vsctl list-ports br-int"), "");
        eventually("! ip -o link | grep -q ': tap'").await;
        node.stop().await;
    });
}

/// Certificates as Open vSwitch's own tool makes them.
#[test]
fn over_tls() {
    on_a_host("openvswitch::over_tls", || async {
        sh("ovs-pki --dir=/run/pki --log=/run/pki.log init
            cd /run/pki
            for who in server warren; do ovs-pki --dir=/run/pki --log=/run/pki.log -u req+sign $who switch; done");
        start_database();
        start_switch();
        add_bridge();
        sh("ovs-vsctl set-ssl /run/pki/server-privkey.pem /run/pki/server-cert.pem /run/pki/switchca/cacert.pem
            ovs-vsctl set-manager pssl:6640:127.0.0.1");
        let with_authority = |authority: &str| {
            let file = |name: &str| PathBuf::from(format!("/run/peers/run/pki/{name}"));
            let files = OvsdbTls {
                key: file("warren-privkey.pem"),
                cert: file("warren-cert.pem"),
                ca: file(authority),
            };
            driver(
                OvsdbAddress::Ssl("127.0.0.1:6640".parse().unwrap(), files),
                false,
            )
        };
        // Of another authority; of none at all; of the right one.
        let node = Node::with_tenant(with_authority("controllerca/cacert.pem")).await;
        let error = node.error().await;
        assert!(
            error.contains("[W1501]") && error.contains("invalid peer certificate"),
            "{error}"
        );
        node.stop().await;
        let node = Node::with_tenant(with_authority("no-such-file.pem")).await;
        node.error_with("no-such-file.pem").await;
        node.stop().await;
        let node = Node::with_tenant(with_authority("switchca/cacert.pem")).await;
        node.converged(2).await;
        assert_eq!(get("Port", &format!("tap{DHCP}"), "tag"), "4095");
        node.stop().await;
    });
}

/// What ovs-vswitchd says of a port that it can't make is told, and nothing of that port stays.
#[test]
fn a_port_that_fails() {
    on_a_host("openvswitch::a_port_that_fails", || async {
        start_database();
        start_switch();
        add_bridge();
        let taken = format!("qr-{ROUTER}");
        sh(&format!("ip link add {taken} type veth peer name other"));
        let node = Node::with_tenant(driver(unix(), false)).await;
        node.error_with(&format!(
            "plug {taken} into Open vSwitch's bridge br-int: ovs-vswitchd says"
        ))
        .await;
        let error = node.error().await;
        assert!(
            error.contains("[W1502]") && error.contains("could not"),
            "{error}"
        );
        // The network's port is another target's, and well.
        eventually(&format!("ip -n {} link show tap{DHCP}", dhcp_namespace())).await;
        eventually(&format!("! ovs-vsctl get Port {taken} tag")).await;
        sh(&format!("ip link del {taken}"));
        node.converged(2).await;
        assert_eq!(get("Port", &taken, "tag"), "4095");
        node.stop().await;
    });
}

/// Two processes, each with a role: what one does not know of is the other's, and stays.
#[test]
fn a_sweep_leaves_another_roles_internal_ports() {
    on_a_host(
        "openvswitch::a_sweep_leaves_another_roles_internal_ports",
        || sweep_of_routers(false, "qr-"),
    );
}

#[test]
fn a_sweep_leaves_another_roles_pairs() {
    on_a_host("openvswitch::a_sweep_leaves_another_roles_pairs", || {
        sweep_of_routers(true, "tap")
    });
}

async fn sweep_of_routers(veth: bool, prefix: &str) {
    start_database();
    start_switch();
    add_bridge();
    let dhcp = format!("ovs-vsctl get Port tap{DHCP} tag");
    let router = format!("ovs-vsctl get Port {prefix}{ROUTER} tag");
    // With its namespace, and when somebody else has deleted that.
    for before in [
        ":".to_owned(),
        format!("ip netns del {}", router_namespace()),
    ] {
        let node = Node::with_tenant(driver(unix(), veth)).await;
        node.converged(2).await;
        node.stop().await;
        sh(&format!("{dhcp} && {router}"));
        sh(&before);
        let kinds = Kinds {
            networks: false,
            routers: true,
        };
        let other = Node::start_as(driver(unix(), veth), kinds, "/run/other");
        other.say(vec![complete()]).await;
        eventually(&format!("! {router}")).await;
        sh(&format!("{dhcp} && ip -n {} link show", dhcp_namespace()));
        other.stop().await;
    }
}
