//! Something moved in a namespace: who did it and what it was is not asked, since the answer is to look again.
//!
//! Devices, addresses, routes, rules and nftables tell by netlink, which needs two sockets born in each namespace. Most
//! settings below /proc/sys tell nobody, but writing one is seen on its directory (inotify). That a namespace itself is
//! gone, also with its file left behind, shows in the table of mounts. All of it is awaited by tasks; there is no thread.
//!
//! Neighbours are not watched: on a busy router they come and go all the time, also by the will of its guests.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use nix::sys::socket::{MsgFlags, recv};
use rtnetlink::sys::{Socket, SocketAddr, protocols};
use tokio::io::Interest;
use tokio::io::unix::AsyncFd;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinHandle;

use crate::error::Error;
use crate::namespace::{self, Namespace};
use crate::reactor::register;
use crate::spec::{Place, Spec};
use crate::sysctl;

/// What happens within this time is told once: long enough for one change of ours, short beside two seconds.
const GATHER: Duration = Duration::from_millis(50);

/// Places that wait to be received. While it is full, news wait (and merge) in a set of at most all watched places.
const QUEUE: usize = 64;

/// `RTNLGRP_*`: links, addresses, routes, rules and `netconf` (forwarding and the like), of IPv4 and IPv6.
const ROUTE_GROUPS: [u32; 9] = [1, 5, 7, 8, 9, 11, 19, 24, 25];

/// `NFNLGRP_NFTABLES`
const NFTABLES_GROUP: u32 = 7;

/// Messages read in one go, before others get their turn.
const AT_ONCE: usize = 64;

/// Watches namespaces; stops when it is dropped.
#[derive(Debug)]
pub struct Watcher {
    watched: Arc<Mutex<BTreeMap<Place, Watched>>>,
    settings: Option<Arc<Settings>>,
    news: Arc<News>,
    _tasks: Vec<Task>,
}

/// One namespace.
#[derive(Debug)]
struct Watched {
    inode: u64,
    _listeners: Vec<Task>,
    /// Directories of settings. The open file keeps the kernel from forgetting the directory, and with it our watch.
    directories: BTreeMap<PathBuf, (WatchDescriptor, File)>,
}

/// Places where something moved.
#[derive(Debug, Default)]
struct News {
    places: Mutex<BTreeSet<Place>>,
    wake: Notify,
}

/// Watches on directories of settings, of all namespaces.
#[derive(Debug)]
struct Settings {
    inotify: Inotify,
    places: Mutex<HashMap<WatchDescriptor, Place>>,
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
        let settings = match Settings::open() {
            Ok((settings, ready)) => {
                tasks.push(Task::spawn(
                    Arc::clone(&settings).watch(ready, Arc::clone(&news)),
                ));
                Some(settings)
            }
            Err(error) => {
                tracing::warn!(%error, "changed sysctls will not be noticed at once");
                None
            }
        };
        (
            Self {
                watched,
                settings,
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
            directories: BTreeMap::new(),
        };
        let old = lock(&self.watched).insert(ns.place().clone(), new);
        self.forget_settings(old);
        Ok(())
    }

    /// Watches the settings that `spec` names, too. Settings of devices can be watched when the device is there: call it
    /// after each time that `spec` was applied. A namespace that is not watched is left alone.
    pub async fn watch_settings(&self, ns: &Namespace, spec: &Spec) -> Result<(), Error> {
        let Some(settings) = self.settings.clone() else {
            return Ok(());
        };
        if !lock(&self.watched).contains_key(ns.place()) {
            return Ok(());
        }
        // All of them each time: a directory that went with its device is another when it comes back.
        let wanted: BTreeSet<PathBuf> = spec
            .sysctls
            .keys()
            .filter_map(|key| sysctl::directory(key))
            .collect();
        let adding = Arc::clone(&settings);
        let added = ns.enter(move || adding.add(wanted)).await?;
        let mut all = lock(&self.watched);
        let Some(watched) = all
            .get_mut(ns.place())
            .filter(|watched| watched.inode == ns.inode())
        else {
            settings.remove(added); // unwatched meanwhile
            return Ok(());
        };
        lock(&settings.places).extend(
            added
                .values()
                .map(|(descriptor, _)| (*descriptor, ns.place().clone())),
        );
        let mut old = std::mem::replace(&mut watched.directories, added);
        // The kernel gives the same descriptor for the same directory.
        old.retain(|_, (old, _)| !watched.directories.values().any(|(new, _)| new == old));
        settings.remove(old);
        Ok(())
    }

    /// Stops watching, also one that no longer exists.
    pub fn unwatch(&self, place: &Place) {
        let old = lock(&self.watched).remove(place);
        self.forget_settings(old);
    }

    fn forget_settings(&self, old: Option<Watched>) {
        if let (Some(settings), Some(old)) = (&self.settings, old) {
            settings.remove(old.directories);
        }
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

impl Settings {
    fn open() -> io::Result<(Arc<Self>, AsyncFd<OwnedFd>)> {
        let inotify = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC)?;
        let ready = register(inotify.as_fd().try_clone_to_owned()?, Interest::READABLE)?;
        Ok((
            Arc::new(Self {
                inotify,
                places: Mutex::new(HashMap::new()),
            }),
            ready,
        ))
    }

    async fn watch(self: Arc<Self>, descriptor: AsyncFd<OwnedFd>, news: Arc<News>) {
        while let Ok(mut ready) = descriptor.readable().await {
            match self.inotify.read_events() {
                Ok(events) => {
                    let places = lock(&self.places);
                    events
                        .iter()
                        .filter_map(|event| places.get(&event.wd))
                        .for_each(|place| news.tell(place));
                }
                Err(Errno::EINTR) => {}
                Err(_) => ready.clear_ready(), // EAGAIN: all read
            }
        }
    }

    /// On a worker inside of the namespace, since /proc/sys shows that of the looking thread. What is not there is left out.
    fn add(
        &self,
        paths: BTreeSet<PathBuf>,
    ) -> io::Result<BTreeMap<PathBuf, (WatchDescriptor, File)>> {
        let mut added = BTreeMap::new();
        for path in paths {
            let Ok(file) = open_directory(&path) else {
                continue;
            };
            let flags = AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_ONLYDIR;
            added.insert(path.clone(), (self.inotify.add_watch(&path, flags)?, file));
        }
        Ok(added)
    }

    fn remove(&self, directories: BTreeMap<PathBuf, (WatchDescriptor, File)>) {
        for (descriptor, _) in directories.into_values() {
            lock(&self.places).remove(&descriptor);
            let _ = self.inotify.rm_watch(descriptor); // gone by itself if its directory is
        }
    }
}

fn open_directory(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_PATH | libc::O_DIRECTORY)
        .open(path)
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
