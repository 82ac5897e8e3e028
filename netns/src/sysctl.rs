//! Settings below `/proc/sys/net`, which show the namespace of the thread that opens them.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Mistake;
use crate::names::DevName;

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

/// What each of the keys says now.
pub(crate) fn read<'a>(
    keys: impl Iterator<Item = &'a String>,
) -> io::Result<BTreeMap<String, SysctlSeen>> {
    let mut values = BTreeMap::new();
    for key in keys {
        let value = match fs::read_to_string(path(key)) {
            Ok(value) => SysctlSeen::Is(normal(&value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let part = DISPENSABLE
                    .iter()
                    .find(|part| Path::new(key).starts_with(part));
                match part {
                    Some(part) if !path(part).exists() => SysctlSeen::Moot,
                    Some(_) | None => SysctlSeen::Missing,
                }
            }
            Err(error) => return Err(error),
        };
        values.insert(key.clone(), value);
    }
    Ok(values)
}

pub(crate) fn write(key: &str, value: &str) -> io::Result<()> {
    // Not `fs::write`: it would create, and truncate, where this is only about what is there.
    let mut file = fs::OpenOptions::new().write(true).open(path(key))?;
    io::Write::write_all(&mut file, value.as_bytes())
}

/// The kernel separates several numbers by tabs; people write spaces.
pub(crate) fn normal(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where it lies.
pub(crate) fn path(key: &str) -> PathBuf {
    Path::new("/proc/sys").join(key)
}
