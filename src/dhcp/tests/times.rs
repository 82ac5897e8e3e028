//! How long a lease lasts, and when its client asks again.

use super::options::with_options;
use super::*;

#[test]
fn lease_times() {
    const DAY: u32 = 86400;
    const EVER: u32 = u32::MAX;
    for (name, lease, renewal, rebinding, wish, want) in [
        ("a day", DAY, None, None, None, (DAY, Some((43200, 75600)))),
        (
            "a shorter wish",
            DAY,
            None,
            None,
            Some(1000),
            (1000, Some((500, 875))),
        ),
        (
            "too short a wish",
            DAY,
            None,
            None,
            Some(5),
            (120, Some((60, 105))),
        ),
        (
            "a longer wish",
            DAY,
            None,
            None,
            Some(EVER),
            (DAY, Some((43200, 75600))),
        ),
        ("for ever", EVER, None, None, None, (EVER, None)),
        (
            "for ever, a shorter wish",
            EVER,
            None,
            None,
            Some(1000),
            (1000, Some((500, 875))),
        ),
        (
            "set times",
            DAY,
            Some(100),
            Some(200),
            None,
            (DAY, Some((100, 200))),
        ),
        (
            "T1 past T2",
            DAY,
            Some(300),
            Some(200),
            None,
            (DAY, Some((199, 200))),
        ),
        (
            "times past the lease",
            DAY,
            Some(DAY),
            Some(DAY + 1),
            None,
            (DAY, Some((43200, 75600))),
        ),
        (
            "times of nothing",
            DAY,
            Some(2),
            Some(0),
            None,
            (DAY, Some((43200, 75600))),
        ),
        (
            "a lease of one second",
            1,
            None,
            None,
            None,
            (1, Some((0, 0))),
        ),
    ] {
        let mut world = World::of(DhcpScope {
            lease,
            renewal,
            rebinding,
            ..scope()
        });
        let ask = discover(ANN);
        let ask = wish.map_or(ask.clone(), |wish| ask.wish(wish));
        let message = decode(&world.reply(&ask).message);
        let number =
            |code| value(&message, code).map(|bytes| u32::from_be_bytes(bytes.try_into().unwrap()));
        assert_eq!(
            (number(51).unwrap(), number(58).zip(number(59))),
            want,
            "{name}"
        );
        // The ACK keeps what was offered, also if the REQUEST does not say so again; the next one does not.
        let select = select(ANN, "10.0.0.2", "10.0.0.10");
        let acked = decode(&world.reply(&select).message);
        assert_eq!(value(&acked, 51), value(&message, 51), "{name}");
        let renewed = decode(&world.reply(&renew(ANN, "10.0.0.10")).message);
        assert_eq!(
            value(&renewed, 51),
            Some(lease.to_be_bytes().to_vec()),
            "{name}"
        );
    }
    let mut world = with_options(&[("T1", "10m"), ("59", "1h")]);
    let message = decode(&world.reply(&discover(ANN)).message);
    assert_eq!(
        value(&message, 58),
        Some(600u32.to_be_bytes().to_vec()),
        "the port's T1"
    );
    assert_eq!(
        value(&message, 59),
        Some(3600u32.to_be_bytes().to_vec()),
        "the port's T2"
    );
}
