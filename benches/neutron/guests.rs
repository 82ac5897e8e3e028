//! Guests of many networks at once that want metadata: when each has an answer, for how long it has none, and how many
//! answers they all get while they boot.

use std::future::Future;
use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpSocket;
use tokio::time::{sleep, timeout};

use crate::objects::Tenant;

/// Of one attempt: a kernel that got no answer asks again after a second only.
const PATIENCE: Duration = Duration::from_millis(250);
/// Of an attempt that is counted.
const LOADED: Duration = Duration::from_secs(20);
/// After one that failed.
const AGAIN: Duration = Duration::from_millis(20);

/// What cloud-init asks an OpenStack when an instance boots, in its order: each on a connection of its own.
const BOOT: [&str; 28] = [
    "openstack",
    "openstack",
    "openstack/2018-08-27/meta_data.json",
    "openstack/2018-08-27/user_data",
    "openstack/2018-08-27/vendor_data.json",
    "openstack/2018-08-27/vendor_data2.json",
    "openstack/2018-08-27/network_data.json",
    "latest/meta-data/",
    "latest/meta-data/ami-id",
    "latest/meta-data/ami-launch-index",
    "latest/meta-data/ami-manifest-path",
    "latest/meta-data/block-device-mapping/",
    "latest/meta-data/block-device-mapping/ami",
    "latest/meta-data/block-device-mapping/root",
    "latest/meta-data/hostname",
    "latest/meta-data/instance-action",
    "latest/meta-data/instance-id",
    "latest/meta-data/instance-type",
    "latest/meta-data/local-hostname",
    "latest/meta-data/local-ipv4",
    "latest/meta-data/placement/",
    "latest/meta-data/placement/availability-zone",
    "latest/meta-data/public-hostname",
    "latest/meta-data/public-ipv4",
    "latest/meta-data/public-keys/",
    "latest/meta-data/public-keys/0/openssh-key",
    "latest/meta-data/reservation-id",
    "latest/meta-data/security-groups",
];
const FIRST: &str = BOOT[0];

/// When each had its first answer.
pub(crate) fn until_answered(tenants: Vec<Tenant>, deadline: Duration) -> Vec<Instant> {
    all(tenants, move |tenant| async move {
        let begin = Instant::now();
        let resolving = &tenant.own().device;
        let resolving = format!("/proc/sys/net/ipv4/neigh/{resolving}/retrans_time_ms");
        while let Err(error) = ask(&tenant, FIRST, LOADED, PATIENCE).await {
            // Where nobody knew the address yet, the kernel would ask again after a second only.
            let _no_device_yet = std::fs::write(&resolving, "100");
            assert!(
                begin.elapsed() < deadline,
                "no metadata for {deadline:?}: {error}; {tenant:?}"
            );
            sleep(AGAIN).await;
        }
        Instant::now()
    })
}

/// The longest time without an answer, of the guest that had it worst; each asks `every` so often.
pub(crate) fn watch(tenants: Vec<Tenant>, every: Duration, stop: &Arc<AtomicBool>) -> Duration {
    let share = every / u32::try_from(tenants.len()).expect("they are few");
    let tenants: Vec<(u32, Tenant)> = (0..).zip(tenants).collect();
    let longest = all(tenants, move |(number, tenant)| {
        let stop = Arc::clone(stop);
        async move {
            sleep(share * number).await;
            let (mut last, mut longest) = (Instant::now(), Duration::ZERO);
            while !stop.load(Ordering::Relaxed) {
                let asked = Instant::now();
                let answered = ask(&tenant, FIRST, LOADED, PATIENCE).await.is_ok();
                if answered {
                    longest = longest.max(last.elapsed());
                    last = Instant::now();
                }
                let pause = if answered { every } else { AGAIN };
                sleep(pause.saturating_sub(asked.elapsed())).await;
            }
            longest.max(last.elapsed())
        }
    });
    longest.into_iter().max().unwrap_or_default()
}

/// One after the other they boot, `at_once` of them at any time, until it is so late. How many answers there were.
pub(crate) fn boot(tenants: &[Tenant], at_once: usize, how_long: Duration) -> usize {
    let end = Instant::now() + how_long;
    let share = tenants.len().div_ceil(at_once);
    let shares = tenants.chunks(share).map(<[Tenant]>::to_vec).collect();
    let answers = all(shares, move |tenants| async move {
        let boots = tenants
            .iter()
            .cycle()
            .flat_map(|tenant| BOOT.map(|path| (tenant, path)));
        let mut answers = 0;
        for (tenant, path) in boots {
            if Instant::now() >= end {
                break;
            }
            ask(tenant, path, LOADED, LOADED).await.unwrap();
            answers += 1;
        }
        answers
    });
    answers.into_iter().sum()
}

/// On one thread: those who ask shall leave the processors to those who answer.
fn all<T, F, R>(guests: Vec<T>, each: impl Fn(T) -> F) -> Vec<R>
where
    F: Future<Output = R> + Send + 'static,
    R: Send + 'static,
{
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let guests: Vec<_> = guests
            .into_iter()
            .map(|guest| tokio::spawn(each(guest)))
            .collect();
        let mut results = Vec::with_capacity(guests.len());
        for guest in guests {
            results.push(guest.await.unwrap());
        }
        results
    })
}

/// As cloud-init does: a connection for each request.
async fn ask(tenant: &Tenant, path: &str, answer: Duration, connect: Duration) -> io::Result<()> {
    let socket = TcpSocket::new_v4()?;
    socket.bind_device(Some(tenant.own().device.as_bytes()))?;
    socket.bind((tenant.address, 0).into())?;
    let service = (Ipv4Addr::new(169, 254, 169, 254), 80).into();
    let mut stream = timeout(connect, socket.connect(service)).await??;
    let request = format!(
        "GET /{path} HTTP/1.1\r\nHost: 169.254.169.254\r\nUser-Agent: Cloud-Init/22.4.2\r\n\
         Accept-Encoding: gzip, deflate\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut text = String::new();
    timeout(answer, stream.read_to_string(&mut text)).await??;
    if text.starts_with("HTTP/1.1 200") || text.starts_with("HTTP/1.0 200") {
        Ok(())
    } else {
        Err(io::Error::other(text))
    }
}
