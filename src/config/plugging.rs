//! `interface_driver` and `[OVS]`: how ports are plugged.

use std::net::SocketAddr;

use super::problem::{Code, quoted};
use super::reader::{Reader, default};
use crate::neutron::Role;
use crate::plug::{Driver, OpenVswitch, OvsdbAddress, OvsdbTls};

const DRIVER: (&str, &str) = default("interface_driver");
const CONNECTION: (&str, &str) = ovs("ovsdb_connection");
const CHOOSE: &str = "set it to openvswitch or linuxbridge, as the layer 2 agent of this node is";

const fn ovs(name: &'static str) -> (&'static str, &'static str) {
    ("OVS", name)
}

/// `None`: no role plugs ports, or the driver is refused.
pub(super) fn driver(reader: &mut Reader) -> Option<Driver> {
    if !reader.roles.contains(&Role::Dhcp) && !reader.roles.contains(&Role::L3) {
        return None;
    }
    let name = reader.text(DRIVER);
    match name.as_str() {
        "openvswitch" | "neutron.agent.linux.interface.OVSInterfaceDriver" => {
            Some(Driver::OpenVswitch(open_vswitch(reader)?))
        }
        "linuxbridge" | "neutron.agent.linux.interface.BridgeInterfaceDriver" => {
            Some(Driver::LinuxBridge)
        }
        "" => {
            reader.refuse(
                DRIVER,
                Code::Missing,
                "it is empty, so it is unknown how ports are plugged",
                CHOOSE,
            );
            None
        }
        other => {
            let why = format!("{}: ports can't be plugged this way", quoted(other));
            reader.refuse(DRIVER, Code::NotServed, why, CHOOSE);
            None
        }
    }
}

fn open_vswitch(reader: &mut Reader) -> Option<OpenVswitch> {
    let bridge = reader.text(ovs("integration_bridge"));
    // Of an interface's name.
    if bridge.is_empty() || bridge.len() > 15 || bridge.contains(['/', ' ']) {
        reader.refuse(
            ovs("integration_bridge"),
            Code::BadValue,
            "this is no name of a bridge",
            "write br-int, or its name",
        );
    }
    Some(OpenVswitch {
        bridge,
        database: database(reader)?,
        timeout: reader.seconds(ovs("ovsdb_timeout")),
        veth: reader.bool(default("ovs_use_veth")),
        userspace: reader.text(ovs("datapath_type")) == "netdev",
    })
}

fn database(reader: &mut Reader) -> Option<OvsdbAddress> {
    let text = reader.text(CONNECTION);
    let (kind, address) = text.split_once(':').unwrap_or((&text, ""));
    let socket = || address.parse::<SocketAddr>().ok();
    let parsed = match kind {
        "tcp" => socket().map(OvsdbAddress::Tcp),
        "unix" if address.starts_with('/') => Some(OvsdbAddress::Unix(address.into())),
        "ssl" => match (socket(), tls(reader)) {
            (Some(address), Some(tls)) => Some(OvsdbAddress::Ssl(address, tls)),
            // Its files have been asked for.
            (Some(_), None) => return None,
            (None, _) => None,
        },
        _ => None,
    };
    if parsed.is_none() {
        reader.refuse(
            CONNECTION,
            Code::BadValue,
            format!("{}: this is no place of a database", quoted(&text)),
            "write tcp:IP:PORT, ssl:IP:PORT or unix:/PATH, with an IPv6 address in brackets",
        );
    }
    parsed
}

fn tls(reader: &mut Reader) -> Option<OvsdbTls> {
    let files = ["ssl_key_file", "ssl_cert_file", "ssl_ca_cert_file"]
        .map(|name| (name, reader.path(ovs(name))));
    for (name, file) in &files {
        if file.is_none() {
            reader.refuse(
                ovs(name),
                Code::Missing,
                "it is not set, and ovsdb_connection is ssl:",
                "set ssl_key_file, ssl_cert_file and ssl_ca_cert_file",
            );
        }
    }
    let [(_, key), (_, cert), (_, ca)] = files;
    Some(OvsdbTls {
        key: key?,
        cert: cert?,
        ca: ca?,
    })
}
