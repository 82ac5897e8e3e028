//! What is wrong with a topology file: one value per mistake, with its place in the file and the way out.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::code::codes;

/// One mistake (or warning). Shown as `file:line:column: error[W0203]: object: why; fix`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Mistake {
    pub path: PathBuf,
    /// From 1.
    pub line: usize,
    /// From 1, in characters.
    pub column: usize,
    pub severity: Severity,
    pub code: Code,
    /// Which object, as `network "blue", subnet "10.0.0.0/24"`.
    pub object: String,
    pub why: String,
    /// What would be right.
    pub fix: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is refused.
    Error,
    /// The file is taken, but someone should look.
    Warning,
}

codes! {
    /// Kind of a mistake; the text never changes its meaning. `docs/topology.md` lists them.
    pub enum Code {
        /// The file can't be read, is too large, or is not UTF-8.
        Unreadable = "W0101",
        /// It is no TOML.
        Syntax = "W0102",
        /// A key that does not exist here.
        UnknownKey = "W0201",
        /// Another type than the key takes.
        WrongType = "W0202",
        /// The right type, but no such value.
        BadValue = "W0203",
        /// A key that must be there.
        MissingKey = "W0204",
        /// A key that does not go with another one.
        Misplaced = "W0205",
        /// Two things of one name.
        DuplicateName = "W0301",
        /// Two things of one id.
        DuplicateId = "W0302",
        /// A name that nothing has.
        UnknownName = "W0303",
        /// A name that leaves a choice.
        Ambiguous = "W0304",
        /// Subnets that overlap where they can't.
        Overlap = "W0401",
        /// An address or network where it does not belong.
        OutsideSubnet = "W0402",
        /// An address that can't be anyone's.
        Unusable = "W0403",
        /// An address that two want.
        AddressTaken = "W0404",
        /// More addresses wanted than the subnet has.
        SubnetFull = "W0405",
        /// Two ports of one network with one MAC.
        DuplicateMac = "W0406",
        /// Two networks on one bridge, device, VLAN or VNI.
        SharedUplink = "W0501",
        /// Half an underlay.
        Underlay = "W0502",
        /// A router's gateway that leads nowhere.
        Gateway = "W0601",
        /// A floating IP or port forwarding that can't reach its target.
        Unreachable = "W0602",
        /// A floating IP or forwarded port used twice.
        ForwardingConflict = "W0603",
        /// A next hop that no leg of the router reaches.
        NextHop = "W0604",
        /// A file that the topology names can't be read or used.
        File = "W0701",
        /// A secret's file that others can read.
        SecretOpen = "W0702",
        /// The chosen addresses on disk can't be read or written.
        Picks = "W0801",
        /// A chosen address had to change.
        PickMoved = "W0802",
        /// Legal, but seldom meant.
        Unusual = "W0901",
    }
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let (path, line, column) = (self.path.display(), self.line, self.column);
        write!(f, "{path}:{line}:{column}: {severity}[{}]: ", self.code)?;
        write!(f, "{}: {}; {}", self.object, self.why, self.fix)
    }
}

/// Bytes of the file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    pub(super) start: usize,
    pub(super) end: usize,
}

impl From<std::ops::Range<usize>> for Span {
    fn from(range: std::ops::Range<usize>) -> Self {
        Self {
            start: range.start,
            end: range.end,
        }
    }
}

/// Mistakes as they are found; they get lines and columns at the end.
#[derive(Debug)]
pub(super) struct Notes<'t> {
    text: &'t str,
    /// Offset of every line's first byte.
    lines: Vec<usize>,
    notes: Vec<Note>,
}

#[derive(Debug)]
struct Note {
    at: Span,
    severity: Severity,
    code: Code,
    object: String,
    why: String,
    fix: String,
}

impl<'t> Notes<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        let after = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n');
        let lines = std::iter::once(0)
            .chain(after.map(|(at, _)| at + 1))
            .collect();
        Self {
            text,
            lines,
            notes: Vec::new(),
        }
    }

    pub(super) fn mistake(
        &mut self,
        code: Code,
        at: Span,
        object: &str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.note(Severity::Error, code, at, object, why.into(), fix.into());
    }

    pub(super) fn warning(
        &mut self,
        code: Code,
        at: Span,
        object: &str,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.note(Severity::Warning, code, at, object, why.into(), fix.into());
    }

    fn note(
        &mut self,
        severity: Severity,
        code: Code,
        at: Span,
        object: &str,
        why: String,
        fix: String,
    ) {
        self.notes.push(Note {
            at,
            severity,
            code,
            object: object.to_owned(),
            why,
            fix,
        });
    }

    /// From 1.
    pub(super) fn line(&self, at: Span) -> usize {
        self.lines
            .partition_point(|start| *start <= at.start)
            .max(1)
    }

    pub(super) fn count(&self) -> usize {
        self.notes.len()
    }

    /// Forgets some: given the code, the place and the line.
    pub(super) fn retain(&mut self, keep: impl Fn(Code, Span, usize) -> bool) {
        let mut notes = std::mem::take(&mut self.notes);
        notes.retain(|note| keep(note.code, note.at, self.line(note.at)));
        self.notes = notes;
    }

    /// In the order of the file; the same thing is said once.
    pub(super) fn into_mistakes(self, path: &Path) -> Vec<Mistake> {
        let placed = |note: &Note| {
            let (line, column) = self.position(note.at);
            Mistake {
                path: path.to_owned(),
                line,
                column,
                severity: note.severity,
                code: note.code,
                object: note.object.clone(),
                why: note.why.clone(),
                fix: note.fix.clone(),
            }
        };
        let mut mistakes: Vec<_> = self.notes.iter().map(placed).collect();
        mistakes.sort();
        mistakes.dedup();
        mistakes
    }

    fn position(&self, at: Span) -> (usize, usize) {
        let line = self.line(at);
        let start = self.lines[line - 1];
        let before = self.text.get(start..at.start.min(self.text.len()));
        (line, before.map_or(1, |text| text.chars().count() + 1))
    }
}

/// A mistake about the file as a whole.
pub(super) fn about_file(path: &Path, code: Code, why: String, fix: &str) -> Mistake {
    Mistake {
        path: path.to_owned(),
        line: 1,
        column: 1,
        severity: Severity::Error,
        code,
        object: "topology".to_owned(),
        why,
        fix: fix.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_count_characters() {
        let text = "a = 1\nnäme = \"x\"\n\nend";
        for (name, offset, want) in [
            ("first byte", 0, (1, 1)),
            ("end of a line", 5, (1, 6)),
            ("first of the next", 6, (2, 1)),
            ("after an umlaut", 9, (2, 3)),
            ("an empty line", 18, (3, 1)),
            ("last line", 19, (4, 1)),
            ("the end", text.len(), (4, 4)),
            ("past the end", text.len() + 9, (4, 4)),
            ("inside a character", 8, (2, 1)),
        ] {
            let notes = Notes::new(text);
            assert_eq!(notes.position((offset..offset).into()), want, "{name}");
        }
    }
}
