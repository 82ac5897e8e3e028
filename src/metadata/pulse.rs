//! The time limits of one connection, on one timer.
//!
//! A connection waits for a request, answers it, sends the answer, and waits again; each phase has its limit. Nearly
//! always a phase ends long before that. So its begin is only noted, and the timer is moved when it fires.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

use super::Limits;

const WAITING: u8 = 0;
const ANSWERING: u8 = 1;
const SENDING: u8 = 2;

/// Shared by the parts of one connection, all of which run in its one task; so there is nothing to order.
#[derive(Debug)]
pub(super) struct Pulse {
    begin: Instant,
    idle: Duration,
    request: Duration,
    phase: AtomicU8,
    /// Nanoseconds from `begin` to the end of the phase's limit.
    due: AtomicU64,
    late: AtomicBool,
}

/// The time limit has passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Late;

impl Pulse {
    /// Begins with waiting for the first request.
    pub(super) fn new(limits: &Limits) -> Self {
        Self {
            begin: Instant::now(),
            idle: limits.idle,
            request: limits.request,
            phase: AtomicU8::new(WAITING),
            due: AtomicU64::new(nanoseconds(limits.idle)),
            late: AtomicBool::new(false),
        }
    }

    /// A request is there. Returns when its answer is due.
    pub(super) fn answer(&self) -> Instant {
        let due = self.begin.elapsed() + self.request;
        self.turn(ANSWERING, nanoseconds(due));
        self.begin + due
    }

    /// The answer is there. What it left of its time is the guest's, beside the guest's own: no need to ask the clock.
    pub(super) fn send(&self) {
        let due = self.due.load(Ordering::Relaxed);
        self.turn(SENDING, due.saturating_add(nanoseconds(self.request)));
    }

    /// The socket has taken all that there is.
    pub(super) fn taken(&self) {
        // In other phases there was nothing to take, and a guest that sends byte by byte gains no time by it.
        if self.phase.load(Ordering::Relaxed) == SENDING {
            self.turn(WAITING, nanoseconds(self.begin.elapsed() + self.idle));
        }
    }

    fn turn(&self, phase: u8, due: u64) {
        self.due.store(due, Ordering::Relaxed);
        self.phase.store(phase, Ordering::Relaxed);
        self.late.store(false, Ordering::Relaxed);
    }

    fn due(&self) -> Instant {
        self.begin + Duration::from_nanos(self.due.load(Ordering::Relaxed))
    }

    /// A timer for [`Pulse::drive`].
    pub(super) fn timer(&self) -> Sleep {
        tokio::time::sleep_until(self.due())
    }

    /// Polls the connection, and ends it when it waited or sent too long. An answer that is late ends by itself
    /// ([`Pulse::in_time`]), and the guest is told.
    pub(super) fn drive<T>(
        &self,
        mut timer: Pin<&mut Sleep>,
        cx: &mut Context<'_>,
        mut connection: impl FnMut(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<Result<T, Late>> {
        loop {
            if let Poll::Ready(done) = connection(cx) {
                return Poll::Ready(Ok(done));
            }
            let due = self.due();
            if timer.deadline() > due || (timer.is_elapsed() && timer.deadline() < due) {
                timer.as_mut().reset(due);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            if timer.deadline() < due {
                continue;
            }
            if self.phase.load(Ordering::Relaxed) != ANSWERING {
                return Poll::Ready(Err(Late));
            }
            self.late.store(true, Ordering::Relaxed);
        }
    }

    /// Does a part of an answer, unless the answer is late.
    pub(super) fn in_time<T>(
        &self,
        mut work: Pin<&mut impl Future<Output = T>>,
    ) -> impl Future<Output = Result<T, Late>> {
        poll_fn(move |cx| match work.as_mut().poll(cx) {
            Poll::Ready(done) => Poll::Ready(Ok(done)),
            Poll::Pending if self.late.load(Ordering::Relaxed) => Poll::Ready(Err(Late)),
            Poll::Pending => Poll::Pending,
        })
    }
}

/// Enough for 584 years.
fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
