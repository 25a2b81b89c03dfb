//! How faults happen.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use cask_registry_server::{
    Disconnect, Next, Refusal, RefusalCode, RequestBody, ResponseBody, empty_body, full_body,
};
use futures_util::{StreamExt as _, stream};
use http::header::{
    CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION, RANGE,
    RETRY_AFTER, WWW_AUTHENTICATE,
};
use http::{Request, Response, StatusCode};
use http_body::Frame;
use http_body_util::{BodyExt as _, BodyStream, StreamBody};

use super::fault::Failure;
use super::running::Shared;

impl Shared {
    /// Answers with what goes wrong, if something does.
    pub(super) async fn fail(
        &self,
        failure: Option<Failure>,
        request: Request<RequestBody>,
        next: Next,
    ) -> Response<ResponseBody> {
        let Some(failure) = failure else { return self.answer(request, next).await };
        match instead(&failure, &request) {
            Some(response) => return response,
            None => before(&failure).await,
        }
        let request = match failure {
            Failure::ExpireTokens => {
                self.tokens().expire();
                request
            }
            Failure::CutRequest { after_bytes } => {
                // Longer than the header says it is not; the registry keeps what came.
                let _ = self.answer(request.map(|body| cut(body, after_bytes)), next).await;
                return disconnect();
            }
            _ => alter(&failure, request),
        };
        let response = self.answer(request, next).await;
        after(failure, response)
    }
}

/// An answer without the registry.
fn instead(failure: &Failure, request: &Request<RequestBody>) -> Option<Response<ResponseBody>> {
    let response = match failure {
        Failure::Disconnect => disconnect(),
        Failure::Status(status) => refused(*status).into_response(),
        Failure::HtmlPage(status) => page(*status),
        Failure::TooManyRequests { retry_after } => {
            let refusal = Refusal::new(RefusalCode::TooManyRequests, "slow down");
            match retry_after {
                Some(value) => refusal.with_header(RETRY_AFTER, value),
                None => refusal,
            }
            .into_response()
        }
        Failure::Challenge(challenge) => {
            Refusal::new(RefusalCode::Unauthorized, "authentication required")
                .with_header(WWW_AUTHENTICATE, challenge)
                .into_response()
        }
        Failure::Redirect(target) => {
            let mut response = Response::new(empty_body());
            *response.status_mut() = StatusCode::TEMPORARY_REDIRECT;
            set(&mut response, LOCATION, target);
            response
        }
        Failure::EndlessBody => endless(request.uri().path()),
        Failure::Answer { content_type, body } => {
            let mut response = Response::new(full_body(body.clone()));
            set(&mut response, CONTENT_TYPE, content_type);
            response
        }
        _ => return None,
    };
    Some(response)
}

/// What happens before the registry sees the request.
async fn before(failure: &Failure) {
    match failure {
        Failure::StallHead => std::future::pending().await,
        Failure::Delay(time) => tokio::time::sleep(*time).await,
        _ => {}
    }
}

/// What the registry sees instead of the request.
fn alter(failure: &Failure, mut request: Request<RequestBody>) -> Request<RequestBody> {
    match failure {
        Failure::IgnoreRange => {
            request.headers_mut().remove(RANGE);
        }
        Failure::ShiftRange { by } => {
            let range = request.headers().get(RANGE).and_then(|range| range.to_str().ok());
            if let Some(shifted) = range.and_then(|range| shift(range, *by)) {
                request.headers_mut().insert(RANGE, shifted);
            }
        }
        _ => {}
    }
    request
}

/// What becomes of the registry's answer.
fn after(failure: Failure, mut response: Response<ResponseBody>) -> Response<ResponseBody> {
    match failure {
        Failure::CutAnswer { after_bytes } => response.map(|body| cut(body, after_bytes)),
        Failure::StallBody { after_bytes } => response.map(|body| stall(body, after_bytes)),
        Failure::TrickleBody { pause } => response.map(|body| trickle(body, pause)),
        Failure::FlipBit { at } => response.map(|body| flip(body, at)),
        Failure::ShortBody { bytes } => {
            let length = response.headers().get(CONTENT_LENGTH);
            let length = length.and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
            let bytes = length.map_or(bytes, |length| length.min(bytes));
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes));
            response.map(|body| truncate(body, bytes))
        }
        Failure::WrongContentRange(value) => {
            if response.status() == StatusCode::PARTIAL_CONTENT {
                set(&mut response, CONTENT_RANGE, &value);
            }
            response
        }
        Failure::DoneBut(status) => refused(status).into_response(),
        Failure::Location(target) => {
            set(&mut response, LOCATION, &target);
            response
        }
        Failure::SetHeader(name, value) => {
            set(&mut response, HeaderName::from_static(name), &value);
            response
        }
        Failure::RemoveHeader(name) => {
            response.headers_mut().remove(name);
            response
        }
        _ => response,
    }
}

pub(super) fn set(response: &mut Response<ResponseBody>, name: HeaderName, value: &str) {
    let value = HeaderValue::from_str(value).expect("the value of a header");
    response.headers_mut().insert(name, value);
}

fn disconnect() -> Response<ResponseBody> {
    let mut response = Response::new(empty_body());
    response.extensions_mut().insert(Disconnect);
    response
}

fn refused(status: u16) -> Refusal {
    let status = StatusCode::from_u16(status).expect("a status of HTTP");
    let code = match status {
        StatusCode::UNAUTHORIZED => RefusalCode::Unauthorized,
        StatusCode::FORBIDDEN => RefusalCode::Denied,
        StatusCode::TOO_MANY_REQUESTS => RefusalCode::TooManyRequests,
        StatusCode::SERVICE_UNAVAILABLE => RefusalCode::Unavailable,
        _ => RefusalCode::Unknown,
    };
    Refusal::new(code, "this fault was asked for").with_status(status)
}

/// What a web server says that is no registry.
pub(super) fn page(status: u16) -> Response<ResponseBody> {
    let mut response = Response::new(full_body("<html><body><h1>Sorry</h1></body></html>\n"));
    *response.status_mut() = StatusCode::from_u16(status).expect("a status of HTTP");
    set(&mut response, CONTENT_TYPE, "text/html");
    response
}

/// A body that never ends, as a document that could be one.
fn endless(path: &str) -> Response<ResponseBody> {
    let content_type = if path.contains("/manifests/") {
        "application/vnd.oci.image.manifest.v1+json"
    } else if path.contains("/blobs/") {
        "application/octet-stream"
    } else {
        "application/json"
    };
    let spaces = Bytes::from(vec![b' '; 64 << 10]);
    let start = stream::once(async { Ok(Frame::data(Bytes::from_static(b"{"))) });
    let rest = stream::repeat_with(move || Ok(Frame::data(spaces.clone())));
    let mut response = Response::new(StreamBody::new(start.chain(rest)).boxed_unsync());
    set(&mut response, CONTENT_TYPE, content_type);
    response
}

/// `bytes=first-last`, further on.
fn shift(range: &str, by: u64) -> Option<HeaderValue> {
    let (first, last) = range.strip_prefix("bytes=")?.split_once('-')?;
    let first = first.parse::<u64>().ok()? + by;
    let last = last.parse::<u64>().map(|last| (last + by).to_string()).unwrap_or_default();
    HeaderValue::from_str(&format!("bytes={first}-{last}")).ok()
}

/// The data of a body, and how many bytes came before each piece.
fn pieces(body: ResponseBody) -> impl stream::Stream<Item = io::Result<(u64, Bytes)>> + Send {
    let mut before = 0;
    BodyStream::new(body).filter_map(move |frame| {
        let piece = match frame.map(Frame::into_data) {
            Ok(Ok(data)) => {
                before += data.len() as u64;
                Some(Ok((before - data.len() as u64, data)))
            }
            Ok(Err(_)) => None,
            Err(error) => Some(Err(error)),
        };
        async move { piece }
    })
}

/// The first bytes of a body.
fn first(
    body: ResponseBody,
    bytes: u64,
) -> impl stream::Stream<Item = io::Result<Frame<Bytes>>> + Send {
    pieces(body)
        .take_while(move |piece| {
            let wanted = piece.as_ref().map_or(true, |(before, _)| *before < bytes);
            async move { wanted }
        })
        .map(move |piece| {
            let (before, mut data) = piece?;
            data.truncate(usize::try_from(bytes - before).unwrap_or(usize::MAX));
            Ok(Frame::data(data))
        })
}

fn truncate(body: ResponseBody, bytes: u64) -> ResponseBody {
    StreamBody::new(first(body, bytes)).boxed_unsync()
}

/// The first bytes, then an error.
fn cut(body: ResponseBody, bytes: u64) -> ResponseBody {
    let end = stream::once(async {
        // Give what came the time to be sent: then it comes, and not only the end.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(io::ErrorKind::ConnectionReset.into())
    });
    StreamBody::new(first(body, bytes).chain(end)).boxed_unsync()
}

fn stall(body: ResponseBody, bytes: u64) -> ResponseBody {
    StreamBody::new(first(body, bytes).chain(stream::pending())).boxed_unsync()
}

fn trickle(body: ResponseBody, pause: Duration) -> ResponseBody {
    let bytes = pieces(body).flat_map(move |piece| {
        let (data, error) = match piece {
            Ok((_, data)) => (data, None),
            Err(error) => (Bytes::new(), Some(Err(error))),
        };
        let bytes = (0..data.len()).map(move |at| Ok(Frame::data(data.slice(at..=at))));
        stream::iter(bytes.chain(error)).then(move |frame| async move {
            tokio::time::sleep(pause).await;
            frame
        })
    });
    StreamBody::new(bytes).boxed_unsync()
}

fn flip(body: ResponseBody, at: u64) -> ResponseBody {
    let flipped = pieces(body).map(move |piece| {
        let (before, data) = piece?;
        let inside = at.checked_sub(before).and_then(|at| usize::try_from(at).ok());
        let mut bytes = data.to_vec();
        if let Some(byte) = inside.and_then(|at| bytes.get_mut(at)) {
            *byte ^= 1;
        }
        Ok(Frame::data(bytes.into()))
    });
    StreamBody::new(flipped).boxed_unsync()
}
