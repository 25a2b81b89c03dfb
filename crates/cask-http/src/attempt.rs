//! One attempt of a request: its redirects, and its deadlines.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use http::{Method, StatusCode};
use tokio::time::Instant;
use url::Url;

use crate::body::{Sent, Watched};
use crate::client::HttpClient;
use crate::{
    Deadlines, Error, ErrorKind, HttpOptions, Origin, Request, RequestBody, Response, Sending,
    may_send, redact_url,
};

/// A request on its way.
#[derive(Debug)]
struct Step<'a> {
    request: &'a Request,
    method: Method,
    url: Url,
    origin: Origin,
    /// Secrets that were left behind once do not come back.
    bound: bool,
    with_body: bool,
}

/// Sends a request, and follows where it is sent to.
pub(crate) async fn attempt(client: &HttpClient, request: &Request) -> Result<Response, Error> {
    let options = client.options();
    let origin = origin_of(&request.method, &request.url)?;
    let mut step = Step {
        request,
        method: request.method.clone(),
        url: request.url.clone(),
        bound: true,
        with_body: true,
        origin,
    };
    for _ in 0..=options.max_redirects {
        let response = send(client, &step).await?;
        if !request.redirected || !is_redirect(response.status()) {
            return Ok(response);
        }
        let Some(target) = response.header(LOCATION).map(str::to_owned) else {
            return Ok(response);
        };
        step = follow(options, step, response.status(), &target)?;
        response.discard().await;
    }
    let detail = format!("stopped after {} redirects", options.max_redirects);
    Err(Error::new(ErrorKind::Redirect, &request.method, &request.url, detail))
}

fn origin_of(method: &Method, url: &Url) -> Result<Origin, Error> {
    Origin::of(url).map_err(|error| Error::new(ErrorKind::Setup, method, url, error.to_string()))
}

fn is_redirect(status: StatusCode) -> bool {
    matches!(status.as_u16(), 301 | 302 | 303 | 307 | 308)
}

fn follow<'a>(
    options: &HttpOptions,
    step: Step<'a>,
    status: StatusCode,
    target: &str,
) -> Result<Step<'a>, Error> {
    let fail = |detail: String| Error::new(ErrorKind::Redirect, &step.method, &step.url, detail);
    let url =
        step.url.join(target).map_err(|error| fail(format!("redirect to nowhere: {error}")))?;
    let origin = Origin::of(&url).map_err(|error| fail(format!("redirect: {error}")))?;
    may_send(Sending::Request, &step.origin, &origin, options.danger_insecure)
        .map_err(|refusal| fail(format!("redirect to {} refused: {refusal}", redact_url(&url))))?;
    let stays = may_send(Sending::Carried, &step.origin, &origin, options.danger_insecure).is_ok();
    let see_other = status == StatusCode::SEE_OTHER && step.method != Method::HEAD;
    Ok(Step {
        method: if see_other { Method::GET } else { step.method },
        with_body: step.with_body && !see_other,
        bound: step.bound && stays,
        url,
        origin,
        request: step.request,
    })
}

async fn send(client: &HttpClient, step: &Step<'_>) -> Result<Response, Error> {
    let options = client.options();
    let Step { request, method, url, origin, .. } = step;
    let http = client
        .http(origin, step.bound)
        .await
        .map_err(|detail| Error::new(ErrorKind::Setup, method, url, detail))?;
    let gate = options.gates.gate(origin);
    let streaming = step.with_body && matches!(request.body, RequestBody::Upload { .. });
    let _place = gate.enter(!streaming, options.retry.budget).await;
    let sent = Arc::new(Sent::default());
    let mut builder = http.request(method.clone(), url.clone()).headers(headers(options, step));
    builder = match &request.body {
        _ if !step.with_body => builder,
        RequestBody::Empty => builder,
        RequestBody::Bytes(bytes) => builder.body(bytes.clone()),
        RequestBody::Upload { body, offset, length } => {
            let opened = body
                .open(*offset)
                .await
                .map_err(|source| body_error(method, url).with_source(source))?;
            let watched = Watched::new(opened, *length, Arc::clone(&sent));
            builder.body(reqwest::Body::wrap_stream(watched))
        }
    };
    if !streaming {
        sent.finished.store(true, Ordering::Release);
    }
    tracing::debug!(%method, url = redact_url(url), "request");
    let deadline = request.response_deadline.unwrap_or(options.deadlines.response);
    let waiting = watch(&options.deadlines, deadline, &sent);
    let result = tokio::select! {
        result = builder.send() => result,
        late = waiting => {
            return Err(Error::new(late.0, method, url, late.1));
        }
    };
    match result {
        Ok(inner) => {
            gate.set_reached();
            tracing::debug!(%method, url = redact_url(url), status = inner.status().as_u16(), "answer");
            Ok(Response {
                inner,
                method: method.clone(),
                url: url.clone(),
                origin: origin.clone(),
                deadlines: options.deadlines.clone(),
            })
        }
        Err(error) => Err(match sent.take_error() {
            Some(source) => body_error(method, url).with_source(source),
            None => Error::from_reqwest(&error, method, url),
        }),
    }
}

fn body_error(method: &Method, url: &Url) -> Error {
    Error::new(ErrorKind::Body, method, url, "the body to send cannot be read")
}

fn headers(options: &HttpOptions, step: &Step<'_>) -> HeaderMap {
    let request = step.request;
    let mut headers = request.headers.clone();
    if let Ok(agent) = HeaderValue::from_str(&options.user_agent) {
        headers.entry(USER_AGENT).or_insert(agent);
    }
    if !step.with_body {
        headers.remove(CONTENT_TYPE);
    } else if let RequestBody::Upload { length: Some(length), .. } = &request.body {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(*length));
    } else if matches!(request.body, RequestBody::Empty)
        && matches!(step.method, Method::POST | Method::PUT | Method::PATCH)
    {
        headers.insert(CONTENT_LENGTH, HeaderValue::from(0));
    }
    if let Some((origin, bound)) = request.bound.as_ref().filter(|_| step.bound) {
        let may = may_send(Sending::Carried, origin, &step.origin, options.danger_insecure);
        if may.is_ok() {
            headers.extend(bound.clone());
        }
    }
    headers
}

/// Waits until it has been too long.
async fn watch(deadlines: &Deadlines, response: Duration, sent: &Sent) -> (ErrorKind, String) {
    let start = Instant::now();
    let tick =
        (deadlines.stall_window / 8).max(Duration::from_millis(10)).min(Duration::from_secs(1));
    let mut idle = Duration::ZERO;
    let mut finished = Duration::ZERO;
    let mut seen = 0;
    let mut last = Instant::now();
    loop {
        tokio::time::sleep(tick).await;
        let passed = last.elapsed();
        last = Instant::now();
        if deadlines.total.is_some_and(|total| start.elapsed() >= total) {
            return (ErrorKind::Timeout, format!("no answer in {} s", start.elapsed().as_secs()));
        }
        if sent.finished.load(Ordering::Acquire) {
            finished += passed;
            if finished >= response {
                let detail = format!("no answer in {} s", response.as_secs_f64());
                return (ErrorKind::Timeout, detail);
            }
            continue;
        }
        let taken = sent.taken.load(Ordering::Acquire);
        if sent.starved.load(Ordering::Acquire) {
            continue;
        }
        if taken - seen >= deadlines.stall_bytes {
            (seen, idle) = (taken, Duration::ZERO);
            continue;
        }
        idle += passed;
        if idle >= deadlines.stall_window {
            let detail = format!(
                "stalled: {} bytes sent in {} s, at least {} expected",
                taken - seen,
                deadlines.stall_window.as_secs_f64(),
                deadlines.stall_bytes
            );
            return (ErrorKind::Stalled, detail);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Verb, URL, whether secrets come along, whether the body does; or why not.
    type Led = Result<(Method, &'static str, bool, bool), &'static str>;

    #[test]
    fn redirects_keep_what_they_may() {
        let rows: [(&str, Method, u16, &str, Led); 14] = [
            ("https://a/x", Method::GET, 307, "/y", Ok((Method::GET, "https://a/y", true, true))),
            (
                "https://a/x",
                Method::GET,
                307,
                "//b/y",
                Ok((Method::GET, "https://b/y", false, true)),
            ),
            (
                "https://a/x",
                Method::GET,
                302,
                "https://a:444/",
                Ok((Method::GET, "https://a:444/", false, true)),
            ),
            ("https://a/x", Method::GET, 302, "http://a/", Err("from https to http")),
            ("https://a/x", Method::GET, 302, "http://b/", Err("from https to http")),
            (
                "http://a/x",
                Method::GET,
                301,
                "https://a/",
                Ok((Method::GET, "https://a/", false, true)),
            ),
            ("http://a/x", Method::PUT, 307, "/y", Ok((Method::PUT, "http://a/y", true, true))),
            ("http://a/x", Method::POST, 303, "/y", Ok((Method::GET, "http://a/y", true, false))),
            ("http://a/x", Method::HEAD, 303, "/y", Ok((Method::HEAD, "http://a/y", true, true))),
            ("https://a/x", Method::GET, 302, "https://127.0.0.1/", Err("loopback or link-local")),
            (
                "https://a/x",
                Method::GET,
                302,
                "https://169.254.169.254/",
                Err("loopback or link-local"),
            ),
            (
                "https://a/x",
                Method::GET,
                302,
                "file:///etc/passwd",
                Err("neither an http nor an https"),
            ),
            ("https://a/x", Method::GET, 302, "https://[", Err("redirect to nowhere")),
            (
                "https://a/x",
                Method::GET,
                302,
                "https://a@b/",
                Ok((Method::GET, "https://a@b/", false, true)),
            ),
        ];
        for (from, method, status, location, expected) in rows {
            let url: Url = from.parse().unwrap();
            let request = Request::new(method.clone(), url.clone());
            let origin = Origin::of(&url).unwrap();
            let step =
                Step { request: &request, method, url, origin, bound: true, with_body: true };
            let status = StatusCode::from_u16(status).unwrap();
            let followed = follow(&HttpOptions::default(), step, status, location);
            match (followed, expected) {
                (Ok(step), Ok((method, url, bound, with_body))) => {
                    assert_eq!((step.method, step.url.as_str()), (method, url), "{location}");
                    assert_eq!((step.bound, step.with_body), (bound, with_body), "{location}");
                }
                (Err(error), Err(why)) => {
                    assert_eq!(error.kind(), ErrorKind::Redirect);
                    assert!(error.to_string().contains(why), "{error}");
                }
                (Ok(_), Err(why)) => panic!("{from} {location}: {why}"),
                (Err(error), Ok(_)) => panic!("{from} {location}: {error}"),
            }
        }
    }

    #[test]
    fn secrets_that_were_left_behind_do_not_come_back() {
        let url: Url = "https://a/x".parse().unwrap();
        let request = Request::new(Method::GET, url.clone());
        let origin = Origin::of(&url).unwrap();
        let step = Step {
            request: &request,
            method: Method::GET,
            url,
            origin,
            bound: true,
            with_body: true,
        };
        let options = HttpOptions::default();
        let away = follow(&options, step, StatusCode::FOUND, "https://b/").unwrap();
        let back = follow(&options, away, StatusCode::FOUND, "https://a/").unwrap();
        assert!(!back.bound);
        let within = follow(&options, back, StatusCode::FOUND, "/y").unwrap();
        assert!(!within.bound);
    }
}
