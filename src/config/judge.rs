//! What the tables of options say of what stands in the files, whoever reads it.

use std::collections::BTreeSet;

use super::options::{self, Known, Stranger, Treatment};
use super::problem::{Code, Place, Problem, Severity, quoted};
use super::reader::Reader;
use super::sources::Found;
use super::value::{self, Kind};

/// A file with more names that nobody knows is something else.
const MOST_STRANGERS: usize = 100;

impl Reader {
    /// Options that were given, and that are old, without effect, or refused.
    pub(super) fn judge(&mut self) {
        for known in options::all() {
            if !self.concerns(known) {
                continue;
            }
            let found = match known.kind {
                Kind::Multi => self.sources.find_all(known),
                _ => self.sources.find(known).into_iter().collect(),
            };
            for found in found {
                let problem = self.verdict(known, &found);
                self.problems.extend(problem);
            }
        }
    }

    fn verdict(&mut self, known: &'static Known, found: &Found) -> Option<Problem> {
        let (severity, code) = match known.treatment {
            Treatment::Honoured => {
                // Checked, also where nothing else reads it now.
                self.value(known);
                return old_name(known, found);
            }
            Treatment::Ignored => (Severity::Ignored, Code::NoEffect),
            Treatment::Warned => (Severity::Warning, Code::NoEffect),
            Treatment::WarnedUnless(fine) | Treatment::RefusedUnless(fine)
                if self.is_one_of(known, fine) =>
            {
                return old_name(known, found);
            }
            Treatment::WarnedUnless(_) => (Severity::Warning, Code::NotServed),
            Treatment::RefusedUnless(_) => (Severity::Refused, Code::NotServed),
        };
        let (group, name) = found.old.unwrap_or((known.group, known.name));
        Some(Problem {
            place: found.place.clone(),
            severity,
            code,
            option: format!("[{group}] {name}"),
            why: known.about.into(),
            fix: known.instead.into(),
        })
    }

    fn is_one_of(&mut self, known: &'static Known, fine: &[&str]) -> bool {
        let value = self.value(known);
        match known.kind {
            Kind::Bool => fine
                .iter()
                .any(|fine| value::boolean(fine) == value::boolean(&value)),
            _ => fine.contains(&&*value),
        }
    }

    /// Names in our groups that no option has; each once.
    pub(super) fn look_for_strangers(&mut self) {
        let mut seen = BTreeSet::new();
        let mut problems = Vec::new();
        for file in self.sources.files() {
            for (group, name, _, line) in self.sources.lines(file) {
                if is_known(group, name) || !seen.insert((group, name)) {
                    continue;
                }
                let Some((why, fix)) = stranger(group, name) else {
                    continue;
                };
                let place = Place::Line {
                    path: file.clone(),
                    line,
                };
                problems.push(Problem {
                    place,
                    severity: Severity::Warning,
                    code: Code::Unknown,
                    option: format!("[{}] {}", quoted(group), quoted(name)),
                    why: why.into(),
                    fix,
                });
                if problems.len() == MOST_STRANGERS {
                    self.problems.extend(problems);
                    return;
                }
            }
        }
        self.problems.extend(problems);
    }
}

fn old_name(known: &Known, found: &Found) -> Option<Problem> {
    let (group, name) = found.old?;
    Some(Problem {
        place: found.place.clone(),
        severity: Severity::Warning,
        code: Code::OldName,
        option: format!("[{group}] {name}"),
        why: "this is an old name; it is honoured".into(),
        fix: format!("write [{}] {}", known.group, known.name),
    })
}

/// Why it is one, and what is meant; `None`: it is someone else's.
fn stranger(group: &str, name: &str) -> Option<(&'static str, String)> {
    const NO_OPTION: &str = "no agent has an option of this name, so it is ignored";
    Some(match options::stranger(group, name) {
        Stranger::Misspelt(Some(near)) => (NO_OPTION, format!("is {near} meant?")),
        Stranger::Misspelt(None) => (NO_OPTION, "leave it out".into()),
        Stranger::Elsewhere(elsewhere) => (
            "it is not read from this section",
            format!("move it to [{elsewhere}]"),
        ),
        Stranger::NotDefault => (
            "nothing is read from this section",
            "write [DEFAULT], in upper case and without spaces".into(),
        ),
        Stranger::Foreign => {
            let near = options::misspelt_group(group)?;
            ("no agent reads this section", format!("is [{near}] meant?"))
        }
    })
}

fn is_known(group: &str, name: &str) -> bool {
    let is = |(known_group, known_name): (&str, &str)| {
        known_name == name && options::same_group(known_group, group)
    };
    options::all().any(|known| is((known.group, known.name)) || known.old.iter().copied().any(is))
}
