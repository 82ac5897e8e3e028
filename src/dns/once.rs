//! Each question is asked once at a time: who asks the same meanwhile waits for that answer.
//!
//! It spares the forwarders, and whoever forges answers has one port and one id to guess, however often the question
//! was asked (RFC 5452 section 5).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

type Answers<T> = watch::Receiver<Option<Arc<T>>>;

/// The questions that are being asked.
#[derive(Debug)]
pub(super) struct Once<T>(Mutex<HashMap<Box<[u8]>, Answers<T>>>);

/// Takes the question away when whoever asked it has the answer, or has gone.
struct Asks<'o, T> {
    of: &'o Once<T>,
    key: &'o [u8],
}

impl<T> Once<T> {
    pub(super) fn new() -> Self {
        Self(Mutex::default())
    }

    /// The answer to `key`, by `ask` or by whoever asks already. Cancel-safe: who waits for somebody that goes away asks
    /// himself.
    pub(super) async fn ask<F>(&self, key: &[u8], ask: impl Fn() -> F) -> Arc<T>
    where
        F: Future<Output = T>,
    {
        loop {
            match self.join(key) {
                Ok(mut answers) => {
                    if let Ok(answer) = answers.wait_for(Option::is_some).await
                        && let Some(answer) = &*answer
                    {
                        return Arc::clone(answer);
                    }
                }
                Err(answers) => {
                    // Dropped before `answers` is, so that nobody finds a question that nobody asks.
                    let _asks = Asks { of: self, key };
                    let answer = Arc::new(ask().await);
                    answers.send_replace(Some(Arc::clone(&answer)));
                    return answer;
                }
            }
        }
    }

    /// Where the answer will be; or, if nobody asks, where to put it.
    fn join(&self, key: &[u8]) -> Result<Answers<T>, watch::Sender<Option<Arc<T>>>> {
        let mut all = self.lock();
        if let Some(answers) = all.get(key) {
            return Ok(answers.clone());
        }
        let (answers, reader) = watch::channel(None);
        all.insert(key.into(), reader);
        Err(answers)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Box<[u8]>, Answers<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Drop for Asks<'_, T> {
    fn drop(&mut self) {
        self.of.lock().remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::time::Duration;

    use tokio::time::{sleep, timeout};

    use super::*;

    #[tokio::test]
    async fn the_same_is_asked_once_at_a_time() {
        let once = Once::new();
        let asked = Cell::new(0);
        let ask = || async {
            asked.set(asked.get() + 1);
            sleep(Duration::from_millis(20)).await;
            asked.get()
        };
        let (one, two, other) = tokio::join!(
            once.ask(b"a", ask),
            once.ask(b"a", ask),
            once.ask(b"b", ask)
        );
        assert!(Arc::ptr_eq(&one, &two));
        assert!(!Arc::ptr_eq(&one, &other));
        assert_eq!(asked.get(), 2);
        once.ask(b"a", ask).await;
        assert_eq!(asked.get(), 3, "later it is asked again");
        assert!(once.lock().is_empty());
    }

    #[tokio::test]
    async fn who_waits_for_somebody_that_goes_asks_himself() {
        let once = Once::new();
        let never = || std::future::pending::<u8>();
        let gone = timeout(Duration::from_millis(10), once.ask(b"a", never));
        let stays = once.ask(b"a", || async { 7 });
        let (gone, answer) = tokio::join!(biased; gone, stays);
        assert!(gone.is_err());
        assert_eq!(*answer, 7);
        assert!(once.lock().is_empty());
    }
}
