//! Nova as the source: a stub that checks the signature, plain and behind TLS.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use sha2::Sha256;

use crate::common::{Daemon, Host, PATIENCE, wait_until};
use crate::{CLOUD, METADATA, ask, blue1, left1};

/// What Nova was asked.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) target: String,
    pub(super) headers: Vec<(String, String)>,
}

impl Seen {
    /// The value of a header that is there once.
    pub(super) fn header(&self, name: &str) -> &str {
        let values: Vec<&str> = self
            .headers
            .iter()
            .filter(|(have, _)| have.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
            .collect();
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0]
    }
}

/// Nova's metadata API on the host, as far as it judges who asks. A connection gets one answer.
pub(super) struct Nova(Arc<Mutex<Vec<Seen>>>);

pub(super) const SECRET: &str = "s3cr3t of both";
const NOVA: &str = "127.0.0.1:8775";

impl Nova {
    pub(super) fn start(host: &Host, tls: Option<Arc<rustls::ServerConfig>>) -> Self {
        let listener = host.machine().inside(|| TcpListener::bind(NOVA).unwrap());
        let seen: Arc<Mutex<Vec<Seen>>> = Arc::default();
        let all = Arc::clone(&seen);
        // Ends with the test's process; nobody reaches it once the host is gone.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (mut stream, all, tls) = (stream.unwrap(), Arc::clone(&all), tls.clone());
                std::thread::spawn(move || match tls {
                    None => serve(&mut stream, &all),
                    Some(tls) => {
                        let connection = rustls::ServerConnection::new(tls).unwrap();
                        serve(&mut rustls::StreamOwned::new(connection, stream), &all);
                    }
                });
            }
        });
        Self(seen)
    }

    pub(super) fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

fn serve(stream: &mut (impl Read + Write), seen: &Mutex<Vec<Seen>>) {
    let mut head = Vec::new();
    let mut byte = [0];
    while !head.ends_with(b"\r\n\r\n") {
        if !stream.read(&mut byte).is_ok_and(|read| read == 1) {
            return;
        }
        head.extend(byte);
    }
    let head = String::from_utf8(head).unwrap();
    let mut lines = head.lines();
    let request = Seen {
        target: lines.next().unwrap().split(' ').nth(1).unwrap().to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
    };
    let length = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"));
    let mut body = vec![0; length.map_or(0, |(_, length)| length.parse().unwrap())];
    stream.read_exact(&mut body).unwrap();
    let (status, answer) = if is_signed(&request) {
        (
            200,
            format!(
                "{} of {}: {}",
                request.header("X-Instance-ID"),
                request.header("X-Tenant-ID"),
                request.target
            ),
        )
    } else {
        (403, "Invalid proxy request signature.".to_owned())
    };
    seen.lock().unwrap().push(request);
    let length = answer.len();
    _ = write!(
        stream,
        "HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{answer}"
    );
    _ = stream.flush();
}

/// As Nova's `_validate_shared_secret` does it.
pub(super) fn is_signed(request: &Seen) -> bool {
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).unwrap();
    mac.update(request.header("X-Instance-ID").as_bytes());
    hex::encode(mac.finalize().into_bytes()) == request.header("X-Instance-ID-Signature")
}

/// The cloud with Nova behind it, reached as `more` says.
pub(super) fn with_nova(host: &Host, secret: &str, more: &str) -> Daemon {
    host.machine()
        .write("/run/warren/secret", &format!("{secret}\n"));
    host.machine().sh("chmod 600 /run/warren/*").ok();
    host.warren_run(&novas(more))
}

fn novas(more: &str) -> String {
    format!("{CLOUD}\n[metadata]\nsource = \"nova\"\nshared_secret_file = \"secret\"\n{more}\n")
}

pub(super) const PLAIN: &str = "url = \"http://127.0.0.1:8775\"";

#[test]
fn nova_is_told_who_asks() {
    let Some(host) = Host::new("nova") else {
        return;
    };
    let nova = Nova::start(&host, None);
    let mut daemon = with_nova(&host, SECRET, PLAIN);
    let (blue, left) = (blue1(&host), left1(&host));
    for (guest, id, address) in [(&blue, "b1", "10.0.1.11"), (&left, "d1", "10.9.0.11")] {
        let id = format!("00000000-0000-0000-0000-0000000000{id}");
        let claims = [
            ("X-Instance-ID", "00000000-0000-0000-0000-0000000000b2"),
            ("X-Instance-ID-Signature", "0"),
            ("X-Tenant-ID", "evil"),
            ("X-Forwarded-For", "10.0.1.12"),
            ("X-Metadata-Provider", "evil"),
            ("Connection", "X-Instance-ID-Signature, X-Tenant-ID"),
            ("Accept-Encoding", "gzip"),
        ];
        let answer = guest
            .curl(
                &format!("{METADATA}/openstack/latest/%6deta_data.json?a=b"),
                &claims,
            )
            .unwrap();
        assert_eq!(answer.status, 200, "{answer:?}\n{}", daemon.log());
        assert!(
            answer.body.starts_with(&id)
                && answer
                    .body
                    .ends_with("/openstack/latest/meta_data.json?a=b"),
            "{answer:?}"
        );
        let seen = nova.take();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].header("X-Forwarded-For"), address);
        let mut names: Vec<String> = seen[0]
            .headers
            .iter()
            .map(|(name, _)| name.to_lowercase())
            .collect();
        names.sort();
        assert_eq!(
            names,
            [
                "host",
                "x-forwarded-for",
                "x-instance-id",
                "x-instance-id-signature",
                "x-tenant-id"
            ]
        );
    }
    assert!(!daemon.log().contains(SECRET), "{}", daemon.log());

    // The operator mends a secret: no restart.
    host.machine().write("/run/warren/secret", "another");
    host.machine().sh("chmod 600 /run/warren/secret").ok();
    daemon.reload();
    assert!(
        wait_until(PATIENCE, || ask(&blue, "/").unwrap().status == 403),
        "{}",
        daemon.log()
    );
    assert!(
        daemon.log().contains("metadata_proxy_shared_secret"),
        "{}",
        daemon.log()
    );
    host.machine().write("/run/warren/secret", SECRET);
    host.machine().sh("chmod 600 /run/warren/secret").ok();
    daemon.reload();
    assert!(
        wait_until(PATIENCE, || ask(&blue, "/").unwrap().status == 200),
        "{}",
        daemon.log()
    );
}

#[test]
fn without_nova_instances_are_told_so() {
    let Some(host) = Host::new("alone") else {
        return;
    };
    let daemon = with_nova(&host, SECRET, PLAIN);
    let blue = blue1(&host);
    assert_eq!(ask(&blue, "/").unwrap().status, 503);
    let told = wait_until(PATIENCE, || {
        daemon.log().contains("connect to 127.0.0.1:8775")
    });
    assert!(told, "{}", daemon.log());
}

/// A CA, Nova's certificate and ours, in /run/warren.
const CERTIFICATES: &str = "
cd /run/warren
key='-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes'
openssl req -x509 $key -keyout ca.key -out ca.pem -days 2 -subj /CN=ca
openssl req $key -keyout nova.key -out nova.csr -subj /CN=nova
openssl req $key -keyout client.key -out client.csr -subj /CN=warren
sign() { openssl x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -in $1.csr -out $1.pem -extfile <(echo $2); }
sign nova subjectAltName=IP:127.0.0.1
sign client extendedKeyUsage=clientAuth
chmod 600 *.key
";

#[test]
fn nova_behind_tls() {
    let Some(host) = Host::new("tls") else { return };
    host.place().sh(CERTIFICATES).ok();
    let file = |name: &str| host.machine().path(&format!("/run/warren/{name}"));
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(file("ca.pem")).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let clients = rustls::server::WebPkiClientVerifier::builder_with_provider(
        roots.into(),
        Arc::clone(&provider),
    );
    let tls = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(clients.build().unwrap())
        .with_single_cert(
            vec![CertificateDer::from_pem_file(file("nova.pem")).unwrap()],
            PrivateKeyDer::from_pem_file(file("nova.key")).unwrap(),
        );
    let _nova = Nova::start(&host, Some(Arc::new(tls.unwrap())));
    let (url, ca, client) = (
        "url = \"https://127.0.0.1:8775\"\n",
        "ca_file = \"ca.pem\"\n",
        "cert_file = \"client.pem\"\nkey_file = \"client.key\"\n",
    );
    let daemon = with_nova(&host, SECRET, &format!("{url}{ca}{client}"));
    let blue = blue1(&host);
    for (name, more, want) in [
        (
            "an authority of ours and our certificate",
            format!("{ca}{client}"),
            200,
        ),
        ("the system's authorities", client.to_owned(), 503),
        ("no verification", format!("insecure = true\n{client}"), 200),
        ("no certificate of ours", ca.to_owned(), 502),
    ] {
        daemon.rewrite(&novas(&format!("{url}{more}")));
        let answered = wait_until(Duration::from_secs(10), || {
            ask(&blue, "/").unwrap().status == want
        });
        assert!(answered, "{name}: {:?}\n{}", ask(&blue, "/"), daemon.log());
    }
}
