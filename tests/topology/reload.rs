//! The file changes.

use std::collections::BTreeSet;
use std::fs;

use warren::model::{Event, State};
use warren::topology::{events, load};

use super::{Host, seats, text_of_network};

#[test]
fn a_reload_says_what_changed() {
    let host = Host::new("reload");
    host.write(&text_of_network(&["a", "b"]));
    let (mut source, loaded) = host.open();
    let shown = |events: &[Event]| -> Vec<&'static str> {
        let word = |event: &Event| match event {
            Event::Network(_) => "network",
            Event::NetworkGone(_) => "network gone",
            Event::Port(_) => "port",
            Event::PortGone(..) => "port gone",
            Event::Router(_) => "router",
            Event::RouterGone(_) => "router gone",
            Event::Instance(_) => "instance",
            Event::InstanceGone(_) => "instance gone",
            Event::Complete { .. } => "complete",
        };
        events.iter().map(word).collect()
    };
    assert_eq!(shown(&source.reload().unwrap()), [""; 0], "nothing changed");
    let router = "[[router]]\nname = \"r\"\ninterfaces = [\"blue\"]\n";
    let wide =
        text_of_network(&["a", "b", "c"]).replace("name = \"blue\"", "name = \"blue\"\nmtu = 1400");
    for (name, text, want) in [
        (
            "an instance more",
            text_of_network(&["a", "b", "c"]),
            &["port", "instance"][..],
        ),
        ("another order", text_of_network(&["c", "a", "b"]), &[]),
        (
            "other metadata",
            text_of_network(&["a", "b", "c"])
                + "[[instance]]\nname = \"d\"\nhostname = \"z\"\n[[instance.port]]\nnetwork = \"blue\"\n",
            &["port", "instance"],
        ),
        (
            "an instance less",
            text_of_network(&["a", "b", "c"]),
            &["instance gone", "port gone"],
        ),
        (
            "a router",
            text_of_network(&["a", "b", "c"]) + router,
            &["port", "router"],
        ),
        (
            "no router",
            text_of_network(&["a", "b", "c"]),
            &["router gone", "port gone"],
        ),
        ("another MTU", wide, &["network"]),
        (
            "nothing at all",
            String::new(),
            &[
                "instance gone",
                "instance gone",
                "instance gone",
                "network gone",
            ],
        ),
    ] {
        host.write(&text);
        assert_eq!(shown(&source.reload().unwrap()), want, "{name}");
    }
    assert_eq!(
        loaded.state.instances.len(),
        2,
        "what was loaded first is a value of its own"
    );
}

#[test]
fn a_broken_edit_changes_nothing() {
    let host = Host::new("broken-edit");
    host.write(&text_of_network(&["a"]));
    let (mut source, _) = host.open();
    let before = seats(&source.loaded().state);
    for broken in ["[[network", "lease = 0\n", &text_of_network(&["a", "a"])] {
        host.write(broken);
        assert!(source.reload().is_err(), "{broken}");
        assert_eq!(seats(&source.loaded().state), before);
    }
    host.write(&text_of_network(&["a"]));
    assert_eq!(source.reload().unwrap().len(), 0);
}

/// Until they are right, too: whoever makes the missing file wants it to be seen.
#[test]
fn files_to_watch() {
    let host = Host::new("files");
    let text = text_of_network(&["a"]).replace(
        "name = \"a\"",
        "name = \"a\"\nuser_data_file = \"sub/data\"",
    );
    let both: BTreeSet<_> = [host.file(), host.0.join("sub/data")].into();
    host.write(&text);
    assert!(load(&host.file(), &host.state_dir()).is_err());
    assert_eq!(warren::topology::files(&host.file()), both);
    fs::create_dir(host.0.join("sub")).unwrap();
    fs::write(host.0.join("sub/data"), "x").unwrap();
    assert_eq!(host.open().1.files, both);
    host.write("[[network");
    assert_eq!(warren::topology::files(&host.file()), [host.file()].into());
}

/// From any state to any other: the events lead there, and then there are none.
#[test]
fn events_lead_from_one_state_to_the_other() {
    let mut states = vec![State::default()];
    let demo = fs::read_to_string("conf/demo.toml").unwrap();
    for (nth, text) in [
        demo.clone(),
        demo.replace("mtu = 1450", "mtu = 1400"),
        demo.replace("203.0.113.20", "203.0.113.21"),
        demo.replace("10.10.1.0/24", "10.10.1.0/25"),
        demo.replace("instance = \"green1\"", "instance = \"green2\""),
        text_of_network(&["blue1", "x"]),
        text_of_network(&["x"]),
        String::new(),
    ]
    .into_iter()
    .enumerate()
    {
        let host = Host::new(&format!("events-{nth}"));
        states.push(host.opened(&text));
    }
    for old in &states {
        for new in &states {
            let mut state = old.clone();
            for event in events(old, new) {
                state.apply(&event);
            }
            assert_eq!(state.networks, new.networks);
            assert_eq!(state.routers, new.routers);
            assert_eq!(state.instances, new.instances);
            assert_eq!(events(&state, new).len(), 0);
        }
    }
}
