//! Guests that the model does not know: their source is asked, as Neutron's server is by `get_ports`.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::lookup::{Learned, Source};
use super::super::route::Origin;
use super::super::{Answer as Said, Found, Lookup, Networks};
use super::nova::{Stub, status};
use super::*;
use crate::model::{InstanceId, NetworkId, ProjectId, RouterId};

pub(super) const LATE: &str = "127.0.1.3";

/// A server that knows these addresses, and is asked with nothing but ours.
#[derive(Default)]
struct Server {
    known: Mutex<HashMap<IpAddr, Found>>,
    asked: AtomicUsize,
    broken: AtomicUsize,
    slow: Option<Duration>,
}

impl Server {
    fn put(&self, address: &str, instance: &str) {
        let found = Found {
            instance: InstanceId::from(instance),
            project: ProjectId::from("acme"),
        };
        let mut known = self.known.lock().unwrap();
        known.insert(address.parse().unwrap(), found);
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::SeqCst)
    }
}

impl Lookup for Server {
    fn networks(&self, _router: RouterId) -> Networks<'_> {
        Box::pin(async { Ok(vec![NetworkId(uuid::Uuid::from_u128(1))]) })
    }

    fn who<'a>(&'a self, networks: &'a [NetworkId], address: IpAddr) -> Said<'a> {
        Box::pin(async move {
            assert_eq!(networks, [NetworkId(uuid::Uuid::from_u128(1))]);
            self.asked.fetch_add(1, Ordering::SeqCst);
            if let Some(slow) = self.slow {
                tokio::time::sleep(slow).await;
            }
            if self.broken.load(Ordering::SeqCst) > 0 {
                return Err("the broker is away".into());
            }
            Ok(self.known.lock().unwrap().get(&address).cloned())
        })
    }
}

async fn cloud(server: Server, limits: Limits) -> (Stub, Warren, Arc<Server>) {
    let nova = Stub::start(|seen| {
        let instance = seen.header("x-instance-id").unwrap();
        let mut reply = status(if instance == "deleted" { 404 } else { 200 });
        *reply.body_mut() = instance.to_owned().into();
        reply
    })
    .await;
    let warren = Warren::limited(nova.upstream(), limits);
    let server = Arc::new(server);
    warren.shared.set_lookup(Arc::clone(&server) as _);
    (nova, warren, server)
}

#[test]
fn only_the_unknown_are_asked_for_and_once() {
    alone(async || {
        let (nova, warren, server) = cloud(Server::default(), Limits::default()).await;
        server.put(LATE, "late");
        assert_eq!(warren.get(WEB, "/").await.body, sample::WEB.as_bytes());
        assert_eq!(server.asked(), 0, "the model knows this one");
        for _ in 0..5 {
            assert_eq!(warren.get(LATE, "/").await.body, b"late");
        }
        assert_eq!(server.asked(), 1);
        let seen = nova.last();
        assert_eq!(seen.header("x-forwarded-for"), Some(LATE));
        assert_eq!(seen.header("x-tenant-id"), Some("acme"));
        for _ in 0..5 {
            assert_eq!(warren.get(NOBODY, "/").await.status, 404);
        }
        assert_eq!(server.asked(), 2, "that nobody is there is kept as well");
        assert_eq!(warren.server.counters().unknown, 5);
        // The model learns of it: nothing is asked any more.
        warren.server.update(Arc::new(scope(LATE)));
        assert_eq!(warren.get(LATE, "/").await.body, sample::WEB.as_bytes());
        assert_eq!(server.asked(), 2);
    });
}

/// A server of two networks, each with a machine of the same MAC.
struct Twins;

impl Lookup for Twins {
    fn networks(&self, _router: RouterId) -> Networks<'_> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn who<'a>(&'a self, networks: &'a [NetworkId], _address: IpAddr) -> Said<'a> {
        Box::pin(async move {
            Ok(match networks {
                [network] => Some(Found {
                    instance: InstanceId::from(network.to_string()),
                    project: ProjectId::from("acme"),
                }),
                _ => None,
            })
        })
    }
}

#[tokio::test]
async fn what_is_learned_of_a_link_holds_on_that_link() {
    let networks = [1, 2].map(|number| NetworkId(uuid::Uuid::from_u128(number)));
    let residents = [1, 2].map(|network| sample::residents(network, &[]));
    let scope = sample::scope(residents.to_vec());
    let (learned, source) = (Learned::new(), Source::new(Arc::new(Twins)));
    let address = "fe80::f816:3eff:fe00:5".parse().unwrap();
    for network in networks.into_iter().chain(networks) {
        let origin = Origin::new(address, Some(network));
        let found = learned.who(&source, &scope, origin).await.unwrap();
        assert_eq!(found.instance.to_string(), network.to_string());
        assert!(learned.knows(origin));
    }
    let nowhere = Origin::new(address, None);
    assert!(!learned.knows(nowhere));
    assert!(learned.who(&source, &scope, nowhere).await.is_err());
}

#[test]
fn guests_at_the_same_time_are_one_question() {
    alone(async || {
        let slow = Server {
            slow: Some(Duration::from_millis(300)),
            ..Server::default()
        };
        let (_nova, warren, server) = cloud(slow, Limits::default()).await;
        server.put(LATE, "late");
        let [a, b, c] = [(); 3].map(|()| warren.get(LATE, "/"));
        // One who does not wait takes nobody's answer along.
        let gone = async {
            let mut stream = warren.connect(LATE).await;
            stream
                .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
                .await
                .unwrap();
            tokio::time::sleep(Duration::from_millis(50)).await;
        };
        gone.await;
        let answers = tokio::join!(a, b, c);
        for answer in [answers.0, answers.1, answers.2] {
            assert_eq!(answer.body, b"late");
        }
        assert!(server.asked() <= 2, "asked {} times", server.asked());
    });
}

#[test]
fn without_an_answer_the_guest_is_told_to_come_again() {
    alone(async || {
        let (_nova, warren, server) = cloud(Server::default(), Limits::default()).await;
        server.put(LATE, "late");
        server.broken.store(1, Ordering::SeqCst);
        for _ in 0..3 {
            assert_eq!(warren.get(LATE, "/").await.status, 500);
        }
        assert_eq!(server.asked(), 1, "not for each request");
        assert_eq!(
            warren.get(WEB, "/").await.status,
            200,
            "the known do not mind"
        );
        server.broken.store(0, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(1100)).await;
        assert_eq!(warren.get(LATE, "/").await.status, 200);
    });
}

#[test]
fn who_does_not_answer_holds_nobody_for_ever() {
    alone(async || {
        let silent = Server {
            slow: Some(Duration::from_secs(3600)),
            ..Server::default()
        };
        let limits = Limits {
            request: Duration::from_millis(300),
            ..Limits::default()
        };
        let (_nova, warren, server) = cloud(silent, limits).await;
        assert_eq!(warren.get(LATE, "/").await.status, 504);
        assert_eq!(warren.get(WEB, "/").await.status, 200);
        assert_eq!(server.asked(), 1);
    });
}

#[test]
fn an_address_that_has_moved_is_asked_for_again() {
    alone(async || {
        let (_nova, warren, server) = cloud(Server::default(), Limits::default()).await;
        server.put(LATE, "deleted");
        assert_eq!(warren.get(LATE, "/").await.status, 404);
        server.put(LATE, "late");
        assert_eq!(
            warren.get(LATE, "/").await.status,
            404,
            "an answer this young is not doubted"
        );
        assert_eq!(server.asked(), 1);
        tokio::time::sleep(Duration::from_millis(5100)).await;
        assert_eq!(
            warren.get(LATE, "/").await.body,
            b"late",
            "and told at once"
        );
        assert_eq!(server.asked(), 2);
    });
}

#[test]
fn one_guest_shuts_nobody_out_where_the_model_knows_none() {
    alone(async || {
        let (_nova, warren, server) = cloud(Server::default(), Limits::default()).await;
        warren.server.update(unmodelled());
        server.put("127.9.0.1", "greedy");
        let others = [LATE, NOBODY];
        others.iter().for_each(|late| server.put(late, "late"));
        shuts_nobody_out(&warren, "127.9.0.1", others).await;
    });
}

#[test]
fn made_up_addresses_are_few_questions() {
    alone(async || {
        let (_nova, warren, server) = cloud(Server::default(), Limits::default()).await;
        let mut statuses = std::collections::BTreeMap::new();
        for number in 0..300u16 {
            let [high, low] = (number + 256).to_be_bytes();
            let status = warren.get(&format!("127.9.{high}.{low}"), "/").await.status;
            *statuses.entry(status).or_insert(0) += 1;
        }
        assert_eq!(server.asked(), 100);
        assert_eq!(statuses, [(404, 100), (503, 200)].into());
        assert_eq!(warren.get(WEB, "/").await.status, 200);
    });
}
