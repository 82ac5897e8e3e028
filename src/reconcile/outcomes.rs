//! What became of a task of the loop, and what its source is told of that.

use std::sync::Arc;
use std::time::Instant;

use tracing::{error, warn};

use super::converge::{ConvergeError, Converged};
use super::queue::Urgency;
use super::{Outcome, Panicked, Reconciler, SAVE_AFTER, Work};
use crate::chain;
use crate::model::{Report, Target};
use crate::plan;
use crate::status::Convergence;
use crate::store::Dirty;

impl Reconciler {
    pub(super) fn finished(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Converged(target, plan, Ok(converged)) => {
                let Converged {
                    served,
                    announcement,
                    trouble,
                } = *converged;
                let entry = self.entries.entry(target).or_default();
                if trouble.is_none() {
                    entry.has_left(Some(&plan));
                }
                entry.plan = Some(plan);
                entry.served = served;
                if let Some(announcement) = announcement {
                    self.tasks.spawn(Work::Announcement, async move {
                        announcement.send().await;
                        Outcome::Announced
                    });
                }
                // It worked with what was known when it began: newer data is given to the servers again.
                match trouble {
                    Some(error) => {
                        self.failed(target, &error);
                        self.update_served(target);
                    }
                    None => {
                        self.queue.done(target);
                        entry.convergence = Convergence::Converged;
                        self.replan(target, Urgency::Now);
                    }
                }
            }
            Outcome::Converged(target, _, Err(error)) => self.failed(target, &error),
            Outcome::Removed(target, Ok(())) => {
                self.queue.done(target);
                if plan::plan(&self.state, target, &self.settings).is_some() {
                    if let Some(entry) = self.entries.get_mut(&target) {
                        entry.has_left(None);
                    }
                    self.replan(target, Urgency::Now);
                } else {
                    self.entries.remove(&target);
                    self.report(target);
                }
            }
            Outcome::Removed(target, Err(error)) => self.failed(target, &error),
            Outcome::Host(result, astray) => {
                self.host_busy = false;
                self.look_for(&astray);
                match result {
                    Ok(0) => {}
                    Ok(steps) => {
                        warn!(steps, "something of ours on the host had changed; repaired");
                    }
                    // Most often a far end whose pair is being made again: its target will say what it needs.
                    Err(error) => {
                        warn!(error = %chain(&error), "the host's part could not be repaired; every target is looked at");
                        self.look_at_all();
                    }
                }
            }
            Outcome::Saved(mut dirty) => {
                self.saving = Dirty::default();
                self.dirty.append(&mut dirty);
                if !self.dirty.is_empty() {
                    self.save_due
                        .get_or_insert_with(|| Instant::now() + 50 * SAVE_AFTER);
                }
            }
            Outcome::Swept | Outcome::Announced => {}
        }
    }

    pub(super) fn broke(&mut self, work: Work, panicked: Panicked) {
        match work {
            Work::Target(target) => {
                let source = panicked;
                self.failed(target, &ConvergeError::Panicked { target, source });
                // As after trouble.
                self.update_served(target);
                if let Some(entry) = self.entries.get_mut(&target) {
                    entry.served.distrust();
                }
                return;
            }
            Work::Host => self.host_busy = false,
            Work::Save => {
                let unsaved = std::mem::take(&mut self.saving);
                self.finished(Outcome::Saved(unsaved));
            }
            Work::Sweep | Work::Announcement => {}
        }
        error!(error = %chain(&panicked), "{work:?} came to nothing");
    }

    fn failed(&mut self, target: Target, error: &ConvergeError) {
        let (delay, failures) = self.queue.failed(target, Instant::now());
        let error = chain(error);
        // Said when it is new; a repeated failure is for `warren status`.
        let entry = self.entries.entry(target).or_default();
        let repeated = matches!(&entry.convergence, Convergence::Failed { error: known, .. } if *known == error);
        if !repeated {
            error!(%target, %error, retry_ms = delay.as_millis(), "failed; it is tried again, others go on");
        }
        entry.convergence = Convergence::Failed { error, failures };
        if let Some(reports) = &self.reports {
            match target {
                Target::Network(id) => reports.networks.put(id, Report::Failed),
                Target::Router(id) => reports.routers.put(id, Report::Failed),
            }
        }
    }

    /// Tells the source what became of its newest word about a target, once that is settled.
    pub(super) fn report(&self, target: Target) {
        let settled = self
            .entries
            .get(&target)
            .is_none_or(|entry| entry.convergence == Convergence::Converged);
        let Some(reports) = self.reports.as_ref().filter(|_| settled) else {
            return;
        };
        match target {
            Target::Network(id) => reports
                .networks
                .put(id, holds(self.state.networks.get(&id))),
            Target::Router(id) => reports.routers.put(id, holds(self.state.routers.get(&id))),
        }
    }
}

fn holds<T>(object: Option<&Arc<T>>) -> Report<T> {
    object.map_or(Report::Gone, |object| Report::Holds(Arc::clone(object)))
}
