//! From text to tables, with what is wrong about the syntax.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue, Error};

use super::file::{self, File};
use super::mistake::{Code, Notes};

/// Reads the text; all mistakes of syntax and shape are in `notes` then. `None`: it is no TOML.
pub(super) fn parse(text: &str, notes: &mut Notes<'_>) -> Option<File> {
    let (tree, errors) = DeTable::parse_recoverable(text);
    let tree = tree.into_inner();
    if errors.is_empty() {
        return file::read(tree, notes);
    }
    let unclosed = unclosed(&tree, &errors);
    let inside = |at: usize| {
        unclosed
            .iter()
            .any(|span| (span.start..=span.end).contains(&at))
    };
    for span in &unclosed {
        let why = "this list or table is never closed";
        notes.mistake(
            Code::Syntax,
            span.clone().into(),
            "topology",
            why,
            "close it with ] or }",
        );
    }
    // The first of a line; the rest of the line usually follows from it.
    let mut broken: BTreeMap<usize, &Error> = BTreeMap::new();
    for error in &errors {
        let at = start(error);
        let first = broken.entry(notes.line((at..at).into())).or_insert(error);
        if at < start(first) {
            *first = error;
        }
    }
    for error in broken.values().filter(|error| !inside(start(error))) {
        let at = error.span().unwrap_or_default().into();
        notes.mistake(
            Code::Syntax,
            at,
            "topology",
            error.message().trim_end_matches(", expected nothing"),
            way_out(error.message()),
        );
    }
    // What the parser saved of a broken file is right about the lines that are whole. What is missing may be
    // missing because it could not be read.
    let broken = with_homeless(text, broken.into_keys().collect());
    file::read(tree, notes);
    notes.retain(|code, at, line| match code {
        Code::Syntax => true,
        Code::MissingKey => false,
        _ => !broken.contains(&line) && !inside(at.start),
    });
    None
}

/// Lines, and those below a broken header: nobody knows whose keys they hold.
fn with_homeless(text: &str, mut broken: BTreeSet<usize>) -> BTreeSet<usize> {
    let mut homeless = false;
    for (line, content) in (1..).zip(text.lines()) {
        if content.trim_start().starts_with('[') {
            homeless = broken.contains(&line);
        }
        if homeless {
            broken.insert(line);
        }
    }
    broken
}

fn start(error: &Error) -> usize {
    error.span().unwrap_or_default().start
}

fn way_out(message: &str) -> &'static str {
    if message.starts_with("duplicate key") {
        "say each key once per table; tables of a list have double brackets, as [[network]]"
    } else if ["float", "integer", "quoted", "leading zero"]
        .iter()
        .any(|word| message.contains(word))
    {
        "put text in quotes, as cidr = \"10.10.1.0/24\""
    } else {
        "the file is TOML: see https://toml.io"
    }
}

/// Beginning to end of the lists and inline tables whose end the parser did not find.
fn unclosed(tree: &DeTable<'_>, errors: &[Error]) -> Vec<Range<usize>> {
    let missed = |error: &&Error| {
        let message = error.message();
        message.starts_with("unclosed array,") || message.starts_with("unclosed inline table,")
    };
    let ends: Vec<usize> = errors.iter().filter(missed).map(start).collect();
    let mut found = Vec::new();
    if !ends.is_empty() {
        tree.iter()
            .for_each(|(_, value)| collect(value, &ends, &mut found));
    }
    found
}

/// The outermost of those that end there: what is inside belongs to it.
fn collect(value: &Spanned<DeValue<'_>>, ends: &[usize], found: &mut Vec<Range<usize>>) {
    let span = value.span();
    match value.get_ref() {
        DeValue::Array(_) | DeValue::Table(_) if ends.contains(&span.end) => found.push(span),
        DeValue::Array(values) => values.iter().for_each(|value| collect(value, ends, found)),
        DeValue::Table(table) => table
            .iter()
            .for_each(|(_, value)| collect(value, ends, found)),
        _ => {}
    }
}
