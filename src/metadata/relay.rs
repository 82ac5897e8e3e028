//! Asks in a guest's place, and takes the answer: whole if it is short, else as it comes.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use super::body::{Body, Stream};
use super::link::{Failure, Link, Pool};

/// RFC 9110 section 7.6.1: these are about our connection. hyper frames the guest's answer anew.
const HOP_BY_HOP: [HeaderName; 8] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];

/// An answer up to this size is taken at once, however slow the guest is.
const GATHERED: u64 = 64 * 1024;

pub(super) struct Relay(Arc<Pool>);

impl Relay {
    pub(super) fn new(pool: Arc<Pool>) -> Self {
        Self(pool)
    }

    /// `request` makes the same one each time. Cancel-safe: an unfinished exchange closes its connection.
    pub(super) async fn ask(
        &self,
        method: &Method,
        due: Instant,
        request: impl Fn() -> Result<Request<Full<Bytes>>, Failure>,
    ) -> Result<Response<Body>, Failure> {
        let (mut link, response) = self.exchange(method, request).await?;
        let (mut head, mut incoming) = response.into_parts();
        if head.status.is_redirection() || head.status.is_informational() {
            return Err(Failure::Redirect(head.status));
        }
        strip(&mut head.headers, *method == Method::HEAD);
        let body = if incoming
            .size_hint()
            .upper()
            .is_none_or(|size| size > GATHERED)
        {
            Body::stream(Stream {
                incoming,
                link: Some(link),
                pool: Arc::clone(&self.0),
                due: Box::pin(tokio::time::sleep_until(due)),
            })
        } else {
            let bytes = gather(&mut link, &mut incoming).await?;
            head.headers.values_mut().for_each(detach);
            self.0.put(link);
            Body::whole(bytes)
        };
        Ok(Response::from_parts(head, body))
    }

    /// Over a kept connection if there is one; should that turn out closed, over a new one.
    async fn exchange(
        &self,
        method: &Method,
        request: impl Fn() -> Result<Request<Full<Bytes>>, Failure>,
    ) -> Result<(Box<Link>, Response<Incoming>), Failure> {
        // Only what may be said twice: nobody knows how much of it a connection that broke has delivered.
        if method.is_safe()
            && let Some(mut link) = self.0.take()
            && let Ok(response) = link.exchange(request()?).await
        {
            return Ok((link, response));
        }
        // Boxed because it is rare and its future large: TLS handshakes would have a place in each guest's connection.
        let mut link = Box::pin(self.0.open()).await?;
        let response = link.exchange(request()?).await?;
        Ok((link, response))
    }
}

impl Failure {
    /// What a guest is told: 503 without connection, 502 if the answer is no HTTP.
    pub(super) fn status(&self) -> StatusCode {
        match self {
            Self::Connect { .. } | Self::Reach { .. } => StatusCode::SERVICE_UNAVAILABLE,
            Self::Exchange(_) | Self::Redirect(_) => StatusCode::BAD_GATEWAY,
            Self::Id(_) => StatusCode::NOT_FOUND,
        }
    }
}

/// Reads a short answer to its end: who gave it is free for the next one, and the guest takes it at its own pace.
async fn gather(link: &mut Link, incoming: &mut Incoming) -> Result<Bytes, Failure> {
    let mut gathered = BytesMut::new();
    while !incoming.is_end_stream() {
        let next = poll_fn(|cx| {
            link.drive(cx);
            Pin::new(&mut *incoming).poll_frame(cx)
        });
        let Some(frame) = next.await.transpose().map_err(Failure::Exchange)? else {
            break;
        };
        // Trailers are a word to us.
        if let Ok(piece) = frame.into_data() {
            gathered.extend_from_slice(&piece);
        }
    }
    Ok(gathered.freeze())
}

/// What hyper hands out shares its connection's read buffer, which then can't take the next answer. A copy is cheaper
/// than a new buffer.
fn detach(value: &mut HeaderValue) {
    if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
        *value = copy;
    }
}

/// Leaves of an answer's headers what is about the answer, not about our connection.
fn strip(headers: &mut HeaderMap, bodiless: bool) {
    if headers.keys().any(|name| HOP_BY_HOP.contains(name)) {
        let named: Vec<HeaderName> = headers
            .get_all(header::CONNECTION)
            .iter()
            .filter_map(|value| value.to_str().ok())
            .flat_map(|names| names.split(','))
            .filter_map(|name| name.trim().parse().ok())
            .collect();
        for name in named.iter().chain(&HOP_BY_HOP) {
            headers.remove(name);
        }
    }
    // hyper counts the body itself; only of a HEAD's answer it can't know the length.
    if !bodiless {
        headers.remove(header::CONTENT_LENGTH);
    }
}
