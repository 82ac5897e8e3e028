//! Encrypted, with certificates or names that are right or wrong.

use std::path::PathBuf;

use warren::neutron::bus::{Bus, Login, Settings, Tls};

use crate::common::Place;
use crate::ground::{Ground, address, agent, away, connected, settings};

const BROKER: &str = "\
listeners.ssl.default = 5671
ssl_options.cacertfile = /run/broker/ca.pem
ssl_options.certfile = /run/broker/broker.pem
ssl_options.keyfile = /run/broker/broker.key
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
ssl_cert_login_from = common_name
auth_mechanisms.1 = EXTERNAL
auth_mechanisms.2 = AMQPLAIN
auth_mechanisms.3 = PLAIN
";

/// A CA; the broker's certificate, for `broker.test`; ours, whose name is the broker's user; and another CA.
const CERTIFICATES: &str = r#"
cd /run/broker
key() { openssl req -newkey rsa:2048 -nodes -keyout "$1.key" -subj "/CN=$2" -out "$1.csr" 2>/dev/null; }
for ca in ca other; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout $ca.key -subj "/CN=$ca" -days 2 -out $ca.pem 2>/dev/null
done
key broker broker.test
echo 'subjectAltName = DNS:broker.test' >broker.ext
openssl x509 -req -in broker.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile broker.ext -out broker.pem 2>/dev/null
key own openstack
echo 'extendedKeyUsage = clientAuth' >own.ext
openssl x509 -req -in own.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile own.ext -out own.pem 2>/dev/null
chmod 644 *.key
"#;

fn configure(place: &Place) {
    let plain = place.read("/run/broker/rabbitmq.conf").unwrap();
    place.write("/run/broker/rabbitmq.conf", &format!("{plain}{BROKER}"));
    place.write("/run/broker/plugins", "[rabbitmq_auth_mechanism_ssl].");
}

fn prepare(place: &Place) {
    configure(place);
    place.sh(CERTIFICATES).ok();
}

#[test]
fn certificates_are_judged_as_configured() {
    let Some(ground) = Ground::prepared("tls", prepare) else {
        return;
    };
    let file = |name: &str| -> Option<PathBuf> {
        Some(ground.host.place().path(&format!("/run/broker/{name}")))
    };
    let anyone = Tls::default();
    let authority = Tls {
        ca: file("ca.pem"),
        ..Tls::default()
    };
    let named = Tls {
        verify_host: true,
        ..authority.clone()
    };
    let other = Tls {
        ca: file("other.pem"),
        ..Tls::default()
    };
    let own = Tls {
        cert: file("own.pem"),
        key: file("own.key"),
        ..authority.clone()
    };
    let missing = Tls {
        ca: file("none.pem"),
        ..Tls::default()
    };
    judge(
        &ground,
        &[
            (
                "not verified",
                anyone.clone(),
                5671,
                Login::AmqPlain,
                Ok(()),
            ),
            (
                "verified, whatever its name",
                authority.clone(),
                5671,
                Login::Plain,
                Ok(()),
            ),
            (
                "another name",
                named,
                5671,
                Login::AmqPlain,
                Err("agree on TLS"),
            ),
            (
                "another authority",
                other,
                5671,
                Login::AmqPlain,
                Err("agree on TLS"),
            ),
            (
                "known by our certificate",
                own,
                5671,
                Login::External,
                Ok(()),
            ),
            (
                "unknown without it",
                authority,
                5671,
                Login::External,
                Err("log in"),
            ),
            (
                "a file that is not there",
                missing,
                5671,
                Login::AmqPlain,
                Err("none.pem"),
            ),
            (
                "a port that speaks no TLS",
                anyone,
                5672,
                Login::AmqPlain,
                Err("agree on TLS"),
            ),
        ],
    );
}

/// The broker's certificate is its own authority, as `openssl req -x509` makes it, and is given to us as that.
#[test]
fn a_certificate_of_its_own_authority_is_taken_where_it_is_given() {
    const SELF_SIGNED: &str = r#"
cd /run/broker
for name in broker other; do
  openssl req -x509 -newkey rsa:2048 -nodes -keyout $name.key -subj "/CN=$name.test" -days 2 \
    -addext "subjectAltName = $1" -out $name.pem 2>/dev/null
done
cp broker.pem ca.pem
chmod 644 *.key
"#;
    for (name, names, named_so) in [
        ("self", "IP:127.0.0.1", Ok(())),
        ("named", "DNS:broker.test", Err("agree on TLS")),
    ] {
        let prepare = |place: &Place| {
            configure(place);
            let script = SELF_SIGNED.replace("$1", names);
            place.sh(&script).ok();
        };
        let Some(ground) = Ground::prepared(name, prepare) else {
            return;
        };
        let ca = |file: &str| Tls {
            ca: Some(ground.host.place().path(&format!("/run/broker/{file}"))),
            ..Tls::default()
        };
        let named = Tls {
            verify_host: true,
            ..ca("broker.pem")
        };
        let plain = Login::AmqPlain;
        judge(
            &ground,
            &[
                ("whatever its name", ca("broker.pem"), 5671, plain, Ok(())),
                ("under its name", named, 5671, plain, named_so),
                (
                    "another one of its kind",
                    ca("other.pem"),
                    5671,
                    plain,
                    Err("agree on TLS"),
                ),
            ],
        );
    }
}

/// Name, what is configured, port, login, and why it fails.
type Row<'a> = (&'a str, Tls, u16, Login, Result<(), &'a str>);

/// Each connects as is wanted, or fails for that reason.
fn judge(ground: &Ground, rows: &[Row<'_>]) {
    ground.runtime.block_on(async {
        for (name, tls, port, login, want) in rows {
            let settings = Settings {
                brokers: vec![address("127.0.0.1", *port)],
                tls: Some(tls.clone()),
                login: *login,
                ..settings()
            };
            let starting = ground
                .runtime
                .spawn(async { Bus::start(settings, vec![agent()]) });
            let (bus, _notices) = starting.await.unwrap();
            println!("{name}");
            match want {
                Ok(()) => drop(connected(&bus, 1).await),
                Err(why) => drop(away(&bus, why).await),
            }
        }
    });
}
