//! Notices that one of a few files changed, however an editor or a tool changes it.
//!
//! What counts is what the files look like (inode, size, times), compared with the last time. inotify on their
//! directories only says when to look; where it can't (a network file system, a directory that is not there yet) a
//! slow clock does. So a file that is replaced, linked, removed and made again is all the same.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, WatchDescriptor};
use tokio::io::unix::AsyncFd;
use tokio::time::{sleep, timeout};

/// An editor writes a file in several steps: it is looked at again until it rests so long.
const REST: Duration = Duration::from_millis(100);
/// A file that never rests is loaded all the same, after so many looks.
const MOST_LOOKS: u32 = 20;
/// How late a change is seen of which the kernel does not tell us.
const CLOCK: Duration = Duration::from_secs(5);

/// Files, and how they looked when they were last found changed.
#[derive(Debug)]
pub struct Watch {
    inotify: AsyncFd<Queue>,
    directories: BTreeMap<RawWatch, WatchDescriptor>,
    /// Names of the files by directory.
    names: BTreeMap<RawWatch, BTreeSet<OsString>>,
    files: BTreeMap<PathBuf, Looks>,
}

type RawWatch = i32;

/// `None`: there is no such file.
type Looks = Option<(u64, u64, u64, i64, i64, i64, i64)>;

#[derive(Debug)]
struct Queue(Inotify);

impl AsRawFd for Queue {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_fd().as_raw_fd()
    }
}

impl Watch {
    /// Watches these files, which need not be there. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// The kernel has no inotify instance left for us (`fs.inotify.max_user_instances`).
    pub fn new(paths: impl IntoIterator<Item = PathBuf>) -> io::Result<Self> {
        let inotify = Queue(Inotify::init(
            InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC,
        )?);
        // Its successor is unsafe because a type could change its descriptor; ours has one for life.
        #[allow(deprecated)]
        let inotify = AsyncFd::new(inotify)?;
        let mut watch = Self {
            inotify,
            directories: BTreeMap::new(),
            names: BTreeMap::new(),
            files: BTreeMap::new(),
        };
        watch.follow(paths);
        Ok(watch)
    }

    /// Watches these files from now on, instead. A file that was watched before keeps its looks, so that a change
    /// in between is not lost.
    pub fn follow(&mut self, paths: impl IntoIterator<Item = PathBuf>) {
        let mut files = BTreeMap::new();
        for path in paths {
            let looks = self.files.remove(&path).unwrap_or_else(|| looks(&path));
            files.insert(path, looks);
        }
        self.files = files;
        self.watch_directories();
    }

    /// Returns when a file has changed and rests again. Cancel-safe: a change that was not told yet is told next time.
    pub async fn changed(&mut self) {
        loop {
            if self.differs() {
                self.rest().await;
                return;
            }
            if timeout(CLOCK, self.woken()).await.is_err() {
                // A directory may be there by now.
                self.watch_directories();
            }
        }
    }

    fn differs(&self) -> bool {
        self.files.iter().any(|(path, known)| looks(path) != *known)
    }

    /// Looks until nothing changes any more, and remembers that.
    async fn rest(&mut self) {
        let mut seen: BTreeMap<_, _> = self.looks_now();
        for _ in 0..MOST_LOOKS {
            sleep(REST).await;
            let now = self.looks_now();
            if now == seen {
                break;
            }
            seen = now;
        }
        self.files = seen;
        // Links may lead elsewhere now, and a directory may be another one of the same name.
        self.watch_directories();
    }

    fn looks_now(&self) -> BTreeMap<PathBuf, Looks> {
        self.files
            .keys()
            .map(|path| (path.clone(), looks(path)))
            .collect()
    }

    /// Until the kernel tells of one of our files.
    async fn woken(&self) {
        loop {
            let Ok(mut ready) = self.inotify.readable().await else {
                return std::future::pending().await;
            };
            match ready.get_inner().0.read_events() {
                Ok(events) => {
                    let ours = |event: &nix::sys::inotify::InotifyEvent| {
                        let names = self.names.get(&event.wd.as_raw());
                        match &event.name {
                            Some(name) => names.is_some_and(|names| names.contains(name)),
                            // The directory itself went, or events were lost.
                            None => true,
                        }
                    };
                    if events.iter().any(ours) {
                        return;
                    }
                }
                Err(_) => ready.clear_ready(),
            }
        }
    }

    /// A link is watched at both ends.
    fn watch_directories(&mut self) {
        let flags = AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_ATTRIB
            | AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE_SELF
            | AddWatchFlags::IN_MOVE_SELF
            | AddWatchFlags::IN_ONLYDIR;
        let mut names: BTreeMap<RawWatch, BTreeSet<OsString>> = BTreeMap::new();
        let mut directories = BTreeMap::new();
        let targets = self
            .files
            .keys()
            .filter_map(|path| path.canonicalize().ok());
        for path in self.files.keys().cloned().chain(targets) {
            let (Some(directory), Some(name)) = (directory(&path), path.file_name()) else {
                continue;
            };
            // The same directory gives the same descriptor. One that is not there is left to the clock.
            if let Ok(descriptor) = self.inotify.get_ref().0.add_watch(directory, flags) {
                let raw = descriptor.as_raw();
                directories.insert(raw, descriptor);
                names.entry(raw).or_default().insert(name.to_owned());
            }
        }
        for (raw, descriptor) in &self.directories {
            if !directories.contains_key(raw) {
                // The kernel has removed it already if the directory is gone.
                let _gone = self.inotify.get_ref().0.rm_watch(*descriptor);
            }
        }
        (self.directories, self.names) = (directories, names);
    }
}

/// The path's directory; of a bare name the current one.
fn directory(path: &Path) -> Option<&Path> {
    path.parent()
        .map(|directory| match directory.as_os_str().is_empty() {
            true => Path::new("."),
            false => directory,
        })
}

fn looks(path: &Path) -> Looks {
    let found = std::fs::metadata(path).ok()?;
    // The change time moves with every write, even one that sets the others back.
    Some((
        found.dev(),
        found.ino(),
        found.size(),
        found.mtime(),
        found.mtime_nsec(),
        found.ctime(),
        found.ctime_nsec(),
    ))
}
