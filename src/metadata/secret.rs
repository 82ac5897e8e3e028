//! The secret that we share with Nova. It never prints.

use std::fmt;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;

/// A larger file is something else, given by mistake.
const LONGEST: u64 = 4096;
/// Read or write for those who are neither owner nor group.
const OTHERS: u32 = 0o006;

/// Key of the signature under an instance's id: Nova's `metadata_proxy_shared_secret`.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Box<[u8]>);

/// Why a file is not taken as a secret. The text reads after "failed to".
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("read the shared secret from {path} (give a file that warren may read)", path = path.display())]
    Read {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("take {path} as the shared secret: other users may read or write it (mode {mode:04o}); run: chmod o-rwx {path}", path = path.display())]
    Open { path: PathBuf, mode: u32 },
    #[error("take {path} as the shared secret: {reason}; put Nova's metadata_proxy_shared_secret in it, and nothing else", path = path.display())]
    Unfit { path: PathBuf, reason: &'static str },
}

impl Secret {
    /// A secret that came with other settings. Empty is legal in Neutron: ids are then signed with an empty key.
    pub fn new(text: &str) -> Self {
        Self(text.as_bytes().into())
    }

    /// Reads a file that holds the secret alone; one line end behind it is no part of it.
    ///
    /// # Errors
    /// When it can't be read, when others than owner and group can, when it is empty, and when it is no secret's size.
    pub fn read(path: &Path) -> Result<Self, SecretError> {
        let failed = |source| SecretError::Read {
            path: path.to_owned(),
            source,
        };
        let unfit = |reason| SecretError::Unfit {
            path: path.to_owned(),
            reason,
        };
        // Opening a pipe must not wait for its writer.
        let file = File::options()
            .read(true)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path)
            .map_err(failed)?;
        // Of the open file: its name may mean another one by now.
        let found = file.metadata().map_err(failed)?;
        if !found.is_file() {
            return Err(unfit("it is not a regular file"));
        }
        if found.mode() & OTHERS != 0 {
            return Err(SecretError::Open {
                path: path.to_owned(),
                mode: found.mode() & 0o7777,
            });
        }
        let mut bytes = Vec::new();
        file.take(LONGEST + 1)
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > LONGEST {
            return Err(unfit("it is longer than 4096 bytes"));
        }
        let line = bytes.strip_suffix(b"\n").unwrap_or(&bytes);
        match line.strip_suffix(b"\r").unwrap_or(line) {
            [] => Err(unfit("it is empty")),
            secret => Ok(Self(secret.into())),
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)] // A test that can't make its files has failed.
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_file_is_judged_before_it_is_used() {
        let dir = std::env::temp_dir().join(format!("warren-secret-{}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        let long = "x".repeat(4097);
        for (name, content, mode, want) in [
            ("plain", "s3cr3t", 0o600, Ok("s3cr3t")),
            ("line-end", "s3cr3t\n", 0o640, Ok("s3cr3t")),
            ("dos-line-end", "s3cr3t\r\n", 0o400, Ok("s3cr3t")),
            ("spaces-count", " a b \n", 0o600, Ok(" a b ")),
            ("world", "s3cr3t", 0o644, Err("chmod o-rwx")),
            ("world-writes", "s3cr3t", 0o602, Err("mode 0602")),
            ("empty", "\n", 0o600, Err("is empty")),
            ("long", &long, 0o600, Err("longer than")),
        ] {
            let path = dir.join(name);
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            match (Secret::read(&path), want) {
                (Ok(got), Ok(want)) => assert_eq!(got, Secret::new(want), "{name}"),
                (Err(got), Err(want)) => assert!(got.to_string().contains(want), "{name}: {got}"),
                (got, want) => panic!("{name}: {got:?} instead of {want:?}"),
            }
        }
        let pipe = dir.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        for unfit in [&dir, &pipe] {
            assert!(matches!(
                Secret::read(unfit),
                Err(SecretError::Unfit { .. })
            ));
        }
        let absent = Secret::read(&dir.join("absent"));
        assert!(matches!(absent, Err(SecretError::Read { .. })));
        fs::remove_dir_all(&dir).unwrap();
    }

    #[test]
    fn it_never_prints() {
        assert_eq!(format!("{:?}", Secret::new("s3cr3t")), "Secret(..)");
    }
}
