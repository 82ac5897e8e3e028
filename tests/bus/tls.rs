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

fn prepare(place: &Place) {
    let plain = place.read("/run/broker/rabbitmq.conf").unwrap();
    place.write("/run/broker/rabbitmq.conf", &format!("{plain}{BROKER}"));
    place.write("/run/broker/plugins", "[rabbitmq_auth_mechanism_ssl].");
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
    ground.runtime.block_on(async {
        for (name, tls, port, login, want) in [
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
        ] {
            let settings = Settings {
                brokers: vec![address("127.0.0.1", port)],
                tls: Some(tls),
                login,
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
