//! A host of its own for a test that drives the library itself: the test runs again inside of it.

use std::future::Future;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::{Host, PATIENCE};

const INSIDE: &str = "WARREN_TEST_INSIDE";

/// Runs `test` on a sandboxed host. `name` is that of the test function which calls this, with its module.
pub(crate) fn on_a_host<F: Future<Output = ()>>(name: &str, test: impl FnOnce() -> F) {
    if std::env::var_os(INSIDE).is_some() {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap()
            .block_on(test());
        return;
    }
    let Some(host) = Host::of_cloud("net1") else {
        return;
    };
    let exe = std::env::current_exe().unwrap();
    let inside = format!("{INSIDE}=1");
    let argv = [
        "env",
        &inside,
        exe.to_str().unwrap(),
        "--exact",
        name,
        "--nocapture",
        "--test-threads=1",
    ];
    let output = host.machine().run(&argv);
    assert!(output.succeeded(), "{output}");
    assert!(
        output.stdout.contains("1 passed"),
        "there is no test {name}: {output}"
    );
}

/// Runs lines of shell with all of an operator's tools, and gives what they printed.
#[track_caller]
pub(crate) fn sh(script: &str) -> String {
    let (ok, text) = try_sh(script);
    assert!(ok, "{script}\n{text}");
    text
}

pub(crate) fn try_sh(script: &str) -> (bool, String) {
    let output = Command::new("chroot")
        .args(["/run/peers", "bash", "-ec", script])
        .env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        )
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    (output.status.success(), text.trim().to_owned())
}

/// Waits for a script to succeed.
pub(crate) async fn eventually(script: &str) {
    let start = Instant::now();
    loop {
        let (ok, text) = try_sh(script);
        if ok {
            return;
        }
        assert!(
            start.elapsed() < PATIENCE,
            "waited in vain for: {script}\n{text}"
        );
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
