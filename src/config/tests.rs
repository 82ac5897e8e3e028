//! From files to settings: what counts, what is told, and that no secret is.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

mod honoured;
mod judged;
mod precedence;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Asked, Configured, Given, Loaded, Place, Problem, Severity, load};
use crate::neutron::Role;

/// A directory of files; gone with the value.
struct Files(PathBuf);

impl Files {
    fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir =
            std::env::temp_dir().join(format!("warren-config-{}-{number}", std::process::id()));
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }

    fn with(files: &[(&str, &str)]) -> Self {
        let dir = Self::new();
        files.iter().for_each(|(name, text)| dir.write(name, text));
        dir
    }

    fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, text).unwrap();
        set_mode(&path, 0o640);
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn asked(given: Vec<Given>) -> Asked {
    Asked {
        given,
        roles: BTreeSet::from([Role::Dhcp, Role::L3, Role::Metadata]),
        program: "warren".into(),
        strict_secrets: false,
        // No file is found where nobody put one.
        variables: BTreeMap::from([("HOME".to_owned(), "/nonexistent".to_owned())]),
    }
}

/// What every cloud's files have; a test's own text comes behind it.
const CLOUD: &str = "[DEFAULT]\ninterface_driver = linuxbridge\ntransport_url = rabbit://u:p@h\n\
    metadata_proxy_shared_secret = s3cr3t\n";

/// One file of the cloud, and one of this text.
fn loaded(text: &str) -> Loaded {
    let dir = Files::with(&[("cloud.conf", CLOUD), ("own.conf", text)]);
    load(&asked(vec![
        Given::File(dir.path("cloud.conf")),
        Given::File(dir.path("own.conf")),
    ]))
}

#[track_caller]
fn configured(text: &str) -> Configured {
    let loaded = loaded(text);
    let problems = told(&loaded.problems);
    loaded
        .configured
        .unwrap_or_else(|| panic!("refused:\n{text}\n{problems:#?}"))
}

/// `severity line option: why; fix`; the line is 0 where there is none.
fn told(problems: &[Problem]) -> Vec<String> {
    let line = |problem: &Problem| match &problem.place {
        Place::Line { line, .. } => *line,
        Place::Flag { .. } | Place::Variable { .. } | Place::Nowhere {} => 0,
    };
    problems
        .iter()
        .map(|problem| {
            format!(
                "{} {} {}",
                problem.severity,
                line(problem),
                problem.sentence()
            )
        })
        .collect()
}
