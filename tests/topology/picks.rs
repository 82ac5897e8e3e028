//! What nobody chose is chosen once, and kept.

use std::collections::BTreeSet;
use std::fs;

use warren::topology::{Code, load};

use super::{Host, network, router, seats, text_of_network};

/// These are in names of devices and namespaces, and in images and firewalls: whoever changes them renames the world.
#[test]
fn ids_macs_and_picks_are_for_ever() {
    let host = Host::new("for-ever");
    let state = host.opened(
        &(text_of_network(&["web"]) + "[[router]]\nname = \"r1\"\ninterfaces = [\"blue\"]\n"),
    );
    let blue = network(&state, "blue");
    let web = state.instances.values().next().unwrap();
    let port = state.port(web.ports[0].0, web.ports[0].1).unwrap();
    let dhcp = blue.dhcp_port.as_ref().unwrap();
    let r1 = router(&state, "r1");
    let found = [
        ("network", blue.id.to_string()),
        ("bridge", blue.bridge().unwrap().to_string()),
        ("subnet", blue.subnets[0].id.to_string()),
        ("DHCP port", dhcp.id.to_string()),
        ("DHCP MAC", dhcp.mac.to_string()),
        ("DHCP address", dhcp.fixed_ips[0].ip.to_string()),
        ("instance", web.id.to_string()),
        ("port", port.id.to_string()),
        ("port's MAC", port.mac.to_string()),
        ("port's address", port.fixed_ips[0].ip.to_string()),
        ("router", r1.id.to_string()),
        ("router's port", r1.interfaces[0].port.to_string()),
        ("router's MAC", r1.interfaces[0].mac.to_string()),
    ];
    let want = [
        ("network", "1b3bced2-adbf-5f51-8d4a-7a14cf3cc9b4"),
        ("bridge", "brq1b3bced2-ad"),
        ("subnet", "2ca217b6-3a12-5209-9a04-9723936ed42b"),
        ("DHCP port", "7b3c41db-dd28-5305-ac28-9669ebdbf53c"),
        ("DHCP MAC", "fa:16:3e:5a:eb:e9"),
        ("DHCP address", "10.10.1.8"),
        ("instance", "52dee865-de69-5e5d-bb09-ae9209799451"),
        ("port", "7139477b-22d4-5282-b979-b682e0a11f68"),
        ("port's MAC", "fa:16:3e:5c:a4:04"),
        ("port's address", "10.10.1.32"),
        ("router", "bf7d7d74-28d2-545f-a776-733d211bc29d"),
        ("router's port", "d64fb663-bfb8-5c01-9d69-46223ec43ffc"),
        ("router's MAC", "fa:16:3e:24:d5:0a"),
    ];
    assert_eq!(found, want.map(|(what, id)| (what, id.to_owned())));
}

/// Whatever comes and goes around them, in whatever order of the file.
#[test]
fn who_has_an_address_keeps_it() {
    let host = Host::new("keeps");
    let before = seats(&host.opened(&text_of_network(&["a", "b", "c"])));
    for others in [
        &["a", "b", "c", "d", "e"][..],
        &["e", "d", "c", "b", "a"],
        &["x1", "x2", "x3", "x4", "x5", "x6", "x7", "a", "b", "c"],
        &["c", "b", "a"],
    ] {
        let after = seats(&host.opened(&text_of_network(others)));
        for name in ["a", "b", "c"] {
            assert_eq!(after[name], before[name], "{name} of {others:?}");
        }
    }
}

#[test]
fn a_host_that_lost_its_state_chooses_the_same() {
    let (one, other) = (Host::new("lost-one"), Host::new("lost-other"));
    let text = text_of_network(&["a", "b", "c"]);
    assert_eq!(seats(&one.opened(&text)), seats(&other.opened(&text)));
}

#[test]
fn hosts_have_dhcp_ports_of_their_own() {
    let own = |host: &str| {
        let home = Host::new(&format!("own-{host}"));
        let state = home.opened(&format!("host = \"{host}\"\n{}", text_of_network(&["a"])));
        let port = network(&state, "blue").dhcp_port.clone().unwrap();
        (port.id, port.mac, port.fixed_ips[0].ip, seats(&state))
    };
    let (one, other) = (own("node-a"), own("node-b"));
    assert!(one.0 != other.0 && one.1 != other.1 && one.2 != other.2);
    assert_eq!(one.3, other.3, "instances are the same on both");
}

#[test]
fn an_address_that_the_file_gives_away_moves_its_owner() {
    let host = Host::new("moves");
    let before = seats(&host.opened(&text_of_network(&["a", "b"])));
    let had = before["a"].0[0];
    host.write(&format!("{}[[instance]]\nname = \"c\"\n[[instance.port]]\nnetwork = \"blue\"\naddresses = [\"{had}\"]\n", text_of_network(&["a", "b"])));
    let loaded = host.open().1;
    let after = seats(&loaded.state);
    assert_eq!(after["c"].0[0], had);
    assert_ne!(after["a"].0[0], had);
    assert_eq!(after["b"], before["b"]);
    assert_eq!(
        loaded
            .warnings
            .iter()
            .map(|warning| warning.code)
            .collect::<Vec<_>>(),
        [Code::PickMoved]
    );
    assert!(
        loaded.warnings[0].why.contains(&had.to_string()),
        "{}",
        loaded.warnings[0]
    );
}

#[test]
fn a_pick_goes_with_its_owner() {
    let host = Host::new("goes");
    host.opened(&text_of_network(&["a", "b"]));
    let kept = |host: &Host| fs::read_to_string(host.state_dir().join("picks.json")).unwrap();
    let with_both = kept(&host);
    host.opened(&text_of_network(&["b"]));
    assert!(kept(&host).len() < with_both.len());
    // All of a full subnet can be had by others.
    let names: Vec<String> = (0..60).map(|n| format!("n{n}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let full = seats(&host.opened(&text_of_network(&names)));
    assert_eq!(
        full.values()
            .map(|seat| seat.0[0])
            .collect::<BTreeSet<_>>()
            .len(),
        60
    );
}

#[test]
fn corrupt_picks_are_told_and_made_anew() {
    let host = Host::new("corrupt");
    let before = seats(&host.opened(&text_of_network(&["a", "b", "c"])));
    for corrupt in [
        "",
        "{",
        "[]",
        "{\"addresses\": 5, \"macs\": {}}",
        "\u{0}\u{1}",
    ] {
        fs::write(host.state_dir().join("picks.json"), corrupt).unwrap();
        let loaded = host.open().1;
        assert_eq!(
            loaded
                .warnings
                .iter()
                .map(|warning| warning.code)
                .collect::<Vec<_>>(),
            [Code::Picks],
            "{corrupt:?}"
        );
        assert_eq!(seats(&loaded.state), before, "{corrupt:?}");
        assert_eq!(host.open().1.warnings, vec![], "{corrupt:?}: told once");
    }
    // Well-formed nonsense: an address of elsewhere, and one twice.
    let kept = fs::read_to_string(host.state_dir().join("picks.json")).unwrap();
    let a = before["a"].0[0].to_string();
    for (from, to) in [
        (a.as_str(), "192.0.2.1"),
        (a.as_str(), "10.10.1.0"),
        (a.as_str(), &before["b"].0[0].to_string()),
    ] {
        fs::write(host.state_dir().join("picks.json"), kept.replace(from, to)).unwrap();
        let after = seats(&host.open().1.state);
        assert_eq!(
            after
                .values()
                .map(|seat| seat.0[0])
                .collect::<BTreeSet<_>>()
                .len(),
            3,
            "{to}"
        );
    }
}

#[test]
fn picks_that_cannot_be_written_are_a_warning() {
    let host = Host::new("unwritable");
    host.write(&text_of_network(&["a"]));
    fs::write(host.state_dir(), "a file where the directory should be").unwrap();
    let warnings = host.open().1.warnings;
    assert!(
        warnings.iter().all(|warning| warning.code == Code::Picks) && !warnings.is_empty(),
        "{warnings:?}"
    );
}

#[test]
fn looking_writes_nothing() {
    let host = Host::new("looking");
    host.write(&text_of_network(&["a"]));
    let seen = load(&host.file(), &host.state_dir()).unwrap();
    assert!(!host.state_dir().exists());
    assert_eq!(
        seats(&seen.state),
        seats(&host.open().1.state),
        "what was shown is what comes"
    );
}
