//! What the documents say can be typed, and where they point there is something.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use warren::cli::Arguments;

fn documents() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let pages = std::fs::read_dir(root.join("docs")).unwrap();
    let mut paths: Vec<_> = pages.map(|entry| entry.unwrap().path()).collect();
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| root.join(name)));
    let markdown = paths
        .into_iter()
        .filter(|path| path.extension().is_some_and(|end| end == "md"));
    markdown
        .map(|path| (path.clone(), std::fs::read_to_string(path).unwrap()))
        .collect()
}

/// As GitHub makes it of a heading.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    kept.chars()
        .filter(|c| c.is_alphanumeric() || "- _".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for (path, text) in documents() {
        let links = text
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for link in links.filter(|link| !link.contains("://") && !link.contains(' ')) {
            let (file, place) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => path.clone(),
                file => path.parent().unwrap().join(file),
            };
            assert!(target.exists(), "{}: {link}", path.display());
            let text = std::fs::read_to_string(&target).unwrap_or_default();
            let mut headings = text.lines().filter(|line| line.starts_with('#'));
            let there = place.is_empty() || headings.any(|heading| anchor(heading) == place);
            assert!(there, "{}: no such heading: {link}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "only {count} links were found");
}

#[test]
fn every_command_line_is_understood() {
    let mut count = 0;
    for (path, text) in documents() {
        // A block is indented, or has root's prompt.
        let typed = text.lines().map(|line| {
            let block = line.strip_prefix("    ").unwrap_or_default();
            let prompted = line.strip_prefix("# ").or(block.strip_prefix("# "));
            prompted.unwrap_or(block)
        });
        let quoted = text.split('`').skip(1).step_by(2);
        let commands = typed
            .chain(quoted)
            .filter(|line| line.starts_with("warren "));
        for line in commands {
            let line = line.split(" #").next().unwrap().split('|').next().unwrap();
            // "`warren show`" in a sentence says less than one types.
            let fine = [ErrorKind::MissingRequiredArgument, ErrorKind::DisplayHelp];
            let words = line.split_whitespace().map(Into::into);
            let understood = match Arguments::from_command_line(words) {
                Ok(_) => true,
                Err(error) => fine.contains(&error.kind()),
            };
            assert!(understood, "{}: {line}", path.display());
            count += 1;
        }
    }
    assert!(count > 20, "only {count} commands were found");
}
