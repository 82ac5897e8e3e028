//! Files of Neutron's that hold a secret, and that others may read.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::options;
use super::problem::{Code, Place, Problem, Severity};
use super::sources::Sources;
use super::value::Kind;

/// Read or write for those who are neither owner nor group.
const OTHERS: u32 = 0o006;

/// Each such file, with its first secret. They must keep working for Neutron: so a warning, unless `strict`.
pub(super) fn look(sources: &Sources, strict: bool) -> Vec<Problem> {
    let severity = if strict {
        Severity::Refused
    } else {
        Severity::Warning
    };
    let open = |path: &Path| {
        // What can't be looked at any more was read a moment ago; its next reading will tell.
        let mode = fs::metadata(path).ok()?.mode();
        (mode & OTHERS != 0).then_some(mode & 0o7777)
    };
    let looked = sources.files().filter_map(|path| {
        let lines = sources.lines(path);
        let (group, name, _, line) = lines.iter().find(|(group, name, value, _)| is_secret(group, name, value))?;
        let mode = open(path)?;
        Some(Problem {
            place: Place::Line { path: path.clone(), line: *line },
            severity,
            code: Code::SecretOpen,
            option: format!("[{group}] {name}"),
            why: format!("other users may read or write this file (mode {mode:04o}), and it holds this secret"),
            fix: format!("chown root:neutron {0}; chmod 640 {0}", path.display()),
        })
    });
    looked.collect()
}

/// Also those of the server, which often stand in the same file.
fn is_secret(group: &str, name: &str, value: &str) -> bool {
    if value.is_empty() {
        return false;
    }
    let known = options::find(group, name).map(|known| known.kind);
    known == Some(Kind::Secret)
        || name.contains("password")
        || name.ends_with("secret")
        || has_password(value)
}

/// A URL with a user and a password.
fn has_password(value: &str) -> bool {
    let authority = value.split_once("://").map(|(_, rest)| rest);
    let user = authority
        .and_then(|rest| rest.rsplit_once('@'))
        .map(|(user, _)| user);
    user.and_then(|user| user.split_once(':'))
        .is_some_and(|(_, password)| !password.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_looks() {
        for (group, name, value, want) in [
            ("DEFAULT", "metadata_proxy_shared_secret", "x", true),
            ("DEFAULT", "metadata_proxy_shared_secret", "", false),
            ("DEFAULT", "transport_url", "rabbit://u:p@h", true),
            ("DEFAULT", "transport_url", "rabbit://h1,u:p@h2/v", true),
            ("DEFAULT", "transport_url", "rabbit://h", false),
            ("DEFAULT", "transport_url", "rabbit://u@h", false),
            (
                "database",
                "connection",
                "mysql+pymysql://neutron:x@db/neutron",
                true,
            ),
            (
                "database",
                "connection",
                "sqlite:////var/lib/neutron.db",
                false,
            ),
            ("keystone_authtoken", "password", "x", true),
            ("DEFAULT", "ha_vrrp_auth_password", "x", true),
            ("DEFAULT", "auth_url", "http://[::1]:5000/", false),
            ("DEFAULT", "host", "net1", false),
        ] {
            assert_eq!(is_secret(group, name, value), want, "{name} = {value}");
        }
    }
}
