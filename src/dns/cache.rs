//! What forwarders said, kept for as long as they allow: one network's, and seen by no other.
//!
//! Bounded in number, in length of each, and over all networks in bytes. Who was asked for again stays longer; time is
//! passed in.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use super::query::Query;
use super::reply::OUR_SIZE;
use super::response::Response;

/// A question has at most 255 bytes of name, 4 of type and class; and a byte of flags goes with it.
const LONGEST_KEY: usize = 260;

/// What one entry takes besides its key and its response, in the map and in the queue.
const OVERHEAD: usize = 160;

/// All that makes two queries the same to a forwarder: the name in lower case, type, class, and the bits that are passed on.
#[derive(Debug)]
pub struct Key {
    bytes: [u8; LONGEST_KEY],
    length: usize,
}

impl Key {
    /// Of a query without fault.
    pub fn of(query: &Query<'_>) -> Self {
        let question = query.question();
        let mut bytes = [0; LONGEST_KEY];
        bytes[..question.len()].copy_from_slice(question);
        // Lengths of labels are below 64, and so no letters.
        bytes[..query.name().len()].make_ascii_lowercase();
        bytes[question.len()] = query.bits();
        Self {
            bytes,
            length: question.len() + 1,
        }
    }

    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// One network's.
#[derive(Debug)]
pub(super) struct Cache {
    kept: Mutex<Kept>,
    in_all: Arc<Room>,
}

/// Bytes that the caches of all networks have together.
#[derive(Debug)]
pub(super) struct Room {
    used: AtomicUsize,
    most: usize,
}

/// Keys are in both or in neither.
#[derive(Debug, Default)]
struct Kept {
    entries: HashMap<Arc<[u8]>, Entry>,
    /// The next to go is in front.
    queue: VecDeque<Arc<[u8]>>,
    era: u64,
}

#[derive(Debug)]
struct Entry {
    response: Arc<Response>,
    heard: Instant,
    asked_again: bool,
}

impl Entry {
    /// In seconds; `None`: it is too old.
    fn age(&self, now: Instant) -> Option<u32> {
        let age = now.saturating_duration_since(self.heard).as_secs();
        let age = u32::try_from(age).ok()?;
        (age < self.response.life()).then_some(age)
    }
}

impl Room {
    pub(super) fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            used: AtomicUsize::new(0),
            most,
        })
    }

    /// `instead_of` are bytes that were taken before. `false`: there is no room, and nothing has changed.
    fn take(&self, bytes: usize, instead_of: usize) -> bool {
        let more = |used: usize| {
            let sum = used.checked_sub(instead_of)?.checked_add(bytes)?;
            (sum <= self.most).then_some(sum)
        };
        let (set, get) = (Ordering::Relaxed, Ordering::Relaxed);
        self.used.fetch_update(set, get, more).is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl Cache {
    pub(super) fn new(in_all: Arc<Room>) -> Self {
        Self {
            kept: Mutex::default(),
            in_all,
        }
    }

    /// The response, and its age in seconds.
    pub(super) fn get(&self, key: &Key, now: Instant) -> Option<(Arc<Response>, u32)> {
        let mut kept = self.lock();
        let entry = kept.entries.get_mut(key.as_bytes())?;
        let age = entry.age(now)?;
        entry.asked_again = true;
        Some((Arc::clone(&entry.response), age))
    }

    /// What is asked for now can be kept as long as this stays the same.
    pub(super) fn era(&self) -> u64 {
        self.lock().era
    }

    /// Keeps a response to a question of `era`, and at most `most` in all.
    pub(super) fn put(
        &self,
        key: &Key,
        response: &Arc<Response>,
        now: Instant,
        era: u64,
        most: usize,
    ) {
        let mut kept = self.lock();
        let kept = &mut *kept;
        let unfit = response.life() == 0 || response.length() > usize::from(OUR_SIZE);
        if unfit || kept.era != era {
            return;
        }
        let key = key.as_bytes();
        let bytes = size(key, response);
        loop {
            let old = kept.entries.get_mut(key);
            let instead_of = old.as_ref().map_or(0, |old| size(key, &old.response));
            let count = kept.queue.len() + usize::from(old.is_none());
            if count <= most && self.in_all.take(bytes, instead_of) {
                let entry = Entry {
                    response: Arc::clone(response),
                    heard: now,
                    // Then it keeps its place, for to find that would be a walk through the queue.
                    asked_again: old.is_some(),
                };
                if let Some(old) = old {
                    *old = entry;
                } else {
                    let key: Arc<[u8]> = key.into();
                    kept.queue.push_back(Arc::clone(&key));
                    kept.entries.insert(key, entry);
                }
                return;
            }
            if !self.drop_one(kept, now) {
                return;
            }
        }
    }

    /// Nothing of what was heard or is being asked for holds any more.
    pub(super) fn clear(&self) {
        let mut kept = self.lock();
        kept.era += 1;
        kept.queue.clear();
        for (key, entry) in kept.entries.drain() {
            self.in_all.give_back(size(&key, &entry.response));
        }
    }

    /// What is too old goes: else a network that has fallen silent would keep room from the others.
    pub(super) fn sweep(&self, now: Instant) {
        let mut kept = self.lock();
        let Kept { entries, queue, .. } = &mut *kept;
        queue.retain(|key| {
            let holds = entries.get(key).is_some_and(|of| of.age(now).is_some());
            if !holds && let Some(old) = entries.remove(key) {
                self.in_all.give_back(size(key, &old.response));
            }
            holds
        });
    }

    /// The oldest goes, unless it was asked for again and still holds: then it is the newest once more. `false`: none is left.
    fn drop_one(&self, kept: &mut Kept, now: Instant) -> bool {
        while let Some(key) = kept.queue.pop_front() {
            let Some(entry) = kept.entries.get_mut(&key) else {
                continue;
            };
            if entry.asked_again && entry.age(now).is_some() {
                entry.asked_again = false;
                kept.queue.push_back(key);
                continue;
            }
            self.in_all.give_back(size(&key, &entry.response));
            kept.entries.remove(&key);
            return true;
        }
        false
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.clear();
    }
}

fn size(key: &[u8], response: &Response) -> usize {
    OVERHEAD + key.len() + response.size()
}

#[cfg(test)]
mod tests;
