//! What ports claim by name or address. Most keys have one port, but nothing keeps two from claiming the same.

use std::borrow::Borrow;
use std::hash::Hash;

use imbl::HashMap;

use crate::model::PortId;

/// Values by key and port. A clone shares all that stays the same, so that one port among thousands comes, goes or
/// changes at the cost of its own keys; and every claim is kept, so that the order of all that does not matter.
#[derive(Debug, Clone)]
pub struct Claims<K, V>(HashMap<K, Vec<(PortId, V)>>);

impl<K: Hash + Eq + Clone, V: Clone> Claims<K, V> {
    /// Behind what this port has claimed before under the same key.
    pub fn insert(&mut self, key: K, port: PortId, value: V) {
        // Almost every key has one port; a vector grows to four by itself.
        let claims = self.0.entry(key).or_insert_with(|| Vec::with_capacity(1));
        let place = claims.partition_point(|(other, _)| *other <= port);
        claims.insert(place, (port, value));
    }

    /// All that the port claims under this key.
    pub fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q, port: PortId)
    where
        K: Borrow<Q>,
    {
        if let Some(claims) = self.0.get_mut(key) {
            claims.retain(|(other, _)| *other != port);
            if claims.is_empty() {
                self.0.remove(key);
            }
        }
    }

    /// Of several ports the last one's.
    pub fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.0.get(key)?.last().map(|(_, value)| value)
    }

    /// Every port's, in the order of the ports; `None`: nobody claims it.
    pub fn all<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&[(PortId, V)]>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).map(Vec::as_slice)
    }

    /// As [`Claims::all`], for every key, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &[(PortId, V)])> {
        self.0.iter().map(|(key, claims)| (key, claims.as_slice()))
    }

    /// As [`Claims::get`], for every key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.values().filter_map(|claims| Some(&claims.last()?.1))
    }

    /// Of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K, V> Default for Claims<K, V> {
    fn default() -> Self {
        Self(HashMap::default())
    }
}

impl<K: Hash + Eq + Clone, V: PartialEq + Clone> PartialEq for Claims<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Hash + Eq + Clone, V: Clone> FromIterator<(K, PortId, V)> for Claims<K, V> {
    fn from_iter<T: IntoIterator<Item = (K, PortId, V)>>(claims: T) -> Self {
        let mut all = Self::default();
        for (key, port, value) in claims {
            all.insert(key, port, value);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn port(number: u128) -> PortId {
        PortId(Uuid::from_u128(number))
    }

    #[test]
    fn whatever_the_order_the_last_port_has_it_and_all_are_listed_in_order() {
        let orders = [
            [1, 2, 3],
            [1, 3, 2],
            [2, 1, 3],
            [2, 3, 1],
            [3, 1, 2],
            [3, 2, 1],
        ];
        for order in orders {
            let mut claims: Claims<&str, u128> =
                order.iter().map(|n| ("web", port(*n), *n)).collect();
            assert_eq!(claims.get("web"), Some(&3), "{order:?}");
            let all = [1, 2, 3].map(|n| (port(n), n));
            assert_eq!(claims.all("web"), Some(&all[..]), "{order:?}");
            claims.remove("web", port(3));
            assert_eq!(claims.get("web"), Some(&2), "the one before is known again");
        }
    }

    #[test]
    fn a_port_may_claim_twice_and_gives_up_both() {
        let claims = [
            ("web", port(1), 10),
            ("web", port(2), 20),
            ("web", port(1), 11),
        ];
        let mut claims: Claims<&str, i32> = claims.into_iter().collect();
        let all = [(port(1), 10), (port(1), 11), (port(2), 20)];
        assert_eq!(claims.all("web"), Some(&all[..]));
        claims.remove("web", port(1));
        claims.remove("web", port(1));
        assert_eq!(claims, [("web", port(2), 20)].into_iter().collect());
        claims.remove("web", port(2));
        assert!(claims.is_empty() && claims.all("web").is_none());
    }
}
