//! What we answer ourselves: the names and addresses of a network, and of those that a router joins to it. Pure.
//!
//! A name that we know is answered, with no data where it has none of that type (musl's resolver gives up on
//! REFUSED). A name that we do not know is denied below an authoritative domain and in the own subnets' reverse
//! zones, and is everyone else's business otherwise.

use std::net::IpAddr;

use super::name::{self, Text};
use super::query::{A, AAAA, ANY, Carrier, NS, PTR, Query, SOA, TXT};
use super::reply::{Rcode, Reply};
use crate::model::PortId;
use crate::plan::scope::DnsScope;

#[cfg(test)]
mod tests;

/// What is to be done about a message.
#[derive(Debug)]
pub enum Verdict<'m> {
    /// The reply is written; this is its code.
    Reply(Rcode),
    /// Not ours to answer: ask a forwarder.
    Forward(Query<'m>),
    /// No query: nothing is sent back.
    Silent,
}

/// What a name is to us.
enum Known<'s> {
    /// A host, with its addresses.
    Host(&'s [(PortId, IpAddr)]),
    /// An address (its reverse name), with its name.
    Address(&'s str),
    /// A name that the operator gave a TXT record.
    Text(&'s [u8]),
}

/// Answers one message from the zones of `scope`, into `reply`, whose old content goes.
pub fn answer<'m>(
    scope: &DnsScope,
    message: &'m [u8],
    carrier: Carrier,
    reply: &mut Vec<u8>,
) -> Verdict<'m> {
    let Some(query) = Query::read(message) else {
        return Verdict::Silent;
    };
    let mut reply = Reply::to(&query, reply);
    if let Some(fault) = query.fault() {
        reply.fail(fault);
        return Verdict::Reply(fault);
    }
    let text = Text::of(query.name());
    let name = text.as_str();
    let known = known(scope, name);
    if let Some(known) = &known {
        answer_known(known, query.kind(), &mut reply);
        if reply.answers() > 0 {
            reply.finish(Rcode::NoError, carrier);
            return Verdict::Reply(Rcode::NoError);
        }
    }
    let authority = authority(scope, name);
    let rcode = match (known, &authority) {
        (Some(_), _) => Rcode::NoError,
        (None, Some(authority)) => {
            if authority.apex == 0 {
                answer_apex(scope, authority, query.kind(), &mut reply);
            }
            if authority.exists {
                Rcode::NoError
            } else {
                Rcode::NxDomain
            }
        }
        (None, None) => return Verdict::Forward(query),
    };
    if let (Some(authority), 0) = (authority, reply.answers()) {
        reply.soa(authority.apex, false);
    }
    reply.finish(rcode, carrier);
    Verdict::Reply(rcode)
}

/// Zones are in order: what the own network says of a name, no joined one overrules.
fn known<'s>(scope: &'s DnsScope, name: &str) -> Option<Known<'s>> {
    let zones = &scope.zones;
    if let Some(addresses) = zones.iter().find_map(|zone| zone.names.all(name)) {
        return Some(Known::Host(addresses));
    }
    if let Some(text) = scope.text.as_ref().filter(|text| text.name == name) {
        return Some(Known::Text(&text.data));
    }
    let asked = name::reverse(name).filter(|asked| asked.prefix_len() == asked.max_prefix_len())?;
    let name = zones
        .iter()
        .find_map(|zone| zone.pointers.get(&asked.addr()))?;
    Some(Known::Address(name))
}

fn answer_known(known: &Known<'_>, kind: u16, reply: &mut Reply<'_, '_, '_>) {
    match known {
        Known::Host(claims) => {
            answer_addresses(claims.iter().map(|(_, address)| address), kind, reply);
        }
        Known::Address(name) if matches!(kind, PTR | ANY) => {
            reply.pointer_to(name);
        }
        Known::Text(data) if matches!(kind, TXT | ANY) => reply.answer(0, TXT, data),
        Known::Address(_) | Known::Text(_) => {}
    }
}

fn answer_addresses<'a>(
    addresses: impl IntoIterator<Item = &'a IpAddr>,
    kind: u16,
    reply: &mut Reply<'_, '_, '_>,
) {
    for address in addresses {
        match address {
            IpAddr::V4(v4) if matches!(kind, A | ANY) => {
                reply.answer(0, A, &v4.octets());
            }
            IpAddr::V6(v6) if matches!(kind, AAAA | ANY) => {
                reply.answer(0, AAAA, &v6.octets());
            }
            IpAddr::V4(_) | IpAddr::V6(_) => {}
        }
    }
}

/// A zone that we have the last word on.
struct Authority {
    /// Where it starts in the name asked for; 0: the name is the zone's own.
    apex: usize,
    /// The name is the zone's own, or stands between it and addresses.
    exists: bool,
    /// Its name server has addresses under that very name: ours.
    forward: bool,
}

fn authority(scope: &DnsScope, name: &str) -> Option<Authority> {
    // The longest domain is the nearest; where networks share one, one of them suffices to be the authority.
    let nearest = scope
        .zones
        .iter()
        .filter_map(|zone| Some((name::below(name, &zone.domain)?, !zone.authoritative)))
        .min();
    if let Some((apex, foreign)) = nearest {
        let exists = apex == 0;
        let forward = true;
        return (!foreign).then_some(Authority {
            apex,
            exists,
            forward,
        });
    }
    if !scope.zones.first()?.authoritative {
        return None;
    }
    let asked = name::reverse(name)?;
    let apex = scope
        .clients
        .iter()
        .find_map(|own| name::reverse_zone(name, &asked, own))?;
    Some(Authority {
        apex,
        exists: asked.prefix_len() < asked.max_prefix_len(),
        forward: false,
    })
}

/// The name server of a zone of ours goes by the zone's name: it is us.
fn answer_apex(scope: &DnsScope, authority: &Authority, kind: u16, reply: &mut Reply<'_, '_, '_>) {
    if matches!(kind, SOA | ANY) {
        reply.soa(authority.apex, true);
    }
    if matches!(kind, NS | ANY) {
        reply.name_server(authority.apex);
    }
    if authority.forward {
        answer_addresses(&scope.listen, kind, reply);
    }
}
