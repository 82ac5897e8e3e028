//! The agents' configuration as operators have it: files as distributions, kolla and helm lay them out, what
//! `warren check` prints of them, the names and flags of the agents, and files that are broken in every way.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod agents;
mod check;
mod mutants;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use warren::config::{Asked, Given};
use warren::neutron::Role;

/// A copy of one of the trees of files beside this one, with the modes that packages give; gone with the value.
struct Tree(PathBuf);

impl Tree {
    /// A file where a state directory is wanted: no daemon starts with that.
    fn no_directory(&self) -> String {
        let path = self.path("state");
        fs::write(&path, "").unwrap();
        path
    }

    fn new(name: &str) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("warren-tree-{}-{number}", std::process::id()));
        let from = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("tests/config")
            .join(name);
        copy(&from, &dir);
        Self(dir)
    }

    fn path(&self, name: &str) -> String {
        self.0.join(name).display().to_string()
    }

    /// `--config-file` and `--config-dir` of the words, which are paths in the tree; directories end in `/`.
    fn arguments(&self, paths: &str) -> Vec<String> {
        let words = paths
            .split(' ')
            .flat_map(|path| match path.strip_suffix('/') {
                Some(dir) => ["--config-dir".to_owned(), self.path(dir)],
                None => ["--config-file".to_owned(), self.path(path)],
            });
        words.collect()
    }

    fn asked(&self, paths: &str, roles: &[Role]) -> Asked {
        let given = paths.split(' ').map(|path| match path.strip_suffix('/') {
            Some(dir) => Given::Dir(self.0.join(dir)),
            None => Given::File(self.0.join(path)),
        });
        Asked {
            given: given.collect(),
            roles: roles.iter().copied().collect::<BTreeSet<_>>(),
            program: "warren".into(),
            strict_secrets: false,
            variables: BTreeMap::new(),
        }
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let from = entry.unwrap().path();
        let to = to.join(from.file_name().unwrap());
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(&from, &to).unwrap();
            fs::set_permissions(&to, fs::Permissions::from_mode(0o640)).unwrap();
        }
    }
}

/// Status, standard output, standard error of the program under a name.
fn run_as(name: &str, args: &[String]) -> (Option<i32>, String, String) {
    use std::os::unix::process::CommandExt;
    let output = Command::new(env!("CARGO_BIN_EXE_warren"))
        .arg0(name)
        .args(args)
        .env("HOME", "/nonexistent")
        .env_remove("RUST_LOG")
        .env_remove("JOURNAL_STREAM")
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (
        output.status.code(),
        text(output.stdout),
        text(output.stderr),
    )
}

fn warren(args: &[String]) -> (Option<i32>, String, String) {
    run_as("warren", args)
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
