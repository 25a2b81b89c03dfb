//! Who waits for whom on a connection.
//!
//! A client of HTTP/2 that is there, answers pings and takes nothing keeps requests in flight for
//! ever: its socket is never full. So it is counted who is waited for.

use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::Response;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;

use crate::ResponseBody;

/// The requests of one connection that are in flight.
#[derive(Clone, Debug)]
pub(crate) struct Activity(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    in_flight: usize,
    /// How many of those this side is busy with.
    busy: usize,
    /// When a request began or ended, or a client took something.
    last: Instant,
}

/// What a connection is doing, and since when.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Doing {
    /// This side works.
    Work,
    /// There are responses, and the client has taken nothing of them for so long.
    Waiting(Duration),
    /// Nothing has been asked for so long.
    Nothing(Duration),
}

impl Activity {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(State { in_flight: 0, busy: 0, last: Instant::now() })))
    }

    pub(crate) fn doing(&self) -> Doing {
        let state = self.state();
        match *state {
            State { in_flight: 0, .. } => Doing::Nothing(state.last.elapsed()),
            State { busy: 0, .. } => Doing::Waiting(state.last.elapsed()),
            _ => Doing::Work,
        }
    }

    /// Begins a request, which this side is busy with.
    pub(crate) fn begin(&self) -> Flight {
        let mut state = self.state();
        state.in_flight += 1;
        state.busy += 1;
        state.last = Instant::now();
        drop(state);
        Flight { activity: self.clone(), busy: true }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request in flight, until this is dropped.
pub(crate) struct Flight {
    activity: Activity,
    busy: bool,
}

impl Flight {
    /// Follows a response until it was taken.
    pub(crate) fn follow(mut self, response: Response<ResponseBody>) -> Response<ResponseBody> {
        self.set_busy(false);
        response.map(|body| Followed { body, flight: self }.boxed_unsync())
    }

    fn set_busy(&mut self, busy: bool) {
        let mut state = self.activity.state();
        state.last = Instant::now();
        match (self.busy, busy) {
            (true, false) => state.busy -= 1,
            (false, true) => state.busy += 1,
            _ => {}
        }
        drop(state);
        self.busy = busy;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.set_busy(false);
        self.activity.state().in_flight -= 1;
    }
}

/// A body that tells when it is asked for more, and when it has to think.
struct Followed {
    body: ResponseBody,
    flight: Flight,
}

impl Body for Followed {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.flight.set_busy(polled.is_pending());
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::full_body;

    #[tokio::test]
    async fn it_is_known_who_waits() {
        let activity = Activity::new();
        assert!(matches!(activity.doing(), Doing::Nothing(_)));
        let flight = activity.begin();
        assert_eq!(activity.doing(), Doing::Work);
        let other = activity.begin();
        let response = flight.follow(Response::new(full_body("x")));
        assert_eq!(activity.doing(), Doing::Work);
        drop(other);
        assert!(matches!(activity.doing(), Doing::Waiting(_)));
        let mut body = response.into_body();
        body.frame().await.unwrap().unwrap();
        assert!(matches!(activity.doing(), Doing::Waiting(_)));
        drop(body);
        assert!(matches!(activity.doing(), Doing::Nothing(_)));
    }

    #[test]
    fn a_body_that_thinks_is_work() {
        let activity = Activity::new();
        let stream = futures_util::stream::pending::<Result<Frame<Bytes>, std::io::Error>>();
        let body = http_body_util::StreamBody::new(stream).boxed_unsync();
        let mut body = activity.begin().follow(Response::new(body)).into_body();
        let waker = futures_util::task::noop_waker();
        let mut context = Context::from_waker(&waker);
        assert!(Pin::new(&mut body).poll_frame(&mut context).is_pending());
        assert_eq!(activity.doing(), Doing::Work);
    }
}
