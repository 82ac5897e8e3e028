//! A change of a watched file is noticed however it is made, once, and soon; anything else is not.
#![allow(clippy::unwrap_used)] // A test that can't make its files has failed.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::timeout;
use warren::topology::Watch;

struct Directory(PathBuf);

impl Directory {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("warren-watch-{name}-{}", std::process::id()));
        let _leftover = fs::remove_dir_all(&dir);
        fs::create_dir_all(&dir).unwrap();
        Self(dir)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        let _gone = fs::remove_dir_all(&self.0);
    }
}

/// Well below the slow clock, so that it is the kernel who told us.
async fn notices(watch: &mut Watch) -> bool {
    timeout(Duration::from_secs(3), watch.changed())
        .await
        .is_ok()
}

async fn stays_silent(watch: &mut Watch) -> bool {
    timeout(Duration::from_millis(400), watch.changed())
        .await
        .is_err()
}

#[tokio::test]
async fn every_way_to_change_a_file() {
    type Change = fn(&Path);
    let ways: [(&str, Change); 8] = [
        ("written over", |dir| {
            fs::write(dir.join("net.toml"), "two").unwrap();
        }),
        ("written over with the same length", |dir| {
            fs::write(dir.join("net.toml"), "eno").unwrap();
        }),
        ("appended to", |dir| {
            let mut file = OpenOptions::new()
                .append(true)
                .open(dir.join("net.toml"))
                .unwrap();
            file.write_all(b"more").unwrap();
        }),
        ("replaced by renaming", |dir| {
            fs::write(dir.join("net.toml.new"), "two").unwrap();
            fs::rename(dir.join("net.toml.new"), dir.join("net.toml")).unwrap();
        }),
        ("moved away and written anew, as editors do", |dir| {
            fs::rename(dir.join("net.toml"), dir.join("net.toml~")).unwrap();
            fs::write(dir.join("net.toml"), "two").unwrap();
        }),
        ("removed", |dir| {
            fs::remove_file(dir.join("net.toml")).unwrap();
        }),
        ("made a link", |dir| {
            fs::write(dir.join("other"), "two").unwrap();
            fs::remove_file(dir.join("net.toml")).unwrap();
            symlink(dir.join("other"), dir.join("net.toml")).unwrap();
        }),
        ("another it names", |dir| {
            fs::write(dir.join("sub/user-data"), "two").unwrap();
        }),
    ];
    // They mostly wait: side by side.
    let mut running = tokio::task::JoinSet::new();
    for (nth, (name, change)) in ways.into_iter().enumerate() {
        running.spawn(async move {
            let dir = Directory::new(&format!("ways-{nth}"));
            fs::create_dir(dir.0.join("sub")).unwrap();
            fs::write(dir.0.join("net.toml"), "one").unwrap();
            let files = [dir.0.join("net.toml"), dir.0.join("sub/user-data")];
            let mut watch = Watch::new(files).unwrap();
            assert!(
                stays_silent(&mut watch).await,
                "{name}: nothing happened yet"
            );
            change(&dir.0);
            assert!(notices(&mut watch).await, "{name}");
            assert!(stays_silent(&mut watch).await, "{name}: it is told once");
            fs::write(dir.0.join("neighbour"), "x").unwrap();
            assert!(
                stays_silent(&mut watch).await,
                "{name}: a neighbour is nobody's business"
            );
        });
    }
    while let Some(ended) = running.join_next().await {
        ended.unwrap();
    }
}

#[tokio::test]
async fn behind_a_link() {
    let dir = Directory::new("link");
    fs::create_dir(dir.0.join("target")).unwrap();
    fs::write(dir.0.join("target/net.toml"), "one").unwrap();
    symlink(dir.0.join("target/net.toml"), dir.0.join("net.toml")).unwrap();
    let mut watch = Watch::new([dir.0.join("net.toml")]).unwrap();
    fs::write(dir.0.join("target/net.toml"), "two").unwrap();
    assert!(notices(&mut watch).await);
}

/// While nobody waits, too.
#[tokio::test]
async fn a_change_in_between_is_not_lost() {
    let dir = Directory::new("between");
    let file = dir.0.join("net.toml");
    fs::write(&file, "one").unwrap();
    let mut watch = Watch::new([file.clone()]).unwrap();
    fs::write(&file, "two").unwrap();
    watch.follow([file.clone(), dir.0.join("another")]);
    assert!(
        notices(&mut watch).await,
        "before it followed another file as well"
    );
    fs::write(dir.0.join("another"), "x").unwrap();
    assert!(notices(&mut watch).await, "the file that it follows since");
    watch.follow([file]);
    fs::write(dir.0.join("another"), "y").unwrap();
    assert!(
        stays_silent(&mut watch).await,
        "the file that it does not follow any more"
    );
}

/// A burst is one change, told when it is over.
#[tokio::test]
async fn a_burst_is_one_change() {
    let dir = Directory::new("burst");
    let file = dir.0.join("net.toml");
    fs::write(&file, "").unwrap();
    let mut watch = Watch::new([file.clone()]).unwrap();
    let writer = tokio::spawn(async move {
        for nth in 0..10 {
            fs::write(&file, format!("{nth}")).unwrap();
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        file
    });
    assert!(notices(&mut watch).await);
    let file = writer.await.unwrap();
    assert_eq!(fs::read_to_string(file).unwrap(), "9");
    assert!(stays_silent(&mut watch).await);
}

/// The kernel does not tell of a directory that is not there; the clock does.
#[tokio::test]
async fn a_directory_that_comes_later() {
    let dir = Directory::new("later");
    let mut watch = Watch::new([dir.0.join("later/net.toml")]).unwrap();
    assert!(stays_silent(&mut watch).await);
    fs::create_dir(dir.0.join("later")).unwrap();
    fs::write(dir.0.join("later/net.toml"), "one").unwrap();
    assert!(
        timeout(Duration::from_secs(15), watch.changed())
            .await
            .is_ok()
    );
    fs::write(dir.0.join("later/net.toml"), "two").unwrap();
    assert!(notices(&mut watch).await, "from now on at once");
}
