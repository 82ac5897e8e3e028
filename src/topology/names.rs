//! Things by name, and what overlaps.

use std::collections::BTreeMap;

use super::mistake::Span;
use crate::spelling::nearest;

/// Names that an unknown one is compared with, at most: a large file has many mistakes of one kind.
const MOST_COMPARED: usize = 2_000;

/// Things by name, and by id where they have one.
#[derive(Debug)]
pub(super) struct Names<T> {
    things: BTreeMap<String, Vec<T>>,
    places: BTreeMap<String, Span>,
    /// Something without a readable name is among them.
    pub(super) partial: bool,
}

/// Why a name leads nowhere.
#[derive(Debug)]
pub(super) enum NotFound {
    /// With the nearest name there is.
    Unknown(Option<String>),
    Several,
    /// It may be the one whose name could not be read, which has been said.
    MaybeBroken,
}

impl<T> Default for Names<T> {
    fn default() -> Self {
        Self {
            things: BTreeMap::new(),
            places: BTreeMap::new(),
            partial: false,
        }
    }
}

impl<T: Copy> Names<T> {
    /// Where another thing got this name before.
    pub(super) fn add(&mut self, name: &str, thing: T, at: Span) -> Option<Span> {
        let things = self.things.entry(name.to_owned()).or_default();
        // The first one keeps the name; the second is a mistake, and noted once.
        if things.is_empty() {
            things.push(thing);
        }
        let taken = self.places.get(name).copied();
        self.places.entry(name.to_owned()).or_insert(at);
        taken
    }

    /// One more thing that this may mean.
    pub(super) fn also(&mut self, name: &str, thing: T) {
        self.things.entry(name.to_owned()).or_default().push(thing);
    }

    pub(super) fn find(&self, name: &str) -> Result<T, NotFound> {
        match self.things.get(name).map(Vec::as_slice) {
            Some([thing]) => Ok(*thing),
            Some([_, _, ..]) => Err(NotFound::Several),
            _ if self.partial => Err(NotFound::MaybeBroken),
            // Among so many, nobody waits for the nearest.
            _ if self.things.len() > MOST_COMPARED => Err(NotFound::Unknown(None)),
            _ => {
                let near = nearest(name, self.things.keys().map(String::as_str));
                Err(NotFound::Unknown(near.map(str::to_owned)))
            }
        }
    }
}

/// Pairs that overlap, of things sorted by this function: each with the nearest one before it that reaches into it.
pub(super) fn overlaps<T: Copy, N: Ord + Copy>(mut spans: Vec<(N, N, T)>) -> Vec<(T, T)> {
    spans.sort_by_key(|(first, last, _)| (*first, *last));
    let mut widest: Option<(N, T)> = None;
    let mut found = Vec::new();
    for (first, last, thing) in spans {
        if let Some((reach, before)) = widest.filter(|(reach, _)| first <= *reach) {
            found.push((before, thing));
            widest = Some(if last > reach {
                (last, thing)
            } else {
                (reach, before)
            });
        } else {
            widest = Some((last, thing));
        }
    }
    found
}
