//! Policy rules: dump -> word, step -> request.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use rtnetlink::packet_core::{NLM_F_CREATE, NLM_F_EXCL, Parseable};
use rtnetlink::packet_route::route::RouteProtocol;
use rtnetlink::packet_route::rule::{RuleAction, RuleAttribute, RuleFlags, RuleMessage};
use rtnetlink::packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::error::Refusal;
use crate::spec::Rule;
use crate::wire::Request;

/// A rule of ours that the kernel holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSeen {
    pub rule: Rule,
    /// It says more than a [`Rule`] can (a mark, an interface): never what a Spec means.
    pub odd: bool,
    /// As the kernel told it, to be deleted exactly.
    body: Vec<u8>,
}

pub(crate) fn list(family: AddressFamily) -> Request {
    let mut message = RuleMessage::default();
    message.header.family = family;
    Request::new(&RouteNetlinkMessage::GetRule(message), 0)
}

/// `None`: not of this protocol, so not ours.
pub(crate) fn parse(body: &[u8], protocol: u8) -> Result<Option<RuleSeen>, Refusal> {
    let message = RuleMessage::parse(body).map_err(std::io::Error::other)?;
    let everything = if message.header.family == AddressFamily::Inet6 {
        IpAddr::from(Ipv6Addr::UNSPECIFIED)
    } else {
        IpAddr::from(Ipv4Addr::UNSPECIFIED)
    };
    let (mut from, mut to, mut ours) = (everything, everything, false);
    let mut rule = Rule {
        priority: 0,
        from: None,
        to: None,
        table: u32::from(message.header.table),
    };
    let mut odd = message.header.action != RuleAction::ToTable
        || message.header.tos != 0
        || message.header.flags.contains(RuleFlags::Invert);
    for attribute in &message.attributes {
        match attribute {
            RuleAttribute::Source(address) => from = *address,
            RuleAttribute::Destination(address) => to = *address,
            RuleAttribute::Priority(priority) => rule.priority = *priority,
            RuleAttribute::Table(table) => rule.table = *table,
            RuleAttribute::Protocol(found) => ours = u8::from(*found) == protocol,
            RuleAttribute::FwMark(_)
            | RuleAttribute::FwMask(_)
            | RuleAttribute::TunId(_)
            | RuleAttribute::L3MDev(true)
            | RuleAttribute::Iifname(_)
            | RuleAttribute::Oifname(_)
            | RuleAttribute::IpProtocol(_)
            | RuleAttribute::SourcePortRange(_)
            | RuleAttribute::DestinationPortRange(_)
            | RuleAttribute::UidRange(_) => odd = true,
            _ => {}
        }
    }
    let prefix = |address, length| IpNet::new(address, length).ok().filter(|_| length > 0);
    rule.from = prefix(from, message.header.src_len);
    rule.to = prefix(to, message.header.dst_len);
    // A rule for everything tells its family by nothing else, and the word for it means IPv4.
    odd |= rule.from.is_none() && rule.to.is_none() && everything.is_ipv6();
    Ok(ours.then(|| RuleSeen {
        rule,
        odd,
        body: body.to_vec(),
    }))
}

pub(crate) fn add(rule: &Rule, protocol: u8) -> Request {
    let mut message = RuleMessage::default();
    message.header.family = match rule.from.or(rule.to) {
        Some(IpNet::V6(_)) => AddressFamily::Inet6,
        Some(IpNet::V4(_)) | None => AddressFamily::Inet,
    };
    message.header.action = RuleAction::ToTable;
    message.header.src_len = rule.from.map_or(0, |net| net.prefix_len());
    message.header.dst_len = rule.to.map_or(0, |net| net.prefix_len());
    message
        .attributes
        .extend(rule.from.map(|net| RuleAttribute::Source(net.network())));
    message
        .attributes
        .extend(rule.to.map(|net| RuleAttribute::Destination(net.network())));
    message
        .attributes
        .push(RuleAttribute::Priority(rule.priority));
    message.attributes.push(RuleAttribute::Table(rule.table));
    message
        .attributes
        .push(RuleAttribute::Protocol(RouteProtocol::from(protocol)));
    Request::new(
        &RouteNetlinkMessage::NewRule(message),
        NLM_F_CREATE | NLM_F_EXCL,
    )
}

/// `ip rule flush` does the same: what the dump said, back as a deletion.
pub(crate) fn delete(seen: &RuleSeen) -> Request {
    let kind = Request::new(&RouteNetlinkMessage::DelRule(RuleMessage::default()), 0).kind;
    Request {
        kind,
        flags: 0,
        body: seen.body.clone(),
    }
}

/// As the kernel would tell it.
pub(crate) fn canonical(rule: &Rule) -> Rule {
    let whole = |net: IpNet| Some(net.trunc()).filter(|net| net.prefix_len() > 0);
    Rule {
        from: rule.from.and_then(whole),
        to: rule.to.and_then(whole),
        ..rule.clone()
    }
}
