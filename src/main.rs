//! The program: arguments in, exit status out.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    warren::cli::Arguments::parse_or_exit().execute()
}
