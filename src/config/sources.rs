//! What was given of each option, and which of it counts.
//!
//! The last file (or flag of the command line) that has an option wins; within one file its present name wins over its
//! old ones, and the last line over those above it. The environment wins over files, and a flag behind all files over it.
//! Values may be secrets: nothing here has a `Debug`.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use super::files::Layer;
use super::ini::normal_group;
use super::options::Known;
use super::problem::Place;

/// A value as it was written.
#[derive(Clone)]
pub(super) struct Found {
    pub(super) value: String,
    pub(super) place: Place,
    /// Group and name, if not the present ones.
    pub(super) old: Option<(&'static str, &'static str)>,
}

pub(super) struct Sources {
    steps: Vec<Step>,
    variables: BTreeMap<String, String>,
}

struct Step {
    from: From,
    values: HashMap<(String, String), Vec<(usize, String)>>,
}

enum From {
    File(Arc<Path>),
    Flag(String),
    /// The query of `transport_url`, which is there.
    Url(Place),
}

impl Sources {
    pub(super) fn new(layers: Vec<Layer>, variables: BTreeMap<String, String>) -> Self {
        let steps = layers.into_iter().map(|layer| match layer {
            Layer::File { path, entries } => {
                let mut values: HashMap<_, Vec<_>> = HashMap::new();
                for entry in entries {
                    let key = (entry.group, entry.name);
                    values
                        .entry(key)
                        .or_default()
                        .push((entry.line, entry.value));
                }
                Step {
                    from: From::File(path),
                    values,
                }
            }
            Layer::Flag {
                flag,
                option,
                value,
            } => Step {
                from: From::Flag(flag),
                values: one("DEFAULT", option, value),
            },
        });
        Self {
            steps: steps.collect(),
            variables,
        }
    }

    /// Options of one group that win over all others.
    pub(super) fn add_query(&mut self, group: &str, query: Vec<(String, String)>, place: &Place) {
        for (name, value) in query {
            let from = From::Url(place.clone());
            self.steps.push(Step {
                from,
                values: one(group, &name, value),
            });
        }
    }

    pub(super) fn find(&self, known: &Known) -> Option<Found> {
        let found = self.steps.iter().rev().find_map(|step| step.find(known));
        match (found, self.variable(known)) {
            (Some((found, From::Flag(_) | From::Url(_))), _) | (Some((found, _)), None) => {
                Some(found)
            }
            (_, variable) => variable,
        }
    }

    /// Every value of an option that may be repeated.
    pub(super) fn find_all(&self, known: &Known) -> Vec<Found> {
        let keys = || keys(known);
        let found = self.steps.iter().flat_map(|step| {
            keys()
                .filter_map(|key| Some((key, step.get(key)?)))
                .flat_map(move |((group, name), values)| {
                    values
                        .iter()
                        .map(move |value| step.found(value, known, group, name))
                })
        });
        found.chain(self.variable(known)).collect()
    }

    /// A value of a name that no row of the tables has.
    pub(super) fn foreign(&self, group: &str, name: &str) -> Option<String> {
        let values = self
            .steps
            .iter()
            .rev()
            .find_map(|step| step.get((group, name)))?;
        values.last().map(|(_, value)| value.clone())
    }

    /// Files in the order in which they were read.
    pub(super) fn files(&self) -> impl Iterator<Item = &Arc<Path>> {
        self.steps.iter().filter_map(|step| match &step.from {
            From::File(path) => Some(path),
            From::Flag(_) | From::Url(_) => None,
        })
    }

    /// Group, name, value and line of all that a file says, in its order.
    pub(super) fn lines(&self, file: &Path) -> Vec<(&str, &str, &str, usize)> {
        let step = self
            .steps
            .iter()
            .find(|step| matches!(&step.from, From::File(path) if **path == *file));
        let values = step.into_iter().flat_map(|step| &step.values);
        let mut lines: Vec<_> = values
            .flat_map(|((group, name), values)| {
                values
                    .iter()
                    .map(move |(line, value)| (&**group, &**name, &**value, *line))
            })
            .collect();
        lines.sort_by_key(|line| line.3);
        lines
    }

    /// By present names alone.
    fn variable(&self, known: &Known) -> Option<Found> {
        let variable = format!("OS_{}__{}", known.group, known.name).to_uppercase();
        let value = self.variables.get(&variable)?.clone();
        let place = Place::Variable { variable };
        Some(Found {
            value,
            place,
            old: None,
        })
    }
}

fn one(group: &str, name: &str, value: String) -> HashMap<(String, String), Vec<(usize, String)>> {
    HashMap::from([((group.to_owned(), name.to_owned()), vec![(0, value)])])
}

/// Group and name as spelled in the tables: the present one first.
fn keys(known: &Known) -> impl Iterator<Item = (&'static str, &'static str)> {
    [(known.group, known.name)]
        .into_iter()
        .chain(known.old.iter().copied())
}

impl Step {
    fn find(&self, known: &Known) -> Option<(Found, &From)> {
        keys(known).find_map(|(group, name)| {
            let value = self.get((group, name))?.last()?;
            Some((self.found(value, known, group, name), &self.from))
        })
    }

    fn get(&self, (group, name): (&str, &str)) -> Option<&Vec<(usize, String)>> {
        self.values.get(&(normal_group(group), name.to_owned()))
    }

    fn found(
        &self,
        (line, value): &(usize, String),
        known: &Known,
        group: &'static str,
        name: &'static str,
    ) -> Found {
        let place = match &self.from {
            From::File(path) => Place::Line {
                path: path.clone(),
                line: *line,
            },
            From::Flag(flag) => Place::Flag { flag: flag.clone() },
            From::Url(place) => place.clone(),
        };
        let old = ((group, name) != (known.group, known.name)).then_some((group, name));
        Found {
            value: value.clone(),
            place,
            old,
        }
    }
}
