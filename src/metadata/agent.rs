//! The metadata role as another process on this host: requests are passed on to it, as haproxy passes them on to Neutron's
//! metadata agent (`neutron/agent/metadata/driver.py`).
//!
//! It believes what stands in two headers, so both are made here, of what we know ourselves. Nothing of a guest's headers
//! goes along.

use std::collections::HashMap;
use std::net::IpAddr;
use std::path::PathBuf;
use std::pin::pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::time::Instant;
use tracing::warn;

use super::body::{Body, refuse};
use super::link::{Failure, Pool};
use super::pulse::{Late, Pulse};
use super::relay::Relay;
use super::route::Origin;
use crate::chain;
use crate::complaint::Complaint;
use crate::model::Target;

pub(super) const NETWORK: HeaderName = HeaderName::from_static("x-neutron-network-id");
pub(super) const ROUTER: HeaderName = HeaderName::from_static("x-neutron-router-id");
pub(super) const SOURCE: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Those two, `Host`, `Connection`, and hyper's `Content-Length`.
const HEADERS: usize = 5;

/// haproxy's: so long a metadata role may take to be started again, and no guest notices.
const ATTEMPTS: u32 = 4;
const BETWEEN: Duration = Duration::from_secs(1);

/// Whom the metadata role knew is a guest of its own for so long, when connections are counted; so many at most.
const REMEMBERED: Duration = Duration::from_secs(30);
const MOST_REMEMBERED: usize = 1024;

pub(super) struct Agent {
    relay: Relay,
    failed: Complaint,
}

/// What a guest wants.
pub(super) struct Errand<'a> {
    pub(super) method: &'a Method,
    pub(super) target: PathAndQuery,
    pub(super) body: Bytes,
    /// Where it was asked, and by whom.
    pub(super) of: Target,
    pub(super) source: IpAddr,
}

impl Agent {
    pub(super) fn new(socket: PathBuf) -> Self {
        Self {
            relay: Relay::new(Pool::of_socket(socket)),
            failed: Complaint::default(),
        }
    }

    /// The metadata role's answer, or our own if there is none: 503 without connection, 502 if it is no HTTP, 504 if it is
    /// late. Cancel-safe.
    pub(super) async fn fetch(
        &self,
        errand: &Errand<'_>,
        pulse: &Pulse,
        due: Instant,
    ) -> Response<Body> {
        match pulse.in_time(pin!(self.try_fetch(errand, due))).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => {
                if let Some(times) = self.failed.due(std::time::Instant::now()) {
                    warn!(error = %chain(&failure), times, "failed to pass a metadata request on");
                }
                refuse(failure.status())
            }
            Err(Late) => {
                if let Some(times) = self.failed.due(std::time::Instant::now()) {
                    warn!(
                        times,
                        "the metadata agent gave no answer in time (see its log, and Nova's)"
                    );
                }
                refuse(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }

    async fn try_fetch(
        &self,
        errand: &Errand<'_>,
        due: Instant,
    ) -> Result<Response<Body>, Failure> {
        let mut attempt = 1;
        loop {
            let answer = self
                .relay
                .ask(errand.method, due, || errand.request())
                .await;
            match answer {
                Err(Failure::Reach { .. }) if attempt < ATTEMPTS => attempt += 1,
                answer => return answer,
            }
            tokio::time::sleep(BETWEEN).await;
        }
    }
}

impl Errand<'_> {
    fn request(&self) -> Result<Request<Full<Bytes>>, Failure> {
        let mut request = Request::new(Full::new(self.body.clone()));
        *request.method_mut() = self.method.clone();
        *request.uri_mut() = Uri::from(self.target.clone());
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::HOST, HeaderValue::from_static("169.254.169.254"));
        // One connection per request: some agents read no second one, and others keep a thread for it.
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        headers.insert(SOURCE, HeaderValue::from_str(&self.source.to_string())?);
        let (name, id) = match self.of {
            Target::Network(id) => (NETWORK, id.to_string()),
            Target::Router(id) => (ROUTER, id.to_string()),
        };
        headers.insert(name, HeaderValue::from_str(&id)?);
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Guests whom the metadata role knew a moment ago.
#[derive(Debug, Default)]
pub(super) struct Regulars(Mutex<HashMap<Origin, Instant>>);

impl Regulars {
    pub(super) fn note(&self, origin: Origin) {
        let now = Instant::now();
        let mut seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= MOST_REMEMBERED {
            seen.retain(|_, at| now.saturating_duration_since(*at) < REMEMBERED);
        }
        if seen.len() < MOST_REMEMBERED {
            seen.insert(origin, now);
        }
    }

    pub(super) fn knows(&self, origin: Origin) -> bool {
        let seen = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = seen.get(&origin);
        at.is_some_and(|at| at.elapsed() < REMEMBERED)
    }
}
