//! One stay of a worker thread inside of a namespace: the netlink sockets that it holds there, and in the namespaces
//! that pairs of devices lead to.

use std::collections::BTreeMap;
use std::io;
use std::sync::MutexGuard;
use std::time::Duration;

use crate::error::Error;
use crate::namespace::Namespace;
use crate::spec::Place;
use crate::sysctl::Settings;
use crate::wire::Wire;

/// Sockets of one stay; closed with it.
pub(crate) struct Stay {
    namespace: Namespace,
    pub(crate) route: Wire,
    netfilter: Option<Wire>,
    elsewhere: BTreeMap<Place, Option<Elsewhere>>,
    /// Messages that changed (or tried to change) something, and written sysctls.
    pub(crate) writes: usize,
}

/// Another namespace, as needed for the far ends of pairs.
pub(crate) struct Elsewhere {
    pub(crate) namespace: Namespace,
    pub(crate) wire: Wire,
}

impl Stay {
    /// On a worker thread that is inside of `namespace`.
    pub(crate) fn begin(namespace: &Namespace) -> Result<Self, Error> {
        let failed = |source| Error::Socket {
            place: namespace.place().clone(),
            what: "netlink".into(),
            source,
        };
        let route = Wire::route().map_err(failed)?;
        Ok(Self {
            namespace: namespace.clone(),
            route,
            netfilter: None,
            elsewhere: BTreeMap::new(),
            writes: 0,
        })
    }

    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        self.namespace.settings()
    }

    pub(crate) fn place(&self) -> &Place {
        self.namespace.place()
    }

    /// Time that the kernel took for all that was asked of it here.
    pub(crate) fn in_kernel(&self) -> Duration {
        let netfilter = self.netfilter.iter();
        let elsewhere = self.elsewhere.values().flatten().map(|there| &there.wire);
        let wires = netfilter.chain(elsewhere).map(|wire| wire.in_kernel);
        self.route.in_kernel + wires.sum::<Duration>()
    }

    /// Opened when first asked for.
    pub(crate) fn netfilter(&mut self) -> io::Result<&mut Wire> {
        match &mut self.netfilter {
            Some(wire) => Ok(wire),
            none => Ok(none.insert(Wire::netfilter()?)),
        }
    }

    /// Opened once per stay; `None`: there is no such namespace.
    pub(crate) fn elsewhere(&mut self, place: &Place) -> Result<Option<&mut Elsewhere>, Error> {
        if !self.elsewhere.contains_key(place) {
            let opened = self.open(place)?;
            self.elsewhere.insert(place.clone(), opened);
        }
        Ok(self.elsewhere.get_mut(place).and_then(Option::as_mut))
    }

    fn open(&self, place: &Place) -> Result<Option<Elsewhere>, Error> {
        let namespace = match place {
            Place::Home => Namespace::home()?,
            Place::Named(name) => match Namespace::open(name)? {
                Some(namespace) => namespace,
                None => return Ok(None),
            },
        };
        let failed = |source| Error::Socket {
            place: place.clone(),
            what: "netlink".into(),
            source,
        };
        let wire = namespace
            .detour(&self.namespace, Wire::route)?
            .map_err(failed)?;
        Ok(Some(Elsewhere { namespace, wire }))
    }
}
