//! Our nftables table (family inet): dump -> what can be told of it, and how that differs from a Ruleset.
//!
//! Rules are never compared one by one. With each load the table gets a chain without hook, whose only rule carries the
//! digest of what was loaded as its comment. The kernel numbers all that is made in a table upwards, and that rule is
//! made last: a higher number is of something that somebody added since, and the rules of each chain are counted.

use std::collections::BTreeMap;

use nftables::schema::NfListObject;
use nftables::types::{NfChainPolicy, NfFamily};

use crate::attr::{self, Attributes};
use crate::element::{self, Elements};
use crate::error::{Mistake, Refusal};
use crate::load::digest;
use crate::ruleset::{MapChange, Ruleset};
use crate::wire::{Request, Wire};

/// `NFNL_SUBSYS_NFTABLES`, in the upper byte of the message type.
pub(crate) const SUBSYSTEM: u16 = 10 << 8;

/// Holds the digest; no chain of a Ruleset may be called so.
pub(crate) const DIGEST_CHAIN: &str = "digest";

pub(crate) const FAMILY: NfFamily = NfFamily::INet;

/// `NFPROTO_INET`
const INET: u8 = 1;

const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const GET_TABLE: u16 = SUBSYSTEM | 1;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const GET_RULE: u16 = SUBSYSTEM | 7;

/// Our table as it is. What cannot be told of it shows as a difference, and it is loaded anew.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TableSeen {
    /// What the table was loaded with, if it says so.
    pub digest: Option<String>,
    /// By name.
    pub chains: BTreeMap<String, ChainSeen>,
    /// Those that the Spec names; `None`: it holds what no such map of ours could.
    pub maps: BTreeMap<String, Option<Elements>>,
    /// Switched off as a whole (`flags dormant`), or made since the load.
    pub altered: bool,
}

/// A chain of our table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ChainSeen {
    pub rules: usize,
    /// Of a chain with a hook: whether it lets pass what no rule decides on.
    pub accepts: Option<bool>,
}

/// `nfgenmsg` of our family.
pub(crate) fn header() -> Vec<u8> {
    vec![INET, 0, 0, 0]
}

/// Deletes a whole table of our family, with all that is in it.
pub(crate) fn delete(table: &str) -> Request {
    const NAME: u16 = 1;
    let mut body = header();
    attr::put_text(&mut body, NAME, table);
    Request {
        kind: DELETE_TABLE,
        flags: 0,
        body,
    }
}

/// `None`: there is no such table, or no nftables in the kernel.
pub(crate) fn look(
    wire: &mut Wire,
    table: &str,
    ruleset: Option<&Ruleset>,
) -> Result<Option<TableSeen>, Refusal> {
    const NAME: u16 = 1;
    const FLAGS: u16 = 2;
    let mut body = header();
    attr::put_text(&mut body, NAME, table);
    let flags = match wire.ask(&Request {
        kind: GET_TABLE,
        flags: 0,
        body,
    }) {
        Ok(found) => found
            .and_then(|body| Attributes(body.get(4..)?).be32(FLAGS))
            .unwrap_or(0),
        Err(refusal) if is_nothing(&refusal) => return Ok(None),
        Err(refusal) => return Err(refusal),
    };
    let mut seen = TableSeen {
        altered: flags != 0,
        ..TableSeen::default()
    };
    let Some(ruleset) = ruleset else {
        return Ok(Some(seen));
    };
    let newest = rules(wire, table, &mut seen)?;
    chains(wire, table, newest, &mut seen)?;
    for (name, map) in &ruleset.maps {
        match wire.dump(&element::list(table, name)) {
            Ok(bodies) => {
                seen.maps.insert(name.clone(), element::parse(&bodies, map));
            }
            Err(refusal) if is_nothing(&refusal) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(Some(seen))
}

/// Counts the rules; returns the number of the one with the digest.
fn rules(wire: &mut Wire, table: &str, seen: &mut TableSeen) -> Result<u64, Refusal> {
    const TABLE: u16 = 1;
    const CHAIN: u16 = 2;
    const HANDLE: u16 = 3;
    const USERDATA: u16 = 7;
    let mut body = header();
    attr::put_text(&mut body, TABLE, table);
    let (mut highest, mut of_digest) = (0, 0);
    for body in wire.dump(&Request {
        kind: GET_RULE,
        flags: 0,
        body,
    })? {
        let rule = Attributes(body.get(4..).unwrap_or_default());
        // Kernels before 5.17 do not filter by table when they are asked for all chains.
        let (Some(chain), Some(handle)) = (rule.text(CHAIN), rule.be64(HANDLE)) else {
            continue;
        };
        if rule.text(TABLE) != Some(table) {
            continue;
        }
        seen.chains.entry(chain.to_owned()).or_default().rules += 1;
        highest = highest.max(handle);
        if chain == DIGEST_CHAIN {
            of_digest = handle;
            seen.digest = rule.get(USERDATA).and_then(comment);
        }
    }
    seen.altered |= highest > of_digest;
    Ok(of_digest)
}

fn chains(wire: &mut Wire, table: &str, newest: u64, seen: &mut TableSeen) -> Result<(), Refusal> {
    const TABLE: u16 = 1;
    const HANDLE: u16 = 2;
    const NAME: u16 = 3;
    const POLICY: u16 = 5;
    const ACCEPT: u32 = 1;
    for body in wire.dump(&Request {
        kind: GET_CHAIN,
        flags: 0,
        body: header(),
    })? {
        let chain = Attributes(body.get(4..).unwrap_or_default());
        let Some(name) = chain
            .text(NAME)
            .filter(|_| chain.text(TABLE) == Some(table))
        else {
            continue;
        };
        seen.altered |= chain.be64(HANDLE).is_some_and(|handle| handle > newest);
        seen.chains.entry(name.to_owned()).or_default().accepts =
            chain.be32(POLICY).map(|policy| policy == ACCEPT);
    }
    Ok(())
}

/// User data is a list of (type, length, value) of one byte each; type 0 is the comment, closed by a zero byte.
fn comment(userdata: &[u8]) -> Option<String> {
    let mut left = userdata;
    while let [kind, length, rest @ ..] = left {
        let value = rest.get(..usize::from(*length))?;
        if *kind == 0 {
            let text = value.split(|byte| *byte == 0).next()?;
            return Some(std::str::from_utf8(text).ok()?.to_owned());
        }
        left = rest.get(usize::from(*length)..)?;
    }
    None
}

/// No such thing, or a kernel without nftables, which has none of it either.
fn is_nothing(refusal: &Refusal) -> bool {
    matches!(
        refusal.errno(),
        libc::ENOENT | libc::EOPNOTSUPP | libc::EINVAL | libc::EPROTONOSUPPORT
    )
}

/// Why the table has to be loaded anew; `None`: at most elements differ.
pub(crate) fn difference(ruleset: &Ruleset, seen: Option<&TableSeen>) -> Option<&'static str> {
    let Some(seen) = seen else {
        return Some("it is not there");
    };
    if seen.digest.as_deref() != Some(&digest(ruleset)) {
        return Some("it was loaded with other rules");
    }
    if seen.altered || seen.chains != expected(ruleset) {
        return Some("somebody changed it");
    }
    let mismatch = ruleset
        .maps
        .keys()
        .any(|name| !matches!(seen.maps.get(name), Some(Some(_))));
    mismatch.then_some("somebody changed its maps")
}

/// The chains as they are after a load.
fn expected(ruleset: &Ruleset) -> BTreeMap<String, ChainSeen> {
    let mut chains = BTreeMap::from([(
        DIGEST_CHAIN.to_owned(),
        ChainSeen {
            rules: 1,
            accepts: None,
        },
    )]);
    for object in &ruleset.objects {
        match object {
            NfListObject::Chain(chain) => {
                let accepts = chain
                    .hook
                    .map(|_| chain.policy != Some(NfChainPolicy::Drop));
                chains.entry(chain.name.to_string()).or_default().accepts = accepts;
            }
            NfListObject::Rule(rule) => {
                chains.entry(rule.chain.to_string()).or_default().rules += 1;
            }
            _ => {}
        }
    }
    chains
}

/// Elements that differ, by map. Only of use where `difference` has nothing to say.
pub(crate) fn changes(ruleset: &Ruleset, seen: &TableSeen) -> BTreeMap<String, MapChange> {
    let mut changes = BTreeMap::new();
    for (name, map) in &ruleset.maps {
        let wanted = element::canonical(map);
        let Some(Some(found)) = seen.maps.get(name) else {
            continue;
        };
        // Almost always, and much quicker than looking each one up.
        if wanted.as_ref() == found {
            continue;
        }
        let mut change = MapChange::default();
        for (key, data) in found {
            if wanted.get(key) != Some(data) {
                change.remove.insert(key.clone());
            }
        }
        for (key, data) in wanted.iter() {
            if found.get(key) != Some(data) {
                change.add.insert(key.clone(), data.clone());
            }
        }
        changes.insert(name.clone(), change);
    }
    changes
}

/// Changes elements of maps without ranges, all in one transaction over netlink: no process, and the cost is that of the change.
/// Returns how many messages it took.
pub(crate) fn change(
    wire: &mut Wire,
    table: &str,
    changes: &BTreeMap<String, MapChange>,
) -> (usize, Result<(), Refusal>) {
    let messages: Vec<Request> = changes
        .iter()
        .flat_map(|(map, change)| element::change(table, map, change))
        .collect();
    let count = messages.len();
    (count, wire.transact(&messages))
}

/// A name that also `nft list` and its own language can be used with.
pub(crate) fn is_word(name: &str) -> bool {
    let letters = name
        .bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    letters
        && (1..=31).contains(&name.len())
        && !name.starts_with(|first: char| first.is_ascii_digit())
}

/// Names that nft can read, no objects that are not for here, and all of them in our table.
pub(crate) fn check(table: &str, ruleset: &Ruleset) -> Result<(), Mistake> {
    ruleset
        .maps
        .iter()
        .try_for_each(|(name, map)| element::check(name, map))?;
    for object in &ruleset.objects {
        let (family, in_table, what) = match object {
            NfListObject::Chain(chain) => {
                (chain.family, &chain.table, format!("chain {}", chain.name))
            }
            NfListObject::Rule(rule) => (
                rule.family,
                &rule.table,
                format!("a rule of chain {}", rule.chain),
            ),
            NfListObject::CTHelper(helper) => (
                helper.family,
                &helper.table,
                format!("helper {}", helper.name),
            ),
            _ => {
                let object = "the ruleset".to_owned();
                let why = "has an object that is neither chain nor rule nor helper";
                return Err(Mistake {
                    object,
                    why,
                    instead: "put maps and sets where they belong, leave others out",
                });
            }
        };
        if family != FAMILY || in_table != table {
            let why = "belongs to another table";
            return Err(Mistake {
                object: what,
                why,
                instead: "use family inet and the table that Ownership names",
            });
        }
        if matches!(object, NfListObject::Chain(chain) if chain.name == DIGEST_CHAIN) {
            let why = "has the name of the chain that is made for the digest";
            return Err(Mistake {
                object: what,
                why,
                instead: "call it otherwise",
            });
        }
    }
    Ok(())
}
