//! Runs work inside a namespace, on threads made for that.
//!
//! A thread has a namespace; a socket keeps the one that it was born in. A runtime's own thread must never change
//! its namespace (every task on it would be in the wrong place), so a few plain threads do nothing else: enter, do one
//! short piece of work, go home. One that cannot go home ends the whole program, since what it would do next would
//! be done in somebody else's network.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use nix::sched::{CloneFlags, setns};
use tokio::sync::oneshot;

use crate::error::Error;
use crate::namespace::Namespace;

/// One piece of work. The queue needs no bound of its own: each entry is a caller who waits for it.
type Job = Box<dyn FnOnce() + Send>;

/// Threads share this many places: creating devices takes one lock of the whole kernel (RTNL), so more gain nothing.
const MOST_THREADS: usize = 8;

static QUEUE: Mutex<Option<Sender<Job>>> = Mutex::new(None);

thread_local! {
    /// Set on our own threads, which must not wait for one another.
    static IS_WORKER: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

impl Namespace {
    /// Runs `f` inside this namespace on one of the threads for that, and hands back its answer.
    ///
    /// Sockets and files under `/proc/sys/net` that `f` opens, and processes that it starts, belong to this namespace.
    /// Keep `f` short. If the caller stops waiting before `f` was begun, it is not run; once begun it ends.
    pub async fn enter<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> Result<T, Error> {
        let place = self.place().clone();
        self.run(move || f().map_err(|source| Error::Inside { place, source }))
            .await
    }

    /// As [`enter`](Self::enter), for work with errors of ours.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        f: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, wait) = oneshot::channel();
        let inside = self.clone();
        submit(Box::new(move || {
            if !answer.is_closed() {
                let _ = answer.send(inside.visit(f)); // fails only when nobody waits any more
            }
        }))?;
        wait.await.unwrap_or_else(|_| {
            Err(Error::Panicked {
                place: self.place().clone(),
            })
        })
    }

    /// Enters with this very thread, which must be one of ours; the thread's loop brings it home.
    fn visit<T>(&self, f: impl FnOnce() -> Result<T, Error>) -> Result<T, Error> {
        setns(self.file(), CloneFlags::CLONE_NEWNET).map_err(|errno| Error::Enter {
            place: self.place().clone(),
            source: errno.into(),
        })?;
        f()
    }

    /// From work in `here` (on one of our threads): does `f` in this namespace, and returns to `here`.
    pub(crate) fn detour<T>(&self, here: &Self, f: impl FnOnce() -> T) -> Result<T, Error> {
        debug_assert!(
            IS_WORKER.get(),
            "only on a thread that may change its namespace"
        );
        let answer = self.visit(|| Ok(f()));
        return_to(here.file());
        answer
    }
}

/// What this thread would do next, it would do in somebody else's network.
pub(crate) fn return_to(namespace: &File) {
    if let Err(errno) = setns(namespace, CloneFlags::CLONE_NEWNET)
        && !is_in(namespace)
    {
        tracing::error!(%errno, "a thread cannot return to its namespace; ending the program");
        std::process::abort();
    }
}

/// Who has no right to enter a namespace has not left this one either.
fn is_in(namespace: &File) -> bool {
    let here = std::fs::metadata("/proc/thread-self/ns/net");
    matches!((here, namespace.metadata()), (Ok(here), Ok(there)) if here.ino() == there.ino())
}

/// Runs `f` on one of the threads, at home, while this thread waits. For the few calls that are not async.
pub(crate) fn on_worker<T: Send + 'static>(
    f: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Error> {
    if IS_WORKER.get() {
        return Ok(f());
    }
    let (answer, wait) = channel();
    submit(Box::new(move || {
        let _ = answer.send(f()); // the receiver waits below
    }))?;
    wait.recv().map_err(|_| Error::Workers {
        source: io::Error::other("the work panicked"),
    })
}

fn submit(job: Job) -> Result<(), Error> {
    let mut queue = QUEUE.lock().unwrap_or_else(PoisonError::into_inner);
    if queue.is_none() {
        *queue = Some(start().map_err(|source| Error::Workers { source })?);
    }
    match queue.as_ref().map(|queue| queue.send(job)) {
        Some(Ok(())) => Ok(()),
        Some(Err(_)) | None => Err(Error::Workers {
            source: io::ErrorKind::BrokenPipe.into(),
        }),
    }
}

fn start() -> io::Result<Sender<Job>> {
    let threads = thread::available_parallelism()
        .map_or(2, usize::from)
        .clamp(2, MOST_THREADS);
    let (submit, jobs) = channel::<Job>();
    let jobs = Arc::new(Mutex::new(jobs));
    for number in 0..threads {
        let (jobs, home) = (Arc::clone(&jobs), File::open("/proc/self/ns/net")?);
        thread::Builder::new()
            .name(format!("netns-{number}"))
            .spawn(move || work(&jobs, &home))?;
    }
    Ok(submit)
}

fn work(jobs: &Mutex<Receiver<Job>>, home: &File) {
    IS_WORKER.set(true);
    loop {
        // One thread waits inside of `recv`, the others for the lock. A panic cannot happen under it.
        let next = jobs.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(job) = next else { return };
        if catch_unwind(AssertUnwindSafe(job)).is_err() {
            tracing::error!("work inside a namespace panicked; its caller was told");
        }
        return_to(home);
    }
}
