//! Namespaces by name, and work inside of them.
#![allow(
    clippy::unwrap_used,
    reason = "a test ends at the first thing that is not as it should be"
)]

mod common;

use std::io;
use std::os::unix::fs::MetadataExt;

use common::{chain, namespace, ns, run, sandbox};
use netns::{Error, Namespace, Place};

#[test]
fn made_opened_listed_and_deleted() {
    sandbox("made_opened_listed_and_deleted", || async {
        assert!(Namespace::open(&ns("a")).unwrap().is_none());
        let (made, created) = Namespace::open_or_create(&ns("a")).unwrap();
        assert!(created);
        assert_eq!(made.place(), &Place::Named(ns("a")));
        let (opened, created) = Namespace::ensure(&ns("a")).await.unwrap();
        assert!(!created);
        assert_eq!(made.inode(), opened.inode());
        run("ip netns add b"); // as others make them
        assert_eq!(Namespace::list().unwrap(), [ns("a"), ns("b")].into());
        assert!(run("ip netns").contains('a'), "others see ours");
        assert!(Namespace::open(&ns("b")).unwrap().is_some());
        run("ip -n a link show lo"); // and can use it
        assert!(
            run("ip -n a link show lo").contains("DOWN"),
            "the loopback is left alone"
        );
        assert!(Namespace::delete(&ns("a")).unwrap());
        assert!(!Namespace::delete(&ns("a")).unwrap());
        assert_eq!(Namespace::list().unwrap(), [ns("b")].into());
        let (again, created) = Namespace::open_or_create(&ns("a")).unwrap();
        assert!(created);
        assert_ne!(
            again.inode(),
            made.inode(),
            "another one, while the old is held"
        );
    });
}

#[test]
fn half_deleted_ones_are_repaired() {
    sandbox("half_deleted_ones_are_repaired", || async {
        std::fs::create_dir_all("/run/netns").unwrap();
        std::fs::write("/run/netns/half", "").unwrap();
        assert_eq!(Namespace::list().unwrap(), [ns("half")].into());
        assert!(Namespace::open(&ns("half")).unwrap().is_none());
        let (repaired, created) = Namespace::open_or_create(&ns("half")).unwrap();
        assert!(created);
        repaired.enter(|| Ok(())).await.unwrap();
        // Mounted over twice, as a careless program does.
        run("mount --bind /proc/self/ns/net /run/netns/half");
        assert!(Namespace::delete(&ns("half")).unwrap());
        assert!(!std::path::Path::new("/run/netns/half").exists());
        // A file with something in it, or a directory, is nobody's half-deleted namespace.
        std::fs::write("/run/netns/notes", "do not delete").unwrap();
        let error = Namespace::open_or_create(&ns("notes")).unwrap_err();
        assert!(
            chain(&error).contains("/run/netns/notes is no namespace"),
            "{}",
            chain(&error)
        );
        assert_eq!(
            std::fs::read_to_string("/run/netns/notes").unwrap(),
            "do not delete"
        );
        std::fs::create_dir("/run/netns/directory").unwrap();
        assert!(Namespace::open_or_create(&ns("directory")).is_err());
    });
}

#[test]
fn many_at_once() {
    sandbox("many_at_once", || async {
        let mut tasks = tokio::task::JoinSet::new();
        for number in 0..60 {
            tasks.spawn(async move {
                Namespace::ensure(&ns(&format!("n{}", number % 30)))
                    .await
                    .unwrap()
            });
        }
        // Of two that want the same one at the same time one makes it, the other finds it.
        let made = tasks
            .join_all()
            .await
            .into_iter()
            .filter(|(_, created)| *created)
            .count();
        assert_eq!(made, 30);
        assert_eq!(Namespace::list().unwrap().len(), 30);
        for number in 0..30 {
            run(&format!("ip -n n{number} link show lo"));
        }
        assert_eq!(
            run("cat /proc/self/mountinfo")
                .matches(" /run/netns/n")
                .count(),
            30
        );
    });
}

#[test]
fn work_inside() {
    sandbox("work_inside", || async {
        let inside = namespace("a");
        let home = Namespace::home().unwrap();
        let own = |thread: &str| {
            std::fs::metadata(format!("/proc/{thread}/ns/net")).map(|file| file.ino())
        };
        assert_eq!(
            inside.enter(move || own("thread-self")).await.unwrap(),
            inside.inode()
        );
        assert_eq!(
            home.enter(move || own("thread-self")).await.unwrap(),
            home.inode()
        );
        assert_eq!(
            own("thread-self").unwrap(),
            home.inode(),
            "a runtime's thread never moves"
        );
        let error = inside
            .enter(|| Err::<(), _>(io::Error::other("no luck")))
            .await
            .unwrap_err();
        assert_eq!(chain(&error), "work inside namespace a: no luck");
        // A panic is told, and the thread goes home for the next.
        for _ in 0..20 {
            let error = inside
                .enter(|| -> io::Result<()> { panic!("on purpose") })
                .await
                .unwrap_err();
            assert!(matches!(error, Error::Panicked { .. }), "{error}");
        }
        for _ in 0..20 {
            assert_eq!(
                home.enter(move || own("thread-self")).await.unwrap(),
                home.inode()
            );
        }
        // One that is gone can still be used by its handle, as the kernel keeps it.
        Namespace::delete(&ns("a")).unwrap();
        assert_eq!(
            inside.enter(move || own("thread-self")).await.unwrap(),
            inside.inode()
        );
        // From inside of work, one can make another without waiting for oneself.
        let nested = inside
            .enter(|| Namespace::open_or_create(&ns("nested")).map_err(io::Error::other))
            .await;
        assert!(nested.unwrap().1);
        let threads = std::fs::read_dir("/proc/self/task").unwrap().count();
        assert!(
            threads <= 20,
            "{threads} threads: there is none for each namespace"
        );
    });
}

#[test]
fn work_that_nobody_waits_for_is_not_begun() {
    sandbox("work_that_nobody_waits_for_is_not_begun", || async {
        let inside = namespace("a");
        let (begun, slow) = (
            std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0)),
            std::time::Duration::from_millis(200),
        );
        // All threads are busy for a while.
        let busy: Vec<_> = (0..16)
            .map(|_| {
                tokio::spawn({
                    let inside = inside.clone();
                    async move {
                        inside
                            .enter(move || {
                                std::thread::sleep(slow);
                                Ok(())
                            })
                            .await
                    }
                })
            })
            .collect();
        tokio::time::sleep(slow / 4).await;
        let counted = std::sync::Arc::clone(&begun);
        let given_up = inside.enter(move || {
            counted.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            Ok(())
        });
        assert!(tokio::time::timeout(slow / 10, given_up).await.is_err());
        for task in busy {
            task.await.unwrap().unwrap();
        }
        inside.enter(|| Ok(())).await.unwrap();
        assert_eq!(begun.load(std::sync::atomic::Ordering::Relaxed), 0);
    });
}
