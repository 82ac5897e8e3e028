//! What resolvers say to queries that are passed on: they may be a tenant's, or forged.

use warren::dns::{Carrier, Key, Response, Verdict, answer, is_answer_to, rebinds};

use super::dns::SCOPE;

/// What is kept of one, and its queries, have this size at most.
const LONGEST_KEY: usize = 260;

/// Two bytes say how long the query is; it stands before the response.
pub(super) fn responses(input: &[u8]) {
    let Some((length, rest)) = input.split_first_chunk() else {
        return;
    };
    let Some((query, said)) = rest.split_at_checked(u16::from_be_bytes(*length).into()) else {
        return;
    };
    let mut reply = Vec::new();
    let Verdict::Forward(query) = answer(&SCOPE, query, Carrier::Udp, &mut reply) else {
        return;
    };
    assert!(Key::of(&query).as_bytes().len() <= LONGEST_KEY);
    if !is_answer_to(said, &query) {
        return;
    }
    let Some(response) = Response::read(said.to_vec(), &query) else {
        return;
    };
    rebinds(&SCOPE, &query, &response);
    for (carrier, most) in [(Carrier::Udp, 1232), (Carrier::Tcp, 65_535)] {
        for age in [0, response.life().saturating_sub(1), u32::MAX] {
            response.answer(&query, carrier, age, &mut reply);
            assert!(reply.len() <= most, "{} bytes", reply.len());
            assert!(is_answer_to(&reply, &query), "to the same question");
            let again = Response::read(reply.clone(), &query).expect("its records are whole");
            let is_cut = reply[2] & 0x02 != 0;
            assert!(is_cut || again.addresses().eq(response.addresses()));
        }
    }
}
