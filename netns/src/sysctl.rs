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

/// What each of the keys says now; `None`: there is no such setting (its device may come yet).
pub(crate) fn read<'a>(
    keys: impl Iterator<Item = &'a String>,
) -> io::Result<BTreeMap<String, Option<String>>> {
    let mut values = BTreeMap::new();
    for key in keys {
        let value = match fs::read_to_string(path(key)) {
            Ok(value) => Some(normal(&value)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
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
