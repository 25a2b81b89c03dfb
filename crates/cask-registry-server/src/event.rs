//! The access log.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::refusal::InternalError;
use crate::{RequestBody, ResponseBody};

/// Who is told about every request. Called on the threads of the server: it should not wait.
pub type AccessLog = Arc<dyn Fn(&AccessEvent) + Send + Sync>;

/// A request that was answered, or whose client went away.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct AccessEvent {
    /// Who asked.
    pub remote: SocketAddr,
    /// The name of the user, if one was checked.
    pub user: Option<String>,
    /// What was asked for.
    pub method: Method,
    /// The path, and the query if there is one; as sent, so it may hold anything but spaces and
    /// control characters.
    pub target: String,
    /// The version of HTTP.
    pub version: Version,
    /// What the client says that it is.
    pub user_agent: Option<String>,
    /// The answer.
    pub status: StatusCode,
    /// How many bytes of the answer's body were sent.
    pub response_bytes: u64,
    /// From the head of the request to the end of the response.
    pub duration: Duration,
    /// Whether the response was sent to its end.
    pub complete: bool,
    /// The error behind an answer of 500 and above. Not told to the client.
    pub error: Option<String>,
}

/// For the access log: the user that was checked.
#[derive(Clone, Debug)]
pub(crate) struct User(pub(crate) String);

/// An event that is not finished. It is told when it is dropped.
pub(crate) struct Recording {
    log: AccessLog,
    started: Instant,
    event: AccessEvent,
}

impl Recording {
    pub(crate) fn new(log: AccessLog, remote: SocketAddr, request: &Request<RequestBody>) -> Self {
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        let agent = request.headers().get(http::header::USER_AGENT);
        let event = AccessEvent {
            remote,
            user: None,
            method: request.method().clone(),
            target: target.to_owned(),
            version: request.version(),
            user_agent: agent.and_then(|agent| agent.to_str().ok()).map(str::to_owned),
            status: StatusCode::INTERNAL_SERVER_ERROR,
            response_bytes: 0,
            duration: Duration::ZERO,
            complete: false,
            error: None,
        };
        Self { log, started: Instant::now(), event }
    }

    /// Follows a response to its end.
    pub(crate) fn follow(mut self, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
        self.event.status = response.status();
        self.event.user = response.extensions_mut().remove::<User>().map(|user| user.0);
        self.event.error = response.extensions_mut().remove::<InternalError>().map(|e| e.0);
        let length = response.headers().get(http::header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse().ok());
        response.map(|body| {
            self.event.complete = body.is_end_stream();
            Followed { body, length, recording: self }.boxed_unsync()
        })
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        self.event.duration = self.started.elapsed();
        (self.log)(&self.event);
    }
}

/// A body that counts what is taken of it.
struct Followed {
    body: ResponseBody,
    /// What the head says: nobody asks for more, even to see that there is no more.
    length: Option<u64>,
    recording: Recording,
}

impl Body for Followed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        let (ended, length) = (self.body.is_end_stream(), self.length);
        let event = &mut self.recording.event;
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                event.response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
                event.complete = ended || length == Some(event.response_bytes);
            }
            Poll::Ready(Some(Err(error))) => event.error = Some(error.to_string()),
            Poll::Ready(None) => event.complete = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
