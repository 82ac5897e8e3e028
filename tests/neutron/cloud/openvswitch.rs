//! Open vSwitch with its userspace datapath: no kernel module, any namespace.

use super::LONG;
use crate::common::{Place, wait_for};

/// The daemons go on until the node ends.
#[derive(Debug)]
pub(super) struct Switch {
    place: Place,
}

/// It forwards in its main thread, which goes first, if it may: elsewhere the kernel forwards, or a core of its own does, and
/// neither waits for the machine's other work.
const START: &str = "
mkdir -p /dev/net
[ -e /dev/net/tun ] || mknod /dev/net/tun c 10 200
ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server --remote=punix:/run/openvswitch/db.sock --remote=ptcp:6640:127.0.0.1 --pidfile --log-file --detach --no-chdir
ovs-vsctl --no-wait init
nice -n -20 ovs-vswitchd --pidfile --log-file --detach --no-chdir --disable-system
for bridge in br-int br-external; do
  ovs-vsctl add-br $bridge -- set bridge $bridge datapath_type=netdev
done
ovs-vsctl add-port br-external external
";

impl Switch {
    /// With `br-int`, where the agent finds it, and `br-external` on the cable to the external network.
    #[track_caller]
    pub(super) fn start(place: &Place) -> Self {
        place.sh("rm -f /etc/openvswitch/conf.db").ok();
        place.sh(START).ok();
        Self {
            place: place.clone(),
        }
    }

    /// Puts a device on the integration bridge as Nova does, and waits until the agent has seen it.
    #[track_caller]
    pub(super) fn add(&self, device: &str, port: &str, mac: &str) {
        let ids = format!(
            "external_ids:iface-id={port} external_ids:iface-status=active external_ids:attached-mac=\"{mac}\""
        );
        self.place
            .sh(&format!(
                "ovs-vsctl add-port br-int {device} -- set Interface {device} {ids}"
            ))
            .ok();
        let what = format!("the agent to give {device} a VLAN");
        wait_for(&what, LONG, || self.is_wired(device).then_some(()));
    }

    /// Whether a device has its network's local VLAN (4095 is the one of dead ports).
    fn is_wired(&self, device: &str) -> bool {
        let tag = self.column("Port", device, "tag");
        tag.parse().is_ok_and(|tag: u16| tag != 4095)
    }

    fn column(&self, table: &str, row: &str, column: &str) -> String {
        let output = self.place.run(&["ovs-vsctl", "get", table, row, column]);
        output.stdout.trim().to_owned()
    }
}
