//! What is done while no target waits: the host's part is looked at, leftovers are removed, the state is kept.

use std::collections::BTreeSet;
use std::sync::Arc;

use netns::Spec;
use tracing::{error, warn};

use super::{Outcome, Reconciler, Work, sweep};
use crate::chain;
use crate::status::Convergence;

impl Reconciler {
    /// All targets' parts of the host in one, once they stand: far ends of pairs that are still to come are not missed.
    pub(super) fn start_host_look(&mut self) {
        let mut whole: Option<Spec> = None;
        let mut ports = Vec::new();
        let converged = self
            .entries
            .values()
            .filter(|entry| entry.convergence == Convergence::Converged);
        for plan in converged.filter_map(|entry| entry.plan.as_deref()) {
            ports.extend(plan.ports.iter().cloned());
            match &mut whole {
                None => whole = Some(plan.host.clone()),
                Some(spec) => {
                    spec.links.extend(plan.host.links.clone());
                    spec.sysctls.extend(plan.host.sysctls.clone());
                }
            }
        }
        let Some(whole) = whole else { return };
        let kernel = self.kernel.clone();
        self.host_busy = true;
        self.tasks.spawn(Work::Host, async move {
            let _turn = kernel.host_turn.lock().await;
            let applied = netns::converge(&kernel.home, &whole).await;
            let astray = kernel.plug.astray(&kernel.home, &ports).await;
            let astray = astray.unwrap_or_else(|error| {
                warn!(error = %chain(&error), "whether devices came anew on the host is not known; the regular look will tell");
                BTreeSet::new()
            });
            Outcome::Host(applied.map(|applied| applied.steps.len()), astray)
        });
    }

    pub(super) fn start_sweep(&mut self) {
        if !self.complete {
            return;
        }
        let mut wanted = sweep::Wanted::of(&self.state, &self.settings);
        wanted.kinds = self.kinds;
        let (kernel, named) = (self.kernel.clone(), self.named.take());
        self.tasks.spawn(Work::Sweep, async move {
            let _turn = kernel.host_turn.lock().await;
            let predecessor = kernel.predecessor.as_deref();
            if let (Some(predecessor), Some(named)) = (predecessor, named) {
                wanted.strangers = predecessor.strangers(&named).await;
            }
            for error in sweep::sweep(&kernel.home, &kernel.plug, predecessor, &wanted).await {
                error!(error = %chain(&error), "a leftover could not be removed");
            }
            Outcome::Swept
        });
    }

    pub(super) fn start_save(&mut self) {
        let (store, state) = (Arc::clone(&self.store), self.state.clone());
        let mut dirty = std::mem::take(&mut self.dirty);
        self.saving = dirty.clone();
        self.tasks.spawn_blocking(Work::Save, move || {
            for error in store.save(&state, &mut dirty) {
                error!(error = %chain(&error), "state not kept; it is tried again");
            }
            Outcome::Saved(dirty)
        });
    }
}
