//! Each fault happens, and only to whom it is meant for.

use std::time::{Duration, Instant};

use cask_testkit::registry::{Failure, Fault, Registry};

use crate::http::{Answer, get, push, send};

const CONTENT: &[u8] = b"0123456789";

/// Asks for a blob, the second half of it if `range`, while something goes wrong.
async fn ask(failure: Failure, range: bool) -> Option<Answer> {
    let registry = Registry::start().await;
    let blob = push(&registry, "a", CONTENT).await;
    registry.fail(Fault::new(failure).method("GET").path("/blobs/"));
    let headers: &[_] = if range { &[("range", "bytes=5-")] } else { &[] };
    send(registry.address(), "GET", &blob, headers, b"").await.ok()
}

#[tokio::test]
async fn bodies_break_stall_lie_and_never_end() {
    let check = async |failure: Failure, body: &[u8], whole: bool| {
        let answer = ask(failure.clone(), false).await.expect("an answer");
        assert_eq!((answer.status, answer.whole), (200, whole), "{failure:?}");
        assert_eq!(answer.body, body, "{failure:?}");
    };
    check(Failure::CutAnswer { after_bytes: 4 }, b"0123", false).await;
    check(Failure::StallBody { after_bytes: 4 }, b"0123", false).await;
    check(Failure::ShortBody { bytes: 4 }, b"0123", true).await;
    check(Failure::ShortBody { bytes: 99 }, CONTENT, true).await;
    check(Failure::FlipBit { at: 1 }, b"0023456789", true).await;
    let body = b"mine".to_vec();
    check(Failure::Answer { content_type: "text/plain", body }, b"mine", true).await;
    let endless = ask(Failure::EndlessBody, false).await.expect("an answer");
    assert!(endless.body.len() > 900_000, "{}", endless.body.len());
}

#[tokio::test]
async fn there_is_no_answer_or_it_comes_late() {
    assert!(ask(Failure::Disconnect, false).await.is_none());
    assert!(ask(Failure::StallHead, false).await.is_none());
    let started = Instant::now();
    assert!(ask(Failure::Delay(Duration::from_millis(300)), false).await.is_some());
    assert!(started.elapsed() >= Duration::from_millis(300));
    let started = Instant::now();
    let pause = Duration::from_millis(30);
    let answer = ask(Failure::TrickleBody { pause }, false).await.expect("an answer");
    assert_eq!((answer.body.as_slice(), answer.whole), (CONTENT, true));
    assert!(started.elapsed() >= pause * 10);
}

#[tokio::test]
async fn ranges_are_other_ranges() {
    let check = async |failure: Failure, status: u16, range: &str, body: &[u8]| {
        let answer = ask(failure.clone(), true).await.expect("an answer");
        assert_eq!(answer.status, status, "{failure:?}");
        assert_eq!(answer.header("content-range"), range, "{failure:?}");
        assert_eq!(answer.body, body, "{failure:?}");
    };
    check(Failure::IgnoreRange, 200, "", CONTENT).await;
    check(Failure::ShiftRange { by: 2 }, 206, "bytes 7-9/10", b"789").await;
    let wrong = "bytes 0-4/10".to_owned();
    check(Failure::WrongContentRange(wrong), 206, "bytes 0-4/10", b"56789").await;
}

#[tokio::test]
async fn answers_are_replaced() {
    let check = async |failure: Failure, status: u16, header: (&str, &str)| {
        let answer = ask(failure.clone(), false).await.expect("an answer");
        assert_eq!(answer.status, status, "{failure:?}");
        assert_eq!(answer.header(header.0), header.1, "{failure:?}");
    };
    check(Failure::Status(503), 503, ("content-type", "application/json")).await;
    check(Failure::HtmlPage(404), 404, ("content-type", "text/html")).await;
    check(Failure::DoneBut(500), 500, ("content-type", "application/json")).await;
    let date = "Sat, 21 Nov 2026 04:00:00 GMT";
    let many =
        |value: Option<&str>| Failure::TooManyRequests { retry_after: value.map(Into::into) };
    check(many(Some("7")), 429, ("retry-after", "7")).await;
    check(many(Some(date)), 429, ("retry-after", date)).await;
    check(many(None), 429, ("retry-after", "")).await;
    let elsewhere = "http://169.254.169.254/x";
    check(Failure::Redirect(elsewhere.into()), 307, ("location", elsewhere)).await;
    check(Failure::Location(elsewhere.into()), 200, ("location", elsewhere)).await;
    let challenge = "Bearer realm=\"http://evil.example/\"";
    check(Failure::Challenge(challenge.into()), 401, ("www-authenticate", challenge)).await;
    check(Failure::SetHeader("link", "<x>".into()), 200, ("link", "<x>")).await;
    check(Failure::RemoveHeader("docker-content-digest"), 200, ("docker-content-digest", "")).await;
}

#[tokio::test]
async fn it_is_done_and_the_answer_says_otherwise() {
    let registry = Registry::start().await;
    registry.fail(Fault::new(Failure::DoneBut(500)).query("digest=").once());
    let digest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    let target = format!("/v2/a/blobs/uploads/?digest={digest}");
    let answer = send(registry.address(), "POST", &target, &[], b"").await.unwrap();
    assert_eq!(answer.status, 500);
    assert_eq!(get(&registry, &format!("/v2/a/blobs/{digest}"), &[]).await.status, 200);
}

#[tokio::test]
async fn uploads_break_and_what_came_is_kept() {
    let registry = Registry::start().await;
    let begun = send(registry.address(), "POST", "/v2/a/blobs/uploads/", &[], b"").await.unwrap();
    let location = begun.header("location");
    registry.fail(Fault::new(Failure::CutRequest { after_bytes: 4 }).method("PATCH").once());
    assert!(send(registry.address(), "PATCH", &location, &[], CONTENT).await.is_err());
    assert_eq!(get(&registry, &location, &[]).await.header("range"), "0-3");
    let answer = send(registry.address(), "PATCH", &location, &[], &CONTENT[4..]).await.unwrap();
    assert_eq!(answer.header("range"), "0-9");
}

#[tokio::test]
async fn tokens_expire_in_between() {
    let registry = Registry::builder().token_auth_for_everyone().start().await;
    let given = get(&registry, "/token?scope=repository:a:pull", &[]).await.json();
    let bearer = format!("Bearer {}", given["token"].as_str().unwrap());
    let bearer = [("authorization", bearer.as_str())];
    registry.fail(Fault::new(Failure::ExpireTokens).after(1).once());
    assert_eq!(get(&registry, "/v2/a/tags/list", &bearer).await.status, 404);
    assert_eq!(get(&registry, "/v2/a/tags/list", &bearer).await.status, 401);
}

#[tokio::test]
async fn a_fault_happens_to_whom_it_is_meant_for() {
    let registry = Registry::start().await;
    registry.fail(Fault::new(Failure::Status(500)).path("/tags/").after(1).times(2));
    registry.fail(Fault::new(Failure::Status(503)).path("/tags/").query("n=").once());
    let check = async |target: &str, status: u16| {
        assert_eq!(get(&registry, target, &[]).await.status, status, "{target}");
    };
    check("/v2/", 200).await;
    check("/v2/a/tags/list", 404).await;
    check("/v2/a/tags/list", 500).await;
    check("/v2/a/tags/list?n=1", 500).await;
    check("/v2/a/tags/list?n=1", 503).await;
    check("/v2/a/tags/list?n=1", 404).await;
    registry.fail(Fault::new(Failure::Status(500)));
    check("/v2/", 500).await;
    registry.heal();
    check("/v2/", 200).await;
    let seen = registry.requests();
    assert_eq!(seen[2].to_string(), "GET /v2/a/tags/list 500");
}
