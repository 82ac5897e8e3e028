//! Every setting of the unit files is tried by a test, or taken on purpose.

use crate::common::Unit;

/// What these tests run the daemon with, or hold its system calls against. A setting that is in none of the two lists
/// has to be thought of first.
const TRIED: [&str; 18] = [
    "AmbientCapabilities",
    "CapabilityBoundingSet",
    "DevicePolicy",
    "ExecReload",
    "ExecStart",
    "LockPersonality",
    "MemoryDenyWriteExecute",
    "NoNewPrivileges",
    "RestrictAddressFamilies",
    "RestrictNamespaces",
    "RestrictRealtime",
    "RestrictSUIDSGID",
    "RuntimeDirectoryMode",
    "StateDirectoryMode",
    "SystemCallFilter",
    "TasksMax",
    "Type",
    "UMask",
];

/// systemd's own business, which only has to be spelled as here.
const TAKEN: [(&str, &str); 11] = [
    ("ConfigurationDirectory", "warren"),
    ("LimitNOFILE", "524288"),
    ("NotifyAccess", "main"),
    ("Restart", "always"),
    ("RestartSec", "1"),
    ("RuntimeDirectory", "warren"),
    ("StateDirectory", "warren"),
    ("SystemCallArchitectures", "native"),
    ("SystemCallErrorNumber", "EPERM"),
    ("TimeoutStartSec", "10min"),
    ("WatchdogSec", "30"),
];

/// Settings that differ in the unit beside Neutron, on purpose.
const OTHERS: [&str; 3] = [
    "CapabilityBoundingSet",
    "ConfigurationDirectory",
    "ExecStart",
];

#[test]
fn every_setting_is_tried_or_taken_on_purpose() {
    let unit = Unit::read();
    for setting in unit.settings.keys() {
        let taken = TAKEN.iter().find(|(name, _)| name == setting);
        match taken {
            Some((_, value)) => assert_eq!(unit.get(setting), *value, "{setting}"),
            None => assert!(TRIED.contains(setting), "{setting} is new: try it"),
        }
    }
    for setting in TRIED {
        unit.get(setting);
    }
}

#[test]
fn the_unit_beside_neutron_is_as_narrow() {
    let (unit, mut neutron) = (Unit::read(), Unit::beside_neutron());
    let mut same = neutron.capabilities();
    let more = same.split_off(unit.capabilities().len());
    assert_eq!(same, unit.capabilities());
    // For directories that belong to another user, and processes of another's.
    assert_eq!(more, ["dac_override", "chown", "sys_ptrace", "kill"]);
    let start = neutron.get("ExecStart").split_whitespace();
    let start = start.map(|word| word.replace("/usr/bin/warren", "warren").into());
    assert!(warren::cli::Arguments::from_command_line(start).is_ok());
    let mut alone = unit.settings;
    for other in OTHERS {
        alone.remove(other);
        neutron.settings.remove(other);
    }
    assert_eq!(neutron.settings, alone);
}
