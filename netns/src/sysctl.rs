//! Settings below `/proc/sys/net`, which show the namespace of the thread that opens them.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::fcntl::{self, OFlag};
use nix::sys::stat::Mode;

use crate::error::Mistake;
use crate::names::DevName;

const ROOT: &str = "/proc/sys";

/// Bytes; the kernel prints no setting longer than a page.
const LONGEST: u64 = 4096;

/// Only what belongs to the namespace, and no way out of the directory.
pub(crate) fn check(key: &str) -> Result<(), Mistake> {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    if key.starts_with("net/") && key.split('/').all(plain) {
        return Ok(());
    }
    Err(Mistake {
        object: format!("sysctl {key:?}"),
        why: "is no setting of a network namespace",
        instead: "write it as below /proc/sys with slashes, like net/ipv4/ip_forward",
    })
}

/// The device that a key is about: `net/ipv4/conf/<device>/..` and the like.
pub(crate) fn device(key: &str) -> Option<DevName> {
    let mut parts = key.split('/').skip(2);
    match parts.next()? {
        "conf" | "neigh" => DevName::new(parts.next()?).ok(),
        _ => None,
    }
}

/// How a setting stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SysctlSeen {
    /// As the kernel prints it, with single blanks.
    Is(String),
    /// Not there: its device or kernel module may come yet.
    Missing,
    /// The kernel has no part at all that it could be about (built without IPv6, no bridge filter): nothing to set.
    Moot,
}

/// Parts of the kernel that many do without, and whose settings then mean nothing.
const DISPENSABLE: [&str; 2] = ["net/ipv6", "net/bridge"];

/// The settings of one namespace, for threads that are inside.
///
/// Each namespace has directories of its own by the same names, `net/ipv4` and so on, and the kernel looks for one among
/// those of all namespaces, one by one: each is looked for once, and kept open.
#[derive(Debug, Default)]
pub(crate) struct Settings(BTreeMap<String, OwnedFd>);

impl Settings {
    /// What each of the keys says now.
    pub(crate) fn read<'a>(
        &mut self,
        keys: impl Iterator<Item = &'a String>,
    ) -> io::Result<BTreeMap<String, SysctlSeen>> {
        let mut values = BTreeMap::new();
        for key in keys {
            let value = match self.open(key, OFlag::O_RDONLY) {
                Ok(file) => {
                    let mut text = String::new();
                    // Bounded, the size of the file (which says nothing here) is not asked for first.
                    file.take(LONGEST).read_to_string(&mut text)?;
                    SysctlSeen::Is(normal(&text))
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let part = DISPENSABLE
                        .iter()
                        .find(|part| Path::new(key).starts_with(part));
                    match part {
                        Some(part) if !Path::new(ROOT).join(part).exists() => SysctlSeen::Moot,
                        Some(_) | None => SysctlSeen::Missing,
                    }
                }
                Err(error) => return Err(error),
            };
            values.insert(key.clone(), value);
        }
        Ok(values)
    }

    pub(crate) fn write(&mut self, key: &str, value: &str) -> io::Result<()> {
        let mut file = self.open(key, OFlag::O_WRONLY)?;
        io::Write::write_all(&mut file, value.as_bytes())
    }

    /// To be read again and again, also from elsewhere.
    pub(crate) fn file(&mut self, key: &str) -> io::Result<File> {
        self.open(key, OFlag::O_RDONLY)
    }

    fn open(&mut self, key: &str, how: OFlag) -> io::Result<File> {
        // `net`, a part of the kernel, and the rest: see `check`.
        let rest = key.splitn(3, '/').nth(2).unwrap_or(".");
        let part = key[..key.len() - rest.len()].trim_end_matches('/');
        let directory = match self.0.entry(part.to_owned()) {
            Entry::Occupied(open) => open.into_mut(),
            Entry::Vacant(place) => {
                let how = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
                place.insert(fcntl::open(
                    &Path::new(ROOT).join(part),
                    how,
                    Mode::empty(),
                )?)
            }
        };
        let opened = fcntl::openat(&*directory, rest, how | OFlag::O_CLOEXEC, Mode::empty())?;
        Ok(opened.into())
    }
}

/// The kernel separates several numbers by tabs; people write spaces.
pub(crate) fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}
