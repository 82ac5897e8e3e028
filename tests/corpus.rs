//! What the fuzzer's corpus keeps (`fuzz/corpus`), fed to its targets once more: cases of each kind of message, and whatever
//! was once found to do harm.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../fuzz/targets/mod.rs"]
mod targets;

use std::fs;
use std::time::{Duration, Instant};

#[test]
fn nothing_in_the_corpus_does_harm() {
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz/corpus");
    let kept = fs::read_dir(corpus).unwrap();
    let mut kept: Vec<_> = kept.map(|dir| dir.unwrap().file_name()).collect();
    kept.sort();
    assert_eq!(
        kept,
        targets::ALL.map(|(name, _)| name),
        "a corpus for each target"
    );
    for (name, target) in targets::ALL {
        let mut cases = 0;
        for case in fs::read_dir(format!("{corpus}/{name}")).unwrap() {
            let case = case.unwrap().path();
            let input = fs::read(&case).unwrap();
            let begin = Instant::now();
            target(&input);
            assert!(
                begin.elapsed() < Duration::from_secs(5),
                "{}",
                case.display()
            );
            cases += 1;
        }
        assert!(cases > 0, "{name}");
    }
}
