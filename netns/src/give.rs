//! Devices that are made in one namespace (a switch makes its ports where it lives) and belong in another.

use std::io;

use crate::error::{Error, Refusal};
use crate::link;
use crate::names::{DevName, MacAddr};
use crate::namespace::Namespace;
use crate::stay::Stay;
use crate::step::Step;

/// Moves a device from `from` into `to`, with this hardware address; `false`: there is no such device in `from` (yet).
///
/// What it shall be beyond that is said in the Spec of `to` ([`LinkKind::Given`](crate::spec::LinkKind::Given)).
pub async fn give(
    from: &Namespace,
    dev: &DevName,
    mac: MacAddr,
    to: &Namespace,
) -> Result<bool, Error> {
    let (inside, dev, to) = (from.clone(), dev.clone(), to.clone());
    from.run(move || move_one(&mut Stay::begin(&inside)?, &dev, mac, &to))
        .await
}

fn move_one(stay: &mut Stay, dev: &DevName, mac: MacAddr, to: &Namespace) -> Result<bool, Error> {
    let Some(index) = address(stay, dev, mac)? else {
        return Ok(false);
    };
    let moved = stay.route.ask(&link::give(index, to));
    moved.map(|_| true).map_err(|source| Error::Give {
        dev: dev.clone(),
        from: stay.place().clone(),
        to: to.place().clone(),
        source,
    })
}

/// The device's index, once it has this hardware address. Looked at again, for who made it may set another meanwhile.
fn address(stay: &mut Stay, dev: &DevName, mac: MacAddr) -> Result<Option<u32>, Error> {
    let Some(before) = look(stay, dev)? else {
        return Ok(None);
    };
    if before.mac == Some(mac) {
        return Ok(Some(before.index));
    }
    let failed = |place, source| Error::Step {
        place,
        step: Box::new(Step::SetMac {
            dev: dev.clone(),
            mac,
        }),
        source,
    };
    if let Err(refusal) = stay.route.ask(&link::mac(before.index, mac)) {
        return Err(failed(stay.place().clone(), refusal));
    }
    match look(stay, dev)? {
        Some(after) if after.mac == Some(mac) => Ok(Some(after.index)),
        Some(_) => {
            let refusal = io::Error::other("something else set it back").into();
            Err(failed(stay.place().clone(), refusal))
        }
        None => Ok(None),
    }
}

fn look(stay: &mut Stay, dev: &DevName) -> Result<Option<link::LinkSeen>, Error> {
    let seen: Result<_, Refusal> = match stay.route.ask(&link::get(dev)) {
        Ok(Some(body)) => link::parse(&body).map(|found| found.map(|(_, seen)| seen)),
        Ok(None) => Ok(None),
        Err(refusal) if refusal.errno() == libc::ENODEV => Ok(None),
        Err(refusal) => Err(refusal),
    };
    seen.map_err(|source| Error::Look {
        place: stay.place().clone(),
        what: "devices",
        source,
    })
}
