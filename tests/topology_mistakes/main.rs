//! Each thing that can be wrong with a topology file, and the one line that says so.
#![allow(clippy::unwrap_used)] // A test that can't make its files has failed.

mod files;
mod names;
mod options;
mod shape;
mod told;
mod ways;
mod words;

use std::path::Path;

use warren::topology::{Code, Mistake, Severity, check};

/// Enough for everything that refers to something.
const BASE: &str = r#"
[[network]]
name = "blue"
[[network.subnet]]
cidr = "10.10.1.0/24"

[[network]]
name = "green"
[[network.subnet]]
cidr = "10.10.2.0/24"

[[network]]
name = "outside"
external = true
[[network.subnet]]
cidr = "203.0.113.0/24"

[[instance]]
name = "web"
[[instance.port]]
network = "blue"
addresses = ["10.10.1.11"]

[[router]]
name = "r1"
interfaces = ["blue", "green"]
gateway = { network = "outside", address = "203.0.113.10" }
"#;

/// `‸` marks where the mistake is; it is no part of the file.
fn mistakes_of(marked: &str) -> (Option<(usize, usize)>, Vec<Mistake>) {
    let place = marked.find('‸').map(|at| {
        let before = &marked[..at];
        let column = before
            .rsplit('\n')
            .next()
            .map_or(0, |line| line.chars().count());
        (before.matches('\n').count() + 1, column + 1)
    });
    let text = marked.replace('‸', "");
    let mistakes = match check(&text, Path::new("dir/net.toml")) {
        Ok(topology) => topology.warnings,
        Err(mistakes) => mistakes,
    };
    (place, mistakes)
}

/// What is wrong, the file, the code, and words of the text.
type Row<'r> = (&'r str, &'r str, Code, &'r [&'r str]);

/// Each row is exactly one mistake, at its mark.
fn one_mistake_each(base: &str, rows: &[Row<'_>]) {
    let failed: Vec<String> = rows
        .iter()
        .filter_map(|row| judge(base, row).err())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

fn judge(base: &str, (name, snippet, code, words): &Row<'_>) -> Result<(), String> {
    let (place, mistakes) = mistakes_of(&format!("{base}{snippet}"));
    let shown: Vec<_> = mistakes.iter().map(Mistake::to_string).collect();
    let [mistake] = mistakes.as_slice() else {
        return Err(format!("{name}: exactly one mistake, not {shown:#?}"));
    };
    let text = &shown[0];
    let missing: Vec<_> = words.iter().filter(|word| !text.contains(**word)).collect();
    if mistake.code != *code || Some((mistake.line, mistake.column)) != place || !missing.is_empty()
    {
        return Err(format!(
            "{name}: {code} at {place:?} without missing {missing:?}: {text}"
        ));
    }
    Ok(())
}

#[test]
fn the_base_is_good() {
    assert_eq!(mistakes_of(BASE).1, vec![]);
}
