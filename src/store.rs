//! Last known state on disk: one JSON file per network, router and instance, so that a broken file costs one object.
//!
//! ```text
//! <state-dir>/lock  settings.json  networks/<id>.json  routers/<id>.json  instances/<id>.json
//! ```
//!
//! Written aside and renamed; the newest content wins, bursts are gathered by the caller. Read at start, before
//! the source: what it says is served until the source has spoken.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imbl::OrdMap;
use nix::fcntl::{Flock, FlockArg};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::model::{
    Event, Instance, InstanceId, Kinds, Network, NetworkId, Router, RouterId, State,
};

const LOCK: &str = "lock";
const SETTINGS: &str = "settings.json";
/// The topology's: what it chose for those to whom the file gives no address.
const PICKS: &str = "picks.json";

const KINDS: [&str; 3] = ["networks", "routers", "instances"];

/// The state directory, held by one daemon at a time.
#[derive(Debug)]
pub struct Store {
    dir: PathBuf,
    _lock: Flock<File>,
}

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("use {dir} as state directory: {source}; create it, or name another with --state-dir")]
    Dir { dir: PathBuf, source: io::Error },
    #[error(
        "use {dir} as state directory: the warren with pid {pid} uses it; stop that one, or name another with --state-dir"
    )]
    Taken { dir: PathBuf, pid: String },
    #[error(
        "read the stored object {path}: {reason}; it was put aside as {path}.broken, and its object waits for the source"
    )]
    Broken { path: String, reason: String },
    #[error("write the stored object {path}: {source}; is the disk full?")]
    Write { path: PathBuf, source: io::Error },
}

/// What changed since it was last written.
#[derive(Debug, Default, Clone)]
pub struct Dirty(BTreeSet<(&'static str, String)>);

impl Dirty {
    pub fn note(&mut self, event: &Event) {
        let [networks, routers, instances] = KINDS;
        let object = match event {
            Event::Network(network) => (networks, network.id.to_string()),
            Event::NetworkGone(id) | Event::PortGone(id, _) => (networks, id.to_string()),
            Event::Port(port) => (networks, port.network.to_string()),
            Event::Router(router) => (routers, router.id.to_string()),
            Event::RouterGone(id) => (routers, id.to_string()),
            Event::Instance(instance) => (instances, instance.id.to_string()),
            Event::InstanceGone(id) => (instances, id.to_string()),
            Event::Complete { .. } => return,
        };
        self.0.insert(object);
    }

    pub fn append(&mut self, other: &mut Self) {
        self.0.append(&mut other.0);
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl Store {
    /// Whether a daemon ever used this directory.
    pub fn is_there(dir: &Path) -> bool {
        dir.join(LOCK).is_file()
    }

    /// Takes the directory; it is made, readable by us alone, if it is not there.
    ///
    /// # Errors
    /// It can't be made or locked, or another daemon holds it.
    pub fn open(dir: &Path) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Dir {
            dir: dir.to_owned(),
            source,
        };
        for kind in KINDS {
            fs::DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(dir.join(kind))
                .map_err(failed)?;
        }
        let options = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .clone();
        let file = options.open(dir.join(LOCK)).map_err(failed)?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
                let mut pid = String::new();
                file.read_to_string(&mut pid).map_err(failed)?;
                return Err(StoreError::Taken {
                    dir: dir.to_owned(),
                    pid: pid.trim().to_owned(),
                });
            }
            Err((_, errno)) => return Err(failed(errno.into())),
        };
        lock.set_len(0)
            .and_then(|()| writeln!(lock, "{}", std::process::id()))
            .map_err(failed)?;
        Ok(Self {
            dir: dir.to_owned(),
            _lock: lock,
        })
    }

    /// What an earlier run kept by [`Store::keep_settings`]; `None`: there was none.
    pub fn settings<T: DeserializeOwned>(&self) -> Result<Option<T>, StoreError> {
        let path = self.dir.join(SETTINGS);
        if !path.exists() {
            return Ok(None);
        }
        read_object(&path)
            .map(Some)
            .map_err(|reason| put_aside(&path, reason))
    }

    pub fn keep_settings<T: Serialize>(&self, settings: &T) -> Result<(), StoreError> {
        let path = self.dir.join(SETTINGS);
        put(&path, Some(settings)).map_err(|source| StoreError::Write { path, source })
    }

    /// All that can be read, and what can't. A broken file is put aside, so that it is reported once.
    pub fn load(&self) -> (State, Vec<StoreError>) {
        let mut errors = Vec::new();
        let [networks, routers, instances] = KINDS;
        let state = State {
            networks: self.load_kind(networks, &mut errors, |network: &Network| network.id),
            routers: self.load_kind(routers, &mut errors, |router: &Router| router.id),
            instances: self.load_kind(instances, &mut errors, |instance: &Instance| {
                instance.id.clone()
            }),
        };
        (state, errors)
    }

    /// Brings the files of what changed up to `state`. What could not be written stays dirty.
    pub fn save(&self, state: &State, dirty: &mut Dirty) -> Vec<StoreError> {
        let mut errors = Vec::new();
        dirty
            .0
            .retain(|(kind, id)| match self.save_one(state, kind, id) {
                Ok(()) => false,
                Err(error) => {
                    errors.push(error);
                    true
                }
            });
        errors
    }

    /// Removes what is kept of these kinds; the rest and the directory too, if no other is left.
    pub fn forget(self, kinds: Kinds) -> Vec<StoreError> {
        let [networks, routers, instances] = KINDS;
        let asked = [
            (networks, kinds.networks),
            (routers, kinds.routers),
            // They are found by the networks that they are on.
            (instances, kinds.networks),
        ];
        let (asked, others): (Vec<_>, Vec<_>) = asked.into_iter().partition(|(_, asked)| *asked);
        let asked = asked.into_iter().map(|(kind, _)| self.dir.join(kind));
        let mut errors: Vec<StoreError> = asked
            .filter_map(|dir| remove(dir, |path| fs::remove_dir_all(path)))
            .collect();
        let has_others = others.into_iter().any(|(kind, _)| {
            let objects = fs::read_dir(self.dir.join(kind));
            objects.is_ok_and(|mut objects| objects.next().is_some())
        });
        if has_others {
            return errors;
        }
        let rest = KINDS.map(|kind| remove(self.dir.join(kind), |path| fs::remove_dir_all(path)));
        let files = [SETTINGS, PICKS, LOCK]
            .map(|file| remove(self.dir.join(file), |path| fs::remove_file(path)));
        // Something of others in it is reason enough to leave it.
        let _ = fs::remove_dir(&self.dir);
        errors.extend(rest.into_iter().chain(files).flatten());
        errors
    }

    fn load_kind<K: Ord + Clone, T: DeserializeOwned>(
        &self,
        kind: &str,
        errors: &mut Vec<StoreError>,
        id: impl Fn(&T) -> K,
    ) -> OrdMap<K, Arc<T>> {
        let dir = self.dir.join(kind);
        let files = match fs::read_dir(&dir) {
            Ok(files) => files,
            Err(source) => {
                errors.push(StoreError::Dir { dir, source });
                return OrdMap::new();
            }
        };
        let paths = files.filter_map(|entry| Some(entry.ok()?.path()));
        let mut objects = OrdMap::new();
        for path in paths.filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "json")
        }) {
            match read_object::<T>(&path) {
                Ok(object) => {
                    objects.insert(id(&object), Arc::new(object));
                }
                Err(reason) => errors.push(put_aside(&path, reason)),
            }
        }
        objects
    }

    fn save_one(&self, state: &State, kind: &'static str, id: &str) -> Result<(), StoreError> {
        let path = self.dir.join(kind).join(file_name(id));
        let written = match (kind, id.parse::<uuid::Uuid>()) {
            ("networks", Ok(id)) => put(&path, state.networks.get(&NetworkId(id))),
            ("routers", Ok(id)) => put(&path, state.routers.get(&RouterId(id))),
            _ => put(&path, state.instances.get(&InstanceId::from(id))),
        };
        written.map_err(|source| StoreError::Write { path, source })
    }
}

fn remove(path: PathBuf, how: impl Fn(&Path) -> io::Result<()>) -> Option<StoreError> {
    match how(&path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => {
            Some(StoreError::Dir { dir: path, source })
        }
        _ => None,
    }
}

/// Instance ids are text of the source: anything but a plain name is written as its bytes.
fn file_name(id: &str) -> String {
    let plain = id
        .bytes()
        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_');
    let stem = if plain && !id.is_empty() && id.len() <= 64 {
        id.to_owned()
    } else {
        format!("x{}", hex::encode(id))
    };
    stem.chars().take(200).chain(".json".chars()).collect()
}

/// It is reported once: the next start does not find it.
fn put_aside(path: &Path, reason: String) -> StoreError {
    let path = path.display().to_string();
    // Failing to put it aside only means that it is reported again.
    let _ = fs::rename(&path, format!("{path}.broken"));
    StoreError::Broken { path, reason }
}

fn read_object<T: DeserializeOwned>(path: &Path) -> Result<T, String> {
    let bytes = fs::read(path).map_err(|error| error.to_string())?;
    serde_json::from_slice(&bytes).map_err(|error| error.to_string())
}

/// Written aside and renamed: a crash leaves the old file or the new one. `None` removes it.
fn put<T: Serialize>(path: &Path, object: Option<&T>) -> io::Result<()> {
    let Some(object) = object else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    let aside = path.with_extension("new");
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&aside)?;
    file.write_all(&serde_json::to_vec(object)?)?;
    fs::rename(&aside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_of_other_kinds_stays() {
        let dir = std::env::temp_dir().join(format!("warren-store-{}", std::process::id()));
        let [network, router] = ["networks/a.json", "routers/b.json"];
        // What is kept, whose it is, what is left of it; nothing left: nor is the directory.
        for (name, kept, networks, routers, left) in [
            ("all", &[network, router][..], true, true, &[][..]),
            ("the DHCP role", &[network, router], true, false, &[router]),
            ("the L3 role", &[network, router], false, true, &[network]),
            (
                "the metadata role",
                &[network, router],
                false,
                false,
                &[network, router],
            ),
            ("a process of L3 alone", &[router], false, true, &[]),
            ("a process of metadata alone", &[], false, false, &[]),
        ] {
            let store = Store::open(&dir).expect("it can be made");
            for file in kept {
                fs::write(dir.join(file), "{}").expect("it can be written");
            }
            let errors = store.forget(Kinds { networks, routers });
            assert!(errors.is_empty(), "{name}: {errors:?}");
            for file in kept {
                assert_eq!(
                    dir.join(file).exists(),
                    left.contains(file),
                    "{name}: {file}"
                );
            }
            assert_eq!(dir.exists(), !left.is_empty(), "{name}");
            let _ = fs::remove_dir_all(&dir);
        }
    }
}
