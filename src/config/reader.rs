//! Reads options by name: substituted, checked, of their type; what is wrong with them is collected.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use super::options::{self, Known};
use super::problem::{Code, Place, Problem, Severity, quoted};
use super::sources::Sources;
use super::substitute::{Failure, substitute};
use super::value::{self, Kind};
use crate::neutron::Role;

pub(super) struct Reader {
    pub(super) sources: Sources,
    pub(super) roles: BTreeSet<Role>,
    pub(super) problems: Vec<Problem>,
}

/// Group and name of an option. The group as it is spelled in the tables.
type Name = (&'static str, &'static str);

pub(super) const fn default(name: &'static str) -> Name {
    ("DEFAULT", name)
}

impl Reader {
    pub(super) fn text(&mut self, name: Name) -> String {
        self.value(row(name))
    }

    /// `None` when it is empty or not there.
    pub(super) fn path(&mut self, name: Name) -> Option<PathBuf> {
        let text = self.text(name);
        (!text.is_empty()).then(|| text.into())
    }

    pub(super) fn bool(&mut self, name: Name) -> bool {
        // The type was checked.
        value::boolean(&self.text(name)).unwrap_or_default()
    }

    pub(super) fn number<T: TryFrom<i64> + Default>(&mut self, name: Name) -> T {
        let number = value::int(&self.text(name)).unwrap_or_default();
        // Its row keeps it in the range of its type.
        T::try_from(number).unwrap_or_default()
    }

    pub(super) fn seconds(&mut self, name: Name) -> Duration {
        Duration::from_secs(self.number(name))
    }

    pub(super) fn fraction(&mut self, name: Name) -> Duration {
        let seconds = value::float(&self.text(name)).unwrap_or_default();
        Duration::try_from_secs_f64(seconds).unwrap_or_default()
    }

    pub(super) fn list(&mut self, name: Name) -> Vec<String> {
        value::list(&self.text(name))
    }

    /// Is it in any file, or given otherwise?
    pub(super) fn is_given(&self, name: Name) -> bool {
        self.sources.find(row(name)).is_some()
    }

    /// Where it was given.
    pub(super) fn place(&self, name: Name) -> Place {
        self.sources
            .find(row(name))
            .map_or(Place::Nowhere {}, |found| found.place)
    }

    pub(super) fn refuse(
        &mut self,
        name: Name,
        code: Code,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.tell(row(name), Severity::Refused, code, why.into(), fix.into());
    }

    pub(super) fn warn(
        &mut self,
        name: Name,
        code: Code,
        why: impl Into<String>,
        fix: impl Into<String>,
    ) {
        self.tell(row(name), Severity::Warning, code, why.into(), fix.into());
    }

    /// Substituted and of its type: as given, or else its default.
    pub(super) fn value(&mut self, known: &'static Known) -> String {
        let given = self
            .sources
            .find(known)
            .map(|found| self.checked(known, &found.value));
        match given {
            Some(Ok(value)) => return value,
            Some(Err(why)) => {
                let fix = match known.default {
                    "-" | "" => format!("write {}", known.kind),
                    default => format!("write {}, or leave it out ({default})", known.kind),
                };
                self.tell(known, Severity::Refused, Code::BadValue, why, fix);
            }
            None => {}
        }
        // A test reads every default.
        self.checked(known, default_of(known)).unwrap_or_default()
    }

    fn checked(&self, known: &Known, raw: &str) -> Result<String, String> {
        let look_up = |group: &str, name: &str| self.referred(group, name);
        let secret = matches!(known.kind, Kind::Secret | Kind::Url);
        let value = substitute(raw, known.group, &look_up).map_err(|failure| match failure {
            // The name is a part of the secret.
            Failure::Unknown(_) if secret => {
                "what follows a `$` in it is no option's name; a `$` that means itself is written `$$`".to_owned()
            }
            Failure::Unknown(name) => {
                format!("`${}` is no option; a `$` that means itself is written `$$`", quoted(&name))
            }
            Failure::Endless => "options refer to one another without end".into(),
        })?;
        known.kind.check(&value).map_err(|why| {
            if secret {
                why
            } else {
                format!("{:?}: {why}", value.chars().take(64).collect::<String>())
            }
        })?;
        Ok(value)
    }

    /// What `$name` in an option of `group` stands for: of its own group, else of `[DEFAULT]`.
    fn referred(&self, group: &str, name: &str) -> Option<(&'static str, String)> {
        // Here, and here alone, the case of a group's name counts.
        let named = |group: &str, name: &str| {
            options::all().find(|known| known.group == group && known.name == name)
        };
        let known = match name.split_once('.') {
            Some((group, name)) => named(group, name),
            None => named(group, name).or_else(|| named("DEFAULT", name)),
        };
        match known {
            Some(known) => {
                let found = self.sources.find(known).map(|found| found.value);
                Some((
                    known.group,
                    found.unwrap_or_else(|| default_of(known).to_owned()),
                ))
            }
            None if options::is_foreign("DEFAULT", name) => {
                Some(("DEFAULT", self.sources.foreign("DEFAULT", name)?))
            }
            None => None,
        }
    }

    fn tell(
        &mut self,
        known: &'static Known,
        severity: Severity,
        code: Code,
        why: String,
        fix: String,
    ) {
        if !self.concerns(known) {
            return;
        }
        let found = self.sources.find(known);
        let (group, name) = found
            .as_ref()
            .and_then(|found| found.old)
            .unwrap_or((known.group, known.name));
        self.problems.push(Problem {
            place: found.map_or(Place::Nowhere {}, |found| found.place),
            severity,
            code,
            option: format!("[{group}] {name}"),
            why,
            fix,
        });
    }

    /// Options of roles that are not taken are nobody's business.
    pub(super) fn concerns(&self, known: &Known) -> bool {
        known.roles.iter().any(|role| self.roles.contains(role))
    }
}

fn default_of(known: &Known) -> &'static str {
    if known.default == "-" {
        ""
    } else {
        known.default
    }
}

fn row((group, name): Name) -> &'static Known {
    let found = options::all().find(|known| known.group == group && known.name == name);
    found.expect(
        "each load reads every option that is read anywhere: none without a row passes a test",
    )
}
