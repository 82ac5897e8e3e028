//! `docs/neutron.md` shows the tables of options as they are in the code. `WARREN_BLESS=1` writes them there.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::collections::BTreeSet;
use std::path::Path;

use super::options::{self, Known, TABLES, Treatment};
use super::reader::Reader;
use super::sources::Sources;
use super::value::Kind;
use crate::neutron::Role;

const BEGIN: &str = "<!-- options: written by the test `the_page_shows_every_option` -->\n";
const END: &str = "<!-- end of options -->\n";

fn tables() -> String {
    let mut text = String::new();
    for (title, rows) in TABLES {
        text += &format!("\n### {title}: [{}]\n\n", rows[0].group);
        text += "| option | type | default | roles | here | what it does, or why not |\n|---|---|---|---|---|---|\n";
        rows.iter().for_each(|known| text += &row(known));
    }
    text + "\n"
}

fn row(known: &Known) -> String {
    let name = |(group, name): &(&str, &str)| {
        if *group == known.group {
            format!("`{name}`")
        } else {
            format!("`[{group}] {name}`")
        }
    };
    let mut names = format!("`{}`", known.name);
    if !known.old.is_empty() {
        let old: Vec<_> = known.old.iter().map(name).collect();
        names += &format!(" (was {})", old.join(", "));
    }
    let default = match known.default {
        "-" => "-".to_owned(),
        "" => "empty".to_owned(),
        default => format!("`{default}`"),
    };
    let roles = match known.roles.len() {
        3 => "all".to_owned(),
        _ => {
            let name = |role: &Role| match role {
                Role::Dhcp => "DHCP",
                Role::L3 => "L3",
                Role::Metadata => "metadata",
            };
            known.roles.iter().map(name).collect::<Vec<_>>().join(", ")
        }
    };
    let here = match known.treatment {
        Treatment::Honoured => "honoured".to_owned(),
        Treatment::Ignored => "ignored".to_owned(),
        Treatment::Warned => "warning".to_owned(),
        Treatment::WarnedUnless(fine) => format!("warning, unless {}", values(fine)),
        Treatment::RefusedUnless(fine) => format!("refused, unless {}", values(fine)),
    };
    let mut about = known.about.to_owned();
    if !known.instead.is_empty() {
        about += &format!("; {}", known.instead);
    }
    let kind = match known.kind {
        Kind::Choice(choices) => choices
            .iter()
            .filter(|choice| !choice.is_empty())
            .copied()
            .collect::<Vec<_>>()
            .join(", "),
        kind => kind.to_string(),
    };
    format!("| {names} | {kind} | {default} | {roles} | {here} | {about} |\n")
        .replace("[]", "\\[\\]")
}

fn values(fine: &[&str]) -> String {
    let shown = fine.iter().map(|value| {
        if value.is_empty() {
            "empty".to_owned()
        } else {
            format!("`{value}`")
        }
    });
    shown.collect::<Vec<_>>().join(" or ")
}

#[test]
fn the_page_shows_every_option() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/neutron.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).expect("the first mark");
    let (shown, after) = rest.split_once(END).expect("the second mark");
    let wanted = tables();
    if shown != wanted && std::env::var_os("WARREN_BLESS").is_some() {
        std::fs::write(&path, [before, BEGIN, &wanted, END, after].concat()).unwrap();
        return;
    }
    assert!(
        shown == wanted,
        "the tables of options have changed: WARREN_BLESS=1 writes them into docs/neutron.md"
    );
}

#[test]
fn tables_are_sound() {
    let mut names = BTreeSet::new();
    for known in options::all() {
        let name = format!("[{}] {}", known.group, known.name);
        for key in [(known.group, known.name)].iter().chain(known.old) {
            assert!(
                names.insert((key.0.to_lowercase(), key.1)),
                "{name}: {key:?} stands in two rows"
            );
        }
        assert!(!known.about.is_empty() && !known.roles.is_empty(), "{name}");
        assert!(
            !known.about.ends_with('.') && !known.about.contains('|'),
            "{name}: {}",
            known.about
        );
        let is_plain = matches!(known.treatment, Treatment::Honoured | Treatment::Ignored);
        assert_eq!(
            known.instead.is_empty(),
            is_plain,
            "{name}: what to write instead"
        );
        if let Treatment::WarnedUnless(fine) | Treatment::RefusedUnless(fine) = known.treatment {
            let default = if known.default == "-" {
                ""
            } else {
                known.default
            };
            assert!(fine.contains(&default), "{name}: its default would be told");
            for fine in fine.iter().filter(|fine| !fine.is_empty()) {
                assert_eq!(known.kind.check(fine), Ok(()), "{name}: {fine}");
            }
        }
    }
}

#[test]
fn every_default_is_of_its_type() {
    let roles = BTreeSet::from([Role::Dhcp, Role::L3, Role::Metadata]);
    let sources = Sources::new(Vec::new(), Default::default());
    let mut reader = Reader {
        sources,
        roles,
        problems: Vec::new(),
    };
    for known in options::all().filter(|known| known.default != "-") {
        let value = reader.value(known);
        assert_eq!(
            known.kind.check(&value),
            Ok(()),
            "[{}] {}",
            known.group,
            known.name
        );
        assert!(!value.contains('$'), "{value}");
        assert_eq!(
            value.is_empty(),
            known.default.is_empty(),
            "[{}] {}",
            known.group,
            known.name
        );
    }
}
