//! What objects say that makes no sense: told once each, so that one that says it all day does not fill the log.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt::Display;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::warn;

use super::decode::Remark;

/// So many are remembered; then the oldest may be told again.
const MOST: usize = 10_000;

/// Clones share what was told.
#[derive(Debug, Clone, Default)]
pub(super) struct Remarked(Arc<Mutex<Told>>);

#[derive(Debug, Default)]
struct Told {
    remarks: HashSet<u64>,
    order: VecDeque<u64>,
    /// Newest error of each object.
    errors: HashMap<String, u64>,
}

impl Remarked {
    pub(super) fn tell(&self, remarks: &[Remark]) {
        for remark in remarks {
            if self.is_new(digest(remark)) {
                warn!("{remark}; the rest of it is served");
            }
        }
    }

    /// An error about an object, unless it is the one that was told of it last.
    pub(super) fn once(&self, object: &impl Display, error: &str) {
        if self.is_news_of(object.to_string(), digest(error)) {
            warn!(%object, error, "failed; what was known of it is served on, and others are not delayed");
        }
    }

    fn is_new(&self, digest: u64) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let new = told.remarks.insert(digest);
        if new {
            told.order.push_back(digest);
        }
        if told.order.len() > MOST
            && let Some(oldest) = told.order.pop_front()
        {
            told.remarks.remove(&oldest);
        }
        new
    }

    fn is_news_of(&self, object: String, digest: u64) -> bool {
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if told.errors.len() > MOST {
            told.errors.clear();
        }
        told.errors.insert(object, digest) != Some(digest)
    }
}

fn digest(value: &(impl Hash + ?Sized)) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_told_is_not_told_again() {
        let told = Remarked::default();
        assert!(told.is_new(1));
        assert!(!told.is_new(1));
        assert!(told.is_news_of("port".into(), 1));
        assert!(!told.is_news_of("port".into(), 1));
        assert!(told.is_news_of("port".into(), 2), "another error");
        assert!(told.is_news_of("port".into(), 1), "and back");
        for n in 2..20_000 {
            told.is_new(n);
        }
        assert!(told.0.lock().expect("nobody panicked").order.len() <= MOST);
    }
}
