//! Tasks, and what each is about: one that broke cannot say so itself.

use std::collections::HashMap;
use std::future::Future;

use tokio::task::{AbortHandle, Id, JoinError, JoinSet};

/// Each has some `W`ork to do, and comes back with a `T`.
#[derive(Debug)]
pub(super) struct Tasks<W, T> {
    set: JoinSet<T>,
    works: HashMap<Id, W>,
}

impl<W, T: Send + 'static> Tasks<W, T> {
    pub(super) fn new() -> Self {
        Self {
            set: JoinSet::new(),
            works: HashMap::new(),
        }
    }

    pub(super) fn spawn(&mut self, work: W, task: impl Future<Output = T> + Send + 'static) {
        let handle = self.set.spawn(task);
        self.note(work, &handle);
    }

    pub(super) fn spawn_blocking(&mut self, work: W, task: impl FnOnce() -> T + Send + 'static) {
        let handle = self.set.spawn_blocking(task);
        self.note(work, &handle);
    }

    fn note(&mut self, work: W, handle: &AbortHandle) {
        self.works.insert(handle.id(), work);
    }

    /// What the next one comes back with, or what it was about if it panicked. `None`: there are none. Cancel-safe.
    pub(super) async fn next(&mut self) -> Option<Result<T, (W, Panicked)>> {
        let (id, outcome) = match self.set.join_next_with_id().await? {
            Ok((id, outcome)) => (id, Ok(outcome)),
            Err(error) => (error.id(), Err(Panicked::new(error))),
        };
        let work = self.works.remove(&id)?;
        Some(outcome.map_err(|panicked| (work, panicked)))
    }

    /// Stops all; blocking ones that have begun come to their end first.
    pub(super) async fn shutdown(&mut self) {
        self.set.shutdown().await;
        self.works.clear();
    }
}

/// A fault in our own code.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord, thiserror::Error)]
#[error(
    "it panicked with {0:?}; this is a bug, please report it with the log lines before this one"
)]
pub struct Panicked(String);

impl Panicked {
    fn new(error: JoinError) -> Self {
        let Ok(what) = error.try_into_panic() else {
            return Self("nothing: it was stopped".to_owned());
        };
        let text = what.downcast_ref::<&str>().map(|text| (*text).to_owned());
        let text = text.or_else(|| what.downcast_ref::<String>().cloned());
        Self(text.unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "that is what is tested")]

    use super::*;

    #[tokio::test]
    async fn one_that_panics_is_known_by_its_work() {
        let mut tasks = Tasks::new();
        assert_eq!(tasks.next().await, None);
        tasks.spawn("well", async { 1 });
        tasks.spawn("broken", async { panic!("as the test wants it") });
        let name = "test";
        tasks.spawn_blocking("broken, outside", move || panic!("as the {name} wants it"));
        let mut ended = Vec::new();
        while let Some(outcome) = tasks.next().await {
            ended.push(outcome);
        }
        ended.sort();
        let broken = |work| Err((work, Panicked("as the test wants it".to_owned())));
        assert_eq!(ended, [Ok(1), broken("broken"), broken("broken, outside")]);
        assert!(tasks.works.is_empty());
    }
}
