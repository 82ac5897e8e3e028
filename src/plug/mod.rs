//! How our ports reach the tenant's layer 2 where another agent keeps it.
//!
//! `settings` which way, and where Open vSwitch listens | `openvswitch` ports on its bridge | `rows` what they are in its
//! database, pure | `ovsdb` the connection to it | `error`
//!
//! What a port's device is, `plan` says, and `netns` makes it so. With the linuxbridge agent that is all: it finds the host's
//! end of the pair by its name. Open vSwitch must be told: of a device that it shall make, before the namespace is looked
//! at; of a pair's end on the host, when it is there; of what goes, before the kernel's part of it goes.

mod error;
mod openvswitch;
mod ovsdb;
mod rows;
mod settings;

use std::collections::{BTreeMap, BTreeSet};

use netns::spec::Link;
use netns::{KindSeen, Namespace, Place, Spec};
use tracing::info;

pub use error::Error;
use openvswitch::Switch;
pub use ovsdb::Error as OvsdbError;
use rows::{Fate, NewPort};
pub use settings::{Driver, OpenVswitch, OvsdbAddress, OvsdbTls};

use crate::model::{DevName, Kinds, NsName};
use crate::plan::{self, OwnPort, Plugging};

/// Default: nobody but the kernel need know of our ports.
#[derive(Debug, Default)]
pub struct Plug {
    switch: Option<OpenVswitch>,
}

/// Something could not be plugged or unplugged; the rest was.
#[derive(Debug)]
pub struct Trouble {
    pub error: Error,
    /// To go, but only Open vSwitch can take them away: they are left alone until it does.
    pub stuck: BTreeSet<DevName>,
}

impl Plug {
    pub fn new(driver: Driver) -> Self {
        let switch = match driver {
            Driver::LinuxBridge => None,
            Driver::OpenVswitch(settings) => Some(settings),
        };
        Self { switch }
    }

    /// What plans must say so that they fit.
    pub fn plugging(&self) -> Plugging {
        match &self.switch {
            Some(settings) if !settings.veth => Plugging::Internal,
            _ => Plugging::Veth,
        }
    }

    /// Before the namespace is made what its plan says: ports that no plan has any more go, devices that Open vSwitch
    /// makes come. A port whose device is there is left as it is, and if all are, Open vSwitch is not even asked.
    pub async fn prepare(
        &self,
        home: &Namespace,
        ns: &Namespace,
        ports: &[OwnPort],
    ) -> Result<(), Trouble> {
        let Some(settings) = &self.switch else {
            return Ok(());
        };
        let there = devices(ns).await?;
        let inside = ports.iter().filter(|port| there.contains(&port.device));
        let inside: Vec<&OwnPort> = inside.collect();
        let left_behind = self.astray(home, inside.iter().copied()).await?;
        for port in inside {
            if left_behind.contains(&port.device) {
                fetch(home, ns, port).await?;
            }
        }
        let wanted: BTreeSet<&DevName> = ports.iter().map(|port| &port.device).collect();
        let stale: BTreeSet<DevName> = there
            .iter()
            .filter(|device| !wanted.contains(device))
            .cloned()
            .collect();
        let missing = ports.iter().filter(|port| !there.contains(&port.device));
        let missing: Vec<NewPort> = missing
            .filter(|_| !settings.veth)
            .map(|port| new_port(port, port.device.clone(), ns, true))
            .collect();
        if stale.is_empty() && missing.is_empty() {
            return Ok(());
        }
        let stuck = |error| Trouble {
            error,
            stuck: stale.clone(),
        };
        let mut switch = Switch::connect(settings).await.map_err(stuck)?;
        switch.unplug(&both_names(&stale)).await.map_err(stuck)?;
        if missing.is_empty() {
            return Ok(());
        }
        let failed = switch.plug(&missing).await?;
        let made = missing
            .iter()
            .filter(|port| !failed.contains_key(&port.name));
        let made: Vec<&NewPort> = made.collect();
        let mut errors: Vec<Error> = failed.into_values().collect();
        for port in made {
            match switch.deliver(port, home, ns).await {
                Ok(()) => info!(port = %port.id, dev = %port.name, ns = %ns.place(), "plugged"),
                Err(error) => errors.push(error),
            }
        }
        Ok(Error::check(errors)?)
    }

    /// Those of `ports` whose devices are in `home`. In user space a switch that starts again opens its devices by their
    /// names, and where it lives: there it makes new ones, and those inside are dead.
    pub async fn astray(
        &self,
        home: &Namespace,
        ports: impl IntoIterator<Item = &OwnPort>,
    ) -> Result<BTreeSet<DevName>, Error> {
        let mut named = Spec::default();
        if self.plugging() == Plugging::Internal {
            let devices = ports.into_iter().map(|port| port.device.clone());
            named.links = devices.map(|device| (device, Link::existing())).collect();
        }
        if named.links.is_empty() {
            return Ok(BTreeSet::new());
        }
        let mut found = netns::observe(home, &named).await?.links;
        found.retain(|_, link| link.kind == KindSeen::Other("tun".into()));
        Ok(found.into_keys().collect())
    }

    /// Once both ends of the namespace's pairs are there: those on the host are ports of the switch.
    pub async fn attach(&self, ns: &Namespace, ports: &[OwnPort]) -> Result<(), Error> {
        let Some(settings) = self.switch.as_ref().filter(|settings| settings.veth) else {
            return Ok(());
        };
        if ports.is_empty() {
            return Ok(());
        }
        if settings.userspace {
            for port in ports {
                netns::keep_checksums(ns, &port.device).await?;
            }
        }
        let ends: BTreeMap<DevName, &OwnPort> = ports
            .iter()
            .map(|port| (plan::tap_device(port.id), port))
            .collect();
        let mut switch = Switch::connect(settings).await?;
        let seen = switch.look(&ends.keys().cloned().collect()).await?;
        let works = |end: &DevName| {
            seen.ports
                .get(end)
                .is_some_and(|port| port.fate == Fate::Works)
        };
        let missing: Vec<NewPort> = ends
            .iter()
            .filter(|(end, _)| !works(end))
            .map(|(end, port)| new_port(port, end.clone(), ns, false))
            .collect();
        if missing.is_empty() {
            return Ok(());
        }
        let failed = switch.plug(&missing).await?;
        info!(ns = %ns.place(), ports = missing.len(), failed = failed.len(), "plugged");
        Error::check(failed.into_values().collect())
    }

    /// Before a namespace of ours is deleted: the switch forgets its ports. One that does not exist has none.
    pub async fn release(&self, ns: &NsName) -> Result<(), Error> {
        let Some(settings) = &self.switch else {
            return Ok(());
        };
        let Some(namespace) = Namespace::open(ns)? else {
            return Ok(());
        };
        let there = devices(&namespace).await?;
        if there.is_empty() {
            return Ok(());
        }
        let mut switch = Switch::connect(settings).await?;
        switch.unplug(&both_names(&there)).await
    }

    /// Ports of the switch that were made by who has these kinds, and that are none of `wanted`: their namespaces went
    /// without our doing.
    pub async fn leftovers(
        &self,
        wanted: &[OwnPort],
        kinds: Kinds,
    ) -> Result<BTreeSet<DevName>, Error> {
        let Some(settings) = &self.switch else {
            return Ok(BTreeSet::new());
        };
        let wanted = both_names(wanted.iter().map(|port| &port.device));
        let ours = Switch::connect(settings).await?.ours().await?;
        Ok(of_kinds(ours, kinds).difference(&wanted).cloned().collect())
    }

    /// The ports of these kinds stay, and are somebody else's from now on.
    pub async fn disown(&self, kinds: Kinds) -> Result<(), Error> {
        let Some(settings) = &self.switch else {
            return Ok(());
        };
        if kinds.has_none() {
            return Ok(());
        }
        let mut switch = Switch::connect(settings).await?;
        let ports = of_kinds(switch.ours().await?, kinds);
        switch.disown(&ports).await
    }

    /// Removes ports of the switch by name.
    pub async fn remove(&self, ports: &BTreeSet<DevName>) -> Result<(), Error> {
        match &self.switch {
            Some(settings) if !ports.is_empty() => {
                Switch::connect(settings).await?.unplug(ports).await
            }
            _ => Ok(()),
        }
    }
}

impl<E: Into<Error>> From<E> for Trouble {
    fn from(error: E) -> Self {
        Self {
            error: error.into(),
            stuck: BTreeSet::new(),
        }
    }
}

/// Puts the device that works into the place of the dead one. The switch's port stays as it is, with its VLAN.
async fn fetch(home: &Namespace, ns: &Namespace, port: &OwnPort) -> Result<(), Error> {
    let mut gone = Spec::default();
    gone.ownership.alias = plan::MARK.into();
    gone.absent.insert(port.device.clone());
    netns::converge(ns, &gone).await?;
    netns::give(home, &port.device, port.mac, ns).await?;
    info!(port = %port.id, dev = %port.device, ns = %ns.place(), "the switch started anew; its new device was fetched");
    Ok(())
}

fn new_port(port: &OwnPort, name: DevName, ns: &Namespace, internal: bool) -> NewPort {
    NewPort {
        name,
        id: port.id,
        mac: port.mac,
        namespace: match ns.place() {
            Place::Named(name) => Some(name.clone()),
            Place::Home => None,
        },
        internal,
    }
}

/// Of ports of ours, each with its namespace, those of these kinds. One that does not name a namespace may be of any.
fn of_kinds(ports: BTreeMap<DevName, Option<NsName>>, kinds: Kinds) -> BTreeSet<DevName> {
    let ports = ports.into_iter().filter(|(_, namespace)| {
        let target = namespace.as_ref().and_then(plan::is_ours);
        target.map_or(kinds.has_all(), |target| kinds.has(target))
    });
    ports.map(|(name, _)| name).collect()
}

/// Devices of ports of ours.
async fn devices(ns: &Namespace) -> Result<BTreeSet<DevName>, Error> {
    let links = netns::links(ns).await?.into_keys();
    Ok(links.filter(plan::is_port_device).collect())
}

/// A device inside is a port of the switch under its own name, or the far end of it is: it may have been plugged the
/// other way before.
fn both_names<'a>(devices: impl IntoIterator<Item = &'a DevName>) -> BTreeSet<DevName> {
    let names = |device: &DevName| [device.clone(), plan::tap_of(device)];
    devices.into_iter().flat_map(names).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_of_the_switch_is_of_its_namespaces_kind() {
        let id = "0a1b2c3d-0000-4000-8000-000000000001";
        let port = |name: &str, namespace: Option<String>| {
            let namespace = namespace.map(|name| NsName::new(name).expect("a name"));
            (DevName::new(name).expect("a name"), namespace)
        };
        let ports: BTreeMap<_, _> = [
            port("tapa", Some(format!("qdhcp-{id}"))),
            // The same id.
            port("qr-b", Some(format!("qrouter-{id}"))),
            port("tapc", Some("another".into())),
            port("tapd", None),
        ]
        .into();
        for (networks, routers, expected) in [
            (true, true, &["qr-b", "tapa", "tapc", "tapd"][..]),
            (true, false, &["tapa"]),
            (false, true, &["qr-b"]),
            (false, false, &[]),
        ] {
            let found = of_kinds(ports.clone(), Kinds { networks, routers });
            let found: Vec<&str> = found.iter().map(DevName::as_str).collect();
            assert_eq!(found, expected, "{networks} {routers}");
        }
    }
}
