//! What is taken for an answer, and what is made of it.

#![allow(clippy::unwrap_used)] // a test may panic

use std::slice::from_ref;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use super::*;

const QUESTION: &[u8] = b"\x12\x34\x81\x80\0\x01\0\0\0\0\0\0\x03www\x07example\0\0\x01\0\x01";

/// A record of `kind` that belongs to the name asked for.
fn record(kind: u8, ttl: u32, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len()).unwrap();
    let mut record = vec![0xc0, 12, 0, kind, 0, 1];
    record.extend(ttl.to_be_bytes());
    record.extend(length.to_be_bytes());
    record.extend(data);
    record
}

fn soa(ttl: u32, minimum: u32) -> Vec<u8> {
    let mut data = vec![0; SHORTEST_SOA - 4];
    data.extend(minimum.to_be_bytes());
    record(6, ttl, &data)
}

fn opt(code: u8, options: &[u8]) -> Vec<u8> {
    let length = u16::try_from(options.len()).unwrap().to_be_bytes();
    let head = [0, 0, 41, 16, 0, code, 0, 0x80, 0];
    [&head[..], &length, options].concat()
}

/// Answers, authority and additional records under a code.
fn message(code: u8, sections: [&[Vec<u8>]; 3]) -> Vec<u8> {
    let mut message = QUESTION.to_vec();
    message[3] |= code;
    for (at, records) in [7, 9, 11].into_iter().zip(sections) {
        message[at] = u8::try_from(records.len()).unwrap();
        message.extend(records.concat());
    }
    message
}

/// The query that they answer.
fn asked() -> Vec<u8> {
    let mut query = QUESTION.to_vec();
    query[2] = 1;
    query
}

fn read(message: Vec<u8>) -> Option<Response> {
    Response::read(message, &Query::read(&asked()).unwrap())
}

#[test]
fn only_an_answer_to_the_question_is_one() {
    let answer = |edit: &dyn Fn(&mut Vec<u8>)| {
        let mut answer = QUESTION.to_vec();
        edit(&mut answer);
        answer
    };
    let kind = QUESTION.len() - 3;
    for (case, answer, want) in [
        ("ours", answer(&|_| ()), true),
        ("with records", answer(&|a| a.extend([0; 30])), true),
        ("in another case", answer(&|a| a[13] = b'W'), true),
        ("a query", answer(&|a| a[2] &= 0x7f), false),
        ("another opcode", answer(&|a| a[2] |= 0x08), false),
        ("no question", answer(&|a| a[5] = 0), false),
        ("two questions", answer(&|a| a[5] = 2), false),
        ("another name", answer(&|a| a[13] = b'v'), false),
        ("another type", answer(&|a| a[kind] = 2), false),
        ("another class", answer(&|a| a[kind + 2] = 3), false),
        ("cut short", answer(&|a| a.truncate(20)), false),
        ("cut in the header", answer(&|a| a.truncate(5)), false),
        ("nothing", Vec::new(), false),
    ] {
        let asked = asked();
        let query = Query::read(&asked).unwrap();
        assert_eq!(is_answer_to(&answer, &query), want, "{case}");
    }
    // Type 65 is an `A`.
    let mut asked = asked();
    asked[kind] = b'A';
    let other = [&QUESTION[..kind], b"a", &QUESTION[kind + 1..]].concat();
    let query = Query::read(&asked).unwrap();
    assert!(!is_answer_to(&other, &query), "a type in another case");
}

#[test]
fn how_long_it_may_be_kept() {
    let a = |ttl| record(1, ttl, &[9, 9, 9, 9]);
    for (case, message, want) in [
        ("an address", message(0, [&[a(60)], &[], &[]]), 60),
        (
            "the shortest of all",
            message(0, [&[a(60), a(20)], &[a(30)], &[a(40)]]),
            20,
        ),
        ("for ever", message(0, [&[a(900_000)], &[], &[]]), 86_400),
        ("no TTL", message(0, [&[a(0x8000_0000)], &[], &[]]), 0),
        (
            "OPT has none",
            message(0, [&[a(60)], &[], &[opt(0, b"")]]),
            60,
        ),
        ("no such name", message(3, [&[], &[soa(600, 90)], &[]]), 90),
        ("its TTL", message(3, [&[], &[soa(60, 90)], &[]]), 60),
        (
            "for ever not",
            message(3, [&[], &[soa(99_999, 99_999)], &[]]),
            10_800,
        ),
        (
            "an alias of none",
            message(3, [&[record(5, 30, b"\0")], &[soa(600, 90)], &[]]),
            30,
        ),
        ("no such type", message(0, [&[], &[soa(600, 90)], &[]]), 90),
        (
            "an alias, and nothing of where it leads",
            message(0, [&[record(5, 30, b"\0")], &[], &[]]),
            0,
        ),
        (
            "an alias, and where it leads",
            message(0, [&[record(5, 30, b"\0"), a(60)], &[], &[]]),
            30,
        ),
        ("who knows why", message(3, [&[], &[], &[]]), 0),
        (
            "a referral",
            message(0, [&[], &[record(2, 60, b"\0")], &[]]),
            0,
        ),
        ("SERVFAIL", message(2, [&[], &[soa(600, 90)], &[]]), 0),
        ("REFUSED", message(5, [&[a(60)], &[], &[]]), 0),
        ("BADVERS", message(0, [&[a(60)], &[], &[opt(1, b"")]]), 0),
    ] {
        assert_eq!(read(message).unwrap().life(), want, "{case}");
    }
}

#[test]
fn what_is_not_whole_is_none() {
    let a = record(1, 60, &[9, 9, 9, 9]);
    let whole = message(0, [from_ref(&a), &[], &[opt(0, b"")]]);
    assert!(read(whole.clone()).is_some());
    // With every byte less; without its OPT record it is not whole either.
    for length in QUESTION.len()..whole.len() {
        assert_eq!(read(whole[..length].to_vec()), None, "{length} bytes");
    }
    assert_eq!(
        read(message(0, [&[opt(0, b"")], &[], &[]])),
        None,
        "OPT as an answer"
    );
    assert_eq!(
        read(message(3, [&[], &[record(6, 9, b"\0")], &[]])),
        None,
        "a short SOA"
    );
    let trailing = [whole.as_slice(), &[0; 30]].concat();
    assert_eq!(read(trailing), read(whole));
}

#[test]
fn each_client_has_its_own_reply() {
    let ede = b"\0\x0f\0\x04\0\x09no";
    let cookie = b"\0\x0a\0\x08abcdefgh";
    let a = record(1, 60, &[9, 9, 9, 9]);
    let options = [&cookie[..], ede].concat();
    let mut said = message(0, [from_ref(&a), &[], &[opt(0, &options), a.clone()]]);
    said[2] |= 0x04; // AA
    said[3] |= 0x20; // AD
    let response = read(said).unwrap();
    let ask = |query: &[u8], age| {
        let mut out = b"left over".to_vec();
        response.answer(&Query::read(query).unwrap(), Carrier::Udp, age, &mut out);
        out
    };
    let mut query = QUESTION.to_vec();
    query[..4].copy_from_slice(b"ab\x01\x10"); // RD, CD
    query[13] = b'W';
    let plain = ask(&query, 7);
    assert_eq!(
        plain[..12],
        *b"ab\x81\xb0\0\x01\0\x01\0\0\0\0",
        "RD, RA, AD, CD; no AA"
    );
    assert_eq!(plain[12..29], query[12..29]);
    assert_eq!(plain[29..], record(1, 53, &[9, 9, 9, 9]));
    query[11] = 1;
    query.extend(opt(0, cookie));
    let edns = ask(&query, 0);
    assert_eq!(edns[10..12], [0, 1]);
    let own = [&[0, 0, 41, 4, 208, 0, 0, 0x80, 0, 0, 8][..], ede].concat();
    assert_eq!(edns[29 + a.len()..], own, "no cookie of the forwarder's");
}

#[test]
fn what_a_client_can_not_take_it_fetches_by_tcp() {
    let many: Vec<_> = (0..40).map(|_| record(1, 60, &[9, 9, 9, 9])).collect();
    let response = read(message(0, [&many, &[], &[]])).unwrap();
    assert_eq!(response.addresses().count(), 40);
    let size = |query: &[u8], carrier| {
        let mut out = Vec::new();
        response.answer(&Query::read(query).unwrap(), carrier, 0, &mut out);
        (out.len(), out[2] & 2)
    };
    let mut query = asked();
    assert_eq!(size(&query, Carrier::Udp), (QUESTION.len(), 2));
    assert_eq!(size(&query, Carrier::Tcp), (QUESTION.len() + 640, 0));
    query[11] = 1;
    query.extend(opt(0, b""));
    assert_eq!(size(&query, Carrier::Udp), (QUESTION.len() + 651, 0));
}

/// A forwarder may be a tenant's. Whatever it says, what a client hears is a message.
#[test]
fn what_is_mutated_does_no_harm() {
    let a = record(1, 60, &[9, 9, 9, 9]);
    let said = message(
        0,
        [
            &[a.clone(), record(5, 9, b"\xc0\x0c")],
            &[soa(600, 90)],
            &[a, opt(0, b"\0\x0f\0\x02\0\x09")],
        ],
    );
    let mut query = asked();
    query[11] = 1;
    query.extend(opt(0, b""));
    let query = Query::read(&query).unwrap();
    let mut random = StdRng::seed_from_u64(1);
    let (mut out, mut whole) = (Vec::new(), 0);
    for _ in 0..200_000 {
        let mut said = said.clone();
        for _ in 0..random.random_range(1..5) {
            let at = random.random_range(3..said.len());
            match random.random_range(0..4) {
                0 => said[at] = random.random(),
                1 => said.truncate(at.max(QUESTION.len())),
                2 => said.extend_from_within(at..),
                _ => said[at] ^= 1 << random.random_range(0..8),
            }
        }
        let Some(response) = read(said) else { continue };
        whole += 1;
        for carrier in [Carrier::Udp, Carrier::Tcp] {
            response.answer(&query, carrier, 61, &mut out);
            assert!(Response::read(out.clone(), &query).is_some());
        }
        assert!(
            response
                .addresses()
                .all(|bytes| matches!(bytes.len(), 4 | 16))
        );
    }
    assert!(whole > 10_000, "{whole}");
}
