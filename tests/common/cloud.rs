//! cloud-init as it runs when a Debian instance boots, stage by stage, in a guest.

use super::{Guest, Output};

/// What systemd would start, in its order. Between the first two the network comes up as cloud-init configured it.
const STAGES: [&[&str]; 5] = [
    &["cloud-init", "init", "--local"],
    &["ifup", "--all"],
    &["cloud-init", "init"],
    &["cloud-init", "modules", "--mode=config"],
    &["cloud-init", "modules", "--mode=final"],
];

/// What came of it.
#[derive(Debug)]
pub struct CloudInit {
    /// `DataSourceOpenStackLocal [net,ver=2]` ...; empty if none was found.
    pub datasource: String,
    /// cloud-init's own list.
    pub errors: Vec<String>,
    /// /var/log/cloud-init.log, and what the stages printed.
    pub log: String,
}

impl Guest {
    /// Boots the instance with cloud-init, which looks for these data sources: `OpenStack`, `Ec2`.
    pub fn cloud_init(&self, datasources: &[&str]) -> CloudInit {
        self.write(
            "/etc/cloud/cloud.cfg.d/90-sandbox.cfg",
            &format!(
                "datasource_list: [{}, None]\n\
                 datasource: {{Ec2: {{strict_id: false, timeout: 10, max_wait: 20}}}}\n\
                 locale: C.UTF-8\nresize_rootfs: false\n",
                datasources.join(", ")
            ),
        );
        let stages: Vec<Output> = STAGES.iter().map(|stage| self.run(stage)).collect();
        let result = self.read("/run/cloud-init/result.json").unwrap_or_default();
        let result: serde_json::Value = serde_json::from_str(&result).unwrap_or_default();
        let errors = result["v1"]["errors"].as_array().cloned();
        let mut log = self.read("/var/log/cloud-init.log").unwrap_or_default();
        for stage in &stages {
            log += &format!("{stage}\n");
        }
        CloudInit {
            datasource: result["v1"]["datasource"]
                .as_str()
                .unwrap_or_default()
                .to_owned(),
            errors: errors
                .unwrap_or_default()
                .iter()
                .map(ToString::to_string)
                .collect(),
            log,
        }
    }
}
