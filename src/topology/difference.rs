//! What to say to get from one state to another.

use std::sync::Arc;

use crate::model::{Event, Network, PortId, State};

/// Events that turn `old` into `new`: first what goes, so that what comes finds its addresses free. Networks go last,
/// when nothing refers to them any more. A network whose ports alone differ is said port by port.
pub fn events(old: &State, new: &State) -> Vec<Event> {
    let mut events = Vec::new();
    let gone = old
        .routers
        .keys()
        .filter(|id| !new.routers.contains_key(*id));
    events.extend(gone.map(|id| Event::RouterGone(*id)));
    let gone = old
        .instances
        .keys()
        .filter(|id| !new.instances.contains_key(*id));
    events.extend(gone.map(|id| Event::InstanceGone(id.clone())));
    for (id, network) in &new.networks {
        match old.networks.get(id) {
            Some(known) if known == network => {}
            Some(known) if known.same_but_ports(network) => ports(known, network, &mut events),
            _ => events.push(Event::Network(Arc::clone(network))),
        }
    }
    let changed = new
        .instances
        .values()
        .filter(|instance| old.instances.get(&instance.id) != Some(instance));
    events.extend(changed.map(|instance| Event::Instance(Arc::clone(instance))));
    let changed = new
        .routers
        .values()
        .filter(|router| old.routers.get(&router.id) != Some(router));
    events.extend(changed.map(|router| Event::Router(Arc::clone(router))));
    let gone = old
        .networks
        .keys()
        .filter(|id| !new.networks.contains_key(*id));
    events.extend(gone.map(|id| Event::NetworkGone(*id)));
    events
}

fn ports(old: &Network, new: &Network, events: &mut Vec<Event>) {
    let gone = old
        .ports
        .keys()
        .filter(|id: &&PortId| !new.ports.contains_key(*id));
    events.extend(gone.map(|id| Event::PortGone(old.id, *id)));
    let changed = new
        .ports
        .values()
        .filter(|port| old.ports.get(&port.id) != Some(port));
    events.extend(changed.map(|port| Event::Port(Arc::clone(port))));
}
