//! The body of an answer: whole, or as it comes from Nova. It holds the request's permits until the guest has taken it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, Incoming, SizeHint};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::{Response, StatusCode};
use tokio::time::Sleep;

use super::limits::Permit;
use super::link::{Link, Pool};

/// What hyper queues of one answer beyond what the guest takes: so a slow guest costs that much memory, and no more.
const PIECE: usize = 16 * 1024;

pub(super) struct Body {
    content: Content,
    permit: Option<Permit>,
}

enum Content {
    Whole(Bytes),
    Stream(Box<Stream>),
}

/// An answer that is still being sent to us.
pub(super) struct Stream {
    pub(super) incoming: Incoming,
    /// Until the end; then it is back in the pool.
    pub(super) link: Option<Box<Link>>,
    pub(super) pool: Arc<Pool>,
    pub(super) due: Pin<Box<Sleep>>,
}

/// An answer ended before its end. The guest's connection is cut, so that it sees that too.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("read the rest of the answer")]
    Broken(#[source] hyper::Error),
    #[error("read the rest of the answer in time")]
    Late,
}

impl Body {
    pub(super) fn whole(bytes: impl Into<Bytes>) -> Self {
        Self {
            content: Content::Whole(bytes.into()),
            permit: None,
        }
    }

    pub(super) fn stream(stream: Stream) -> Self {
        Self {
            content: Content::Stream(Box::new(stream)),
            permit: None,
        }
    }

    /// The request counts as under way until this body is gone.
    pub(super) fn holding(mut self, permit: Permit) -> Self {
        self.permit = Some(permit);
        self
    }
}

/// An answer of our own that is an error. Its body is for people: tools look at the code.
pub(super) fn refuse(status: StatusCode) -> Response<Body> {
    let text = status.canonical_reason().unwrap_or_default();
    let mut response = Response::new(Body::whole(text));
    *response.status_mut() = status;
    let plain = HeaderValue::from_static("text/plain");
    response.headers_mut().insert(CONTENT_TYPE, plain);
    response
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = Cut;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        match &mut self.content {
            Content::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Content::Whole(bytes) => {
                let piece = bytes.split_to(bytes.len().min(PIECE));
                Poll::Ready(Some(Ok(Frame::data(piece))))
            }
            Content::Stream(stream) => stream.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.content {
            Content::Whole(bytes) => bytes.is_empty(),
            Content::Stream(stream) => stream.incoming.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.content {
            Content::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Content::Stream(stream) => stream.incoming.size_hint(),
        }
    }
}

impl Stream {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Cut>>> {
        // Looked at each time, or a guest that always has room for some more would keep its connection for ever.
        if self.due.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Some(Err(Cut::Late)));
        }
        loop {
            if let Some(link) = &mut self.link {
                link.drive(cx);
            }
            match ready!(Pin::new(&mut self.incoming).poll_frame(cx)) {
                Some(Ok(frame)) if frame.is_data() => return Poll::Ready(Some(Ok(frame))),
                // Trailers are a word to us.
                Some(Ok(_)) => {}
                Some(Err(error)) => return Poll::Ready(Some(Err(Cut::Broken(error)))),
                None => {
                    if let Some(link) = self.link.take() {
                        self.pool.put(link);
                    }
                    return Poll::Ready(None);
                }
            }
        }
    }
}
