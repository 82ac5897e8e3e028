//! Tables of the older iptables, which only its own programs (`iptables-legacy-save`, `-restore`) read and write. On a thread
//! that is inside of the namespace, which they inherit.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Write};
use std::process::{Command, Stdio};

use crate::error::Refusal;
use crate::iptables::{Chain, Found, Names, Rule, Rules, TableKey, Theirs};

/// The family's number and programs, and the kernel's list of its tables that are in use.
const FAMILIES: [(u8, &str, &str); 2] = [
    (
        2,
        "iptables-legacy",
        "/proc/thread-self/net/ip_tables_names",
    ),
    (
        10,
        "ip6tables-legacy",
        "/proc/thread-self/net/ip6_tables_names",
    ),
];

pub(crate) fn look(names: Names) -> Result<Found, Refusal> {
    let mut found = Found::default();
    for (family, program, list) in FAMILIES {
        found.add(read(family, program, list)?.theirs(names).found);
    }
    Ok(found)
}

pub(crate) fn remove(names: Names) -> Result<Found, Refusal> {
    let mut found = Found::default();
    for (family, program, list) in FAMILIES {
        let theirs = read(family, program, list)?.theirs(names);
        if !theirs.found.is_nothing() {
            run(
                &format!("{program}-restore"),
                &["--noflush"],
                &commands(&theirs),
            )?;
        }
        found.add(theirs.found);
    }
    Ok(found)
}

fn read(family: u8, program: &str, list: &str) -> Result<Rules, Refusal> {
    let tables = match fs::read_to_string(list) {
        Ok(tables) => tables,
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(), // no such kind in this kernel
        Err(error) => return Err(error.into()),
    };
    if tables.trim().is_empty() {
        return Ok(Rules::default());
    }
    Ok(parse(family, &run(&format!("{program}-save"), &[], "")?))
}

/// As `iptables-save` prints it: `*table`, `:chain policy [counters]`, `-A chain words -j target`.
fn parse(family: u8, text: &str) -> Rules {
    let mut rules = Rules::default();
    let mut table: TableKey = (family, String::new());
    for line in text.lines() {
        if let Some(name) = line.strip_prefix('*') {
            name.trim().clone_into(&mut table.1);
        } else if let Some(chain) = line.strip_prefix(':') {
            let mut words = chain.split_whitespace();
            let name = words.next().unwrap_or_default().to_owned();
            let is_idle_base = words.next() == Some("ACCEPT");
            let table = table.clone();
            rules.chains.push(Chain {
                table,
                name,
                is_idle_base,
            });
        } else if let Some(rule) = line.strip_prefix("-A ") {
            let mut words = rule.split_whitespace();
            let chain = words.next().unwrap_or_default().to_owned();
            let target = words
                .skip_while(|word| !matches!(*word, "-j" | "-g"))
                .nth(1);
            rules.rules.push(Rule {
                table: table.clone(),
                chain,
                handle: 0,
                target: target.map(str::to_owned),
                written: rule.as_bytes().to_vec(),
            });
        }
    }
    rules
}

/// For `iptables-restore`: each table's part is done as a whole, or not at all.
fn commands(theirs: &Theirs) -> String {
    let mut tables: BTreeMap<&str, [String; 3]> = BTreeMap::new();
    for rule in &theirs.jumps {
        let [jumps, ..] = tables.entry(&rule.table.1).or_default();
        *jumps += &format!("-D {}\n", String::from_utf8_lossy(&rule.written));
    }
    for ((_, table), chain) in &theirs.chains {
        let [_, rules, chains] = tables.entry(table).or_default();
        *rules += &format!("-F {chain}\n");
        *chains += &format!("-X {chain}\n");
    }
    let of_table =
        |(table, parts): (&str, [String; 3])| format!("*{table}\n{}COMMIT\n", parts.concat());
    tables.into_iter().map(of_table).collect()
}

fn run(program: &str, arguments: &[&str], input: &str) -> Result<String, Refusal> {
    let try_to = |program: &str| {
        let mut command = Command::new(program);
        let command = command.args(arguments).stdin(Stdio::piped());
        command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
    };
    let started = match try_to(program) {
        // Not in the PATH of most services.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            try_to(&format!("/usr/sbin/{program}"))
        }
        started => started,
    };
    let mut child = started.map_err(|source| Refusal {
        source,
        words: Some(format!("start {program}")),
    })?;
    let written = child
        .stdin
        .take()
        .map_or(Ok(()), |mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    if output.status.success() {
        written?;
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let words: String = String::from_utf8_lossy(&output.stderr)
        .chars()
        .take(300)
        .collect();
    Err(Refusal {
        source: io::Error::other(format!("{program} ended with {}", output.status)),
        words: Some(words.trim().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_is_not_installed_is_named() {
        let refusal = run("no-iptables-legacy-save", &[], "").expect_err("nobody has it");
        let words = refusal.words.as_deref();
        assert_eq!(words, Some("start no-iptables-legacy-save"));
    }

    #[test]
    fn what_is_saved_is_read_and_what_goes_is_said_table_by_table() {
        let saved = "# made by iptables\n*nat\n:PREROUTING ACCEPT [1:2]\n:theirs-pre - [0:0]\n:mine - [0:0]\n\
                     -A PREROUTING -j theirs-pre\n-A PREROUTING -j mine\n\
                     -A theirs-pre -d 203.0.113.9/32 -j DNAT --to-destination 10.0.0.9\nCOMMIT\n\
                     *filter\n:INPUT DROP [0:0]\n-A INPUT -i lo -j ACCEPT\nCOMMIT\n";
        let names = Names {
            prefixes: &["theirs-"],
            shared: &[],
        };
        let theirs = parse(2, saved).theirs(names);
        assert!(theirs.found.translates([203, 0, 113, 9].into()));
        let expected = "*nat\n-D PREROUTING -j theirs-pre\n-F theirs-pre\n-X theirs-pre\nCOMMIT\n";
        assert_eq!(commands(&theirs), expected);
        assert_eq!(commands(&parse(2, "").theirs(names)), "");
    }
}
