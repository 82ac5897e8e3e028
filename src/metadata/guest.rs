//! One request of a guest, from its head to its answer.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::http::request::Parts;
use hyper::server::conn::http1;
use hyper::{Method, Request, Response, StatusCode};
use rand::Rng;

use super::Found;
use super::agent::{Errand, Regulars};
use super::body::{Body, refuse};
use super::counters::Tally;
use super::limits::{Permit, Seat};
use super::local::{self, Question, View};
use super::lookup::{self, Learned};
use super::nova::Order;
use super::path;
use super::pulse::{Late, Pulse};
use super::rate::Rate;
use super::route::{Asker, Origin, who};
use super::shared::{Shared, Source};
use crate::model::Target;
use crate::pace::Who;
use crate::plan::scope::MetadataScope;

/// Methods that have a meaning for a file tree; of the others (CONNECT, TRACE) nothing good is to be expected.
const METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
];

/// A body too large is read on for so many times its limit: a guest that still sends would not see the answer.
const OVERRUN: usize = 16;

/// So many pieces of a body count as a request more: each has a cost of its own, however small it is.
const PIECES: usize = 16;

/// What a server's connections share.
pub(super) struct House {
    pub(super) http: http1::Builder,
    pub(super) scope: ArcSwap<MetadataScope>,
    pub(super) shared: Arc<Shared>,
    pub(super) tally: Arc<Tally>,
    pub(super) rate: Option<Rate>,
    pub(super) learned: Learned,
    /// Where another process knows the guests.
    pub(super) regulars: Regulars,
}

impl House {
    pub(super) fn new(
        scope: Arc<MetadataScope>,
        shared: &Arc<Shared>,
        http: http1::Builder,
        rate: Option<Rate>,
        tally: Arc<Tally>,
    ) -> Self {
        Self {
            http,
            scope: ArcSwap::new(scope),
            shared: Arc::clone(shared),
            tally,
            rate,
            learned: Learned::new(),
            regulars: Regulars::default(),
        }
    }

    /// Whether it is a machine's address, as far as can be told at once.
    pub(super) fn who(&self, origin: Origin) -> Who<Origin> {
        let scope = self.scope.load();
        let known = who(&scope, origin).is_some()
            || self.learned.knows(origin)
            || self.regulars.knows(origin);
        if known {
            Who::Known(origin)
        } else if scope.has_unknown_networks() && self.shared.asks_elsewhere() {
            Who::Newcomer(origin)
        } else {
            Who::Other(origin)
        }
    }

    /// Later requests are judged by this scope.
    pub(super) fn rescope(&self, scope: Arc<MetadataScope>) {
        let networks = scope.networks.clone();
        let before = self.scope.swap(scope);
        if before.networks != networks {
            self.learned.forget();
        }
    }
}

/// Always answers. Cancel-safe.
pub(super) async fn answer(
    house: &House,
    seat: &Seat,
    pulse: &Pulse,
    request: Request<Incoming>,
) -> Response<Body> {
    let (head, mut body) = request.into_parts();
    let response = match try_answer(house, seat, pulse, &head, &mut body).await {
        Ok(response) => response,
        Err(status) => refuse(status),
    };
    house.tally.answered(response.status());
    pulse.send();
    response
}

async fn try_answer(
    house: &House,
    seat: &Seat,
    pulse: &Pulse,
    head: &Parts,
    body: &mut Incoming,
) -> Result<Response<Body>, StatusCode> {
    let due = pulse.answer();
    let origin = seat.origin();
    let source = origin.address;
    if let Some(rate) = &house.rate
        && rate.exceeds(origin, Instant::now())
    {
        return Err(StatusCode::TOO_MANY_REQUESTS);
    }
    let turn = pulse.in_time(pin!(turn(house, seat))).await;
    turn.map_err(|Late| StatusCode::SERVICE_UNAVAILABLE)?;
    if !METHODS.contains(&head.method) {
        return Err(StatusCode::METHOD_NOT_ALLOWED);
    }
    let target = path::canonical(&head.uri).ok_or(StatusCode::BAD_REQUEST)?;
    // Looked up for each request: the address may have got another owner since the last.
    let scope = house.scope.load_full();
    let shared = &*house.shared;
    let knowing = shared.source.load_full();
    if let Source::Agent(agent) = &*knowing {
        let permit = begin(seat, pulse).await?;
        let errand = Errand {
            method: &head.method,
            target,
            body: collect(body, house, seat, pulse).await?,
            // A link's network says more than the router that leads there.
            of: origin.network.map_or(scope.of, Target::Network),
            source,
        };
        let response = agent.fetch(&errand, pulse, due).await;
        if response.status().is_success() {
            house.regulars.note(origin);
        }
        return Ok(response.map(|body| body.holding(permit)));
    }
    let known = who(&scope, origin);
    let lookup = shared.lookup.get().filter(|_| known.is_none());
    if known.is_none() && lookup.is_none() {
        house.tally.unknown.up();
        return Err(StatusCode::NOT_FOUND);
    }
    let permit = begin(seat, pulse).await?;
    let learned = match lookup {
        Some(lookup) => Some(learn(house, lookup, &scope, origin, pulse).await?),
        None => None,
    };
    let Some(asker) = known.or_else(|| learned.as_ref().map(Asker::of)) else {
        return Err(StatusCode::NOT_FOUND);
    };
    let body = collect(body, house, seat, pulse).await?;
    let response = match &*knowing {
        Source::Agent(_) | Source::Local => {
            tell(shared, asker, &head.method, target.path(), &body)?
        }
        Source::Nova(nova) => {
            let mut order = Order {
                method: &head.method,
                target,
                body,
                source,
                asker,
            };
            let mut response = nova.fetch(&order, pulse, due).await;
            // The address may have got another owner since we were told of it.
            if response.status() == StatusCode::NOT_FOUND
                && let (Some(lookup), Some(learned)) = (lookup, &learned)
            {
                let other = house.learned.who_else(lookup, &scope, origin, learned);
                if let Ok(Some(other)) = pulse.in_time(pin!(other)).await {
                    order.asker = Asker::of(&other);
                    response = nova.fetch(&order, pulse, due).await;
                }
            }
            response
        }
    };
    Ok(response.map(|body| body.holding(permit)))
}

/// Asks who it is.
async fn learn(
    house: &House,
    lookup: &lookup::Source,
    scope: &MetadataScope,
    origin: Origin,
    pulse: &Pulse,
) -> Result<Found, StatusCode> {
    let question = pin!(house.learned.who(lookup, scope, origin));
    let learned = pulse.in_time(question).await;
    let learned = learned.unwrap_or(Err(StatusCode::GATEWAY_TIMEOUT));
    if learned == Err(StatusCode::NOT_FOUND) {
        house.tally.unknown.up();
    }
    learned
}

/// Waits, where the guest has asked more often than its share.
async fn turn(house: &House, seat: &Seat) {
    let now = Instant::now();
    let wait = seat.wait(now);
    if !wait.is_zero() {
        house.tally.delayed.up();
        seat.door().complain(house.scope.load().of, now);
        tokio::time::sleep(wait).await;
    }
}

/// A place among this guest's requests, and among those of all.
async fn begin(seat: &Seat, pulse: &Pulse) -> Result<Permit, StatusCode> {
    if let Some(permit) = seat.try_begin() {
        return Ok(permit);
    }
    let permit = pulse.in_time(pin!(seat.begin())).await;
    permit.map_err(|Late| StatusCode::SERVICE_UNAVAILABLE)
}

/// The request's body, which Nova gets whole: a guest that sends slowly does not hold a connection there.
async fn collect(
    incoming: &mut Incoming,
    house: &House,
    seat: &Seat,
    pulse: &Pulse,
) -> Result<Bytes, StatusCode> {
    if incoming.is_end_stream() {
        return Ok(Bytes::new());
    }
    let limit = house.shared.limits.body;
    let read = async {
        let mut body = BytesMut::new();
        let (mut size, mut pieces) = (0, 0);
        while let Some(frame) = incoming.frame().await {
            let frame = frame.map_err(|_broken| StatusCode::BAD_REQUEST)?;
            // Trailers have nobody to go to.
            let Ok(piece) = frame.into_data() else {
                continue;
            };
            size += piece.len();
            if size <= limit {
                body.extend_from_slice(&piece);
            } else if size > limit.saturating_mul(OVERRUN) {
                break;
            }
            pieces += 1;
            if pieces % PIECES == 0 {
                turn(house, seat).await;
            }
        }
        if size > limit {
            return Err(StatusCode::PAYLOAD_TOO_LARGE);
        }
        Ok(body.freeze())
    };
    let read = pulse.in_time(pin!(read)).await;
    read.unwrap_or(Err(StatusCode::REQUEST_TIMEOUT))
}

/// Asks the embedded source.
fn tell(
    shared: &Shared,
    asker: Asker<'_>,
    method: &Method,
    path: &str,
    body: &[u8],
) -> Result<Response<Body>, StatusCode> {
    let state = shared.state.load();
    let instance = state.instances.get(asker.instance);
    let instance = instance.ok_or(StatusCode::NOT_FOUND)?;
    let password = shared.passwords.get(asker.instance);
    let view = View {
        state: &state,
        port: asker.port.ok_or(StatusCode::NOT_FOUND)?,
        instance,
        password: password.as_deref(),
    };
    let answer = local::answer(Question { method, path, body }, view, random);
    if let Some(password) = answer.password
        && !shared.passwords.set(asker.instance, password, &state)
    {
        // Another request of the machine was faster.
        return Err(StatusCode::CONFLICT);
    }
    let mut response = Response::new(Body::whole(answer.body));
    *response.status_mut() = answer.status;
    let content_type = HeaderValue::from_static(answer.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    Ok(response)
}

fn random() -> [u8; 512] {
    let mut seed = [0; 512];
    rand::rng().fill(&mut seed[..]);
    seed
}
