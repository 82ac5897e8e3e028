//! libFuzzer for one of the targets. Which one, `WARREN_FUZZ` says: so their list is in one place, and one program is built.
#![no_main]

mod prompt;
#[path = "../targets/mod.rs"]
mod targets;

use std::env;
use std::sync::LazyLock;

static TARGET: LazyLock<targets::Target> = LazyLock::new(|| {
    let wanted = env::var("WARREN_FUZZ").unwrap_or_default();
    let found = targets::ALL.into_iter().find(|(name, _)| *name == wanted);
    found.expect("WARREN_FUZZ names a target").1
});

libfuzzer_sys::fuzz_target!(|input: &[u8]| prompt::prompt(|| TARGET(input)));
