//! Ports on Open vSwitch's integration bridge, as Neutron's openvswitch driver makes them (`interface.py:
//! OVSInterfaceDriver`), for the L2 agent to give them their network's VLAN.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use netns::Namespace;
use tokio::time::{Instant, sleep};
use tracing::{debug, warn};

use super::error::Error;
use super::ovsdb::Session;
use super::rows::{self, Fate, NewPort, Seen};
use super::settings::OpenVswitch;
use crate::chain;
use crate::model::{DevName, NsName};

/// ovs-vswitchd is asked how far it is: soon at first, since it mostly takes milliseconds.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(100);
/// A device that could not be moved, or whose hardware address did not stay, is tried again after this.
const TRY_AGAIN: Duration = Duration::from_secs(1);

/// One piece of work on the bridge, over one connection.
#[derive(Debug)]
pub(super) struct Switch<'a> {
    settings: &'a OpenVswitch,
    session: Session,
}

impl<'a> Switch<'a> {
    pub(super) async fn connect(settings: &'a OpenVswitch) -> Result<Self, Error> {
        let session = Session::connect(&settings.database, settings.timeout).await?;
        Ok(Self { settings, session })
    }

    /// The bridge must be there; a port need not.
    pub(super) async fn look(&mut self, names: &BTreeSet<DevName>) -> Result<Seen, Error> {
        let asked = rows::look(&self.settings.bridge, names);
        let mut rows = self.session.transact(&asked).await?;
        let seen = rows::seen(names, &mut rows);
        if seen.bridge {
            Ok(seen)
        } else {
            Err(self.no_bridge())
        }
    }

    /// From now on these are not ours.
    pub(super) async fn disown(&mut self, ports: &BTreeSet<DevName>) -> Result<(), Error> {
        if !ports.is_empty() {
            self.session.transact(&rows::disown(ports)).await?;
        }
        Ok(())
    }

    /// Removes ports by name, from any bridge; those that are not there are fine.
    pub(super) async fn unplug(&mut self, names: &BTreeSet<DevName>) -> Result<(), Error> {
        let asked = rows::look(&self.settings.bridge, names);
        let mut rows = self.session.transact(&asked).await?;
        match self.remove(&rows::seen(names, &mut rows)).await? {
            Some(configuration) => self.settled(configuration).await,
            None => Ok(()),
        }
    }

    /// Makes ports anew, and waits for what ovs-vswitchd says to each. A port that failed is removed again.
    ///
    /// # Errors
    /// None could be made; the errors in the answer tell of single ones.
    pub(super) async fn plug(
        &mut self,
        ports: &[NewPort],
    ) -> Result<BTreeMap<DevName, Error>, Error> {
        let names: BTreeSet<DevName> = ports.iter().map(|port| port.name.clone()).collect();
        // Old ones in a transaction of their own, and done with: within one ovs-vswitchd would see the same port, and
        // not make its device again.
        let old = self.look(&names).await?;
        if let Some(configuration) = self.remove(&old).await? {
            self.settled(configuration).await?;
        }
        let mut rows = self
            .session
            .transact(&rows::add(&self.settings.bridge, ports))
            .await?;
        let configuration = rows::added(ports.len(), &mut rows).ok_or_else(|| self.no_bridge())?;
        if let Err(error) = self.settled(configuration).await {
            self.take_back(&names).await;
            return Err(error);
        }
        let new = self.look(&names).await?;
        let mut failed = BTreeMap::new();
        for name in names {
            let fate = new.ports.get(&name).map(|port| &port.fate);
            let why = match fate.unwrap_or(&Fate::Unknown) {
                Fate::Works => continue,
                Fate::Unknown => None,
                Fate::Failed(why) => why.clone(),
            };
            let error = Error::Refused {
                device: name.clone(),
                bridge: self.settings.bridge.clone(),
                why: why.unwrap_or_else(|| "nothing; its log may".into()),
            };
            failed.insert(name, error);
        }
        self.take_back(&failed.keys().cloned().collect()).await;
        Ok(failed)
    }

    /// Waits for the device of a new internal port, and moves it from `home` to where it belongs. If that fails, the port
    /// is removed again.
    pub(super) async fn deliver(
        &mut self,
        port: &NewPort,
        home: &Namespace,
        to: &Namespace,
    ) -> Result<(), Error> {
        let delivered = self.moved(port, home, to).await;
        if delivered.is_err() {
            self.take_back(&[port.name.clone()].into()).await;
        }
        delivered
    }

    async fn moved(&self, port: &NewPort, home: &Namespace, to: &Namespace) -> Result<(), Error> {
        let until = Instant::now() + self.settings.timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let (pause, error) = match netns::give(home, &port.name, port.mac, to).await {
                Ok(true) => return Ok(()),
                Ok(false) => {
                    let (device, waited) = (port.name.clone(), self.settings.timeout);
                    pause = LONGEST_PAUSE.min(2 * pause);
                    (pause, Error::NoDevice { device, waited })
                }
                Err(error) => (TRY_AGAIN, Error::Kernel(error)),
            };
            if Instant::now() + pause > until {
                return Err(error);
            }
            debug!(port = %port.id, dev = %port.name, error = %chain(&error), "not moved yet");
            sleep(pause).await;
        }
    }

    /// After an error, which is the one to tell. Not waited for: ovs-vswitchd may be the one that does not work.
    async fn take_back(&mut self, names: &BTreeSet<DevName>) {
        if names.is_empty() {
            return;
        }
        let taken = match self.look(names).await {
            Ok(seen) => self.remove(&seen).await.map(|_| ()),
            Err(error) => Err(error),
        };
        if let Err(error) = taken {
            warn!(error = %chain(&error), "a port that could not be used stays in Open vSwitch; it is replaced when it is tried again");
        }
    }

    pub(super) async fn ours(&mut self) -> Result<BTreeMap<DevName, Option<NsName>>, Error> {
        let mut rows = self.session.transact(&rows::look_for_ours()).await?;
        Ok(rows::ours(&mut rows))
    }

    /// Answers what to wait for, if anything.
    async fn remove(&mut self, seen: &Seen) -> Result<Option<i64>, Error> {
        if seen.ports.is_empty() {
            return Ok(None);
        }
        let uuids = seen.ports.values().map(|port| port.uuid.as_str());
        let mut rows = self.session.transact(&rows::remove(uuids)).await?;
        Ok(Some(rows::removed(seen.ports.len(), &mut rows)))
    }

    /// Until ovs-vswitchd has done what belongs to this configuration.
    async fn settled(&mut self, configuration: i64) -> Result<(), Error> {
        let until = Instant::now() + self.settings.timeout;
        let mut pause = FIRST_PAUSE;
        loop {
            let mut rows = self
                .session
                .transact(&rows::look_at_configuration())
                .await?;
            if rows::current_configuration(&mut rows) >= configuration {
                return Ok(());
            }
            if Instant::now() + pause > until {
                return Err(Error::NotDone {
                    waited: self.settings.timeout,
                });
            }
            sleep(pause).await;
            pause = LONGEST_PAUSE.min(2 * pause);
        }
    }

    fn no_bridge(&self) -> Error {
        Error::NoBridge {
            bridge: self.settings.bridge.clone(),
        }
    }
}
