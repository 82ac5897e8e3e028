//! Beside the linuxbridge agent, which finds our taps by their names and puts them into its bridges.

use std::time::Duration;

use warren::model::Event;
use warren::plug::Driver;

use crate::node::Node;
use crate::tenant::{BLUE, DHCP, R1, ROUTER, dhcp_namespace, router_namespace};
use crate::world::{eventually, on_a_host, sh, try_sh};

/// What the agent does when it sees a new tap (`linuxbridge_neutron_agent: ensure_bridge, add_tap_interface`).
fn agent_plugs() {
    sh(&format!(
        "ip link show brqb10e >/dev/null 2>&1 || ip link add brqb10e type bridge forward_delay 0 stp_state 0
         sysctl -qw net.ipv6.conf.brqb10e.disable_ipv6=1
         ip link set brqb10e up
         for tap in tap{DHCP} tap{ROUTER}; do ip link set $tap mtu 1450 && ip link set $tap master brqb10e; done"
    ));
}

fn ping() -> String {
    format!("ip netns exec {} ping -c1 -W1 10.0.0.1", dhcp_namespace())
}

#[test]
fn the_agents_bridges_are_its_own() {
    on_a_host("linuxbridge::the_agents_bridges_are_its_own", || async {
        let node = Node::with_tenant(Driver::LinuxBridge).await;
        node.converged(2).await;
        assert_eq!(sh("ip -o link show type bridge"), "", "no bridge is ours");
        for (tap, inside, namespace) in [
            (format!("tap{DHCP}"), format!("ns-{DHCP}"), dhcp_namespace()),
            (
                format!("tap{ROUTER}"),
                format!("qr-{ROUTER}"),
                router_namespace(),
            ),
        ] {
            let end = sh(&format!("ip link show {tap}"));
            assert!(end.contains("mtu 1450") && end.contains(",UP"), "{end}");
            assert_eq!(
                sh(&format!("sysctl -n net.ipv6.conf.{tap}.disable_ipv6")),
                "1"
            );
            let end = sh(&format!("ip -n {namespace} link show {inside}"));
            assert!(end.contains("mtu 1450") && end.contains(",UP"), "{end}");
        }
        assert!(!try_sh(&ping()).0, "nobody has joined them yet");

        agent_plugs();
        eventually(&ping()).await;
        assert_eq!(node.steps().await, Vec::<String>::new());
        // Looked at from the beginning, as after an upgrade.
        node.stop().await;
        let before = sh("ip -o link");
        let node = Node::with_tenant(Driver::LinuxBridge).await;
        node.converged(2).await;
        assert_eq!(sh("ip -o link"), before);
        sh(&ping());

        // The agent's bridge goes, and comes again.
        sh("ip link del brqb10e");
        node.stop().await;
        let node = Node::with_tenant(Driver::LinuxBridge).await;
        node.converged(2).await;
        assert_eq!(node.steps().await, Vec::<String>::new());
        agent_plugs();
        eventually(&ping()).await;

        // A tap that somebody deleted is made anew, for the agent to find.
        sh(&format!("ip link del tap{DHCP}"));
        eventually(&format!("ip link show tap{DHCP}")).await;
        node.converged(2).await;
        agent_plugs();
        eventually(&ping()).await;

        node.say(vec![Event::NetworkGone(BLUE), Event::RouterGone(R1)])
            .await;
        eventually("! ip -o link | grep -q ': tap'").await;
        node.converged(0).await;
        assert_eq!(sh("ip netns list"), "");
        sh("ip link show brqb10e");
        node.stop().await;
    });
}

/// As long as no thread is free to write, the state is written at the end.
#[test]
fn a_save_that_has_not_begun_is_not_lost() {
    on_a_host(
        "linuxbridge::a_save_that_has_not_begun_is_not_lost",
        || async {
            // As many threads as tokio has for this.
            for _ in 0..512 {
                tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_secs(4)));
            }
            let node = Node::with_tenant(Driver::LinuxBridge).await;
            node.converged(2).await;
            // Past the time in which changes are gathered.
            tokio::time::sleep(Duration::from_millis(400)).await;
            let written = || std::fs::read_dir("/run/state/routers").unwrap().count();
            assert_eq!(written(), 0, "nobody could write");
            node.stop().await;
            assert_eq!(written(), 1);
        },
    );
}
