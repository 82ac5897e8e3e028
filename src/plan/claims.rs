//! What ports claim by name or address. Most keys have one port, but nothing keeps two from claiming the same.

use std::borrow::Borrow;

use imbl::OrdMap;

use crate::model::PortId;

/// Values by key and port. A clone shares all that stays the same, so that one port among thousands comes, goes or
/// changes at the cost of its own keys; and every claim is kept, so that the order of all that does not matter.
#[derive(Debug, Clone)]
pub struct Claims<K: Ord, V>(OrdMap<K, Held<V>>);

/// Who claims one key, in the order of the ports. Almost every key has one port, and there are many keys: that one needs no
/// list.
#[derive(Debug, Clone, PartialEq)]
enum Held<V> {
    One((PortId, V)),
    /// At least two.
    Many(Box<[(PortId, V)]>),
}

impl<V: Clone> Held<V> {
    /// `None`: nobody.
    fn new(mut claims: Vec<(PortId, V)>) -> Option<Self> {
        match claims.len() {
            0 | 1 => claims.pop().map(Self::One),
            _ => Some(Self::Many(claims.into())),
        }
    }

    fn all(&self) -> &[(PortId, V)] {
        match self {
            Self::One(claim) => std::slice::from_ref(claim),
            Self::Many(claims) => claims,
        }
    }
}

impl<K: Ord + Clone, V: Clone> Claims<K, V> {
    /// Behind what this port has claimed before under the same key.
    pub fn insert(&mut self, key: K, port: PortId, value: V) {
        let before = self.0.get(&key).map(Held::all);
        let held = match before {
            None => Held::One((port, value)),
            Some(claims) => {
                let place = claims.partition_point(|(other, _)| *other <= port);
                let (before, after) = claims.split_at(place);
                Held::Many([before, &[(port, value)], after].concat().into())
            }
        };
        self.0.insert(key, held);
    }

    /// All that the port claims under this key.
    pub fn remove<Q: Ord + ?Sized>(&mut self, key: &Q, port: PortId)
    where
        K: Borrow<Q>,
    {
        let Some(held) = self.0.get_mut(key) else {
            return;
        };
        let others = held.all().iter().filter(|(other, _)| *other != port);
        match Held::new(others.cloned().collect()) {
            Some(others) => *held = others,
            None => _ = self.0.remove(key),
        }
    }

    /// Of several ports the last one's.
    pub fn get<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.all(key)?.last().map(|(_, value)| value)
    }

    /// Every port's, in the order of the ports; `None`: nobody claims it.
    pub fn all<Q: Ord + ?Sized>(&self, key: &Q) -> Option<&[(PortId, V)]>
    where
        K: Borrow<Q>,
    {
        self.0.get(key).map(Held::all)
    }

    /// As [`Claims::all`], for every key, in their order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &[(PortId, V)])> {
        self.0.iter().map(|(key, held)| (key, held.all()))
    }

    /// As [`Claims::get`], for every key.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0
            .values()
            .filter_map(|held| Some(&held.all().last()?.1))
    }

    /// Of keys.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl<K: Ord, V> Default for Claims<K, V> {
    fn default() -> Self {
        Self(OrdMap::default())
    }
}

impl<K: Ord + Clone, V: PartialEq + Clone> PartialEq for Claims<K, V> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}

impl<K: Ord + Clone, V: Clone> FromIterator<(K, PortId, V)> for Claims<K, V> {
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
