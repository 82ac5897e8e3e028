//! The unit files as the tests read them: what they run the daemon with is what stands there.

use std::collections::BTreeMap;

/// The settings of `[Service]`.
#[derive(Debug)]
pub struct Unit {
    pub settings: BTreeMap<&'static str, &'static str>,
}

impl Unit {
    /// That of a daemon on its own.
    pub fn read() -> Self {
        Self::of(include_str!("../../conf/warren.service"))
    }

    pub fn beside_neutron() -> Self {
        Self::of(include_str!("../../conf/warren-neutron.service"))
    }

    fn of(file: &'static str) -> Self {
        let (_, service) = file.split_once("[Service]\n").unwrap();
        let (service, _) = service.split_once("\n[Install]").unwrap();
        let lines = service.lines().map(str::trim);
        let settings = lines.filter(|line| !line.is_empty() && !line.starts_with('#'));
        let settings: Vec<_> = settings.map(|line| line.split_once('=').unwrap()).collect();
        let unit = Self {
            settings: settings.iter().copied().collect(),
        };
        assert_eq!(
            unit.settings.len(),
            settings.len(),
            "each setting stands there once"
        );
        unit
    }

    pub fn get(&self, setting: &str) -> &'static str {
        self.settings
            .get(setting)
            .unwrap_or_else(|| panic!("{setting} is not in the unit any more"))
    }

    pub fn words(&self, setting: &str) -> Vec<&'static str> {
        self.get(setting).split_whitespace().collect()
    }

    /// `CAP_NET_RAW` as setpriv has it: `net_raw`.
    pub fn capabilities(&self) -> Vec<String> {
        let names = self.words("CapabilityBoundingSet").into_iter();
        names
            .map(|name| name.strip_prefix("CAP_").unwrap().to_lowercase())
            .collect()
    }

    /// A shell line that becomes the daemon as systemd would start it, as far as that takes no systemd: `binary` in the
    /// place of the installed one.
    pub fn command(&self, binary: &str) -> String {
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
    pub fn confined(&self) -> String {
        assert_eq!(self.get("NoNewPrivileges"), "yes");
        assert_eq!(self.get("AmbientCapabilities"), "");
        let bounds = self.capabilities().join(",+");
        format!(
            "setpriv --bounding-set=-all,+{bounds} --inh-caps=-all --ambient-caps=-all --no-new-privs --"
        )
    }
}
