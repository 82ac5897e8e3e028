//! Files that the topology names.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::{BASE, Code, Mistake, check};

/// One directory per test: they run side by side.
fn directory(name: &str) -> std::path::PathBuf {
    let dir = std::env::temp_dir().join(format!("warren-{name}-{}", std::process::id()));
    fs::create_dir_all(&dir).unwrap();
    dir
}

#[test]
fn files_beside_it() {
    let dir = directory("files-beside");
    let put = |name: &str, content: &[u8], mode: u32| {
        fs::write(dir.join(name), content).unwrap();
        fs::set_permissions(dir.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    put("secret", b"s3cr3t", 0o600);
    put("open", b"s3cr3t", 0o644);
    put("empty", b"", 0o600);
    put("cert.pem", b"certificate", 0o644);
    put("large", &vec![b'x'; 300 * 1024], 0o600);
    put("vendor.json", b"{\"a\": 1}", 0o600);
    put("broken.json", b"{\"a\": }", 0o600);
    nix::unistd::mkfifo(&dir.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let instance = |line: &str| {
        format!("{BASE}[[instance]]\nname = \"x\"\n{line}\n[[instance.port]]\nnetwork = \"blue\"\n")
    };
    let nova = |lines: &str| format!("[metadata]\nsource = \"nova\"\n{lines}\n");
    let (url, secret) = (
        "url = \"http://192.0.2.1:8775\"",
        "shared_secret_file = \"secret\"",
    );
    for (name, text, want) in [
        ("user data", instance("user_data_file = \"secret\""), None),
        (
            "no user data",
            instance("user_data_file = \"nope\""),
            Some((Code::File, "No such file")),
        ),
        (
            "a directory",
            instance("user_data_file = \".\""),
            Some((Code::File, "can't be read")),
        ),
        (
            "a pipe that nobody writes to",
            instance("user_data_file = \"pipe\""),
            Some((Code::File, "no regular file")),
        ),
        (
            "large user data",
            instance("user_data_file = \"large\""),
            Some((Code::File, "more than")),
        ),
        (
            "twice user data",
            instance("user_data_file = \"secret\"\nuser_data = \"x\""),
            Some((Code::Misplaced, "both")),
        ),
        (
            "vendor data",
            instance("vendor_data_file = \"vendor.json\""),
            None,
        ),
        (
            "broken vendor data",
            instance("vendor_data_file = \"broken.json\""),
            Some((Code::File, "no JSON")),
        ),
        ("Nova", nova(&format!("{url}\n{secret}")), None),
        (
            "Nova with certificate",
            nova(&format!(
                "{url}\n{secret}\nca_file = \"cert.pem\"\ncert_file = \"cert.pem\"\nkey_file = \"secret\""
            )),
            None,
        ),
        (
            "Nova nowhere",
            nova(secret),
            Some((Code::MissingKey, "url = ")),
        ),
        (
            "no secret",
            nova(url),
            Some((Code::MissingKey, "shared_secret_file = ")),
        ),
        (
            "a secret that is a pipe",
            nova(&format!("{url}\nshared_secret_file = \"pipe\"")),
            Some((Code::File, "no regular file")),
        ),
        (
            "a secret that is not there",
            nova(&format!("{url}\nshared_secret_file = \"nope\"")),
            Some((Code::File, "No such file")),
        ),
        (
            "an open secret",
            nova(&format!("{url}\nshared_secret_file = \"open\"")),
            Some((Code::SecretOpen, "chmod o-rwx")),
        ),
        (
            "an empty secret",
            nova(&format!("{url}\nshared_secret_file = \"empty\"")),
            Some((Code::File, "is empty")),
        ),
        (
            "half a certificate",
            nova(&format!("{url}\n{secret}\ncert_file = \"cert.pem\"")),
            Some((Code::MissingKey, "both")),
        ),
        (
            "an open key",
            nova(&format!(
                "{url}\n{secret}\ncert_file = \"cert.pem\"\nkey_file = \"open\""
            )),
            Some((Code::SecretOpen, "chmod")),
        ),
        (
            "Nova's keys without Nova",
            format!("[metadata]\n{url}\n"),
            Some((Code::Misplaced, "source = \"nova\"")),
        ),
        (
            "a URL with a path",
            nova(&format!("url = \"http://192.0.2.1/a\"\n{secret}")),
            Some((Code::BadValue, "http or https, a host and a port")),
        ),
        (
            "a URL with a password",
            nova(&format!("url = \"http://a:b@192.0.2.1\"\n{secret}")),
            Some((Code::BadValue, "http or https")),
        ),
    ] {
        let found: Vec<Mistake> = check(&text, &dir.join("net.toml"))
            .err()
            .unwrap_or_default();
        let shown: Vec<_> = found.iter().map(Mistake::to_string).collect();
        assert_eq!(
            found.len(),
            usize::from(want.is_some()),
            "{name}: {shown:#?}"
        );
        if let Some((code, word)) = want {
            assert_eq!(found[0].code, code, "{name}: {shown:?}");
            assert!(
                shown[0].contains(word),
                "{name}: {word:?} is not in {shown:?}"
            );
        }
    }
    fs::remove_dir_all(dir).unwrap();
}
