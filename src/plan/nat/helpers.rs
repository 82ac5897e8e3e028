//! Conntrack helpers (extension `conntrack_helper`): objects of our table, assigned to new connections by their port.

use std::collections::BTreeSet;

use nftables::schema::{CTHelper, NfListObject};
use nftables::stmt::{Operator, Statement};
use nftables::types::{NfChainType, NfFamily, NfHook};

use super::words::{Table, compare, number, payload};
use crate::model::{ConntrackHelper, Protocol, Router};
use crate::plan::{MARK, Settings};

pub(super) fn assign(table: &mut Table, router: &Router, settings: &Settings) {
    let helpers: BTreeSet<&ConntrackHelper> = router
        .conntrack_helpers
        .iter()
        .filter(|wanted| is_there(wanted, settings))
        .collect();
    if helpers.is_empty() {
        return;
    }
    let kinds: BTreeSet<_> = helpers.iter().map(|of| (&of.helper, of.protocol)).collect();
    for (helper, protocol) in kinds {
        table.0.push(NfListObject::CTHelper(CTHelper {
            family: NfFamily::INet,
            table: MARK.into(),
            name: object(helper, protocol).into(),
            handle: None,
            _type: helper.clone().into(),
            protocol: Some(protocol.name().into()),
            l3proto: None,
        }));
    }
    // Behind the look-up of the connection (-200), before its translation.
    table.chain("helpers", NfChainType::Filter, NfHook::Prerouting, -150);
    for of in helpers {
        let port = payload(of.protocol.name(), "dport");
        let to_port = compare(port, Operator::EQ, number(of.port));
        let helper = Statement::CTHelper(object(&of.helper, of.protocol).into());
        table.rule("helpers", [to_port, helper]);
    }
}

/// The kernel has it, and so the table can be loaded with it.
pub(in crate::plan) fn is_there(wanted: &ConntrackHelper, settings: &Settings) -> bool {
    let kind = (wanted.helper.clone(), wanted.protocol);
    settings.conntrack_helpers.contains(&kind)
}

fn object(helper: &str, protocol: Protocol) -> String {
    format!("{}_{}", helper.replace('-', "_"), protocol.name())
}
