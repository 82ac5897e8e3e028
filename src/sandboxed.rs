//! A test that needs namespaces of its own.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::process::Command;

const INSIDE: &str = "WARREN_TEST_IS_SANDBOXED";

/// Runs `body` as the only test of a program in network, mount and PID namespaces of its own. `test` is the path of the
/// test function that calls this.
pub(crate) fn sandboxed(test: &str, body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some() {
        return body();
    }
    let script = "mount -t tmpfs run /run && mkdir /run/netns && exec \"$0\" \"$@\"";
    let output = Command::new("unshare")
        .args(["--mount", "--net", "--pid", "--fork", "--kill-child"])
        .args(["--mount-proc", "--propagation", "private"])
        .args(["sh", "-c", script])
        .arg(std::env::current_exe().unwrap())
        .args(["--nocapture", "--exact", test])
        .env(INSIDE, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    let may_not = complained.starts_with("unshare:");
    if may_not && std::env::var_os("WARREN_REQUIRE_NAMESPACES").is_none() {
        #[allow(clippy::print_stdout, reason = "the word of a test that did not run")]
        {
            println!("skipped: needs namespaces (run as root)");
        }
        return;
    }
    let passed = output.status.success() && said.contains("1 passed");
    assert!(passed, "{}\n{said}\n{complained}", output.status);
}
