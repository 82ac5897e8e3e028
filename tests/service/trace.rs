//! What a program asked of the kernel, as strace wrote it, against what its unit allows.

use std::collections::{BTreeMap, BTreeSet};

use crate::common::Unit;

/// One system call: its name and its arguments as strace spells them.
pub(crate) struct Call<'t> {
    pub(crate) name: &'t str,
    pub(crate) arguments: &'t str,
}

/// The calls of `binary` and its children, from the moment when it was executed.
pub(crate) fn calls<'t>(trace: &'t str, binary: &str) -> Vec<Call<'t>> {
    let begin = format!("execve(\"{binary}\"");
    let lines = trace.lines().skip_while(|line| !line.contains(&begin));
    let calls = lines.filter_map(|line| {
        let (_pid, call) = line.split_once(char::is_whitespace)?;
        let (name, arguments) = call.trim_start().split_once('(')?;
        // Not a call: "<... read resumed>", "+++ exited with 0 +++", "--- SIGCHLD {...} ---".
        let is_name = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        is_name.then_some(Call { name, arguments })
    });
    calls.collect()
}

/// Sets of system calls, from what `systemd-analyze syscall-filter` prints.
pub(crate) struct Sets<'t>(BTreeMap<&'t str, Vec<&'t str>>);

impl<'t> Sets<'t> {
    pub(crate) fn parse(text: &'t str) -> Self {
        let mut sets: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut set = None;
        for line in text.lines() {
            match (line.trim(), line.starts_with(' '), set) {
                ("", ..) => {}
                (name, false, _) => set = Some(name),
                (comment, true, _) if comment.starts_with('#') => {}
                (call, true, Some(set)) => sets.entry(set).or_default().push(call),
                (_, true, None) => {}
            }
        }
        Self(sets)
    }

    /// A filter's words as system calls.
    pub(crate) fn resolve(&self, words: &[&'t str]) -> BTreeSet<&'t str> {
        let mut calls = BTreeSet::new();
        let mut left = words.to_vec();
        while let Some(word) = left.pop() {
            if word.starts_with('@') {
                let set = self.0.get(word).unwrap_or_else(|| panic!("no set {word}"));
                left.extend(set);
            } else {
                calls.insert(word);
            }
        }
        calls
    }
}

/// What of a call the unit forbids, beside its name; systemd's filters are in its `shared/seccomp-util.c`.
pub(crate) fn forbidden(unit: &Unit, call: &Call<'_>) -> Option<&'static str> {
    let Call { name, arguments } = *call;
    let has = |word: &str| arguments.contains(word);
    let flags = |prefix: &str| -> Vec<String> {
        let words = arguments.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words
            .filter(|word| word.starts_with(prefix))
            .map(str::to_owned)
            .collect()
    };
    match name {
        "socket" | "socketpair" => {
            let family = arguments.split(',').next().unwrap_or_default();
            let allowed = unit.words("RestrictAddressFamilies");
            (!allowed.contains(&family)).then_some("RestrictAddressFamilies")
        }
        "unshare" | "setns" | "clone" | "clone3" => {
            assert_eq!(unit.get("RestrictNamespaces"), "net");
            let kinds = flags("CLONE_NEW");
            let others = kinds.iter().any(|kind| kind != "CLONE_NEWNET");
            // To any kind of namespace: not allowed where some are not.
            let any = name == "setns" && kinds.is_empty();
            (others || any).then_some("RestrictNamespaces")
        }
        "mmap" if has("PROT_EXEC") && has("PROT_WRITE") => Some("MemoryDenyWriteExecute"),
        "mprotect" | "pkey_mprotect" if has("PROT_EXEC") => Some("MemoryDenyWriteExecute"),
        "shmat" if has("SHM_EXEC") => Some("MemoryDenyWriteExecute"),
        "sched_setscheduler" if has("SCHED_FIFO") || has("SCHED_RR") => Some("RestrictRealtime"),
        "personality" => Some("LockPersonality"),
        "chmod" | "fchmod" | "fchmodat" | "fchmodat2" | "mkdir" | "mkdirat" | "mknod"
        | "mknodat" | "open" | "openat" | "creat" => {
            let numbers = arguments.split(|c: char| !c.is_ascii_alphanumeric());
            let modes = numbers.filter(|word| word.starts_with('0') && word.len() > 3);
            let mut modes = modes.filter_map(|word| u32::from_str_radix(word, 8).ok());
            let device = arguments
                .split('"')
                .nth(1)
                .and_then(|path| path.strip_prefix("/dev/"));
            // The last four are links to what is open already.
            let pseudo = [
                "null", "zero", "full", "random", "urandom", "tty", "ptmx", "stdin", "stdout",
                "stderr", "fd",
            ];
            if modes.any(|mode| mode & 0o6000 != 0) {
                Some("RestrictSUIDSGID")
            } else if device.is_some_and(|device| !pseudo.contains(&device)) {
                assert_eq!(unit.get("DevicePolicy"), "closed");
                Some("DevicePolicy")
            } else {
                None
            }
        }
        _ => None,
    }
}

#[test]
fn what_is_forbidden_is_seen() {
    let unit = Unit::read();
    for (name, arguments, want) in [
        ("socket", "AF_NETLINK, SOCK_RAW, 0) = 3", None),
        (
            "socket",
            "AF_VSOCK, SOCK_STREAM, 0) = 3",
            Some("RestrictAddressFamilies"),
        ),
        ("setns", "5, CLONE_NEWNET) = 0", None),
        ("setns", "5, 0) = 0", Some("RestrictNamespaces")),
        ("unshare", "CLONE_NEWNS) = 0", Some("RestrictNamespaces")),
        ("clone3", "{flags=CLONE_VM|CLONE_FS, ...} => {...}", None),
        (
            "mmap",
            "NULL, 4096, PROT_READ|PROT_EXEC, MAP_PRIVATE, 3, 0)",
            None,
        ),
        (
            "mmap",
            "NULL, 4096, PROT_WRITE|PROT_EXEC, MAP_PRIVATE, 3, 0)",
            Some("MemoryDenyWriteExecute"),
        ),
        (
            "openat",
            "AT_FDCWD, \"/x\", O_WRONLY|O_CREAT, 0600) = 3",
            None,
        ),
        (
            "openat",
            "AT_FDCWD, \"/x\", O_WRONLY|O_CREAT, 04755) = 3",
            Some("RestrictSUIDSGID"),
        ),
        (
            "openat",
            "AT_FDCWD, \"/dev/kmsg\", O_RDONLY) = 3",
            Some("DevicePolicy"),
        ),
        ("openat", "AT_FDCWD, \"/dev/null\", O_RDWR) = 3", None),
    ] {
        let call = Call { name, arguments };
        assert_eq!(forbidden(&unit, &call), want, "{name}({arguments}");
    }
}
