use super::*;

fn budgets() -> Budgets {
    let rate = |per_second, at_once| Rate {
        per_second,
        at_once,
    };
    Budgets {
        client: rate(10, 3),
        others: rate(2, 2),
        network: rate(1000, 100),
    }
}

#[test]
fn a_client_has_its_own_bucket_and_the_others_share_one() {
    let start = Instant::now();
    let mut pace = Pace::new(budgets(), start);
    for (name, who, millis, want) in [
        ("first", Who::Known(1), 0, true),
        ("second", Who::Known(1), 0, true),
        ("third", Who::Known(1), 0, true),
        ("past the bucket", Who::Known(1), 0, false),
        ("another client", Who::Known(2), 0, true),
        ("somebody", Who::Other(7), 0, true),
        ("somebody else", Who::Other(8), 0, true),
        (
            "a third one, and the bucket of all is empty",
            Who::Other(9),
            0,
            false,
        ),
        ("which is nothing to a client", Who::Known(2), 0, true),
        ("not yet", Who::Known(1), 90, false),
        ("a token more", Who::Known(1), 110, true),
        ("and no more", Who::Known(1), 110, false),
        ("after silence", Who::Known(1), 60_000, true),
        ("the clock never goes back", Who::Known(1), 50_000, true),
    ] {
        let now = start + Duration::from_millis(millis);
        assert_eq!(pace.admits(who, now), want, "{name}");
    }
    assert_eq!(pace.throttled(), 4);
}

#[test]
fn a_network_past_its_bucket_is_left_unread_for_as_long_as_it_has_overdrawn() {
    let start = Instant::now();
    let mut pace = Pace::<u8>::new(budgets(), start);
    for (name, millis, messages, rest) in [
        ("within", 0, 64, 0),
        ("the rest, and 28 more", 0, 64, 28),
        ("paid", 28, 0, 0),
        ("one by one", 28, 1, 1),
        ("after silence a bucket is full and no more", 60_000, 101, 1),
    ] {
        let now = start + Duration::from_millis(millis);
        let got = pace.read(messages, now).as_secs_f64() * 1e3;
        assert!((got - f64::from(rest)).abs() < 0.01, "{name}: {got}");
    }
}

#[test]
fn who_is_dropped_or_waits_is_loudest_for_some_minutes() {
    let start = Instant::now();
    let mut pace = Pace::new(budgets(), start);
    for _ in 0..3 {
        assert!(pace.admits(Who::Known(1), start));
    }
    assert_eq!(pace.loudest(start), None, "within its share");
    assert!(!pace.admits(Who::Known(1), start));
    assert_eq!(pace.loudest(start), Some(1));
    let later = start + Duration::from_secs(3600);
    assert_eq!(pace.loudest(later), None);
    for _ in 0..4 {
        pace.defer(Who::Known(2), later);
    }
    assert_eq!(pace.loudest(later), Some(2));
    assert_eq!(pace.throttled(), 1, "who waits is not dropped");
}

#[test]
fn what_is_answered_in_any_case_waits_for_what_it_borrows() {
    let start = Instant::now();
    let mut pace = Pace::new(budgets(), start);
    for (name, who, millis, want) in [
        ("first", Who::Known(1), 0, 0),
        ("second", Who::Known(1), 0, 0),
        ("third", Who::Known(1), 0, 0),
        ("one borrowed", Who::Known(1), 0, 100),
        ("two borrowed", Who::Known(1), 0, 200),
        ("another's are its own", Who::Known(2), 0, 0),
        ("one of them is paid back", Who::Known(1), 100, 200),
        ("strangers have two", Who::Other(3), 100, 0),
        ("together", Who::Other(4), 100, 0),
        ("and no more", Who::Other(5), 100, 500),
        ("a newcomer, too", Who::Newcomer(6), 100, 1000),
        ("but then it has its own", Who::Newcomer(6), 100, 0),
        ("its own third", Who::Newcomer(6), 100, 0),
        ("one borrowed", Who::Newcomer(6), 100, 100),
        ("after silence", Who::Known(1), 60_000, 0),
    ] {
        let now = start + Duration::from_millis(millis);
        let got = pace.defer(who, now).as_secs_f64() * 1e3;
        assert!((got - f64::from(want)).abs() < 0.01, "{name}: {got}");
    }
}

#[test]
fn nobody_owes_more_than_what_is_waited_for() {
    let start = Instant::now();
    let mut pace = Pace::new(budgets(), start);
    for _ in 0..10_000 {
        pace.defer(Who::Known(1), start);
    }
    let wait = pace.defer(Who::Known(1), start);
    assert!(wait <= OWED + Duration::from_secs(1), "{wait:?}");
    let later = start + OWED + Duration::from_secs(1);
    assert_eq!(pace.defer(Who::Known(1), later), Duration::ZERO);
}

#[test]
fn new_budgets_hold_at_once() {
    let start = Instant::now();
    let mut pace = Pace::new(budgets(), start);
    while pace.admits(Who::Known(1), start) {}
    let more = Budgets {
        client: budgets().client.scaled_to(1000),
        ..budgets()
    };
    pace.set(more);
    let soon = start + Duration::from_millis(2);
    let admitted = |pace: &mut Pace<_>| {
        (0..100)
            .filter(|_| pace.admits(Who::Known(1), soon))
            .count()
    };
    assert_eq!(admitted(&mut pace), 2, "of the new rate");
    pace.set(budgets());
    let later = start + Duration::from_secs(60);
    let after = (0..100).filter(|_| pace.admits(Who::Known(1), later));
    assert_eq!(after.count(), 3, "what the old bucket holds");
}

#[test]
fn a_newcomer_costs_the_others_one_token_and_then_has_its_own() {
    let start = Instant::now();
    let mut pace = Pace::new(budgets(), start);
    for (name, who, millis, want) in [
        ("the others' first", Who::Newcomer(1), 0, true),
        ("its own second", Who::Newcomer(1), 0, true),
        ("its own third", Who::Newcomer(1), 0, true),
        ("past its bucket", Who::Newcomer(1), 0, false),
        ("the others' second", Who::Newcomer(2), 0, true),
        ("the others have no more", Who::Newcomer(3), 0, false),
        ("nor for strangers", Who::Other(4), 0, false),
        ("who is here stays", Who::Newcomer(2), 0, true),
        ("which is nothing to a client", Who::Known(5), 0, true),
        ("a token of the others", Who::Newcomer(3), 500, true),
    ] {
        let now = start + Duration::from_millis(millis);
        assert_eq!(pace.admits(who, now), want, "{name}");
    }
    let now = start + Duration::from_secs(10);
    pace.jammed(now);
    assert!(!pace.admits(Who::Newcomer(2), now), "may be made up");
    assert!(pace.admits(Who::Known(5), now), "is not");
    assert!(pace.admits(Who::Newcomer(2), now + DISTRUST));
}

#[test]
fn memory_has_an_end() {
    let start = Instant::now();
    let others = Rate {
        per_second: 1000,
        at_once: 1_000_000,
    };
    let mut pace = Pace::new(
        Budgets {
            others,
            ..budgets()
        },
        start,
    );
    for number in 0..100_000 {
        assert!(pace.admits(Who::Newcomer(number), start));
    }
    assert_eq!(pace.clients.len(), TOLD_APART);
    assert!(pace.admits(Who::Known(100_001), start));
    assert_eq!(pace.clients.len(), TOLD_APART + 1, "a client has its own");
    let later = start + Duration::from_secs(1);
    assert!(pace.admits(Who::Newcomer(100_002), later));
    assert_eq!(pace.clients.len(), 1, "the silent are forgotten");
}
