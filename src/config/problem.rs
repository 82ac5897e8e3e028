//! What is to say about the configuration files: one value per finding, with its place and the way out.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::code::codes;

/// Shown as `file:line: refused[W2003]: [GROUP] option: why; what to write instead`. Never with a secret in it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
pub struct Problem {
    #[serde(flatten)]
    pub place: Place,
    pub severity: Severity,
    pub code: Code,
    /// As `[DEFAULT] interface_driver`, or what else it is about.
    pub option: String,
    pub why: String,
    /// What to do; empty: nothing.
    pub fix: String,
}

/// The worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing is started with it.
    Refused,
    /// It is started, but someone should look.
    Warning,
    /// It has no effect here, and needs none.
    Ignored,
}

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(untagged)]
pub enum Place {
    Line {
        #[serde(serialize_with = "shown")]
        path: Arc<Path>,
        /// From 1; 0 is the file as a whole.
        line: usize,
    },
    /// As it is spelled on the command line.
    Flag { flag: String },
    /// Of the environment.
    Variable { variable: String },
    /// Nowhere: that is what is wrong.
    Nowhere {},
}

codes! {
    /// Kind of a finding; the text never changes its meaning. `docs/errors.md` lists them.
    pub enum Code {
        /// A file or directory can't be read, is too large, or is not UTF-8.
        Unreadable = "W2001",
        /// No line of such a file.
        Syntax = "W2002",
        /// The option takes no such value.
        BadValue = "W2003",
        /// An option that must be there.
        Missing = "W2004",
        /// Options that do not go together.
        Contradiction = "W2005",
        /// What it asks for is not done here.
        NotServed = "W2006",
        /// An old name, still honoured.
        OldName = "W2007",
        /// No option has this name.
        Unknown = "W2008",
        /// A file that others can read holds a secret.
        SecretOpen = "W2009",
        /// Safer or clearer would be something else.
        Unusual = "W2010",
        /// Known, and without effect.
        NoEffect = "W2011",
    }
}

/// A path need not be UTF-8; a program that reads JSON wants it nevertheless.
fn shown<S: Serializer>(path: &Arc<Path>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Place {
    pub(super) fn file(path: &Path) -> Self {
        Self::Line {
            path: path.into(),
            line: 0,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line { path, line: 0 } => write!(f, "{}", path.display()),
            Self::Line { path, line } => write!(f, "{}:{line}", path.display()),
            Self::Flag { flag } => write!(f, "command line, {flag}"),
            Self::Variable { variable } => write!(f, "environment, {variable}"),
            Self::Nowhere {} => f.write_str("nowhere"),
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "refused",
            Self::Warning => "warning",
            Self::Ignored => "ignored",
        })
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (place, severity, code) = (&self.place, self.severity, self.code);
        write!(f, "{place}: {severity}[{code}]: {}", self.sentence())
    }
}

impl Problem {
    /// Option, reason and way out.
    pub fn sentence(&self) -> String {
        let Self {
            option, why, fix, ..
        } = self;
        if fix.is_empty() {
            format!("{option}: {why}")
        } else {
            format!("{option}: {why}; {fix}")
        }
    }
}

/// A name from a file, short and on one line.
pub(super) fn quoted(name: &str) -> String {
    let short: String = name.chars().take(64).collect();
    short.escape_debug().to_string()
}
