//! Passwords that machines left for their owners, encrypted with the owner's key. In memory only, as long as we run.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use crate::model::{InstanceId, State};

/// At most one per machine of the model, of at most 1020 bytes.
#[derive(Debug, Default)]
pub(super) struct Passwords(Mutex<HashMap<InstanceId, Bytes>>);

impl Passwords {
    pub(super) fn get(&self, instance: &InstanceId) -> Option<Bytes> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.get(instance).cloned()
    }

    /// Another machine may come by the same name.
    pub(super) fn forget(&self, instance: &InstanceId) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.remove(instance);
    }

    /// False: it has one already, and keeps it.
    pub(super) fn set(&self, instance: &InstanceId, password: Bytes, state: &State) -> bool {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains_key(instance) {
            return false;
        }
        if kept.len() >= state.instances.len() {
            kept.retain(|id, _| state.instances.contains_key(id));
        }
        kept.insert(instance.clone(), password);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn the_first_stays_and_the_gone_go() {
        let state = sample::state();
        let (web, gone) = (InstanceId::from(sample::WEB), InstanceId::from("gone"));
        let passwords = Passwords::default();
        assert!(passwords.set(&gone, Bytes::from_static(b"old"), &state));
        assert!(passwords.set(&web, Bytes::from_static(b"first"), &state));
        assert!(!passwords.set(&web, Bytes::from_static(b"second"), &state));
        assert_eq!(passwords.get(&web).as_deref(), Some(&b"first"[..]));
        assert_eq!(passwords.get(&gone), None);
    }
}
