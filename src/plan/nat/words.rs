//! Sentences of nftables in the words of its JSON schema: short names for the few that a router's table needs.

use std::borrow::Cow;
use std::net::IpAddr;

use nftables::expr::{
    BinaryOperation, CT, Expression, Meta, MetaKey, NamedExpression, Payload, PayloadField,
};
use nftables::schema::{Chain, NfListObject, Rule};
use nftables::stmt::{Mangle, Match, NAT, NATFamily, Operator, Statement};
use nftables::types::{NfChainType, NfFamily, NfHook};

use crate::plan::MARK;

pub(super) type Expr = Expression<'static>;
pub(super) type Stmt = Statement<'static>;

/// Neutron's half of the packet mark; the other is for address scopes.
const LOW_HALF: u32 = 0xffff;
const HIGH_HALF: u32 = !LOW_HALF;

/// Chains and rules in the order in which they are loaded.
#[derive(Default)]
pub(super) struct Table(pub(super) Vec<NfListObject<'static>>);

impl Table {
    pub(super) fn chain(
        &mut self,
        name: &'static str,
        kind: NfChainType,
        hook: NfHook,
        priority: i32,
    ) {
        let chain = Chain {
            _type: Some(kind),
            hook: Some(hook),
            prio: Some(priority),
            ..Chain::default()
        };
        let place = Chain {
            family: NfFamily::INet,
            table: MARK.into(),
            name: name.into(),
            ..chain
        };
        self.0.push(NfListObject::Chain(place));
    }

    pub(super) fn rule<const N: usize>(&mut self, chain: &'static str, statements: [Stmt; N]) {
        let expr = Cow::Owned(Vec::from(statements));
        let rule = Rule {
            family: NfFamily::INet,
            table: MARK.into(),
            chain: chain.into(),
            expr,
            ..Rule::default()
        };
        self.0.push(NfListObject::Rule(rule));
    }
}

pub(super) fn from(device: &str) -> Stmt {
    compare(meta(MetaKey::Iifname), Operator::EQ, text(device))
}

pub(super) fn to(address: IpAddr) -> Stmt {
    let family = match address {
        IpAddr::V4(_) => "ip",
        IpAddr::V6(_) => "ip6",
    };
    compare(
        payload(family, "daddr"),
        Operator::EQ,
        text(address.to_string()),
    )
}

pub(super) fn tcp_port(port: u16) -> Stmt {
    compare(payload("tcp", "dport"), Operator::EQ, number(port))
}

pub(super) fn is_v4() -> Stmt {
    compare(meta(MetaKey::Nfproto), Operator::EQ, text("ipv4"))
}

pub(super) fn is_v6() -> Stmt {
    compare(meta(MetaKey::Nfproto), Operator::EQ, text("ipv6"))
}

/// The key is (`EQ`), or is not (`NEQ`), in this set.
pub(super) fn in_set(key: Expr, operator: Operator, set: &'static str) -> Stmt {
    compare(key, operator, text(format!("@{set}")))
}

/// The low half of the mark is (or is not) this.
pub(super) fn marked(value: u32, operator: Operator) -> Stmt {
    let low = BinaryOperation::AND(meta(MetaKey::Mark), Expression::Number(LOW_HALF));
    compare(
        Expression::BinaryOperation(Box::new(low)),
        operator,
        Expression::Number(value),
    )
}

/// Sets the low half of the mark and keeps the high one, which is for address scopes.
pub(super) fn set_mark(value: u32) -> Stmt {
    set_part(HIGH_HALF, value)
}

/// Sets the high half and keeps the low one.
pub(super) fn set_high(value: u32) -> Stmt {
    set_part(LOW_HALF, value)
}

fn set_part(kept: u32, value: u32) -> Stmt {
    let kept = BinaryOperation::AND(meta(MetaKey::Mark), Expression::Number(kept));
    let both = BinaryOperation::OR(vec![
        Expression::BinaryOperation(Box::new(kept)),
        Expression::Number(value),
    ]);
    set(
        meta(MetaKey::Mark),
        Expression::BinaryOperation(Box::new(both)),
    )
}

pub(super) fn set(key: Expr, value: Expr) -> Stmt {
    Statement::Mangle(Mangle { key, value })
}

/// The high half of a mark.
pub(super) fn high(mark: Expr) -> Expr {
    let high = BinaryOperation::AND(mark, Expression::Number(HIGH_HALF));
    Expression::BinaryOperation(Box::new(high))
}

/// Of the connection that the packet is of.
pub(super) fn connection_mark() -> Expr {
    connection("mark")
}

fn connection(key: &'static str) -> Expr {
    Expression::Named(NamedExpression::CT(CT {
        key: key.into(),
        family: None,
        dir: None,
    }))
}

/// `EQ`: the connection's destination was not translated; `NEQ`: it was.
pub(super) fn dnated(compared_with_none: Operator) -> Stmt {
    let dnat = BinaryOperation::AND(connection("status"), text("dnat"));
    compare(
        Expression::BinaryOperation(Box::new(dnat)),
        compared_with_none,
        Expression::Number(0),
    )
}

pub(super) fn compare(left: Expr, op: Operator, right: Expr) -> Stmt {
    Statement::Match(Match { left, right, op })
}

pub(super) fn look_up(key: Expr, map: &'static str) -> Expr {
    let data = text(format!("@{map}"));
    Expression::Named(NamedExpression::Map(Box::new(nftables::expr::Map {
        key,
        data,
    })))
}

pub(super) fn concat<const N: usize>(parts: [Expr; N]) -> Expr {
    Expression::Named(NamedExpression::Concat(Vec::from(parts)))
}

pub(super) fn payload(protocol: &'static str, field: &'static str) -> Expr {
    let field = PayloadField {
        protocol: protocol.into(),
        field: field.into(),
    };
    Expression::Named(NamedExpression::Payload(Payload::PayloadField(field)))
}

pub(super) fn meta(key: MetaKey) -> Expr {
    Expression::Named(NamedExpression::Meta(Meta { key }))
}

pub(super) fn text(value: impl Into<String>) -> Expr {
    Expression::String(Cow::Owned(value.into()))
}

pub(super) fn number(value: u16) -> Expr {
    Expression::Number(value.into())
}

pub(super) fn nat() -> NAT<'static> {
    NAT {
        addr: None,
        family: None,
        port: None,
        flags: None,
    }
}

pub(super) fn nat_v4() -> NAT<'static> {
    NAT {
        family: Some(NATFamily::IP),
        ..nat()
    }
}
