//! Of several values the right one counts; files are found and read in their order.

use super::*;

fn file(dir: &Files, name: &str) -> Given {
    Given::File(dir.path(name))
}

fn flag(flag: &str, option: &'static str, value: &str) -> Given {
    Given::Flag {
        flag: flag.into(),
        option,
        value: value.into(),
    }
}

#[test]
fn the_last_one_wins() {
    let dir = Files::with(&[
        ("cloud", CLOUD),
        (
            "new",
            "[DEFAULT]\nnova_metadata_host = new\ndebug = true\nhost = a\n",
        ),
        (
            "old",
            "[DEFAULT]\nnova_metadata_ip = old\nhost = b\nhost = c\n",
        ),
        (
            "both",
            "[DEFAULT]\nnova_metadata_host = new\nnova_metadata_ip = old\n",
        ),
        ("quiet", "[DEFAULT]\ndebug = false\n"),
        ("d/20.conf", "[DEFAULT]\nhost = twenty\n"),
        ("d/10.conf", "[DEFAULT]\nhost = ten\n"),
        ("d/99.txt", "[DEFAULT]\nhost = text\n"),
        ("d/.99.conf", "[DEFAULT]\nhost = hidden\n"),
        ("d/sub.conf.d/99.conf", "[DEFAULT]\nhost = below\n"),
        ("empty/x.txt", ""),
    ]);
    let [cloud, new, old, both, quiet] =
        ["cloud", "new", "old", "both", "quiet"].map(|name| file(&dir, name));
    let d = || Given::Dir(dir.path("d"));
    let debug = || flag("--debug", "debug", "true");
    // nova_host, host, debug
    for (name, given, want) in [
        ("one file", vec![new.clone()], "new a true"),
        (
            "the later file",
            vec![old.clone(), new.clone()],
            "new a true",
        ),
        (
            "its old name, too",
            vec![new.clone(), old.clone()],
            "old c true",
        ),
        (
            "the present name within a file",
            vec![old.clone(), both, new.clone()],
            "new a true",
        ),
        (
            "files of a directory by name",
            vec![new.clone(), d()],
            "new twenty true",
        ),
        (
            "a directory before a file",
            vec![d(), new.clone()],
            "new a true",
        ),
        (
            "a directory without such files",
            vec![new.clone(), Given::Dir(dir.path("empty"))],
            "new a true",
        ),
        (
            "a flag behind the file",
            vec![old.clone(), quiet.clone(), debug()],
            "old c true",
        ),
        (
            "a flag before the file",
            vec![old.clone(), debug(), quiet.clone()],
            "old c false",
        ),
        (
            "the last flag",
            vec![old, debug(), flag("--nodebug", "debug", "false")],
            "old c false",
        ),
    ] {
        let given = [cloud.clone()].into_iter().chain(given).collect();
        let configured = load(&asked(given)).configured.unwrap();
        let nova = &configured.neutron.metadata.nova_host;
        let got = format!(
            "{nova} {} {}",
            configured.neutron.host, configured.logging.debug
        );
        assert_eq!(got, want, "{name}");
    }
}

#[test]
fn the_environment_is_between_files_and_flags() {
    let dir = Files::with(&[
        ("cloud", CLOUD),
        (
            "own",
            "[DEFAULT]\nhost = file\ndebug = true\n[agent]\nreport_interval = 7\n",
        ),
    ]);
    let mut asked = asked(vec![
        file(&dir, "cloud"),
        file(&dir, "own"),
        flag("--debug", "debug", "true"),
    ]);
    for (name, value) in [
        ("OS_DEFAULT__HOST", "variable"),
        ("OS_DEFAULT__DEBUG", "false"),
        ("OS_AGENT__REPORT_INTERVAL", "9"),
        ("OS_DEFAULT__NOVA_METADATA_IP", "192.0.2.1"),
        ("OS_NOBODY__KNOWS", "x"),
    ] {
        asked.variables.insert(name.into(), value.into());
    }
    let configured = load(&asked).configured.unwrap();
    assert_eq!(configured.neutron.host, "variable");
    assert!(configured.logging.debug, "the flag is the last word");
    assert_eq!(configured.neutron.report_interval.unwrap().as_secs(), 9);
    assert_eq!(
        configured.neutron.metadata.nova_host, "127.0.0.1",
        "old names do not count there"
    );

    asked
        .variables
        .insert("OS_DEFAULT__HOST".into(), "no host".into());
    let loaded = load(&asked);
    assert!(loaded.configured.is_none());
    assert_eq!(
        loaded.problems[0].place.to_string(),
        "environment, OS_DEFAULT__HOST"
    );
}

#[test]
fn files_that_are_not_named_are_looked_for() {
    let dir = Files::with(&[
        (".neutron/neutron.conf", CLOUD),
        ("neutron.conf", "[DEFAULT]\nhost = second-place\n"),
        ("neutron-l3-agent.conf", "[DEFAULT]\nhost = l3\n"),
        (
            "neutron.conf.d/a.conf",
            "[AGENT]\navailability_zone = dir\n",
        ),
        ("l3_agent.ini", "[DEFAULT]\nhost = never\n"),
        ("own.conf", "[DEFAULT]\nhost = named\n"),
    ]);
    let zone_and_host = |given| {
        let mut asked = asked(given);
        asked
            .variables
            .insert("HOME".into(), dir.0.display().to_string());
        let loaded = load(&asked);
        let names = loaded
            .files
            .iter()
            .map(|file| file.strip_prefix(&dir.0).unwrap().display().to_string());
        let names = names.collect::<Vec<_>>().join(" ");
        let neutron = loaded.configured.map(|configured| configured.neutron);
        (
            names,
            neutron.map(|neutron| (neutron.availability_zone, neutron.host)),
        )
    };
    let (files, values) = zone_and_host(Vec::new());
    assert_eq!(
        files,
        ".neutron/neutron.conf neutron-l3-agent.conf neutron.conf.d/a.conf"
    );
    assert_eq!(values, Some(("dir".into(), "l3".into())));
    // The defaults of files and of directories do not depend on one another.
    assert_eq!(
        zone_and_host(vec![Given::File("~/own.conf".into())]).0,
        "neutron.conf.d/a.conf own.conf"
    );
    let dir_only = zone_and_host(vec![Given::Dir("~/neutron.conf.d".into())]).0;
    assert_eq!(
        dir_only,
        ".neutron/neutron.conf neutron-l3-agent.conf neutron.conf.d/a.conf"
    );
}

#[test]
fn what_is_named_must_be_there() {
    let dir = Files::with(&[("cloud", CLOUD), ("latin", "")]);
    fs::write(dir.path("latin"), b"[DEFAULT]\n# gr\xfcn\n").unwrap();
    fs::write(dir.path("huge"), vec![b'#'; 5 << 20]).unwrap();
    for (given, why) in [
        (file(&dir, "absent"), "No such file"),
        (Given::Dir(dir.path("absent")), "No such file"),
        (Given::Dir(dir.path("cloud")), "Not a directory"),
        (Given::File(dir.0.clone()), "Is a directory"),
        (file(&dir, "latin"), "line 2 is not UTF-8"),
        (file(&dir, "huge"), "longer than 4 MiB"),
    ] {
        let loaded = load(&asked(vec![file(&dir, "cloud"), given.clone()]));
        assert!(loaded.configured.is_none(), "{given:?}");
        assert!(
            told(&loaded.problems)[0].contains(why),
            "{given:?}: {:?}",
            told(&loaded.problems)
        );
    }
}
