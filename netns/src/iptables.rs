//! Rules that another program left, by way of iptables: found by how its chains are named, and taken away.
//!
//! `iptables` of today writes nftables: its tables are ordinary ones, in the families ip and ip6, and go in one transaction.
//! The older kind (`iptables-legacy`) has tables of its own, which only its own programs write: see `legacy.rs`.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;

use crate::attr::{self, Attributes};
use crate::error::{Error, Refusal};
use crate::legacy;
use crate::namespace::Namespace;
use crate::nft::SUBSYSTEM;
use crate::stay::Stay;
use crate::wire::{Request, Wire};

const DELETE_TABLE: u16 = SUBSYSTEM | 2;
const GET_CHAIN: u16 = SUBSYSTEM | 4;
const DELETE_CHAIN: u16 = SUBSYSTEM | 5;
const GET_RULE: u16 = SUBSYSTEM | 7;
const DELETE_RULE: u16 = SUBSYSTEM | 8;

/// Whose packets a table is for; as numbers `NFPROTO_IPV4`, `NFPROTO_IPV6`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    V4 = 2,
    V6 = 10,
}

impl Family {
    pub const ALL: [Self; 2] = [Self::V4, Self::V6];
}

/// Whose chains are looked for.
#[derive(Debug, Clone, Copy)]
pub struct Names {
    /// How the names of its chains begin.
    pub prefixes: &'static [&'static str],
    /// Chains that it shares with its kind: they are its as long as nothing but its own chains is reached by them.
    pub shared: &'static [&'static str],
}

/// What there is of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    pub chains: usize,
    /// In these chains.
    pub rules: usize,
    /// Those of them that translate, as they are written: bytes of netlink, or text.
    translating: Vec<Vec<u8>>,
    /// Its chains that have rules.
    filled: BTreeSet<(TableKey, String)>,
}

impl Found {
    pub fn is_nothing(&self) -> bool {
        self.chains == 0
    }

    /// Whether a rule that translates addresses has this one in it.
    pub fn translates(&self, address: Ipv4Addr) -> bool {
        let octets = address.octets();
        let text = address.to_string();
        self.translating.iter().any(|rule| {
            let in_bytes = rule.windows(4).any(|window| window == octets);
            let words = rule.split(|byte| !byte.is_ascii_digit() && *byte != b'.');
            in_bytes || words.into_iter().any(|word| word == text.as_bytes())
        })
    }

    /// Whether this chain of its has rules.
    pub fn has_rules_in(&self, family: Family, table: &str, chain: &str) -> bool {
        let key = ((family as u8, table.to_owned()), chain.to_owned());
        self.filled.contains(&key)
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.chains += other.chains;
        self.rules += other.rules;
        self.translating.extend(other.translating);
        self.filled.extend(other.filled);
    }
}

/// Looks for the program's chains.
pub async fn look(ns: &Namespace, names: Names) -> Result<Found, Error> {
    let inside = ns.clone();
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        let failed = |source| Error::Look {
            place: inside.place().clone(),
            what: "iptables rules",
            source,
        };
        let mut found = Rules::read(&mut stay).map_err(failed)?.theirs(names).found;
        found.add(legacy::look(names).map_err(failed)?);
        Ok(found)
    })
    .await
}

/// Takes the program's chains away, with the rules that lead to them; tables that are empty then go, too. What others wrote
/// stays. Answers what there was.
pub async fn remove(ns: &Namespace, names: Names) -> Result<Found, Error> {
    let inside = ns.clone();
    ns.run(move || {
        let mut stay = Stay::begin(&inside)?;
        let failed = |source| Error::Iptables {
            place: inside.place().clone(),
            source,
        };
        let theirs = Rules::read(&mut stay).map_err(failed)?.theirs(names);
        let wire = stay.netfilter().map_err(|error| failed(error.into()))?;
        wire.transact(&theirs.messages()).map_err(failed)?;
        let mut found = theirs.found;
        found.add(legacy::remove(names).map_err(failed)?);
        Ok(found)
    })
    .await
}

/// A table: its family, and its name.
pub(crate) type TableKey = (u8, String);

/// All chains and rules of the families that iptables writes.
#[derive(Debug, Default)]
pub(crate) struct Rules {
    pub(crate) chains: Vec<Chain>,
    pub(crate) rules: Vec<Rule>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Chain {
    pub(crate) table: TableKey,
    pub(crate) name: String,
    /// It has a hook, and lets pass what no rule decides on.
    pub(crate) is_idle_base: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    pub(crate) table: TableKey,
    pub(crate) chain: String,
    pub(crate) handle: u64,
    /// The chain that it leads to.
    pub(crate) target: Option<String>,
    pub(crate) written: Vec<u8>,
}

/// What is the program's, and goes.
#[derive(Debug, Default)]
pub(crate) struct Theirs {
    pub(crate) chains: Vec<(TableKey, String)>,
    /// Rules of others' chains (the built-in ones) that lead to its own.
    pub(crate) jumps: Vec<Rule>,
    /// Where nothing is left then.
    pub(crate) tables: Vec<TableKey>,
    pub(crate) found: Found,
}

impl Rules {
    fn read(stay: &mut Stay) -> Result<Self, Refusal> {
        let wire = match stay.netfilter() {
            Ok(wire) => wire,
            Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => {
                return Ok(Self::default()); // a kernel without nftables has none of it
            }
            Err(error) => return Err(error.into()),
        };
        let mut rules = Self::default();
        for body in dump(wire, GET_CHAIN)? {
            rules.chains.extend(chain(&body));
        }
        // Most namespaces have no such tables: then their rules need not be asked for.
        if !rules.chains.is_empty() {
            for body in dump(wire, GET_RULE)? {
                rules.rules.extend(rule(&body));
            }
        }
        Ok(rules)
    }

    pub(crate) fn theirs(self, names: Names) -> Theirs {
        let mut theirs = Theirs::default();
        let tables: BTreeSet<TableKey> = self.chains.iter().map(|it| it.table.clone()).collect();
        for table in tables {
            let chains: Vec<&Chain> = self.chains.iter().filter(|it| it.table == table).collect();
            let rules: Vec<&Rule> = self.rules.iter().filter(|it| it.table == table).collect();
            theirs.add(&table, &chains, &rules, names);
        }
        theirs
    }
}

impl Theirs {
    fn add(&mut self, table: &TableKey, chains: &[&Chain], rules: &[&Rule], names: Names) {
        let begins = |name: &str| names.prefixes.iter().any(|prefix| name.starts_with(prefix));
        let mut gone: BTreeSet<&str> = (chains.iter().map(|chain| chain.name.as_str()))
            .filter(|name| begins(name))
            .collect();
        let leads_to = |rule: &Rule, gone: &BTreeSet<&str>| {
            rule.target.as_deref().is_some_and(|to| gone.contains(to))
        };
        let shared = chains.iter().map(|chain| chain.name.as_str());
        let shared = shared.filter(|name| {
            let mut own = rules.iter().filter(|rule| rule.chain == *name);
            names.shared.contains(name) && own.all(|rule| leads_to(rule, &gone))
        });
        let shared: Vec<&str> = shared.collect();
        if gone.is_empty() {
            return;
        }
        gone.extend(shared);
        let (inside, outside): (Vec<&Rule>, Vec<&Rule>) =
            (rules.iter()).partition(|rule| gone.contains(rule.chain.as_str()));
        let (jumps, others): (Vec<&Rule>, Vec<&Rule>) =
            (outside.iter()).partition(|rule| leads_to(rule, &gone));
        let left_idle =
            (chains.iter()).all(|chain| chain.is_idle_base || gone.contains(chain.name.as_str()));
        if others.is_empty() && left_idle {
            self.tables.push(table.clone());
        }
        self.found.chains += gone.len();
        self.found.rules += inside.len();
        let filled = inside
            .iter()
            .map(|rule| (table.clone(), rule.chain.clone()));
        self.found.filled.extend(filled);
        if table.1 == "nat" {
            let written = inside.iter().map(|rule| rule.written.clone());
            self.found.translating.extend(written);
        }
        self.jumps.extend(jumps.into_iter().cloned());
        let gone = gone
            .into_iter()
            .map(|name| (table.clone(), name.to_owned()));
        self.chains.extend(gone);
    }

    /// Rules first, in all chains: a chain that something leads to can't go.
    fn messages(&self) -> Vec<Request> {
        let kept = |table: &TableKey| !self.tables.contains(table);
        let jumps = self.jumps.iter().filter(|rule| kept(&rule.table));
        let jumps = jumps.map(|rule| {
            let mut request = about(DELETE_RULE, &rule.table, Some((2, &rule.chain)));
            attr::put(&mut request.body, 3, &rule.handle.to_be_bytes());
            request
        });
        let chains = || self.chains.iter().filter(|(table, _)| kept(table));
        let rules = chains().map(|(table, name)| about(DELETE_RULE, table, Some((2, name))));
        let deleted = chains().map(|(table, name)| about(DELETE_CHAIN, table, Some((3, name))));
        let tables = self
            .tables
            .iter()
            .map(|table| about(DELETE_TABLE, table, None));
        jumps.chain(rules).chain(deleted).chain(tables).collect()
    }
}

/// A message about a table, or the chain of it that the attribute of this number names.
fn about(kind: u16, (family, table): &TableKey, chain: Option<(u16, &str)>) -> Request {
    const TABLE: u16 = 1;
    let mut body = vec![*family, 0, 0, 0];
    attr::put_text(&mut body, TABLE, table);
    if let Some((attribute, chain)) = chain {
        attr::put_text(&mut body, attribute, chain);
    }
    Request {
        kind,
        flags: 0,
        body,
    }
}

fn dump(wire: &mut Wire, kind: u16) -> Result<Vec<Vec<u8>>, Refusal> {
    let mut bodies = Vec::new();
    for family in Family::ALL {
        let request = Request {
            kind,
            flags: 0,
            body: vec![family as u8, 0, 0, 0],
        };
        match wire.dump(&request) {
            Ok(found) => bodies.extend(found),
            // A family that the kernel was built without.
            Err(refusal) if matches!(refusal.errno(), libc::EAFNOSUPPORT | libc::EOPNOTSUPP) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    Ok(bodies)
}

fn table(body: &[u8]) -> Option<(TableKey, Attributes<'_>)> {
    const TABLE: u16 = 1;
    let attributes = Attributes(body.get(4..)?);
    let name = attributes.text(TABLE)?.to_owned();
    Some(((*body.first()?, name), attributes))
}

fn chain(body: &[u8]) -> Option<Chain> {
    const NAME: u16 = 3;
    const HOOK: u16 = 4;
    const POLICY: u16 = 5;
    const ACCEPT: u32 = 1;
    let (table, chain) = table(body)?;
    Some(Chain {
        table,
        name: chain.text(NAME)?.to_owned(),
        is_idle_base: chain.get(HOOK).is_some() && chain.be32(POLICY) == Some(ACCEPT),
    })
}

fn rule(body: &[u8]) -> Option<Rule> {
    const CHAIN: u16 = 2;
    const HANDLE: u16 = 3;
    const EXPRESSIONS: u16 = 4;
    let (table, rule) = table(body)?;
    Some(Rule {
        table,
        chain: rule.text(CHAIN)?.to_owned(),
        handle: rule.be64(HANDLE)?,
        target: rule
            .inside(EXPRESSIONS)
            .find_map(|(_, expression)| target(expression)),
        written: rule.get(EXPRESSIONS).unwrap_or_default().to_vec(),
    })
}

/// Of `immediate`, the expression that holds a verdict.
fn target(expression: &[u8]) -> Option<String> {
    const NAME: u16 = 1;
    const DATA: u16 = 2;
    const IMMEDIATE_DATA: u16 = 2;
    const VERDICT: u16 = 2;
    const CHAIN: u16 = 2;
    let expression = Attributes(expression);
    if expression.text(NAME) != Some("immediate") {
        return None;
    }
    let verdict = (expression.inside(DATA))
        .inside(IMMEDIATE_DATA)
        .inside(VERDICT);
    verdict.text(CHAIN).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: Names = Names {
        prefixes: &["ours-"],
        shared: &["top"],
    };

    /// "PREROUTING:ours-a top": a chain, and where its rules lead (`-`: nowhere).
    fn rules(table: &str, lines: &[&str]) -> Rules {
        let table = (2, table.to_owned());
        let mut all = Rules::default();
        for line in lines {
            let (name, targets) = line.split_once(':').expect("chain: targets");
            all.chains.push(Chain {
                table: table.clone(),
                name: name.to_owned(),
                is_idle_base: name.bytes().all(|byte| byte.is_ascii_uppercase()),
            });
            for target in targets.split_whitespace() {
                all.rules.push(Rule {
                    table: table.clone(),
                    chain: name.to_owned(),
                    handle: 7,
                    target: Some(target.to_owned()).filter(|target| target != "-"),
                    written: Vec::new(),
                });
            }
        }
        all
    }

    #[test]
    fn its_chains_go_with_what_leads_to_them_and_others_stay() {
        // Chains; how many chains, rules in them, and jumps go; whether the table goes.
        let rows: &[(&[&str], [usize; 3], bool)] = &[
            (&[], [0, 0, 0], false),
            (&["INPUT:", "FORWARD:-"], [0, 0, 0], false),
            (&["INPUT:ours-in", "ours-in:- -"], [1, 2, 1], true),
            (&["INPUT:ours-in -", "ours-in:-"], [1, 1, 1], false),
            (
                &["FORWARD:top ours-f", "top:ours-l", "ours-f:", "ours-l:-"],
                [3, 2, 2],
                true,
            ),
            // Somebody else's chain hangs on the shared one.
            (
                &[
                    "FORWARD:top ours-f",
                    "top:ours-l other-l",
                    "ours-f:",
                    "ours-l:-",
                    "other-l:-",
                ],
                [2, 1, 2],
                false,
            ),
            (
                &["FORWARD:top", "top:other-l", "other-l:-"],
                [0, 0, 0],
                false,
            ),
            (
                &["INPUT:ours-in", "ours-in:other", "other:-"],
                [1, 1, 1],
                false,
            ),
            (&["strict:ours-in", "ours-in:-"], [1, 1, 1], false),
        ];
        for (lines, expected, table_goes) in rows {
            let theirs = rules("filter", lines).theirs(NAMES);
            let counted = [theirs.found.chains, theirs.found.rules, theirs.jumps.len()];
            assert_eq!(counted, *expected, "{lines:?}");
            assert_eq!(!theirs.tables.is_empty(), *table_goes, "{lines:?}");
        }
    }

    #[test]
    fn a_chain_is_filled_by_its_rules_in_its_table() {
        let found = rules("mangle", &["PREROUTING:ours-a -", "ours-a:-", "ours-b:"]);
        let found = found.theirs(NAMES).found;
        for (family, table, chain, filled) in [
            (Family::V4, "mangle", "ours-a", true),
            (Family::V4, "mangle", "ours-b", false),
            (Family::V4, "mangle", "PREROUTING", false),
            (Family::V4, "filter", "ours-a", false),
            (Family::V6, "mangle", "ours-a", false),
        ] {
            let seen = found.has_rules_in(family, table, chain);
            assert_eq!(seen, filled, "{family:?} {table} {chain}");
        }
    }

    #[test]
    fn an_address_is_found_as_bytes_and_as_a_word() {
        let found = Found {
            translating: vec![
                vec![9, 203, 0, 113, 5, 9],
                b"-d 10.0.0.7/32 -j DNAT".to_vec(),
            ],
            ..Found::default()
        };
        for (address, there) in [
            ([203, 0, 113, 5], true),
            ([203, 0, 113, 9], false),
            ([10, 0, 0, 7], true),
            ([10, 0, 0, 70], false),
            ([0, 0, 0, 7], false),
        ] {
            assert_eq!(found.translates(address.into()), there, "{address:?}");
        }
    }
}
