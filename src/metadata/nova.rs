//! Asking Nova in a machine's name.
//!
//! Every header that Nova gets is made here, of what we know ourselves. Nothing of a guest's headers is looked at or
//! passed on, so there is nothing that it could reach, double or hide in one.

use std::future::poll_fn;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, StatusCode, Uri};
use tokio::time::{Instant, timeout_at};
use tracing::warn;

use super::body::{Body, Stream, refuse};
use super::complaint::Complaint;
use super::link::{Failure, Link, Pool};
use super::route::Asker;
use super::sign::Signer;
use super::{Error, NovaSettings};

const INSTANCE: HeaderName = HeaderName::from_static("x-instance-id");
const TENANT: HeaderName = HeaderName::from_static("x-tenant-id");
const SIGNATURE: HeaderName = HeaderName::from_static("x-instance-id-signature");
const SOURCE: HeaderName = HeaderName::from_static("x-forwarded-for");

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
    pub(super) method: Method,
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

    /// Nova's answer, or our own if there is none: 503 without connection, 502 if it is no HTTP, 504 past the deadline.
    /// Cancel-safe: an unfinished exchange closes its connection.
    pub(super) async fn fetch(&self, order: &Order<'_>, deadline: Instant) -> Response<Body> {
        match timeout_at(deadline, self.try_fetch(order, deadline)).await {
            Ok(Ok(response)) => response,
            Ok(Err(failure)) => {
                if let Some(times) = self.failed.due(std::time::Instant::now()) {
                    let error = &failure as &dyn std::error::Error;
                    warn!(error, times, "failed to ask Nova for metadata");
                }
                refuse(match failure {
                    Failure::Connect { .. } => StatusCode::SERVICE_UNAVAILABLE,
                    Failure::Exchange(_) | Failure::Redirect(_) => StatusCode::BAD_GATEWAY,
                })
            }
            Err(_late) => {
                if let Some(times) = self.failed.due(std::time::Instant::now()) {
                    warn!(
                        times,
                        "Nova gave no metadata in time; see its load and its log"
                    );
                }
                refuse(StatusCode::GATEWAY_TIMEOUT)
            }
        }
    }

    async fn try_fetch(
        &self,
        order: &Order<'_>,
        deadline: Instant,
    ) -> Result<Response<Body>, Failure> {
        let Some(headers) = self.headers(order) else {
            // An instance or project id that no HTTP header can carry is none that Nova knows.
            return Ok(refuse(StatusCode::NOT_FOUND));
        };
        let (link, response) = self.exchange(order, headers).await?;
        let (mut head, incoming) = response.into_parts();
        if head.status.is_redirection() || head.status.is_informational() {
            return Err(Failure::Redirect(head.status));
        }
        if head.status == StatusCode::FORBIDDEN
            && let Some(times) = self.refused.due(std::time::Instant::now())
        {
            warn!(
                times,
                "Nova refuses our signatures: its metadata_proxy_shared_secret and ours probably differ"
            );
        }
        strip(&mut head.headers, order.method == Method::HEAD);
        let body = self.body(link, incoming, deadline).await?;
        Ok(Response::from_parts(head, body))
    }

    /// All that Nova is told. No `Accept-Encoding`: what Nova sends must reach the guest byte for byte.
    fn headers(&self, order: &Order<'_>) -> Option<HeaderMap> {
        let Asker {
            instance, project, ..
        } = order.asker;
        let signature = self.signer.sign(&instance.0);
        let mut headers = HeaderMap::with_capacity(8);
        headers.insert(header::HOST, self.host.clone());
        headers.insert(
            SOURCE,
            HeaderValue::from_str(&order.source.to_string()).ok()?,
        );
        headers.insert(INSTANCE, HeaderValue::from_str(&instance.0).ok()?);
        headers.insert(TENANT, HeaderValue::from_str(&project.0).ok()?);
        headers.insert(SIGNATURE, HeaderValue::from_bytes(&signature).ok()?);
        Some(headers)
    }

    /// Over a kept connection if there is one; should that turn out closed, over a new one.
    async fn exchange(
        &self,
        order: &Order<'_>,
        headers: HeaderMap,
    ) -> Result<(Link, Response<Incoming>), Failure> {
        let request = |headers| {
            let mut request = Request::new(Full::new(order.body.clone()));
            *request.method_mut() = order.method.clone();
            *request.uri_mut() = Uri::from(order.target.clone());
            *request.headers_mut() = headers;
            request
        };
        // Only what may be said twice: nobody knows how much of it a connection that broke has delivered.
        if order.method.is_safe()
            && let Some(mut link) = self.pool.take()
            && let Ok(response) = link.exchange(request(headers.clone())).await
        {
            return Ok((link, response));
        }
        let mut link = self.pool.open().await?;
        let response = link.exchange(request(headers)).await?;
        Ok((link, response))
    }

    async fn body(
        &self,
        mut link: Link,
        mut incoming: Incoming,
        deadline: Instant,
    ) -> Result<Body, Failure> {
        if incoming
            .size_hint()
            .upper()
            .is_none_or(|size| size > GATHERED)
        {
            return Ok(Body::stream(Stream {
                incoming,
                link: Some(link),
                pool: Arc::clone(&self.pool),
                deadline: Box::pin(tokio::time::sleep_until(deadline)),
            }));
        }
        let bytes = gather(&mut link, &mut incoming).await?;
        self.pool.put(link);
        Ok(Body::whole(bytes))
    }
}

/// Reads a short answer to its end: Nova is free for the next one, and the guest takes it at its own pace.
async fn gather(link: &mut Link, incoming: &mut Incoming) -> Result<Bytes, Failure> {
    let mut gathered = Bytes::new();
    while !incoming.is_end_stream() {
        let next = poll_fn(|cx| {
            link.drive(cx);
            Pin::new(&mut *incoming).poll_frame(cx)
        });
        let Some(frame) = next.await.transpose().map_err(Failure::Exchange)? else {
            break;
        };
        let Ok(piece) = frame.into_data() else {
            // Trailers are Nova's word to us.
            continue;
        };
        gathered = if gathered.is_empty() {
            piece
        } else {
            [gathered, piece].concat().into()
        };
    }
    Ok(gathered)
}

/// Leaves of Nova's headers what is about the answer, not about our connection to Nova.
fn strip(headers: &mut HeaderMap, bodiless: bool) {
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
    // hyper counts the body itself; only of a HEAD's answer it can't know the length.
    if !bodiless {
        headers.remove(header::CONTENT_LENGTH);
    }
}
