//! Files as they are laid out in the field, and what an operator reads of them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use serde_json::Value;
use warren::config::{Configured, Loaded, Severity, load};
use warren::metadata::Upstream;
use warren::neutron::Role;
use warren::plug::{Driver, OvsdbAddress};

use super::{Tree, warren};

const ALL: &[Role] = &[Role::Dhcp, Role::L3, Role::Metadata];

const DEBIAN: &str = "neutron.conf dhcp_agent.ini l3_agent.ini metadata_agent.ini";
const RDO: &str = "neutron-dist.conf neutron.conf dhcp_agent.ini l3_agent.ini metadata_agent.ini conf.d/common/ conf.d/neutron-l3-agent/";
const KOLLA: &str =
    "neutron.conf openvswitch_agent.ini dhcp_agent.ini l3_agent.ini metadata_agent.ini";
const HELM: &str =
    "neutron.conf openvswitch_agent.ini dhcp_agent.ini l3_agent.ini metadata_agent.ini";
const LIBERTY: &str = "neutron.conf dhcp_agent.ini l3_agent.ini metadata_agent.ini";

#[track_caller]
fn good(loaded: Loaded) -> Configured {
    let refused: Vec<_> = loaded
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Refused)
        .collect();
    loaded.configured.unwrap_or_else(|| panic!("{refused:#?}"))
}

fn warnings(loaded: &Loaded) -> Vec<String> {
    let warnings = loaded
        .problems
        .iter()
        .filter(|problem| problem.severity == Severity::Warning);
    warnings
        .map(|problem| format!("{} {}", problem.option, problem.code))
        .collect()
}

fn nova(configured: &Configured) -> (&str, u16) {
    match &configured.metadata.upstream {
        Upstream::Nova(nova) => (&nova.host, nova.port),
        Upstream::Local | Upstream::Agent(_) => panic!("no Nova"),
    }
}

#[test]
fn debian_with_linux_bridges() {
    let tree = Tree::new("debian");
    let loaded = load(&tree.asked(DEBIAN, ALL));
    assert_eq!(warnings(&loaded), ["[AGENT] extensions W2006"]);
    let all = good(loaded);
    assert_eq!(all.driver, Some(Driver::LinuxBridge));
    assert_eq!(all.neutron.host, "net1");
    assert_eq!(all.neutron.bus.brokers[0].password.0, "pass/word");
    assert_eq!(all.neutron.dhcp.dns_domain, "cloud.example");
    assert!(all.plan.metadata.isolated);
    assert_eq!(nova(&all), ("192.0.2.10", 8775));
}

#[test]
fn rdo_with_its_layers_of_files() {
    let tree = Tree::new("rdo");
    let loaded = load(&tree.asked(RDO, ALL));
    assert_eq!(warnings(&loaded), [] as [&str; 0]);
    let all = good(loaded);
    let Some(Driver::OpenVswitch(switch)) = &all.driver else {
        panic!("{:?}", all.driver)
    };
    assert_eq!(switch.bridge, "br-int");
    // The last layers: conf.d/common, then the agent's own.
    assert_eq!(all.neutron.availability_zone, "az2");
    assert_eq!(all.neutron.bus.brokers.len(), 3);
    assert_eq!(all.neutron.bus.vhost, "openstack");
    assert!(all.neutron.bus.queues.quorum && all.neutron.bus.queues.durable);
    assert_eq!(all.state_path, PathBuf::from("/var/lib/neutron"));
}

#[test]
fn kolla_with_tls_and_its_own_paths() {
    let tree = Tree::new("kolla");
    let all = good(load(&tree.asked(KOLLA, ALL)));
    let tls = all.neutron.bus.tls.as_ref().unwrap();
    assert_eq!(
        tls.ca.as_deref(),
        Some("/etc/ssl/certs/ca-certificates.crt".as_ref())
    );
    let Some(Driver::OpenVswitch(switch)) = &all.driver else {
        panic!("{:?}", all.driver)
    };
    assert_eq!(
        switch.database,
        OvsdbAddress::Tcp("127.0.0.1:6640".parse().unwrap())
    );
    assert_eq!(
        all.logging.file,
        Some(PathBuf::from("/var/log/kolla/neutron/warren.log"))
    );
    assert!(all.neutron.bus.queues.manager.is_some() && all.neutron.bus.queues.stream_fanout);
    assert_eq!(all.plan.forwarders.len(), 2);
}

#[test]
fn helm_with_a_socket_of_the_database() {
    let tree = Tree::new("helm");
    let all = good(load(&tree.asked(HELM, ALL)));
    let Some(Driver::OpenVswitch(switch)) = &all.driver else {
        panic!("{:?}", all.driver)
    };
    assert_eq!(
        switch.database,
        OvsdbAddress::Unix("/run/openvswitch/db.sock".into())
    );
    assert!(switch.userspace);
    assert_eq!(all.neutron.bus.brokers.len(), 2);
    assert_eq!(nova(&all), ("metadata.openstack.svc.cluster.local", 80));
    assert!(all.metadata.limits.rate.is_some());
}

#[test]
fn liberty_says_what_to_write_today() {
    let tree = Tree::new("liberty");
    let (status, told, _) = warren(&[vec!["check".to_owned()], tree.arguments(LIBERTY)].concat());
    assert_eq!(status, Some(1), "{told}");
    for (place, what) in [
        ("neutron.conf:4", "warning[W2011]  [DEFAULT] rpc_backend: "),
        (
            "neutron.conf:8",
            "refused[W2004]  [oslo_messaging_rabbit] rabbit_host: this is not read any more (since oslo.messaging 9.0), and transport_url is not set; write, with the password in place of ***: [DEFAULT] transport_url = rabbit://openstack:***@controller:5672/",
        ),
        (
            "l3_agent.ini:3",
            "refused[W2006]  [DEFAULT] external_network_bridge: ",
        ),
        (
            "l3_agent.ini:4",
            "warning[W2006]  [DEFAULT] router_delete_namespaces: ",
        ),
        (
            "dhcp_agent.ini:4",
            "warning[W2007]  [DEFAULT] dhcp_domain: this is an old name; it is honoured; write dns_domain",
        ),
        (
            "dhcp_agent.ini:5",
            "refused[W2006]  [DEFAULT] use_namespaces: ",
        ),
        (
            "metadata_agent.ini:2",
            "warning[W2007]  [DEFAULT] nova_metadata_ip: this is an old name; it is honoured; write [DEFAULT] nova_metadata_host",
        ),
        (
            "metadata_agent.ini:4",
            "ignored[W2011]  [DEFAULT] auth_url: ",
        ),
    ] {
        let line = told.lines().find(|line| {
            line.starts_with(&format!("{} ", tree.path(place))) && line.contains(what)
        });
        assert!(line.is_some(), "{place} {what} in\n{told}");
    }
    assert!(
        !told.contains("RABBIT_PASS") && !told.contains("METADATA_SECRET"),
        "{told}"
    );
    let sum = told.lines().last().unwrap();
    assert!(sum.starts_with("4 files read: 3 refused, "), "{sum}");
}

#[test]
fn check_is_a_table_and_json() {
    let tree = Tree::new("debian");
    let arguments = |more: &[&str]| {
        let more = more.iter().map(|word| (*word).to_owned());
        [
            vec!["check".to_owned()],
            tree.arguments(DEBIAN),
            more.collect(),
        ]
        .concat()
    };
    let (status, told, errors) = warren(&arguments(&[]));
    assert_eq!((status, errors.as_str()), (Some(0), ""), "{told}");
    let header: Vec<_> = told.lines().next().unwrap().split_whitespace().collect();
    assert_eq!(header[..3], ["PLACE", "WHAT", "OPTION,"]);
    let row = told
        .lines()
        .find(|line| line.contains("[AGENT] root_helper:"))
        .unwrap();
    assert!(
        row.starts_with(&tree.path("neutron.conf:")) && row.contains("ignored[W2011]"),
        "{row}"
    );

    let (status, json, _) = warren(&arguments(&["--json"]));
    assert_eq!(status, Some(0));
    let problems: Value = serde_json::from_str(&json).unwrap();
    for problem in problems.as_array().unwrap() {
        for key in ["path", "line", "severity", "code", "option", "why", "fix"] {
            assert!(problem.get(key).is_some(), "{key} in {problem}");
        }
    }

    // A role that is not taken has nothing to say.
    let (_, told, _) = warren(&arguments(&["--roles", "metadata"]));
    assert!(!told.contains("[AGENT] extensions"), "{told}");
}

#[test]
fn a_secret_that_others_read_is_told_and_can_be_refused() {
    let tree = Tree::new("debian");
    fs::set_permissions(
        tree.path("metadata_agent.ini"),
        fs::Permissions::from_mode(0o644),
    )
    .unwrap();
    let mut arguments = [vec!["check".to_owned()], tree.arguments(DEBIAN)].concat();
    let (status, told, _) = warren(&arguments);
    let line = told.lines().find(|line| line.contains("W2009")).unwrap();
    assert!(
        line.starts_with(&tree.path("metadata_agent.ini:")) && line.contains("chmod 640"),
        "{line}"
    );
    assert_eq!(status, Some(0), "{told}");
    arguments.push("--strict-secrets".into());
    let (status, told, _) = warren(&arguments);
    assert!(
        status == Some(1) && told.contains("refused[W2009]"),
        "{told}"
    );
}
