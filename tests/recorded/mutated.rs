//! Thousands of spoilt messages: nothing panics, neither where they are decoded nor where what is left is planned.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use warren::model::{Event, State, Target};
use warren::neutron::decode;
use warren::plan::{self, Settings};

use super::{decoded, messages, naming};

const MUTANTS: u64 = 12_000;

#[test]
fn no_mutant_panics() {
    let messages = messages();
    let (mut taken, mut refused, mut remarked) = (0, 0, 0);
    for seed in 0..MUTANTS {
        let mut random = StdRng::seed_from_u64(seed);
        let message = messages.choose(&mut random).unwrap();
        let mut value = message.value.clone();
        for _ in 0..random.random_range(1..5) {
            mutate(&mut value, &mut random);
        }
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            plan_of(message.kind, &value);
            decoded(message.kind, &message.from, &value)
        }));
        match outcome {
            Ok(Ok((_, remarks))) => {
                taken += 1;
                remarked += usize::from(!remarks.is_empty());
                assert!(
                    remarks
                        .iter()
                        .all(|remark| remark.to_string().len() < 2_000),
                    "seed {seed}"
                );
            }
            Ok(Err(error)) => {
                refused += 1;
                assert!(error.len() < 2_000, "seed {seed}: {error}");
            }
            Err(_) => panic!("seed {seed}: {} panics", message.from),
        }
    }
    assert!(
        taken > 1000 && refused > 500 && remarked > 100,
        "{taken} taken, {remarked} with remarks, {refused} refused"
    );
}

/// What is understood is planned as well.
fn plan_of(kind: &str, value: &Value) {
    let settings = Settings::default();
    let mut state = State::default();
    let target = match kind {
        "network" => {
            let Ok(network) = decode::network(value, &naming()) else {
                return;
            };
            let network = network.value;
            plan::dhcp_scope(&network, &settings);
            plan::zone(&network, &settings);
            plan::residents(&network);
            let target = Target::Network(network.id);
            state.apply(&Event::Network(Arc::new(network)));
            target
        }
        "router" => {
            let Ok(router) = decode::router(value) else {
                return;
            };
            let target = Target::Router(router.value.id);
            state.apply(&Event::Router(Arc::new(router.value)));
            target
        }
        _ => return,
    };
    plan::plan(&state, target, &settings);
}

/// Spoils one value somewhere.
fn mutate(value: &mut Value, random: &mut StdRng) {
    let inside = random.random_ratio(19, 20);
    match value {
        Value::Object(map) if inside && !map.is_empty() => {
            let keys: Vec<String> = map.keys().cloned().collect();
            let key = keys.choose(random).unwrap();
            if random.random_ratio(1, 20) {
                map.remove(key);
            } else {
                mutate(&mut map[key], random);
            }
        }
        Value::Array(list) if inside && !list.is_empty() => {
            let index = random.random_range(0..list.len());
            match random.random_range(0..10) {
                0 => _ = list.remove(index),
                1 => list.push(list[index].clone()),
                _ => mutate(&mut list[index], random),
            }
        }
        Value::String(text) if random.random_ratio(1, 2) => spoil(text, random),
        other => *other = junk(random),
    }
}

fn spoil(text: &mut String, random: &mut StdRng) {
    let at = (0..=text.len()).filter(|at| text.is_char_boundary(*at));
    let at = *at.collect::<Vec<_>>().choose(random).unwrap();
    match random.random_range(0..5) {
        0 => text.truncate(at),
        1 => text.insert(at, '\n'),
        2 => text.insert_str(at, &"9".repeat(random.random_range(1..400))),
        3 => text.insert(at, char::from(random.random_range(0..128u8))),
        _ => text.push('ß'),
    }
}

fn junk(random: &mut StdRng) -> Value {
    let all = [
        Value::Null,
        json!(true),
        json!(0),
        json!(-1),
        json!(u64::MAX),
        json!(1.5e300),
        json!(""),
        json!("::/0"),
        json!("0.0.0.0/0"),
        json!("255.255.255.255/32"),
        json!("255.255.255.255"),
        json!("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"),
        json!("00000000-0000-0000-0000-000000000000"),
        json!("network:router_interface"),
        json!("tag:a,tag:!b,121"),
        json!("a\nb"),
        json!([]),
        json!({}),
        json!([[[[null]]]]),
        json!({"id": {"id": []}}),
        Value::Array(vec![json!("x"); 3000]),
    ];
    all.choose(random).unwrap().clone()
}
