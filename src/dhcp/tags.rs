//! Which tags a client has: those that dnsmasq gives without being told, and those that the operator's rules give.

use super::codes;
use super::request::{Ask, Request};
use crate::model::{DhcpTag, When, begins};

/// `known`: its port is known.
pub(super) fn tags<'a>(rules: &'a [DhcpTag], request: &Request<'_>, known: bool) -> Vec<&'a str> {
    let is_ipxe = request.option(codes::IPXE).is_some();
    let mut present: Vec<&str> = [
        ("ipxe", is_ipxe),
        ("known", known),
        ("bootp", request.ask == Ask::Bootp),
    ]
    .into_iter()
    .filter_map(|(tag, holds)| holds.then_some(tag))
    .collect();
    for rule in rules {
        let holds = match &rule.when {
            When::Says { code, sought } => {
                let value = request.option(*code);
                value.is_some_and(|value| sought.is_in(value))
            }
            When::Says6 { .. } | When::Class6 { .. } => false,
            When::Mac(start) => begins(&request.mac().0, start),
            When::Tagged(tags) => tags.iter().all(|tag| tag.holds(&present)),
        };
        if holds {
            present.push(&rule.name);
        }
    }
    present
}
