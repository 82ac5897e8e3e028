//! Namespaces by name, in the place where `ip netns` keeps them: a file in `/run/netns` with the namespace mounted on it.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use netns_rs::{Env, NetNs};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statfs::{FsType, fstatfs};

use crate::enter::{on_worker, return_to};
use crate::error::Error;
use crate::names::NsName;
use crate::spec::Place;
use crate::sysctl::Settings;

/// Where `ip netns` looks.
pub(crate) const DIRECTORY: &str = "/run/netns";

/// The same for netns-rs, which makes it a shared mount and takes names away.
struct RunNetns;

impl Env for RunNetns {
    fn persist_dir(&self) -> PathBuf {
        DIRECTORY.into()
    }
}

/// `NSFS_MAGIC` (linux/magic.h): what tells a namespace from the empty file below it.
const NSFS: FsType = FsType(0x6e73_6673);

/// An open namespace; cheap to clone. The kernel keeps the namespace as long as one handle, socket or process is in it.
#[derive(Clone, Debug)]
pub struct Namespace {
    place: Place,
    file: Arc<File>,
    inode: u64,
    settings: Arc<Mutex<Settings>>,
}

impl Namespace {
    /// The namespace that the program lives in.
    pub fn home() -> Result<Self, Error> {
        let opened =
            File::open("/proc/self/ns/net").and_then(|file| Self::from_file(Place::Home, file));
        opened.map_err(|source| Error::Open {
            place: Place::Home,
            source,
        })
    }

    /// `None`: there is no such namespace. A half-deleted one (its file is there, with nothing mounted on it) is none.
    pub fn open(name: &NsName) -> Result<Option<Self>, Error> {
        let place = Place::Named(name.clone());
        let failed = |source| Error::Open {
            place: place.clone(),
            source,
        };
        // Not waiting for the other end, should somebody have put a pipe there.
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(path(name));
        let file = match opened {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let found = fstatfs(&file).map_err(|errno| failed(errno.into()))?;
        if found.filesystem_type() != NSFS {
            return Ok(None);
        }
        Self::from_file(place.clone(), file)
            .map(Some)
            .map_err(failed)
    }

    /// Opens it, or makes it; the second value says which. Repairs a half-deleted one. `lo` is left down.
    ///
    /// Blocks for about a millisecond when it creates; [`ensure`](Self::ensure) does not.
    pub fn open_or_create(name: &NsName) -> Result<(Self, bool), Error> {
        if let Some(found) = Self::open(name)? {
            return Ok((found, false));
        }
        let owned = name.clone();
        on_worker(move || create(&owned))?
    }

    /// As [`open_or_create`](Self::open_or_create), waiting without blocking.
    pub async fn ensure(name: &NsName) -> Result<(Self, bool), Error> {
        if let Some(found) = Self::open(name)? {
            return Ok((found, false));
        }
        let owned = name.clone();
        Self::home()?.run(move || create(&owned)).await
    }

    /// Takes the name away; `false`: there was none. What is inside goes as soon as the last handle, socket and process
    /// of it is gone, a moment after this returns.
    pub fn delete(name: &NsName) -> Result<bool, Error> {
        let path = path(name);
        let failed = |source| Error::Delete {
            name: name.clone(),
            source,
        };
        // More than one mount can lie on the file (other programs' `NetNs::new` mounts over it): take all.
        let mut removed = false;
        while Self::open(name)?.is_some() {
            let top = NetNs::get_from_env(name.as_str(), RunNetns);
            top.and_then(NetNs::remove)
                .map_err(|error| failed(io::Error::other(error)))?;
            removed = true;
        }
        // Half-deleted, or the file below several mounts.
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(removed),
            Err(error) => Err(failed(error)),
        }
    }

    /// What `ip netns` lists: also half-deleted ones.
    pub fn list() -> Result<BTreeSet<NsName>, Error> {
        let entries = match fs::read_dir(DIRECTORY) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
            Err(source) => return Err(Error::List { source }),
        };
        let mut names = BTreeSet::new();
        for entry in entries {
            let entry = entry.map_err(|source| Error::List { source })?;
            // A name that is none of ours to spell (not printable, not UTF-8) cannot be one that we made.
            names.extend(
                entry
                    .file_name()
                    .into_string()
                    .ok()
                    .and_then(|name| NsName::new(name).ok()),
            );
        }
        Ok(names)
    }

    pub fn place(&self) -> &Place {
        &self.place
    }

    /// Tells a namespace from a later one of the same name. The kernel gives the number to no other while a handle is open.
    pub fn inode(&self) -> u64 {
        self.inode
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Of use to a thread that is inside only.
    pub(crate) fn settings(&self) -> MutexGuard<'_, Settings> {
        // Whoever panicked under it left directories that are open.
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn from_file(place: Place, file: File) -> io::Result<Self> {
        let inode = file.metadata()?.ino();
        Ok(Self {
            place,
            file: Arc::new(file),
            inode,
            settings: Arc::default(),
        })
    }
}

pub(crate) fn path(name: &NsName) -> PathBuf {
    Path::new(DIRECTORY).join(name.as_str())
}

/// On a thread that may change its namespace: `unshare` moves it into the new one, which outlives that once it is
/// mounted; then the thread goes back.
fn create(name: &NsName) -> Result<(Namespace, bool), Error> {
    let failed = |source| Error::Create {
        name: name.clone(),
        source,
    };
    share_directory().map_err(failed)?;
    let here = File::open("/proc/thread-self/ns/net").map_err(failed)?;
    unshare(CloneFlags::CLONE_NEWNET).map_err(|errno| failed(errno.into()))?;
    let made = mount_this(name);
    return_to(&here);
    made
}

/// Gives the namespace that this thread is in a name; if somebody else was quicker, theirs is the answer.
fn mount_this(name: &NsName) -> Result<(Namespace, bool), Error> {
    let failed = |source| Error::Create {
        name: name.clone(),
        source,
    };
    // Two who repair the same half-deleted one would take each other's file away.
    let directory = File::open(DIRECTORY).map_err(failed)?;
    let _lock = Flock::lock(directory, FlockArg::LockExclusive)
        .map_err(|(_, errno)| failed(errno.into()))?;
    if let Some(found) = Namespace::open(name)? {
        return Ok((found, false));
    }
    let path = path(name);
    clear_half_deleted(&path).map_err(failed)?;
    let file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o444)
        .open(&path);
    drop(file.map_err(failed)?);
    let (none, bind) = (None::<&str>, MsFlags::MS_BIND);
    let mounted = mount(Some("/proc/thread-self/ns/net"), &path, none, bind, none);
    let opened = mounted
        .map_err(|errno| failed(errno.into()))
        .and_then(|()| Namespace::open(name));
    let made = opened.and_then(|found| found.ok_or_else(|| failed(Errno::ESTALE.into())));
    if made.is_err() {
        let _ = Namespace::delete(name); // the first error is the one to tell
    }
    made.map(|made| (made, true))
}

/// Removes the empty file that is left when only the mount of a namespace went. Anything else there is not ours.
fn clear_half_deleted(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if found.is_file() && found.len() == 0 => fs::remove_file(path),
        Ok(_) => Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            format!("{} is no namespace", path.display()),
        )),
    }
}

/// Makes the directory a shared mount, as `ip netns add` does: so that other mount namespaces (containers, services
/// with private ones) see namespaces come, and above all go.
fn share_directory() -> io::Result<()> {
    static SHARED: AtomicBool = AtomicBool::new(false);
    if SHARED.load(Ordering::Relaxed) && Path::new(DIRECTORY).is_dir() {
        return Ok(());
    }
    RunNetns.init().map_err(io::Error::other)?;
    SHARED.store(true, Ordering::Relaxed);
    Ok(())
}
