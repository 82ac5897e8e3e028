//! The program: arguments in, exit status out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

use tikv_jemallocator::Jemalloc;

/// Gives memory back a few seconds after it was freed: a large topology, read anew, takes for a moment several times what it
/// comes to, and the system's own allocator would keep that for ever.
#[global_allocator]
static ALLOCATOR: Jemalloc = Jemalloc;

fn main() -> ExitCode {
    warren::cli::Arguments::parse_or_exit().execute()
}
