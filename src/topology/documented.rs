//! `docs/topology.md` and the code say the same: every key, its type, every code; and its examples are good.

use std::collections::BTreeMap;
use std::path::Path;

use toml::de::DeTable;

use super::file::File;
use super::mistake::Code;
use super::read::{Key, Read};

const PAGE: &str = include_str!("../../docs/topology.md");

/// Rows of the key tables, by the path in the heading above (`network.subnet`; the root's is empty).
fn documented() -> BTreeMap<String, Vec<Vec<String>>> {
    let mut tables: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
    let mut heading = None;
    let mut in_keys = false;
    for line in PAGE.lines() {
        if line.starts_with('#') {
            let quoted = line.split('`').nth(1);
            heading = match quoted {
                Some(path) => Some(path.trim_matches(['[', ']']).to_owned()),
                None => line.ends_with("The file itself").then(String::new),
            };
        }
        in_keys = line.starts_with("| key |") || (in_keys && line.starts_with('|'));
        if let (true, Some(path), true) = (in_keys, &heading, line.starts_with("| `")) {
            let cells = line
                .trim_matches('|')
                .split(" | ")
                .map(|cell| cell.trim().to_owned());
            tables
                .entry(path.clone())
                .or_default()
                .push(cells.collect());
        }
    }
    tables
}

fn in_code(
    path: &str,
    keys: &'static [Key],
    tables: &mut BTreeMap<String, Vec<(&'static str, String)>>,
) {
    let rows = keys.iter().map(|key| (key.name, (key.kind)())).collect();
    tables.insert(path.to_owned(), rows);
    for key in keys.iter().filter(|key| !key.keys.is_empty()) {
        in_code(
            format!("{path}.{}", key.name).trim_start_matches('.'),
            key.keys,
            tables,
        );
    }
}

#[test]
fn every_key_is_documented_with_its_type() {
    let documented = documented();
    let mut code = BTreeMap::new();
    in_code("", File::KEYS, &mut code);
    let paths = |of: Vec<&String>| format!("{of:?}");
    assert_eq!(
        paths(documented.keys().collect()),
        paths(code.keys().collect()),
        "tables"
    );
    for (path, keys) in &code {
        let rows = &documented[path];
        let said: Vec<_> = rows
            .iter()
            .map(|row| (row[0].trim_matches('`'), row[1].clone()))
            .collect();
        assert_eq!(said, *keys, "keys and types of {path:?}");
    }
}

#[test]
fn every_key_has_unit_default_and_example() {
    for (path, rows) in documented() {
        for row in rows {
            let key = row[0].trim_matches('`');
            assert_eq!(row.len(), 5, "{path}.{key}: {row:?}");
            assert!(
                row.iter().all(|cell| !cell.is_empty()),
                "{path}.{key}: {row:?}"
            );
            let example = row[4].trim_matches('`');
            let parsed = DeTable::parse(example);
            let has_key = parsed
                .as_ref()
                .is_ok_and(|table| table.get_ref().contains_key(key));
            assert!(
                has_key,
                "{path}.{key}: the example {example:?} says another thing"
            );
        }
    }
}

#[test]
fn every_code_is_documented() {
    let rows = PAGE
        .lines()
        .filter_map(|line| line.strip_prefix("| W")?.split(' ').next());
    let said: Vec<_> = rows.map(|number| format!("W{number}")).collect();
    let code: Vec<_> = Code::ALL.iter().map(|code| code.to_string()).collect();
    assert_eq!(said, code);
}

#[test]
fn whole_examples_are_good() {
    let pages = [PAGE, include_str!("../../docs/boot.md")];
    let blocks = pages
        .iter()
        .flat_map(|page| page.split("```toml\n").skip(1))
        .filter_map(|rest| rest.split("```").next());
    let mut count = 0;
    for block in blocks {
        let checked = super::check(block, Path::new("docs/topology.md"));
        assert!(checked.is_ok(), "{checked:?} in:\n{block}");
        count += 1;
    }
    assert!(count >= 3, "the pages have lost their examples");
}

/// Each example where its key belongs: of its value nothing is wrong, whatever else is missing there.
#[test]
fn every_example_is_good() {
    let about_value = [
        Code::Syntax,
        Code::UnknownKey,
        Code::WrongType,
        Code::BadValue,
    ];
    for (path, rows) in documented() {
        for row in rows {
            let mut text = String::new();
            let steps: Vec<&str> = path.split('.').filter(|step| !step.is_empty()).collect();
            for depth in 1..=steps.len() {
                let header = steps[..depth].join(".");
                let one = ["metadata", "limits", "router.gateway"].contains(&header.as_str());
                text += &if one {
                    format!("[{header}]\n")
                } else {
                    format!("[[{header}]]\n")
                };
            }
            text += row[4].trim_matches('`');
            let line = text.lines().count();
            let mistakes = super::check(&text, Path::new("example.toml"))
                .err()
                .unwrap_or_default();
            let wrong = mistakes
                .iter()
                .find(|mistake| mistake.line == line && about_value.contains(&mistake.code));
            assert!(wrong.is_none(), "{path}: {}", wrong.expect("one was found"));
        }
    }
}
