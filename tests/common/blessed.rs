//! What was seen, kept beside the tests for a reviewer to read.

use std::path::Path;

/// The same as the repository's file `path` says. `WARREN_BLESS=1` writes that anew.
#[track_caller]
#[allow(unreachable_pub, reason = "part of the vocabulary for all tests")]
pub fn blessed(path: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    if std::env::var_os("WARREN_BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    let known = std::fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(
        known, text,
        "{path} is another; WARREN_BLESS=1 writes it anew"
    );
}
