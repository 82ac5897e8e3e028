//! Real cloud-init boots from warren's own metadata: keys, host name, user data, vendor data and network data arrive.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod common;

use common::{CloudInit, Guest, Host};

const TOPOLOGY: &str = r##"
dns_domain = "cloud.test"

[[network]]
name = "routed"
bridge = "routed"
mtu = 1400
[[network.subnet]]
cidr = "10.0.0.0/24"

[[network]]
name = "isolated"
bridge = "isolated"
[[network.subnet]]
cidr = "10.1.0.0/24"

[[router]]
name = "router"
interfaces = ["routed"]

[[instance]]
name = "web"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINLvW3sqvrUmgGzCRr9t7lcZn5ply+15dHNGKcOMW4D8 me@home"]
user_data = """
#!/bin/sh
hostname --fqdn >/root/user-data
"""
vendor_data = { cloud-init = "#cloud-config\nwrite_files: [{path: /root/vendor-data, content: from the vendor}]\n" }
metadata = { role = "front" }
[[instance.port]]
network = "routed"
mac = "fa:16:3e:00:00:01"
addresses = ["10.0.0.11"]

[[instance]]
name = "db"
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAINfaLk0YfoVNtUa5kbiuIelacdzdreXr00T3acCc8FOa her@home"]
user_data = """
#cloud-config
write_files:
- {path: /root/user-data, content: written}
runcmd:
- hostname >/root/ran
"""
[[instance.port]]
network = "isolated"
mac = "fa:16:3e:00:00:02"
addresses = ["10.1.0.12"]
"##;

fn cloud(name: &str) -> Option<(Host, common::Daemon)> {
    let host = Host::new(name)?;
    let daemon = host.warren_run(TOPOLOGY);
    daemon.converged();
    Some((host, daemon))
}

#[track_caller]
fn holds(vm: &Guest, boot: &CloudInit, file: &str, want: &str) {
    let text = vm.read(file).unwrap_or_default();
    assert!(
        text.contains(want),
        "{file} of {} is {text:?}, not {want:?}:\n{}",
        vm.name(),
        boot.log
    );
}

#[track_caller]
fn boots(vm: &Guest, datasource: &str) -> CloudInit {
    let boot = vm.cloud_init(&[datasource]);
    assert!(
        boot.datasource
            .starts_with(&format!("DataSource{datasource}")),
        "{}: {:?}\n{}",
        vm.name(),
        boot.datasource,
        boot.log
    );
    assert_eq!(boot.errors, Vec::<String>::new(), "{}", boot.log);
    boot
}

#[test]
fn openstack_format_behind_a_router() {
    let Some((host, _daemon)) = cloud("routed") else {
        return;
    };
    let vm = host.guest("web", "routed", "fa:16:3e:00:00:01");
    let boot = boots(&vm, "OpenStack");
    assert!(
        boot.datasource.contains("Local"),
        "found before the network was up: {}",
        boot.datasource
    );
    holds(&vm, &boot, "/root/user-data", "web.cloud.test");
    holds(&vm, &boot, "/root/vendor-data", "from the vendor");
    holds(&vm, &boot, "/home/debian/.ssh/authorized_keys", "me@home");
    holds(
        &vm,
        &boot,
        "/run/cloud-init/instance-data.json",
        "\"role\": \"front\"",
    );
    // What the network data said became the instance's own configuration, and that came up.
    holds(
        &vm,
        &boot,
        "/etc/network/interfaces.d/50-cloud-init",
        "iface eth0 inet dhcp",
    );
    let eth0 = vm.run(&["ip", "-4", "address", "show", "dev", "eth0"]).ok();
    assert!(
        eth0.contains("10.0.0.11/24") && eth0.contains("mtu 1400"),
        "{eth0}"
    );
    assert_eq!(vm.run(&["hostname"]).ok().trim(), "web");
}

#[test]
fn openstack_format_in_an_isolated_network() {
    let Some((host, _daemon)) = cloud("isolated") else {
        return;
    };
    let vm = host.guest("db", "isolated", "fa:16:3e:00:00:02");
    let boot = boots(&vm, "OpenStack");
    holds(&vm, &boot, "/root/user-data", "written");
    holds(&vm, &boot, "/root/ran", "db");
    holds(&vm, &boot, "/home/debian/.ssh/authorized_keys", "her@home");
}

#[test]
fn ec2_format() {
    let Some((host, _daemon)) = cloud("ec2") else {
        return;
    };
    let vm = host.guest("db", "isolated", "fa:16:3e:00:00:02");
    // In a guest of OpenStack's, cloud-init asks the EC2 way only once the network is up.
    vm.udhcpc();
    let boot = boots(&vm, "Ec2");
    holds(&vm, &boot, "/root/user-data", "written");
    holds(&vm, &boot, "/root/ran", "db");
    holds(&vm, &boot, "/home/debian/.ssh/authorized_keys", "her@home");
}
