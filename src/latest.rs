//! The newest value per key, for a reader that may be slow: what it did not come to see is replaced, so that memory is
//! bounded by the number of keys and the writer never waits.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

#[derive(Debug)]
pub struct Latest<K, V> {
    values: Mutex<BTreeMap<K, V>>,
    news: Notify,
}

impl<K: Ord, V> Latest<K, V> {
    pub fn put(&self, key: K, value: V) {
        self.values
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(key, value);
        self.news.notify_one();
    }

    /// All values put since the last time; waits for one. One reader at a time. Cancel-safe.
    pub async fn take(&self) -> BTreeMap<K, V> {
        loop {
            let values =
                std::mem::take(&mut *self.values.lock().unwrap_or_else(PoisonError::into_inner));
            if !values.is_empty() {
                return values;
            }
            self.news.notified().await;
        }
    }
}

impl<K, V> Default for Latest<K, V> {
    fn default() -> Self {
        Self {
            values: Mutex::default(),
            news: Notify::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_newest_value_of_each_key_is_taken_once() {
        let latest = Latest::default();
        latest.put("a", 1);
        latest.put("b", 2);
        latest.put("a", 3);
        assert_eq!(latest.take().await, BTreeMap::from([("a", 3), ("b", 2)]));
        let (taken, ()) = tokio::join!(latest.take(), async { latest.put("c", 4) });
        assert_eq!(taken, BTreeMap::from([("c", 4)]));
    }
}
