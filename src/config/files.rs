//! Which files are read, in which order (`oslo_config.cfg`: `find_config_files`, `_ConfigFileOpt`, `_ConfigDirOpt`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Given;
use super::ini::{self, Entry};
use super::problem::{Code, Place, Problem, Severity};

/// A file of Neutron's with every option in it and its comment has a quarter of a megabyte.
const LONGEST: u64 = 4 << 20;

/// One step of the reading: of two that set an option the later one wins.
pub(super) enum Layer {
    File {
        path: Arc<Path>,
        entries: Vec<Entry>,
    },
    Flag {
        flag: String,
        option: &'static str,
        value: String,
    },
}

/// Reads what was given, or else what is found where such files are looked for.
///
/// `programs`: under whose names a file may be found (`neutron-l3-agent.conf`).
pub(super) fn read(
    given: &[Given],
    programs: &[&str],
    variables: &BTreeMap<String, String>,
) -> (Vec<Layer>, Vec<Problem>) {
    let mut reading = Reading {
        layers: Vec::new(),
        problems: Vec::new(),
    };
    let home = variables.get("HOME").map(Path::new);
    // The two kinds of defaults do not depend on one another.
    if !given.iter().any(|given| matches!(given, Given::File(_))) {
        for name in ["neutron"].iter().chain(programs) {
            let found = find(variables, &format!("{name}.conf"), Path::is_file);
            found.into_iter().for_each(|path| reading.file(&path));
        }
    }
    if !given.iter().any(|given| matches!(given, Given::Dir(_))) {
        for name in ["neutron"].iter().chain(programs) {
            let found = find(variables, &format!("{name}.conf.d"), Path::is_dir);
            found.into_iter().for_each(|path| reading.dir(&path));
        }
    }
    for given in given {
        match given {
            Given::File(path) => reading.file(&expanded(path, home)),
            Given::Dir(path) => reading.dir(&expanded(path, home)),
            Given::Flag {
                flag,
                option,
                value,
            } => reading.layers.push(Layer::Flag {
                flag: flag.clone(),
                option,
                value: value.clone(),
            }),
        }
    }
    (reading.layers, reading.problems)
}

/// The first place that has it.
fn find(
    variables: &BTreeMap<String, String>,
    name: &str,
    is: fn(&Path) -> bool,
) -> Option<PathBuf> {
    let below = |variable: &str, dir: &str| Some(Path::new(variables.get(variable)?).join(dir));
    let places = [
        below("HOME", ".neutron"),
        below("HOME", ""),
        Some("/etc/neutron".into()),
        Some("/etc".into()),
        below("SNAP_COMMON", "etc/neutron"),
        below("SNAP", "etc/neutron"),
    ];
    let mut paths = places.into_iter().flatten().map(|dir| dir.join(name));
    paths.find(|path| is(path))
}

fn expanded(path: &Path, home: Option<&Path>) -> PathBuf {
    match (path.strip_prefix("~"), home) {
        (Ok(rest), Some(home)) => home.join(rest),
        _ => path.to_owned(),
    }
}

struct Reading {
    layers: Vec<Layer>,
    problems: Vec<Problem>,
}

impl Reading {
    /// All of it that ends in `.conf`, by name; not what is below.
    fn dir(&mut self, dir: &Path) {
        let listed = dir.read_dir().and_then(|entries| {
            let paths = entries.map(|entry| Ok(entry?.path()));
            paths.collect::<io::Result<Vec<_>>>()
        });
        match listed {
            Ok(mut paths) => {
                paths.sort();
                let hidden = |path: &Path| {
                    path.file_name()
                        .is_some_and(|name| name.as_encoded_bytes().starts_with(b"."))
                };
                let wanted = |path: &&PathBuf| {
                    path.extension().is_some_and(|end| end == "conf") && !hidden(path)
                };
                paths.iter().filter(wanted).for_each(|path| self.file(path));
            }
            Err(error) => self.unreadable(dir, &error, "name a directory that warren may read"),
        }
    }

    fn file(&mut self, path: &Path) {
        match content(path) {
            Ok(text) => {
                let (entries, mistakes) = ini::parse(&text);
                let path: Arc<Path> = path.into();
                self.problems.extend(mistakes.iter().map(|mistake| Problem {
                    place: Place::Line {
                        path: path.clone(),
                        line: mistake.line,
                    },
                    severity: Severity::Refused,
                    code: Code::Syntax,
                    option: "line".into(),
                    why: mistake.why.into(),
                    fix: "correct it, or begin it with #".into(),
                }));
                self.layers.push(Layer::File { path, entries });
            }
            Err(error) => self.unreadable(path, &error, "name a file that warren may read"),
        }
    }

    fn unreadable(&mut self, path: &Path, error: &io::Error, fix: &str) {
        self.problems.push(Problem {
            place: Place::file(path),
            severity: Severity::Refused,
            code: Code::Unreadable,
            option: "configuration".into(),
            why: format!("it can't be read: {error}"),
            fix: fix.into(),
        });
    }
}

fn content(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?
        .take(LONGEST + 1)
        .read_to_end(&mut bytes)?;
    if bytes.len() as u64 > LONGEST {
        return Err(io::Error::other("it is longer than 4 MiB"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        io::Error::other(format!("line {line} is not UTF-8"))
    })
}
