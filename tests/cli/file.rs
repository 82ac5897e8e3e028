//! `warren check` and `warren plan`: what a topology file says, before it is followed.

use serde_json::Value;

use super::common::{Daemon, Host};
use super::{CLOUD, has, warren};

#[test]
fn check_tells_every_mistake_at_once_with_its_place() {
    let dir = std::env::temp_dir().join(format!("warren-cli-{}", std::process::id()));
    std::fs::create_dir_all(&dir).unwrap();
    let file = dir.join("broken.toml");
    let text = "[[network]]\nname = \"blue\"\nbrigde = \"x\"\n[[network.subnet]]\ncidr = \"10.0.0.0/33\"\n\
        [[instance]]\nname = \"web\"\n[[instance.port]]\nnetwork = \"bleu\"\n";
    std::fs::write(&file, text).unwrap();
    let path = file.to_str().unwrap();
    let (status, _, told) = warren(&["check", "--topology", path]);
    let (json_status, json, _) = warren(&["check", "--topology", path, "--json"]);
    std::fs::write(&file, CLOUD).unwrap();
    let good = warren(&["check", "--topology", path]);
    let (_, good_json, _) = warren(&["check", "--topology", path, "--json"]);
    std::fs::remove_dir_all(&dir).unwrap();

    assert_eq!((status, json_status), (Some(1), Some(1)), "{told}");
    for place in [
        ":3:1: error[W0201]: network \"blue\"",
        ":5:8: error[W0203]: ",
        ":9:11: error[W0303]: ",
    ] {
        assert!(
            told.contains(&format!("{path}{place}")),
            "{place} in\n{told}"
        );
    }
    assert!(told.contains("bridge"), "what would be right:\n{told}");
    assert!(told.ends_with("3 mistakes\n"), "{told}");
    let mistakes: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(mistakes.as_array().unwrap().len(), 3, "{json}");
    for mistake in mistakes.as_array().unwrap() {
        has(mistake, "path line column severity code object why fix");
    }
    assert_eq!(
        (good.0, good.1.as_str()),
        (Some(0), format!("{path}: no mistakes\n").as_str())
    );
    assert_eq!(good_json.trim(), "[]");

    let missing = warren(&["check", "--topology", path]);
    assert_eq!(missing.0, Some(1));
    assert!(
        missing.2.contains("error[W0101]") && missing.2.contains("--topology"),
        "{}",
        missing.2
    );
}

#[test]
fn plan_tells_what_would_be_and_touches_nothing() {
    let Some(host) = Host::new("plan") else {
        return;
    };
    let mut daemon = Daemon::new(&host, CLOUD);
    let (topology, state) = (daemon.topology().to_owned(), daemon.state_dir());
    let args = ["plan", "--topology", &topology, "--state-dir", state];
    let links = host.run(&["ip", "-o", "link"]).ok();
    let plan = host.warren(&args).ok();
    for line in [
        "(network blue)",
        "(router r1)",
        "  create namespace",
        "  add address 203.0.113.20/32 to qg-",
        "  load nftables table inet warren",
        "  create bridge br-blue",
    ] {
        assert!(plan.contains(line), "{line:?} in\n{plan}");
    }
    let json: Value =
        serde_json::from_str(&host.warren(&[&args[..], &["--json"]].concat()).ok()).unwrap();
    let places = json.as_array().unwrap();
    let changes: usize = places
        .iter()
        .map(|place| place["changes"].as_array().unwrap().len())
        .sum();
    places
        .iter()
        .for_each(|place| has(place, "place of changes"));
    assert!(
        plan.ends_with(&format!("\n{changes} changes in {} places\n", places.len())),
        "{plan}"
    );

    assert_eq!(host.namespaces(), [""; 0]);
    assert_eq!(host.run(&["ip", "-o", "link"]).ok(), links);
    assert!(!host.machine().path(state).exists(), "nothing is kept");

    daemon.start();
    daemon.converged();
    assert_eq!(host.warren(&args).ok(), "nothing to do\n");
    assert_eq!(host.warren(&[&args[..], &["--json"]].concat()).ok(), "[]\n");

    host.machine().write(&topology, "nonsense = [");
    let refused = host.warren(&args);
    assert_eq!(refused.status.code(), Some(1), "{refused}");
    assert!(refused.stderr.contains(": error[W0102]"), "{refused}");
}

#[test]
fn the_files_that_we_ship_have_no_mistakes() {
    for file in ["conf/demo.toml", "conf/example.toml"] {
        let path = format!("{}/{file}", env!("CARGO_MANIFEST_DIR"));
        let (status, told, mistakes) = warren(&["check", "--topology", &path]);
        assert_eq!(status, Some(0), "{mistakes}");
        assert_eq!(
            (told, mistakes.as_str()),
            (format!("{path}: no mistakes\n"), "")
        );
    }
}
