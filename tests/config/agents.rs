//! Under the agents' names, with their flags.

use std::fs;

use super::{Tree, run_as, warren, words};

#[test]
fn flags_of_the_agents_are_understood() {
    let tree = Tree::new("debian");
    let neutron = tree.path("neutron.conf");
    for (name, flags) in [
        ("neutron-dhcp-agent", "--log-file=LOG --debug"),
        (
            "/usr/bin/neutron-l3-agent",
            "--log-file LOG -d --nodebug --use-json --nouse-json --nouse-syslog --nouse-journal",
        ),
        (
            "neutron-metadata-agent",
            "--logfile LOG --log-date-format %H --nowatch-log-file --state_path /srv/neutron",
        ),
        ("./neutron-dhcp-agent", "--log-f LOG --deb --debug --debug"),
        (
            "neutron-dhcp-agent",
            "--log-dir DIR --log-file x.log --syslog-log-facility LOG_LOCAL0",
        ),
    ] {
        let log = tree.path("x.log");
        let _ = fs::remove_file(&log);
        let flags = flags
            .replace("LOG_LOCAL", "\0")
            .replace("LOG", &log)
            .replace('\0', "LOG_LOCAL");
        let flags = flags.replace("DIR", &tree.0.display().to_string());
        // What refuses the start comes late, and before anything is made or asked: the flags have been understood, and the log
        // is where they say.
        let files = format!(
            "--config-file={neutron} --config-file {}",
            tree.path("dhcp_agent.ini")
        );
        let state = tree.no_directory();
        let args = words(&format!(
            "{files} {flags} --state-dir {state} --socket {state}/s"
        ));
        let (status, _, errors) = run_as(name, &args);
        assert_eq!(status, Some(1), "{name} {flags}: {errors}");
        assert!(fs::metadata(&log).is_ok(), "{name} {flags}: {errors}");
    }
}

#[test]
fn an_agents_name_takes_its_role_alone() {
    let tree = Tree::new("debian");
    // The L3 agent's file alone has a mistake.
    fs::write(tree.path("l3_agent.ini"), "[DEFAULT]\nagent_mode = dvr\n").unwrap();
    let args = tree.arguments("neutron.conf dhcp_agent.ini l3_agent.ini");
    for (name, refused) in [
        ("neutron-l3-agent", true),
        ("neutron-dhcp-agent", false),
        ("neutron-metadata-agent", false),
    ] {
        let state = tree.no_directory();
        let more = words(&format!("--state-dir {state} --socket {state}/s"));
        let (status, _, errors) = run_as(name, &[args.clone(), more].concat());
        assert_eq!(status, Some(1), "{errors}");
        let told = errors.contains("l3_agent.ini:2: refused[W2006]: [DEFAULT] agent_mode: ");
        assert_eq!(told, refused, "{name}: {errors}");
    }
}

#[test]
fn what_is_not_understood_has_status_2() {
    for (name, args, want) in [
        ("neutron-dhcp-agent", "--log_file x", "--log_file"),
        ("neutron-l3-agent", "--no-such", "--no-such"),
        ("neutron-l3-agent", "check", "check"),
        ("warren", "--no-such", "--no-such"),
        ("warren", "run --config-file x --topology y", "--topology"),
        (
            "warren",
            "run --roles dhcp,dns",
            "the roles are dhcp, l3 and metadata",
        ),
    ] {
        let (status, _, errors) = run_as(name, &words(args));
        assert_eq!(status, Some(2), "{name} {args}: {errors}");
        assert!(errors.contains(want), "{name} {args}: {errors}");
    }
    for name in ["neutron-dhcp-agent", "warren"] {
        let (status, version, _) = run_as(name, &words("--version"));
        assert_eq!(
            (status, version.split(' ').count()),
            (Some(0), 2),
            "{version}"
        );
        let (status, help, _) = run_as(name, &words("--help"));
        assert!(status == Some(0) && help.contains("--help"), "{help}");
    }
    let (_, help, _) = run_as("neutron-metadata-agent", &words("-h"));
    assert!(
        help.contains("--config-file") && !help.contains("--topology"),
        "{help}"
    );
}

#[test]
fn flags_without_a_command_are_the_daemon() {
    let tree = Tree::new("debian");
    fs::write(
        tree.path("l3_agent.ini"),
        "[DEFAULT]\nagent_mode = dvr\n  x\n",
    )
    .unwrap();
    let args = tree.arguments("neutron.conf l3_agent.ini");
    let bare = warren(&args);
    let run = warren(&[words("run"), args].concat());
    assert_eq!(bare, run);
    let (status, _, errors) = bare;
    assert_eq!(status, Some(1));
    // All that is refused, on standard error, and where to read more.
    assert!(
        errors.contains("refused[W2003]: [DEFAULT] agent_mode: ") || errors.contains("refused["),
        "{errors}"
    );
    assert!(
        errors.ends_with("`warren check` tells all about these files\n"),
        "{errors}"
    );
}
