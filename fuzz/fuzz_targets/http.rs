#![no_main]

mod prompt;
#[path = "../targets/mod.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|input: &[u8]| prompt::prompt(|| targets::http(input)));
