//! The unit file as the tests read it: what they run the daemon with is what stands there.

use std::collections::BTreeMap;

const FILE: &str = include_str!("../../conf/warren.service");

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

/// The same daemon beside Neutron.
const NEUTRON: &str = include_str!("../../conf/warren-neutron.service");

/// Settings that differ there, on purpose.
const OTHERS: [&str; 3] = [
    "CapabilityBoundingSet",
    "ConfigurationDirectory",
    "ExecStart",
];

/// The settings of `[Service]`.
pub(crate) struct Unit(BTreeMap<&'static str, &'static str>);

impl Unit {
    pub(crate) fn read() -> Self {
        Self::of(FILE)
    }

    fn of(file: &'static str) -> Self {
        let (_, service) = file.split_once("[Service]\n").unwrap();
        let (service, _) = service.split_once("\n[Install]").unwrap();
        let lines = service.lines().map(str::trim);
        let settings = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let settings: Vec<_> = settings.map(|line| line.split_once('=').unwrap()).collect();
        let unit = Self(settings.iter().copied().collect());
        assert_eq!(
            unit.0.len(),
            settings.len(),
            "each setting stands there once"
        );
        unit
    }

    pub(crate) fn get(&self, setting: &str) -> &'static str {
        self.0
            .get(setting)
            .unwrap_or_else(|| panic!("{setting} is not in the unit any more"))
    }

    pub(crate) fn words(&self, setting: &str) -> Vec<&'static str> {
        self.get(setting).split_whitespace().collect()
    }

    /// `CAP_NET_RAW` as setpriv has it: `net_raw`.
    pub(crate) fn capabilities(&self) -> Vec<String> {
        let names = self.words("CapabilityBoundingSet").into_iter();
        names
            .map(|name| name.strip_prefix("CAP_").unwrap().to_lowercase())
            .collect()
    }

    /// A shell line that becomes the daemon as systemd would start it, as far as that takes no systemd: `binary` in the
    /// place of the installed one.
    pub(crate) fn command(&self, binary: &str) -> String {
        let start = self
            .get("ExecStart")
            .strip_prefix("/usr/bin/warren ")
            .unwrap();
        let umask = self.get("UMask");
        format!(
            "umask {umask}; WATCHDOG_PID=$$ exec {} {binary} {start}",
            self.confined()
        )
    }

    /// In front of a command: nothing but the unit's capabilities, and no way to get more.
    pub(crate) fn confined(&self) -> String {
        assert_eq!(self.get("NoNewPrivileges"), "yes");
        assert_eq!(self.get("AmbientCapabilities"), "");
        let bounds = self.capabilities().join(",+");
        format!(
            "setpriv --bounding-set=-all,+{bounds} --inh-caps=-all --ambient-caps=-all --no-new-privs --"
        )
    }
}

#[test]
fn every_setting_is_tried_or_taken_on_purpose() {
    let unit = Unit::read();
    for setting in unit.0.keys() {
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
    let (unit, mut neutron) = (Unit::read(), Unit::of(NEUTRON));
    let mut same = neutron.capabilities();
    let more = same.split_off(unit.capabilities().len());
    assert_eq!(same, unit.capabilities());
    // For directories that belong to another user, and processes of another's.
    assert_eq!(more, ["dac_override", "chown", "sys_ptrace", "kill"]);
    let start = neutron.get("ExecStart").split_whitespace();
    let start = start.map(|word| word.replace("/usr/bin/warren", "warren").into());
    assert!(warren::cli::Arguments::from_command_line(start).is_ok());
    let mut alone = unit.0;
    for other in OTHERS {
        alone.remove(other);
        neutron.0.remove(other);
    }
    assert_eq!(neutron.0, alone);
}
