//! Asking Nova in a machine's name.
//!
//! Every header that Nova gets is made here, of what we know ourselves. Nothing of a guest's headers is looked at or
//! passed on, so there is nothing that it could reach, double or hide in one.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::time::Instant;
use tracing::warn;

use super::body::{Body, Stream, refuse};
use super::link::{Failure, Link, Pool};
use super::pulse::{Late, Pulse};
use super::route::Asker;
use super::sign::Signer;
use super::{Error, NovaSettings};
use crate::chain;
use crate::complaint::Complaint;

const INSTANCE: HeaderName = HeaderName::from_static("x-instance-id");
const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");
const SIGNATURE: HeaderName = HeaderName::from_static("x-instance-id-signature");
const SOURCE: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Those four, `Host`, and hyper's `Content-Length`.
const HEADERS: usize = 6;

/// RFC 9110 section 7.6.1: these are about our connection to Nova. hyper frames the guest's answer anew.
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

/// An answer up to this size is taken from Nova at once, however slow the guest is.
const GATHERED: u64 = 64 * 1024;

/// Nova's metadata API, and how we prove our word there.
pub(super) struct Nova {
    host: HeaderValue,
    signer: Signer,
    pool: Arc<Pool>,
    refused: Complaint,
    failed: Complaint,
}

/// What a guest wants of Nova.
pub(super) struct Order<'a> {
    pub(super) method: &'a Method,
    pub(super) target: PathAndQuery,
    pub(super) body: Bytes,
    pub(super) source: IpAddr,
    pub(super) asker: Asker<'a>,
}

impl Nova {
    /// # Errors
    /// When the settings name files that can't be used, or a host that is none.
    pub(super) fn new(settings: &NovaSettings) -> Result<Self, Error> {
        let unfit = || Error::Host {
            host: settings.host.clone(),
        };
        let host = match settings.host.parse() {
            Ok(IpAddr::V6(address)) => format!("[{address}]:{}", settings.port),
            _ => format!("{}:{}", settings.host, settings.port),
        };
        if host.parse::<hyper::http::uri::Authority>().is_err() || settings.host.contains('@') {
            return Err(unfit());
        }
        Ok(Self {
            host: HeaderValue::from_str(&host).map_err(|_| unfit())?,
            signer: Signer::new(&settings.secret),
            pool: Pool::new(settings)?,
            refused: Complaint::default(),
            failed: Complaint::default(),
        })
    }

    /// Nova's answer, or our own if there is none: 503 without connection, 502 if it is no HTTP, 504 if it is late.
    /// Cancel-safe: an unfinished exchange closes its connection.
    pub(super) async fn fetch(
        &self,
        order: &Order<'_>,
        pulse: &Pulse,
        due: Instant,
    ) -> Response<Body> {
        match pulse.in_time(pin!(self.try_fetch(order, due))).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => {
                if let Some(times) = self.failed.due(std::time::Instant::now()) {
                    warn!(error = %chain(&failure), times, "failed to ask Nova for metadata");
                }
                refuse(match failure {
                    Failure::Connect { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    Failure::Exchange(_) | Failure::Redirect(_) => StatusCode::BAD_GATEWAY,
                    Failure::Id(_) => StatusCode::NOT_FOUND,
                })
            }
            Err(Late) => {
                if let Some(times) = self.failed.due(std::time::Instant::now()) {
                    let nova = &self.host;
                    warn!(
                        ?nova,
                        times, "Nova gave no metadata in time (see its load and its log)"
                    );
                }
                refuse(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }

    async fn try_fetch(&self, order: &Order<'_>, due: Instant) -> Result<Response<Body>, Failure> {
        let (mut link, response) = self.exchange(order).await?;
        let (mut head, mut incoming) = response.into_parts();
        if head.status.is_redirection() || head.status.is_informational() {
            return Err(Failure::Redirect(head.status));
        }
        if head.status == StatusCode::FORBIDDEN
            && let Some(times) = self.refused.due(std::time::Instant::now())
        {
            warn!(
                times,
                "Nova refuses our signatures (its metadata_proxy_shared_secret and ours probably differ)"
            );
        }
        strip(&mut head.headers, *order.method == Method::HEAD);
        let body = if incoming
            .size_hint()
            .upper()
            .is_none_or(|size| size > GATHERED)
        {
            Body::stream(Stream {
                incoming,
                link: Some(link),
                pool: Arc::clone(&self.pool),
                due: Box::pin(tokio::time::sleep_until(due)),
            })
        } else {
            let bytes = gather(&mut link, &mut incoming).await?;
            head.headers.values_mut().for_each(detach);
            self.pool.put(link);
            Body::whole(bytes)
        };
        Ok(Response::from_parts(head, body))
    }

    /// Over a kept connection if there is one; should that turn out closed, over a new one.
    async fn exchange(
        &self,
        order: &Order<'_>,
    ) -> Result<(Box<Link>, Response<Incoming>), Failure> {
        // Only what may be said twice: nobody knows how much of it a connection that broke has delivered.
        if order.method.is_safe()
            && let Some(mut link) = self.pool.take()
            && let Ok(response) = link.exchange(self.request(order)?).await
        {
            return Ok((link, response));
        }
        // Boxed because it is rare and its future large: TLS handshakes would have a place in each guest's connection.
        let mut link = Box::pin(self.pool.open()).await?;
        let response = link.exchange(self.request(order)?).await?;
        Ok((link, response))
    }

    /// All that Nova is told. No `Accept-Encoding`: what Nova sends must reach the guest byte for byte.
    fn request(&self, order: &Order<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let Asker {
            instance, project, ..
        } = order.asker;
        let signature = self.signer.sign(&instance.0);
        let mut request = Request::new(Full::new(order.body.clone()));
        *request.method_mut() = order.method.clone();
        *request.uri_mut() = Uri::from(order.target.clone());
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::HOST, self.host.clone());
        headers.insert(SOURCE, HeaderValue::from_str(&order.source.to_string())?);
        headers.insert(INSTANCE, HeaderValue::from_str(&instance.0)?);
        headers.insert(TENANT, HeaderValue::from_str(&project.0)?);
        headers.insert(SIGNATURE, HeaderValue::from_bytes(&signature)?);
        *request.headers_mut() = headers;
        Ok(request)
    }
}

/// Reads a short answer to its end: Nova is free for the next one, and the guest takes it at its own pace.
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
        // Trailers are Nova's word to us.
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

/// Leaves of Nova's headers what is about the answer, not about our connection to Nova.
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
