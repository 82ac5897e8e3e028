//! The daemon dies under traffic and comes back.

use std::time::{Duration, Instant};

use crate::cast::Cast;
use crate::common::{Daemon, tcp_stream};
use crate::transcript::Transcript;
use crate::{FILE, METADATA};

pub(crate) fn survive(say: &mut Transcript, daemon: &mut Daemon, cast: &Cast) {
    say.title("The daemon is killed (SIGKILL) under traffic, and started again");
    let floating = &cast.instances[cast.floating];
    let (near, far) = (&cast.instances[0], cast.instances.last().unwrap());
    let flows = say.check("a ping and a TCP stream run", |_| {
        let ping = near.guest.pinging(far.address).flowing();
        let stream = tcp_stream(&cast.world, &floating.guest, cast.floating_ip, 7777);
        ping.goes_on(20);
        (
            (ping, stream),
            format!("{} to {}, world to {}", near.name, far.name, floating.name),
        )
    });
    let Some((ping, stream)) = flows else { return };
    say.check("killed and started again, it serves at once", |say| {
        say.shell("host", "kill -9 $(pidof warren)", "");
        daemon.kill9();
        ping.goes_on(50);
        say.shell("host", &format!("warren run --topology {FILE} &"), "");
        let begin = Instant::now();
        daemon.start();
        let lease = near.guest.run(&[
            "udhcpc",
            "-f",
            "-n",
            "-q",
            "-t5",
            "-T1",
            "-i",
            "eth0",
            "-s",
            "/bin/true",
        ]);
        assert!(lease.succeeded(), "DHCP: {lease}");
        assert_eq!(near.guest.resolve(&far.fqdn), [far.address], "DNS");
        near.guest
            .get(&format!("{METADATA}/openstack/latest/meta_data.json"));
        let took = begin.elapsed();
        ping.goes_on(50);
        (
            (),
            format!("DHCP, DNS and metadata answered after {took:.0?}"),
        )
    });
    say.check("the ping lost nothing", |say| {
        let report = ping.stop();
        say.tell(&format!(
            "ping: {} sent, {} answered",
            report.sent, report.received
        ));
        assert_eq!(report.lost(), 0, "{report:?}");
        (
            (),
            format!(
                "{} of {} answered, longest gap {:.0?}",
                report.received, report.sent, report.longest_gap
            ),
        )
    });
    say.check("the TCP stream went on", |say| {
        let report = stream.stop();
        say.tell(&format!(
            "TCP: {} numbers there and back, longest wait {:.0?}",
            report.echoed, report.longest_stall
        ));
        assert_eq!(report.broken, None, "{report:?}");
        assert!(report.longest_stall < Duration::from_secs(1), "{report:?}");
        (
            (),
            format!(
                "{} numbers there and back, longest wait {:.0?}",
                report.echoed, report.longest_stall
            ),
        )
    });
    say.check("there is nothing left to do", |say| {
        daemon.converged();
        let plan = daemon.plan();
        say.shell("host", &format!("warren plan --topology {FILE}"), &plan);
        assert!(plan.contains("nothing to do"), "{plan}");
        ((), "the kernel is what the file says".to_owned())
    });
}
