//! Asking Nova in a machine's name.
//!
//! Every header that Nova gets is made here, of what we know ourselves. Nothing of a guest's headers is looked at or
//! passed on, so there is nothing that it could reach, double or hide in one.

use std::net::IpAddr;
use std::pin::pin;

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

/// Nova's metadata API, and how we prove our word there.
pub(super) struct Nova {
    host: HeaderValue,
    signer: Signer,
    relay: Relay,
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
            relay: Relay::new(Pool::new(settings)?),
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
                refuse(failure.status())
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
        let response = self
            .relay
            .ask(order.method, due, || self.request(order))
            .await?;
        if response.status() == StatusCode::FORBIDDEN
            && let Some(times) = self.refused.due(std::time::Instant::now())
        {
            warn!(
                times,
                "Nova refuses our signatures (its metadata_proxy_shared_secret and ours probably differ)"
            );
        }
        Ok(response)
    }

    /// All that Nova is told. No `Accept-Encoding`: what Nova sends must reach the guest byte for byte.
    fn request(&self, order: &Order<'_>) -> Result<Request<Full<Bytes>>, Failure> {
        let Asker {
            instance, project, ..
        } = order.asker;
        let signature = self.signer.sign(&instance.to_string());
        let mut request = Request::new(Full::new(order.body.clone()));
        *request.method_mut() = order.method.clone();
        *request.uri_mut() = Uri::from(order.target.clone());
        let mut headers = HeaderMap::with_capacity(HEADERS);
        headers.insert(header::HOST, self.host.clone());
        headers.insert(SOURCE, HeaderValue::from_str(&order.source.to_string())?);
        headers.insert(INSTANCE, HeaderValue::from_str(&instance.to_string())?);
        headers.insert(TENANT, HeaderValue::from_str(&project.to_string())?);
        headers.insert(SIGNATURE, HeaderValue::from_bytes(&signature)?);
        *request.headers_mut() = headers;
        Ok(request)
    }
}
