//! Out to the world and in from it: SNAT, floating IP, hairpin, port forwarding.

use crate::cast::{Cast, Instance};
use crate::common::{HttpAnswer, HttpStub};
use crate::transcript::Transcript;

/// Each instance says its own name on port 80.
pub(crate) fn web(instance: &Instance) -> HttpStub {
    let name = instance.name.clone();
    HttpStub::start(&instance.guest, "0.0.0.0:80", move |_| {
        HttpAnswer::new(200, name.clone())
    })
}

pub(crate) fn cross(say: &mut Transcript, cast: &Cast) {
    say.title("Out to the world, and in from it");
    // The world tells whoever asks which address it sees.
    let world = HttpStub::start(
        &cast.world,
        &format!("{}:80", cast.world_address),
        |request| HttpAnswer::new(200, request.from.ip().to_string()),
    );
    let out = format!("http://{}/", cast.world_address);
    let floating = &cast.instances[cast.floating];
    say.check("instances reach the world through SNAT", |say| {
        for instance in cast
            .instances
            .iter()
            .filter(|instance| instance.name != floating.name)
        {
            let seen = instance.guest.get(&out);
            say.shell(
                &instance.name,
                &format!("curl {out}"),
                &format!("you are {seen}"),
            );
            assert_eq!(seen, cast.snat.to_string(), "{}", instance.name);
        }
        ((), format!("the world sees {}, the router", cast.snat))
    });
    drop(world);
    let into = format!("http://{}/", cast.floating_ip);
    say.check(
        "the world reaches an instance through its floating IP",
        |say| {
            assert!(
                cast.world.ping(cast.floating_ip),
                "ping {}",
                cast.floating_ip
            );
            let name = cast.world.get(&into);
            say.shell("world", &format!("curl {into}"), &format!("I am {name}"));
            assert_eq!(name, floating.name);
            ((), format!("{} is {}", cast.floating_ip, floating.name))
        },
    );
    say.check("so do those inside, itself too (hairpin)", |say| {
        for instance in &cast.instances {
            let name = instance.guest.get(&into);
            say.shell(
                &instance.name,
                &format!("curl {into}"),
                &format!("I am {name}"),
            );
            assert_eq!(name, floating.name, "asked by {}", instance.name);
        }
        ((), format!("from all {} instances", cast.instances.len()))
    });
    say.check("a forwarded port leads to its instance", |say| {
        let (to, port) = cast.forwarding;
        let to = &cast.instances[to];
        let (name, address) = (to.name.clone(), format!("0.0.0.0:{port}"));
        // Port 80 is taken by the instance's own page, which says the same.
        let _page = (port != 80).then(|| {
            HttpStub::start(&to.guest, &address, move |_| {
                HttpAnswer::new(200, name.clone())
            })
        });
        let url = format!("http://{}:{}/", cast.forwarded.0, cast.forwarded.1);
        let said = cast.world.get(&url);
        say.shell("world", &format!("curl {url}"), &format!("I am {said}"));
        assert_eq!(said, to.name);
        (
            (),
            format!(
                "{}:{} is {}:{port}",
                cast.forwarded.0, cast.forwarded.1, to.name
            ),
        )
    });
}
