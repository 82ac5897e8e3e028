#![allow(clippy::unwrap_used)] // a test may panic

use std::time::Duration;

use super::super::query::Carrier;
use super::super::response::Response;
use super::*;

const ROOM: usize = 1 << 20;

fn query(name: &str) -> Vec<u8> {
    let mut message = vec![0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(label.len().try_into().unwrap());
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 1, 0, 1]);
    message
}

fn key(name: &str) -> Key {
    Key::of(&Query::read(&query(name)).unwrap())
}

/// One address, good for `ttl` seconds.
fn response(name: &str, ttl: u8) -> Arc<Response> {
    let mut message = query(name);
    let asked = message.clone();
    message[2..8].copy_from_slice(&[0x81, 0x80, 0, 1, 0, 1]);
    message.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, ttl, 0, 4, 9, 9, 9, 9]);
    Arc::new(Response::read(message, &Query::read(&asked).unwrap()).unwrap())
}

fn put(cache: &Cache, name: &str, ttl: u8, now: Instant, most: usize) {
    cache.put(&key(name), &response(name, ttl), now, cache.era(), most);
}

fn has(cache: &Cache, names: &[&str], now: Instant) -> String {
    let kept = names
        .iter()
        .filter(|name| cache.get(&key(name), now).is_some());
    kept.copied().collect::<Vec<_>>().join(" ")
}

fn used(cache: &Cache) -> usize {
    cache.in_all.used.load(Ordering::Relaxed)
}

#[test]
fn kept_as_long_as_it_says_and_counted_down() {
    let cache = Cache::new(Room::new(ROOM));
    let heard = Instant::now();
    put(&cache, "www.example", 60, heard, 9);
    for (after, want) in [
        (0, Some(60)),
        (1, Some(59)),
        (59, Some(1)),
        (60, None),
        (9999, None),
    ] {
        let found = cache.get(&key("WWW.eXample"), heard + Duration::from_secs(after));
        let ttl = found.map(|(response, age)| {
            let (asked, mut out) = (query("WWW.eXample"), Vec::new());
            let asked = Query::read(&asked).unwrap();
            response.answer(&asked, Carrier::Udp, age, &mut out);
            assert_eq!(out[12..23], asked.head()[12..23], "the client's own case");
            out[out.len() - 7]
        });
        assert_eq!(ttl, want, "after {after} s");
    }
    put(&cache, "zero.example", 0, heard, 9);
    assert_eq!(has(&cache, &["zero.example"], heard), "");
}

#[test]
fn what_is_asked_differently_is_kept_apart() {
    let bytes = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut message = query("a.b");
        edit(&mut message);
        Key::of(&Query::read(&message).unwrap()).as_bytes().to_vec()
    };
    let plain = bytes(&|_| ());
    for (case, key, same) in [
        ("another id", bytes(&|m| m[0] = 9), true),
        ("another case", bytes(&|m| m[13] = b'A'), true),
        ("another name", bytes(&|m| m[13] = b'x'), false),
        ("type 65, `A`", bytes(&|m| m[18] = 65), false),
        ("type 97, `a`", bytes(&|m| m[18] = 97), false),
        ("RD", bytes(&|m| m[2] = 0), false),
        ("AD", bytes(&|m| m[3] |= 0x20), false),
        ("CD", bytes(&|m| m[3] |= 0x10), false),
    ] {
        assert_eq!(key == plain, same, "{case}");
    }
    let opt = |flags: u8| {
        bytes(&|m| {
            m[11] = 1;
            m.extend([0, 0, 41, 16, 0, 0, 0, flags, 0, 0, 0]);
        })
    };
    assert_eq!(opt(0), plain, "EDNS alone");
    assert_ne!(opt(0x80), plain, "DO");
    assert_ne!(bytes(&|m| m[18] = 65), bytes(&|m| m[18] = 97));
}

#[test]
fn who_was_asked_for_again_stays() {
    let cache = Cache::new(Room::new(ROOM));
    let now = Instant::now();
    for name in ["a", "b", "c"] {
        put(&cache, name, 60, now, 3);
    }
    assert!(cache.get(&key("a"), now).is_some());
    put(&cache, "d", 60, now, 3);
    assert_eq!(has(&cache, &["a", "b", "c", "d"], now), "a c d");
    let later = now + Duration::from_secs(61);
    put(&cache, "e", 60, later, 3);
    assert_eq!(cache.lock().queue.len(), 3);
    assert_eq!(
        has(&cache, &["a", "c", "d", "e"], later),
        "e",
        "what is too old has no merit"
    );
    // The same once more takes no second place; a smaller bound holds at once.
    put(&cache, "e", 90, later, 3);
    assert_eq!(cache.lock().queue.len(), 3);
    put(&cache, "f", 60, later, 1);
    assert_eq!(cache.lock().entries.len(), 1);
    put(&cache, "g", 60, later, 0);
    assert_eq!(has(&cache, &["g"], later), "");
}

#[test]
fn all_networks_share_the_room_and_give_it_back() {
    let one = size(key("a0").as_bytes(), &response("a0", 60));
    let room = Room::new(3 * one);
    let [red, blue] = [Cache::new(Arc::clone(&room)), Cache::new(room)];
    let now = Instant::now();
    for name in ["r1", "r2", "r3", "r4"] {
        put(&red, name, 60, now, 99);
    }
    assert_eq!(has(&red, &["r1", "r2", "r3", "r4"], now), "r2 r3 r4");
    put(&blue, "b1", 60, now, 99);
    assert_eq!(
        has(&blue, &["b1", "r2"], now),
        "",
        "no room, and nothing of red's"
    );
    assert_eq!(used(&blue), 3 * one);
    put(&red, "r4", 90, now, 99);
    let later = now + Duration::from_secs(60);
    red.sweep(later);
    assert_eq!(used(&blue), one, "what is too old was given back");
    put(&blue, "b1", 60, later, 99);
    assert_eq!(has(&blue, &["b1"], later), "b1");
    assert_eq!(has(&red, &["r2", "r3", "r4"], later), "r4");
    blue.clear();
    red.clear();
    assert_eq!(used(&blue), 0);
    for ttl in [60, 90] {
        put(&blue, "b1", ttl, now, 99);
        assert_eq!(has(&blue, &["b1"], now), "b1");
        assert_eq!(used(&blue), one);
    }
    drop(blue);
    assert_eq!(used(&red), 0);
}

#[test]
fn what_was_asked_before_a_change_is_not_kept() {
    let cache = Cache::new(Room::new(ROOM));
    let (now, era) = (Instant::now(), cache.era());
    cache.clear();
    cache.put(&key("a"), &response("a", 60), now, era, 9);
    assert_eq!(has(&cache, &["a"], now), "");
}
