//! Something moved in a namespace: who did it and what it was is not asked, since the answer is to look again.
//!
//! Devices, addresses, routes, rules and nftables tell by netlink, which needs two sockets born in each namespace. Most
//! settings below /proc/sys tell nobody (inotify sees writers of the same proc mount only), so they are read once a
//! second, through files that were opened inside: a microsecond each. What is only a default for devices to come
//! is left to the regular look. That a namespace itself is gone, also with its
//! file left behind, shows in the table of mounts. All of it is awaited by tasks; there is no thread.
//!
//! Neighbours are not watched: on a busy router they come and go all the time, also by the will of its guests.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, recv};
use rtnetlink::sys::{Socket, SocketAddr, protocols};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use crate::error::Error;
use crate::namespace::{self, Namespace};
use crate::reactor::register;
use crate::spec::{Place, Spec};

/// What happens within this time is told once: long enough for one change of ours, short beside two seconds.
const GATHER: Duration = Duration::from_millis(50);

/// Places that wait to be received. While it is full, news wait (and merge) in a set of at most all watched places.
const QUEUE: usize = 64;

/// `RTNLGRP_*`: links, addresses, routes, rules and `netconf` (forwarding and the like), of IPv4 and IPv6.
const ROUTE_GROUPS: [u32; 9] = [1, 5, 7, 8, 9, 11, 19, 24, 25];

/// `NFNLGRP_NFTABLES`
const NFTABLES_GROUP: u32 = 7;

/// How late a changed setting is noticed, at most.
const READ_EVERY: Duration = Duration::from_secs(1);

/// Messages read in one go, before others get their turn.
const AT_ONCE: usize = 64;

/// Watches namespaces; stops when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    watched: Arc<Mutex<BTreeMap<Place, Watched>>>,
    news: Arc<News>,
    _tasks: Vec<Task>,
}

/// One namespace.
#[derive(Debug)]
struct Watched {
    inode: u64,
    _listeners: Vec<Task>,
    settings: Vec<Setting>,
}

/// Places where something moved.
#[derive(Debug, Default)]
struct News {
    places: Mutex<BTreeSet<Place>>,
    wake: Notify,
}

/// A setting, open in its namespace, and what it was when it was last read; `None`: gone, with its device.
#[derive(Debug)]
struct Setting {
    key: String,
    file: File,
    value: Option<Vec<u8>>,
}

/// Ends with its owner.
#[derive(Debug)]
struct Task(JoinHandle<()>);

impl Watcher {
    /// Inside of a tokio runtime. The receiver hears of each place some time after something moved there; of
    /// our own changes, too, so one looks once more and finds nothing to do.
    pub fn new() -> (Self, mpsc::Receiver<Place>) {
        let (tell, told) = mpsc::channel(QUEUE);
        let news = Arc::new(News::default());
        let watched = Arc::new(Mutex::new(BTreeMap::new()));
        let mut tasks = vec![Task::spawn(forward(Arc::clone(&news), tell))];
        match File::open("/proc/self/mountinfo")
            .and_then(|file| register(file.into(), Interest::PRIORITY))
        {
            Ok(mounts) => tasks.push(Task::spawn(watch_mounts(
                mounts,
                Arc::clone(&watched),
                Arc::clone(&news),
            ))),
            Err(error) => tracing::warn!(%error, "deleted namespaces will not be noticed at once"),
        }
        tasks.push(Task::spawn(watch_settings(
            Arc::clone(&watched),
            Arc::clone(&news),
        )));
        (
            Self {
                watched,
                news,
                _tasks: tasks,
            },
            told,
        )
    }

    /// Watches `ns` until it is unwatched. Begin before looking at it, so that nothing is missed between. Watching the
    /// same namespace again changes nothing; a new one of the same name takes the place of the old.
    pub async fn watch(&self, ns: &Namespace) -> Result<(), Error> {
        if lock(&self.watched)
            .get(ns.place())
            .is_some_and(|watched| watched.inode == ns.inode())
        {
            return Ok(());
        }
        let sockets = ns.enter(|| {
            Ok([
                listener(protocols::NETLINK_ROUTE, &ROUTE_GROUPS)?,
                listener_of_nftables()?,
            ])
        });
        let failed = |source| Error::Watch {
            place: ns.place().clone(),
            source,
        };
        let mut listeners = Vec::new();
        for socket in sockets.await?.into_iter().flatten() {
            let socket = register(socket, Interest::READABLE).map_err(failed)?;
            listeners.push(Task::spawn(listen(
                socket,
                ns.place().clone(),
                Arc::clone(&self.news),
            )));
        }
        let new = Watched {
            inode: ns.inode(),
            _listeners: listeners,
            settings: Vec::new(),
        };
        lock(&self.watched).insert(ns.place().clone(), new);
        Ok(())
    }

    /// Watches the settings that `spec` names, too. Settings of devices can be watched when the device is there: call it
    /// after each time that `spec` was applied. A namespace that is not watched is left alone.
    pub async fn watch_settings(&self, ns: &Namespace, spec: &Spec) -> Result<(), Error> {
        let keys = spec.sysctls.keys().filter(|key| !is_default(key));
        let keys: Vec<String> = keys.cloned().collect();
        let watched = |watched: &Watched| watched.inode == ns.inode() && watched.reads(&keys);
        if lock(&self.watched).get(ns.place()).is_some_and(watched) {
            return Ok(());
        }
        // All of them: a file that went with its device is another when it comes back.
        let inside = ns.clone();
        let settings = ns.enter(move || {
            let mut settings = inside.settings();
            let open = keys.into_iter().filter_map(|key| {
                let file = settings.file(&key).ok()?;
                Some(Setting::read_first(key, file))
            });
            Ok(open.collect())
        });
        let settings = settings.await?;
        if let Some(watched) = lock(&self.watched).get_mut(ns.place())
            && watched.inode == ns.inode()
        {
            watched.settings = settings;
        }
        Ok(())
    }

    /// Stops watching, also one that no longer exists.
    pub fn unwatch(&self, place: &Place) {
        lock(&self.watched).remove(place);
    }
}

impl Watched {
    /// Exactly these settings, and none has gone with its device.
    fn reads(&self, keys: &[String]) -> bool {
        let reads = self.settings.iter().map(Setting::living);
        reads.eq(keys.iter().map(Some))
    }
}

impl News {
    fn tell(&self, place: &Place) {
        if lock(&self.places).insert(place.clone()) {
            self.wake.notify_one();
        }
    }
}

impl Task {
    fn spawn(work: impl Future<Output = ()> + Send + 'static) -> Self {
        Self(tokio::spawn(work))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn forward(news: Arc<News>, tell: mpsc::Sender<Place>) {
    loop {
        news.wake.notified().await;
        tokio::time::sleep(GATHER).await;
        let places = std::mem::take(&mut *lock(&news.places));
        for place in places {
            if tell.send(place).await.is_err() {
                return; // nobody listens any more
            }
        }
    }
}

/// Reads away what a socket tells: only that it told something matters. Also when the kernel lost messages for want of room.
async fn listen(socket: AsyncFd<OwnedFd>, place: Place, news: Arc<News>) {
    let mut buffer = vec![0; 256]; // the rest of a longer message is dropped
    while let Ok(mut ready) = socket.readable().await {
        let mut moved = false;
        for _ in 0..AT_ONCE {
            match recv(socket.as_raw_fd(), &mut buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(_) | Err(Errno::ENOBUFS) => moved = true,
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => {
                    ready.clear_ready();
                    break;
                }
                Err(errno) => {
                    tracing::warn!(%place, %errno, "this namespace is no longer watched");
                    return;
                }
            }
        }
        if moved {
            news.tell(&place);
        }
        tokio::task::yield_now().await;
    }
}

async fn watch_mounts(
    mounts: AsyncFd<OwnedFd>,
    watched: Arc<Mutex<BTreeMap<Place, Watched>>>,
    news: Arc<News>,
) {
    // The kernel wakes us for every mount and unmount; the table itself need not be read.
    while let Ok(mut ready) = mounts.ready(Interest::PRIORITY).await {
        ready.clear_ready();
        drop(ready);
        tokio::time::sleep(GATHER).await;
        let places: Vec<(Place, u64)> = lock(&watched)
            .iter()
            .map(|(place, watched)| (place.clone(), watched.inode))
            .collect();
        for (place, inode) in places {
            let Place::Named(name) = &place else { continue };
            let found = fs::metadata(namespace::path(name)).map(|file| file.ino());
            if found.ok() != Some(inode) {
                news.tell(&place);
            }
        }
    }
}

/// Reading blocks for nothing: the kernel prints a number.
async fn watch_settings(watched: Arc<Mutex<BTreeMap<Place, Watched>>>, news: Arc<News>) {
    let mut tick = tokio::time::interval(READ_EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        for (place, watched) in lock(&watched).iter_mut() {
            // Each is read, so that one change is told once.
            let changed = watched.settings.iter_mut().filter_map(Setting::changed);
            if changed.count() > 0 {
                news.tell(place);
            }
        }
    }
}

impl Setting {
    fn read_first(key: String, file: File) -> Self {
        let value = read(&file);
        Self { key, file, value }
    }

    /// Its key; `None`: its device was gone when it was last read.
    fn living(&self) -> Option<&String> {
        self.value.as_ref().map(|_| &self.key)
    }

    fn changed(&mut self) -> Option<()> {
        let now = read(&self.file);
        let changed = now != self.value;
        self.value = now;
        changed.then_some(())
    }
}

/// Of devices to come: those that are there have a value of their own.
fn is_default(key: &str) -> bool {
    key.contains("/conf/default/")
}

fn read(file: &File) -> Option<Vec<u8>> {
    let mut value = [0; 64];
    let length = file.read_at(&mut value, 0).ok()?;
    Some(value[..length].to_vec())
}

/// On a worker inside of the namespace.
fn listener(protocol: isize, groups: &[u32]) -> io::Result<Option<OwnedFd>> {
    let mut socket = Socket::new(protocol)?;
    socket.bind(&SocketAddr::new(0, 0))?;
    for group in groups {
        socket.add_membership(*group)?;
    }
    Ok(Some(owned(socket)))
}

/// `None`: a kernel without nftables, where nothing of it can move.
fn listener_of_nftables() -> io::Result<Option<OwnedFd>> {
    match listener(protocols::NETLINK_NETFILTER, &[NFTABLES_GROUP]) {
        Err(error) if error.raw_os_error() == Some(libc::EPROTONOSUPPORT) => Ok(None),
        opened => opened,
    }
}

fn owned(socket: Socket) -> OwnedFd {
    // SAFETY: `into_raw_fd` gives the descriptor away, so this is its only owner.
    #[allow(unsafe_code, reason = "the socket's type has no other way out")]
    unsafe {
        OwnedFd::from_raw_fd(socket.into_raw_fd())
    }
}

/// Nothing panics under these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
