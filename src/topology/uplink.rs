//! How a network leaves this host, and what two networks can't share there.

use std::collections::{BTreeMap, BTreeSet};

use super::check::Check;
use super::file::{self, all};
use super::mistake::{Code, Span};
use super::words::Kind;
use crate::model::{Attachment, DevName, NetworkId, Vxlan};

/// IANA's port for VXLAN (RFC 7348 section 5).
const VXLAN_PORT: u16 = 4789;

impl Check<'_, '_> {
    /// The type, and whether the keys that go with another one are there.
    pub(super) fn kind(&mut self, file: &file::Network) -> Kind {
        let kind = file.r#type.as_ref().map_or(Kind::Local, |kind| kind.value);
        let places = [
            (
                "device",
                file.device.as_ref().map(|key| key.at),
                &[Kind::Flat, Kind::Vlan, Kind::Vxlan][..],
            ),
            ("tag", file.tag.as_ref().map(|key| key.at), &[Kind::Vlan]),
            ("vni", file.vni.as_ref().map(|key| key.at), &[Kind::Vxlan]),
            (
                "remotes",
                file.remotes.as_ref().map(|key| key.at),
                &[Kind::Vxlan],
            ),
            (
                "group",
                file.group.as_ref().map(|key| key.at),
                &[Kind::Vxlan],
            ),
            (
                "local",
                file.local.as_ref().map(|key| key.at),
                &[Kind::Vxlan],
            ),
            ("port", file.port.as_ref().map(|key| key.at), &[Kind::Vxlan]),
        ];
        for (key, at, kinds) in places {
            let Some(at) = at.filter(|_| !kinds.contains(&kind)) else {
                continue;
            };
            let types: Vec<_> = kinds
                .iter()
                .map(|kind| format!("type = {:?}", type_name(*kind)))
                .collect();
            let why = format!("`{key}` does not go with type {:?}", type_name(kind));
            let fix = format!("remove it, or say {}", types.join(" or "));
            self.mistake(Code::Misplaced, at, &file.object, why, fix);
        }
        kind
    }

    /// What could not be made out is noted, and stands in as if local.
    pub(super) fn attachment(
        &mut self,
        file: &file::Network,
        id: NetworkId,
        kind: Kind,
    ) -> Attachment {
        let default = || {
            let mut name = format!("brq{id}");
            name.truncate(14);
            DevName::new(name).expect("14 bytes of a prefix and a UUID are a valid name")
        };
        let bridge = file
            .bridge
            .as_ref()
            .map_or_else(default, |bridge| bridge.value.clone());
        let device = file.device.as_ref().map(|device| device.value.clone());
        let mut missing = |key: &str, example: &str| {
            if file.is_broken(key) {
                return;
            }
            let why = format!("type {:?} needs `{key}`", type_name(kind));
            self.mistake(
                Code::MissingKey,
                file.at,
                &file.object,
                why,
                format!("add `{key} = {example}`"),
            );
        };
        match kind {
            Kind::Local => Attachment::Local { bridge },
            Kind::Flat => match device {
                Some(device) => Attachment::Flat { bridge, device },
                None => {
                    missing("device", "\"eth1\"");
                    Attachment::Local { bridge }
                }
            },
            Kind::Vlan => {
                if device.is_none() {
                    missing("device", "\"eth1\"");
                }
                if file.tag.is_none() {
                    missing("tag", "100");
                }
                let tag = file
                    .tag
                    .as_ref()
                    .and_then(|tag| u16::try_from(tag.value.0).ok());
                match device.zip(tag) {
                    Some((device, tag)) => Attachment::Vlan {
                        bridge,
                        device,
                        tag,
                    },
                    None => Attachment::Local { bridge },
                }
            }
            Kind::Vxlan => {
                let Some(vni) = &file.vni else {
                    missing("vni", "100");
                    return Attachment::Local { bridge };
                };
                let vxlan = self.underlay(file, vni.value.0, device);
                Attachment::Vxlan { bridge, vxlan }
            }
        }
    }

    fn underlay(&mut self, file: &file::Network, vni: u32, device: Option<DevName>) -> Vxlan {
        let object = &file.object;
        let (group, local) = (file.group.as_ref(), file.local.as_ref());
        let remotes = all(&file.remotes);
        let mut wrong = |at: Span, why: String, fix: &str| {
            self.mistake(Code::Underlay, at, object, why, fix);
        };
        match (&file.remotes, group) {
            (Some(_), Some(group)) => wrong(
                group.at,
                "both `remotes` and `group` say where other hosts are".into(),
                "keep `remotes` where hosts are few, `group` where the underlay has multicast",
            ),
            (None, None) => wrong(
                file.at,
                "it does not say where its other hosts are".into(),
                "add `remotes = [\"192.0.2.12\"]`, or `group = \"239.1.1.1\"` with `device`",
            ),
            _ => {}
        }
        if let Some(group) = group {
            if !group.value.is_multicast() {
                wrong(
                    group.at,
                    format!("{} is no multicast address", group.value),
                    "use one of 239.0.0.0/8, or name hosts in `remotes`",
                );
            }
            // The kernel joins the group on a device.
            if device.is_none() && file.device.is_none() {
                wrong(
                    group.at,
                    "a `group` needs the `device` to reach it by".into(),
                    "add `device = \"eth0\"`",
                );
            }
        }
        for remote in remotes {
            if remote.value.is_multicast() || remote.value.is_unspecified() {
                wrong(
                    remote.at,
                    format!("{} is no host's address", remote.value),
                    "name each other host's address",
                );
            }
            if local.is_some_and(|local| local.value == remote.value) {
                wrong(
                    remote.at,
                    format!("{} is `local`, this host", remote.value),
                    "name only the other hosts",
                );
            }
        }
        let ends = remotes
            .iter()
            .map(|remote| remote.value)
            .chain(group.map(|group| group.value));
        let mut ends = ends.chain(local.map(|local| local.value));
        let first = ends.next();
        if first.is_some_and(|first| ends.any(|end| end.is_ipv4() != first.is_ipv4())) {
            wrong(
                file.at,
                "its underlay mixes IPv4 and IPv6".into(),
                "use one of them for `remotes`, `group` and `local`",
            );
        }
        Vxlan {
            vni,
            local: local.map(|local| local.value),
            device,
            group: group.map(|group| group.value),
            remotes: remotes.iter().map(|remote| remote.value).collect(),
            port: file
                .port
                .as_ref()
                .and_then(|port| u16::try_from(port.value.0).ok())
                .unwrap_or(VXLAN_PORT),
        }
    }

    /// Bridges, devices, VLANs and VNIs are one network's each.
    pub(super) fn uplinks(&mut self) {
        let mut taken: BTreeMap<String, usize> = BTreeMap::new();
        let devices: BTreeSet<DevName> = self
            .draft
            .networks
            .iter()
            .filter_map(|network| device(&network.network.attachment))
            .collect();
        for index in 0..self.draft.networks.len() {
            let network = &self.draft.networks[index];
            let (object, at) = (network.object.clone(), network.at);
            let bridge = network.network.bridge().cloned();
            let things = things(&network.network.attachment);
            if let Some(bridge) = bridge.filter(|bridge| devices.contains(bridge)) {
                let why = format!("its bridge {bridge} is also a network's device");
                self.mistake(
                    Code::SharedUplink,
                    at,
                    &object,
                    why,
                    "give the bridge a name of its own, or none",
                );
            }
            for (thing, fix) in things {
                if let Some(other) = taken.insert(thing.clone(), index) {
                    let other = &self.draft.networks[other];
                    // Networks of one name have more in common than they should, which has been said.
                    if other.network.id == self.network_id(index) {
                        continue;
                    }
                    let why = format!(
                        "{} (line {}) has {thing} already",
                        other.object,
                        self.notes.line(other.at)
                    );
                    self.mistake(Code::SharedUplink, at, &object, why, fix);
                }
            }
        }
    }
}

/// What no other network may have, and what to do if one has.
fn things(attachment: &Attachment) -> Vec<(String, &'static str)> {
    let (bridge, uplink) = match attachment {
        Attachment::Foreign => return Vec::new(),
        Attachment::Local { bridge } => (bridge, None),
        Attachment::Flat { bridge, device } => {
            let fix = "a flat network has its device alone; use VLANs to share it";
            (bridge, Some((format!("device {device}"), fix)))
        }
        Attachment::Vlan {
            bridge,
            device,
            tag,
        } => (
            bridge,
            Some((format!("VLAN {tag} on {device}"), "choose another `tag`")),
        ),
        Attachment::Vxlan { bridge, vxlan } => (
            bridge,
            Some((format!("VNI {}", vxlan.vni), "choose another `vni`")),
        ),
    };
    let bridge = (
        format!("bridge {bridge}"),
        "choose another `bridge`, or leave it out",
    );
    std::iter::once(bridge).chain(uplink).collect()
}

fn device(attachment: &Attachment) -> Option<DevName> {
    match attachment {
        Attachment::Foreign | Attachment::Local { .. } => None,
        Attachment::Flat { device, .. } | Attachment::Vlan { device, .. } => Some(device.clone()),
        Attachment::Vxlan { vxlan, .. } => vxlan.device.clone(),
    }
}

fn type_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Local => "local",
        Kind::Flat => "flat",
        Kind::Vlan => "vlan",
        Kind::Vxlan => "vxlan",
    }
}
