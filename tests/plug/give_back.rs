//! One role is given back to its agent, whose part is played by hand; what is the other role's stays ours.

use std::collections::BTreeSet;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use warren::adopt::{Given, Share, give_back};
use warren::model::Kinds;
use warren::plug::{Driver, Plug};

use crate::node::Node;
use crate::openvswitch::{self, add_bridge, start_database, start_switch};
use crate::tenant::{DHCP, ROUTER, dhcp_namespace, router_namespace};
use crate::world::{on_a_host, sh};

const NETWORKS: Kinds = Kinds {
    networks: true,
    routers: false,
};
const ROUTERS: Kinds = Kinds {
    networks: false,
    routers: true,
};
const NONE: Kinds = Kinds {
    networks: false,
    routers: false,
};

/// What was given back, and what was not and why.
async fn undo(driver: Driver, kinds: Kinds, socket: Option<PathBuf>) -> (Vec<String>, Vec<String>) {
    let plug = Plug::new(driver);
    let share = Share {
        kinds,
        plug: &plug,
        socket,
    };
    let mut names = Vec::new();
    let say = |given: &Given| {
        names.push(match given {
            Given::Namespace { name, .. } => name.to_string(),
            Given::Metadata(path) => path.display().to_string(),
        });
    };
    let errors = give_back(&share, Duration::ZERO, say).await;
    let errors = errors.iter().map(|error| warren::chain(error)).collect();
    (names, errors)
}

/// Devices with our mark, of the host and of both namespaces.
fn marked() -> BTreeSet<String> {
    let links = sh(&format!(
        "ip -o link; ip -n {} -o link; ip -n {} -o link",
        dhcp_namespace(),
        router_namespace()
    ));
    let ours = links.lines().filter(|line| line.contains("alias warren"));
    let name = |line: &str| line.split([':', '@']).nth(1).unwrap().trim().to_owned();
    ours.map(name).collect()
}

fn named(names: &[String]) -> BTreeSet<String> {
    names.iter().cloned().collect()
}

/// Its rules say what it lets pass (`router_info.py: process_address_scope`).
fn agent_takes_router() {
    sh(&format!(
        "ip netns exec {} sh -ec 'iptables -t mangle -N neutron-l3-agent-scope
         iptables -t mangle -A neutron-l3-agent-scope -j RETURN'",
        router_namespace()
    ));
}

#[test]
fn a_roles_pairs() {
    on_a_host("give_back::a_roles_pairs", || async {
        let driver = || Driver::LinuxBridge;
        let node = Node::with_tenant(driver()).await;
        node.converged(2).await;
        node.stop().await;
        let dhcp = [format!("ns-{DHCP}"), format!("tap{DHCP}")];
        let router = [format!("qr-{ROUTER}"), format!("tap{ROUTER}")];
        let both = [dhcp.clone(), router.clone()].concat();
        assert_eq!(marked(), named(&both));

        let (given, errors) = undo(driver(), NETWORKS, None).await;
        assert_eq!((given, errors), (vec![dhcp_namespace()], vec![]));
        assert_eq!(marked(), named(&router));
        let table = format!("ip netns exec {} nft list tables", router_namespace());
        assert!(sh(&table).contains("inet warren"));

        let (given, errors) = undo(driver(), ROUTERS, None).await;
        assert_eq!(given, [""; 0]);
        assert!(errors[0].contains(&router_namespace()), "{errors:?}");
        assert!(sh(&table).contains("inet warren"), "nobody else translates");
        agent_takes_router();
        let (given, errors) = undo(driver(), ROUTERS, None).await;
        assert_eq!((given, errors), (vec![router_namespace()], vec![]));
        assert_eq!(marked(), named(&[]));
        assert!(!sh(&table).contains("warren"));
    });
}

#[test]
fn a_roles_ports_of_the_switch() {
    on_a_host("give_back::a_roles_ports_of_the_switch", || async {
        let driver = || openvswitch::driver(openvswitch::unix(), false);
        start_database();
        start_switch();
        add_bridge();
        let node = Node::with_tenant(driver()).await;
        node.converged(2).await;
        node.stop().await;
        let ours = || sh("ovs-vsctl --bare --columns=name find Port external_ids:owner=warren");
        let (dhcp, router) = (format!("tap{DHCP}"), format!("qr-{ROUTER}"));
        assert_eq!(marked(), named(&[dhcp.clone(), router.clone()]));
        assert!(ours().contains(&dhcp) && ours().contains(&router));

        // Nothing of the switch is for metadata.
        undo(driver(), NONE, None).await;
        assert!(ours().contains(&dhcp) && ours().contains(&router));
        agent_takes_router();
        let (given, errors) = undo(driver(), ROUTERS, None).await;
        assert_eq!((given, errors), (vec![router_namespace()], vec![]));
        assert_eq!(ours(), dhcp);
        assert_eq!(marked(), named(&[dhcp]));
        let (given, errors) = undo(driver(), NETWORKS, None).await;
        assert_eq!((given, errors), (vec![dhcp_namespace()], vec![]));
        assert_eq!((ours().as_str(), marked()), ("", named(&[])));
    });
}

#[test]
fn the_metadata_roles_socket() {
    on_a_host("give_back::the_metadata_roles_socket", || async {
        let node = Node::with_tenant(Driver::LinuxBridge).await;
        node.converged(2).await;
        node.stop().await;
        let before = marked();
        let socket = PathBuf::from("/run/metadata_proxy");
        let undo = || undo(Driver::LinuxBridge, NONE, Some(socket.clone()));
        assert_eq!(undo().await, (vec![], vec![]), "nobody ever listened there");
        drop(UnixListener::bind(&socket).unwrap());
        let (given, errors) = undo().await;
        assert_eq!(given, [""; 0]);
        assert!(errors[0].contains("/run/metadata_proxy"), "{errors:?}");
        std::fs::remove_file(&socket).unwrap();
        let _agent = UnixListener::bind(&socket).unwrap();
        assert_eq!(
            undo().await,
            (vec!["/run/metadata_proxy".to_owned()], vec![])
        );
        assert_eq!(marked(), before, "namespaces are other roles'");
    });
}
