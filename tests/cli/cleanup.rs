//! `warren cleanup`: everything of ours, and nothing of others.

use serde_json::Value;

use super::common::Host;
use super::{CLOUD, fails, has};

#[test]
fn cleanup_removes_leftovers_and_with_all_everything_of_ours() {
    let Some(host) = Host::new("cleanup") else {
        return;
    };
    let foreign = "link add br-other type bridge\nlink add tapother type veth peer name other\nnetns add qdhcp-other\n\
        netns add qrouter-00000000-0000-4000-8000-000000000000";
    let mut daemon = host.warren_run(CLOUD);
    daemon.converged();
    host.ip(foreign);
    let state = daemon.state_dir();
    let cleanup = |args: &[&str]| host.warren(&[&["cleanup", "--state-dir", state], args].concat());
    fails(&cleanup(&["--all"]), "W1102", &[state, "pid"]);
    // Nor by another directory: what is wanted by its word is nothing.
    let other = ["cleanup", "--state-dir", "/run/warren/other"];
    fails(
        &host.warren(&other),
        "W1008",
        &["/run/warren/other", "--state-dir", "--all"],
    );
    fails(
        &host.warren(&[&other[..], &["--all"]].concat()),
        "W1007",
        &["stop it first"],
    );
    assert!(!host.machine().path("/run/warren/other").exists());
    daemon.converged();
    assert_eq!(daemon.plan(), "nothing to do\n", "nothing was lost");
    daemon.stop();

    let made = host.namespaces();
    assert_eq!(cleanup(&[]).ok(), "nothing of warren's to remove\n");
    let network = made
        .iter()
        .find(|name| name.starts_with("qdhcp-") && !name.ends_with("other"))
        .unwrap();
    // What no stored network names is a leftover.
    let id = network.strip_prefix("qdhcp-").unwrap();
    host.machine()
        .sh(&format!("rm {}/networks/{id}.json", state))
        .ok();
    let told = cleanup(&["--dry-run"]).ok();
    assert!(
        told.contains(&format!("would remove namespace {network}\n")),
        "{told}"
    );
    assert!(!told.contains("qrouter"), "{told}");
    assert_eq!(host.namespaces(), made, "a dry run touches nothing");
    assert!(
        cleanup(&[])
            .ok()
            .contains(&format!("removed namespace {network}\n"))
    );

    let done: Value = serde_json::from_str(&cleanup(&["--all", "--json"]).ok()).unwrap();
    has(&done, "namespaces devices dry_run errors");
    assert_eq!(done["errors"], serde_json::json!([]));
    let left = [
        "qdhcp-other",
        "qrouter-00000000-0000-4000-8000-000000000000",
    ];
    assert_eq!(host.namespaces(), left);
    let links = host.run(&["ip", "-o", "link"]).ok();
    let names: Vec<_> = links
        .lines()
        .filter_map(|line| line.split(": ").nth(1))
        .collect();
    assert_eq!(
        names,
        ["lo", "br-other", "other@tapother", "tapother@other"],
        "{links}"
    );
    assert!(!host.machine().path(state).exists(), "nor is state left");
    assert_eq!(cleanup(&["--all"]).ok(), "nothing of warren's to remove\n");
}

#[test]
fn without_a_directory_it_finds_what_daemons_of_this_host_kept() {
    let Some(host) = Host::new("kept") else {
        return;
    };
    let mut daemon = host.warren_run(CLOUD);
    daemon.converged();
    daemon.stop();
    let sh = |script: &str| host.machine().sh(script).ok();
    let usual = ["/var/lib/warren", "/var/lib/neutron", "--all"];
    fails(&host.warren(&["cleanup"]), "W1008", &usual);

    // As a daemon under the L3 agent's name keeps it: of networks it knows nothing.
    let l3 = "/var/lib/neutron/warren-l3";
    sh(&format!(
        "mkdir -p /var/lib/neutron; cp -r {} {l3}",
        daemon.state_dir()
    ));
    sh(&format!("rm {l3}/networks/*"));
    let nothing = "nothing of warren's to remove\n";
    assert_eq!(host.warren(&["cleanup", "--dry-run"]).ok(), nothing);
    sh(&format!("rm {l3}/routers/*"));
    let told = host.warren(&["cleanup", "--dry-run"]).ok();
    assert!(told.contains("would remove namespace qrouter-"), "{told}");
    assert!(!told.contains("qdhcp-"), "{told}");

    // One that had all roles knows of it, too.
    sh(&format!(
        "mkdir -p /var/lib/warren; cp -r {}/* /var/lib/warren",
        daemon.state_dir()
    ));
    assert_eq!(host.warren(&["cleanup", "--dry-run"]).ok(), nothing);
    host.warren(&["cleanup", "--all"]).ok();
    assert_eq!(host.namespaces(), [""; 0]);
    for dir in [l3, "/var/lib/warren"] {
        assert!(!host.machine().path(dir).exists(), "{dir}");
    }
}
