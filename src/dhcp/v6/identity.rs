//! What a client's identity associations get (section 18.3), and how that is written.

use std::net::Ipv6Addr;

use super::codes::{self, Status};
use super::reply::Writer;
use super::request::{Ask, Association, Named};
use super::wire::put;

/// A lease is at least so long, whatever the client wishes: dnsmasq's least.
const SHORTEST_LEASE: u32 = 120;
/// For ever (section 7.7).
const INFINITE: u32 = u32::MAX;

/// For one association.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) given: Vec<Ipv6Addr>,
    /// Not to be used any more.
    pub(super) gone: Vec<Ipv6Addr>,
    pub(super) status: Option<Status>,
}

/// Which of a client's addresses each association may have: those that it names, and the first also what no other names.
pub(super) fn allot(
    mut left: Vec<Ipv6Addr>,
    associations: &[Association<'_>],
) -> Vec<Vec<Ipv6Addr>> {
    let is_ours = |association: &Association<'_>| association.code == codes::IA_NA;
    let mut shares: Vec<Vec<Ipv6Addr>> = associations
        .iter()
        .map(|association| {
            let named = |ip: &mut Ipv6Addr| {
                is_ours(association) && association.named().any(|named| named.address == *ip)
            };
            left.extract_if(.., named).collect()
        })
        .collect();
    if let Some(first) = associations.iter().position(is_ours) {
        shares[first].append(&mut left);
    }
    shares
}

/// What is said to one association. `share`: the addresses that it may have; `on_link`: where the client is.
pub(super) fn judge(
    ask: Ask,
    association: &Association<'_>,
    share: Vec<Ipv6Addr>,
    on_link: impl Fn(Ipv6Addr) -> bool,
) -> Verdict {
    let refused = |status| Verdict {
        status: Some(status),
        ..Verdict::default()
    };
    let goes_on = matches!(ask, Ask::Renew | Ask::Rebind);
    match association.code {
        codes::IA_NA => {}
        _ if goes_on => return refused(Status::NoBinding),
        codes::IA_PD => return refused(Status::NoPrefixAvail),
        _ => return refused(Status::NoAddrsAvail),
    }
    let named = || association.named().map(|named| named.address);
    if goes_on {
        // Who has an address that is not its own, or not of this link, is told so, and which it has instead.
        let wrong = |ip: &Ipv6Addr| !share.contains(ip) && (!share.is_empty() || !on_link(*ip));
        let gone: Vec<_> = named().filter(wrong).collect();
        return match (share.is_empty() && gone.is_empty(), ask) {
            (false, _) => Verdict {
                given: share,
                gone,
                status: None,
            },
            (true, Ask::Renew) => refused(Status::NoBinding),
            (true, _) => refused(Status::NoAddrsAvail),
        };
    }
    let asks_for_others =
        ask == Ask::Request && named().next().is_some() && !named().any(|ip| share.contains(&ip));
    if asks_for_others && !named().all(on_link) {
        return refused(Status::NotOnLink);
    }
    if asks_for_others || share.is_empty() {
        return refused(Status::NoAddrsAvail);
    }
    Verdict {
        given: share,
        ..Verdict::default()
    }
}

/// Writes one association as judged. `lease` in seconds.
pub(super) fn write(
    out: &mut Writer,
    association: &Association<'_>,
    verdict: &Verdict,
    lease: u32,
) {
    let given = verdict.given.iter().map(|ip| {
        let (preferred, valid) = lifetimes(lease, association.wish(*ip));
        (*ip, preferred, valid)
    });
    let shortest = given.clone().map(|(_, preferred, _)| preferred).min();
    let gone = verdict.gone.iter().map(|ip| (*ip, 0, 0));
    out.option(association.code, |out| {
        out.extend(association.id);
        if association.code != codes::IA_TA {
            let [renew, rebind] = times(shortest.unwrap_or(0));
            out.extend(renew.to_be_bytes());
            out.extend(rebind.to_be_bytes());
        }
        for (ip, preferred, valid) in given.chain(gone) {
            put(out, codes::IA_ADDRESS, |out| {
                out.extend(ip.octets());
                out.extend(preferred.to_be_bytes());
                out.extend(valid.to_be_bytes());
            });
        }
        if let Some(status) = verdict.status {
            put(out, codes::STATUS, |out| put_status(status, out));
        }
    });
}

/// The value of a status option.
pub(super) fn put_status(status: Status, out: &mut Vec<u8>) {
    out.extend((status as u16).to_be_bytes());
    out.extend(status.text().as_bytes());
}

/// Preferred and valid: the lease, or what the client would rather have if that is shorter.
fn lifetimes(lease: u32, wish: Option<Named>) -> (u32, u32) {
    let of = |wish: u32| match wish {
        0 => lease,
        wish => lease.min(wish.max(SHORTEST_LEASE)),
    };
    let valid = wish.map_or(lease, |wish| of(wish.valid));
    let preferred = wish.map_or(lease, |wish| of(wish.preferred));
    (preferred.min(valid), valid)
}

/// T1 and T2, as for IPv4: 1/2 and 7/8.
fn times(preferred: u32) -> [u32; 2] {
    match preferred {
        INFINITE => [INFINITE; 2],
        seconds => [seconds / 2, seconds - seconds.div_ceil(8)],
    }
}
