//! Reading.

use std::time::{Duration, Instant};

use bytes::Bytes;
use cask_registry::{Error, ErrorKind, Event};

use crate::server::{Asked, Do, Server, answer, head_of};
use crate::setup::{MANIFEST, MANIFEST_TYPE, digest, events, noise, options, repository, tag};

/// The ping of a registry that anybody may use; `None` for everything else.
fn open(asked: &Asked) -> Option<Vec<Do>> {
    (asked.target == "/v2/").then(|| answer("200 OK", &[], b"{}"))
}

fn start_of(asked: &Asked) -> usize {
    let range = asked.header("range").unwrap_or("bytes=0-");
    range.trim_start_matches("bytes=").trim_end_matches('-').parse().unwrap()
}

/// The rest of a blob, as a good registry gives it, cut after some bytes.
fn part(blob: &[u8], asked: &Asked, most: usize) -> Vec<u8> {
    let start = start_of(asked);
    let rest = &blob[start..];
    let mut text = if start == 0 {
        head_of("200 OK", &[])
    } else {
        let range = format!("bytes {start}-{}/{}", blob.len() - 1, blob.len());
        head_of("206 Partial Content", &[("Content-Range", &range)])
    };
    text.push_str(&format!("Content-Length: {}\r\n\r\n", rest.len()));
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(&rest[..rest.len().min(most)]);
    bytes
}

async fn read(server: &Server, blob: &Bytes, size: Option<u64>) -> Result<Bytes, Error> {
    let repository = repository(options(), &server.address);
    let stream = repository.blob(&digest(blob), size, 0).await?;
    stream.verified().unwrap().read_limited(10 << 20).await
}

#[tokio::test]
async fn a_download_goes_on_where_it_broke() {
    let blob = noise(300_000);
    for reset in [true, false] {
        let served = blob.clone();
        let server = Server::start(move |_, asked| {
            open(asked).unwrap_or_else(|| {
                let mut all = vec![Do::Write(part(&served, asked, 90_000))];
                if reset {
                    // What was written shall arrive before the reset does.
                    all.extend([Do::Wait(Duration::from_millis(20)), Do::Reset]);
                }
                all
            })
        })
        .await;
        assert_eq!(read(&server, &blob, Some(300_000)).await.unwrap(), blob);
        let starts: Vec<usize> = server.asked()[1..].iter().map(start_of).collect();
        assert_eq!(starts, [0, 90_000, 180_000, 270_000], "reset: {reset}");
    }
}

#[tokio::test]
async fn a_body_that_ends_early_without_a_length_is_gone_on_with() {
    let blob = noise(50_000);
    let served = blob.clone();
    let server = Server::start(move |nth, asked| {
        open(asked).unwrap_or_else(|| {
            if nth > 1 {
                return vec![Do::Write(part(&served, asked, usize::MAX))];
            }
            let mut bytes = format!("{}\r\n", head_of("200 OK", &[])).into_bytes();
            bytes.extend_from_slice(&served[..20_000]);
            vec![Do::Write(bytes)]
        })
    })
    .await;
    assert_eq!(read(&server, &blob, Some(50_000)).await.unwrap(), blob);
    assert_eq!(server.asked()[2].header("range"), Some("bytes=20000-"));
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_again_and_skipped() {
    let blob = noise(50_000);
    let served = blob.clone();
    let server = Server::start(move |nth, asked| {
        open(asked).unwrap_or_else(|| {
            let mut again = asked.clone();
            again.headers.remove("range");
            vec![Do::Write(part(&served, &again, if nth == 1 { 30_000 } else { usize::MAX }))]
        })
    })
    .await;
    assert_eq!(read(&server, &blob, Some(50_000)).await.unwrap(), blob);
    let repository = repository(options(), &server.address);
    let mut tail = repository.blob(&digest(&blob), None, 49_990).await.unwrap();
    assert_eq!(tail.chunk().await.unwrap().unwrap(), blob.slice(49_990..));
    assert_eq!(tail.size_bytes(), Some(50_000));
}

#[tokio::test]
async fn a_part_that_was_not_asked_for_is_refused() {
    let blob = noise(1000);
    for range in
        ["bytes 0-999/1000", "bytes 501-999/1000", "bytes 500-999/999", "", "bytes 500-1/9"]
    {
        let served = blob.clone();
        let server = Server::start(move |_, asked| {
            open(asked).unwrap_or_else(|| {
                answer("206 Partial Content", &[("Content-Range", range)], &served[500..])
            })
        })
        .await;
        let repository = repository(options(), &server.address);
        let error = repository.blob(&digest(&blob), Some(1000), 500).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{range}: {error}");
    }
}

#[tokio::test]
async fn a_blob_of_another_size_or_digest_is_refused() {
    let blob = noise(1000);
    for (len, said, kind) in [
        (1000, Some(999), ErrorKind::SizeMismatch),
        (1000, Some(1001), ErrorKind::SizeMismatch),
        (1000, Some(u64::MAX), ErrorKind::SizeMismatch),
        (1000, Some(0), ErrorKind::SizeMismatch),
        (900, None, ErrorKind::DigestMismatch),
    ] {
        let served = blob.clone();
        let server = Server::start(move |_, asked| {
            open(asked).unwrap_or_else(|| answer("200 OK", &[], &served[..len]))
        })
        .await;
        let error = read(&server, &blob, said).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_silent_registry_is_given_up_within_bounds() {
    let blob = noise(1000);
    let served = blob.clone();
    let server = Server::start(move |_, asked| {
        open(asked).unwrap_or_else(|| {
            vec![Do::Write(part(&served, asked, 0)), Do::Wait(Duration::from_secs(60))]
        })
    })
    .await;
    let error = read(&server, &blob, Some(1000)).await.unwrap_err();
    assert!(error.to_string().contains("stalled"), "{error}");
    assert_eq!(error.kind(), ErrorKind::Network);
    let server = Server::start(move |_, asked| {
        open(asked).unwrap_or_else(|| vec![Do::Wait(Duration::from_secs(60))])
    })
    .await;
    let mut once = options();
    once.http.retry.attempts = 2;
    let error = repository(once, &server.address).resolve(&tag("x")).await.unwrap_err();
    assert!(error.to_string().contains("no answer in 0.6 s"), "{error}");
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn a_slow_reader_is_no_stall() {
    let blob = noise(600_000);
    let served = blob.clone();
    let server = Server::start(move |_, asked| {
        open(asked).unwrap_or_else(|| vec![Do::Write(part(&served, asked, usize::MAX))])
    })
    .await;
    let repository = repository(options(), &server.address);
    let mut stream = repository.blob(&digest(&blob), Some(600_000), 0).await.unwrap();
    let first = stream.chunk().await.unwrap().unwrap().len();
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut all = first;
    while let Some(chunk) = stream.chunk().await.unwrap() {
        all += chunk.len();
    }
    assert_eq!(all, 600_000);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn too_many_requests_are_tried_again_when_the_registry_says() {
    let manifest = digest(MANIFEST.as_bytes()).to_string();
    let server = Server::start(move |nth, asked| {
        open(asked).unwrap_or_else(|| match nth {
            1 => answer("429 Too Many Requests", &[("Retry-After", "0")], b""),
            2 => answer(
                "429 Too Many Requests",
                &[("Retry-After", "Sat, 01 Jan 2000 00:00:00 GMT")],
                b"",
            ),
            3 => answer("503 Service Unavailable", &[], b""),
            _ => answer(
                "200 OK",
                &[
                    ("Docker-Content-Digest", &manifest),
                    ("Content-Type", MANIFEST_TYPE),
                    ("Content-Length", "327"),
                    ("Warning", "299 - \"spring is coming\""),
                ],
                b"",
            ),
        })
    })
    .await;
    let mut options = options();
    let told = events(&mut options);
    let repository = repository(options, &server.address);
    for _ in 0..2 {
        let found = repository.resolve(&tag("x")).await.unwrap();
        assert_eq!(found.size, 327);
    }
    let told = told.lock().unwrap();
    let retries = told.iter().filter(|event| matches!(event, Event::Retry(_))).count();
    assert_eq!(retries, 3);
    let warnings: Vec<&Event> =
        told.iter().filter(|event| matches!(event, Event::Warning { .. })).collect();
    assert_eq!(warnings.len(), 1);
}

#[tokio::test]
async fn a_registry_that_asks_for_too_long_a_wait_is_not_waited_for() {
    let server = Server::start(|_, asked| {
        open(asked)
            .unwrap_or_else(|| answer("429 Too Many Requests", &[("Retry-After", "86400")], b""))
    })
    .await;
    let error = repository(options(), &server.address).resolve(&tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::RateLimited);
    assert_eq!(server.lines().len(), 2);
}

#[tokio::test]
async fn a_digest_header_that_lies_is_found_out() {
    let other = digest(b"other").to_string();
    let hostile = format!("sha256:../../{}", "a".repeat(58));
    for (claimed, by_digest, kind) in [
        (other.as_str(), true, ErrorKind::DigestMismatch),
        (hostile.as_str(), false, ErrorKind::Corrupt),
        ("sha256:ab", false, ErrorKind::Corrupt),
    ] {
        let claim = claimed.to_owned();
        let server = Server::start(move |_, asked| {
            open(asked).unwrap_or_else(|| {
                let headers =
                    [("Docker-Content-Digest", claim.as_str()), ("Content-Type", MANIFEST_TYPE)];
                answer("200 OK", &headers, MANIFEST.as_bytes())
            })
        })
        .await;
        let selector = if by_digest { digest(MANIFEST.as_bytes()).into() } else { tag("x") };
        let repository = repository(options(), &server.address);
        let error = repository.resolve(&selector).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        let error = repository.manifest(&tag("x")).await.unwrap_err();
        let kind = if claimed == other { ErrorKind::DigestMismatch } else { kind };
        assert_eq!(error.kind(), kind, "{error}");
    }
}

#[tokio::test]
async fn a_manifest_that_is_not_the_one_asked_for_is_refused() {
    let server = Server::start(|_, asked| {
        open(asked).unwrap_or_else(|| {
            answer("200 OK", &[("Content-Type", MANIFEST_TYPE)], MANIFEST.as_bytes())
        })
    })
    .await;
    let wrong = digest(b"else");
    let repository = repository(options(), &server.address);
    let error = repository.manifest(&wrong.clone().into()).await.unwrap_err();
    let phrase = format!("Manifest does not match provided manifest digest {wrong}");
    assert!(error.to_string().ends_with(&phrase), "{error}");
}

#[tokio::test]
async fn manifests_without_helpful_headers_are_read_and_hashed() {
    let server = Server::start(|_, asked| {
        open(asked).unwrap_or_else(|| {
            answer("200 OK", &[("Content-Type", "text/plain")], MANIFEST.as_bytes())
        })
    })
    .await;
    let found = repository(options(), &server.address).resolve(&tag("x")).await.unwrap();
    assert_eq!(found.digest, digest(MANIFEST.as_bytes()));
    assert_eq!(found.media_type.as_str(), MANIFEST_TYPE);
}

#[tokio::test]
async fn endless_bodies_are_not_read_to_their_end() {
    for status in ["200 OK", "404 Not Found"] {
        let server = Server::start(move |_, asked| {
            open(asked).unwrap_or_else(|| {
                let head = format!("{}\r\n", head_of(status, &[("Content-Type", MANIFEST_TYPE)]));
                vec![Do::Write(head.into_bytes()), Do::Endless(vec![b' '; 1 << 16])]
            })
        })
        .await;
        let repository = repository(options(), &server.address);
        let error = repository.manifest(&tag("x")).await.unwrap_err();
        let tags = repository.tags().next().await.unwrap_err();
        if status.starts_with("200") {
            assert_eq!(error.kind(), ErrorKind::LimitExceeded);
            let phrase = "exceeded maximum allowed size of 4194304 bytes";
            assert!(error.to_string().ends_with(phrase), "{error}");
            assert_eq!(tags.kind(), ErrorKind::LimitExceeded);
        } else {
            assert_eq!(error.kind(), ErrorKind::NotFound);
            assert_eq!(tags.kind(), ErrorKind::NotFound);
            assert!(error.to_string().len() < 300, "{error}");
        }
    }
}

#[tokio::test]
async fn lists_follow_links_within_the_registry_only() {
    let server = Server::start(|nth, asked| {
        open(asked).unwrap_or_else(|| match nth {
            1 => answer(
                "200 OK",
                &[("Link", "<http://169.254.169.254/v2/a/b/tags/list?n=2&last=b>; rel=\"next\"")],
                br#"{"name":"a/b","tags":["a","b"]}"#,
            ),
            2 => answer(
                "200 OK",
                &[("Link", "</v2/a/b/tags/list?last=c>; rel=next, <x>; rel=\"prev\"")],
                b"{\"tags\":[\"c\",\"\",\"sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a\",\"../x\"]}",
            ),
            _ => answer("200 OK", &[], br#"{"name":"a/b","tags":null}"#),
        })
    })
    .await;
    let tags = repository(options(), &server.address).tags().all().await.unwrap();
    assert_eq!(tags, ["a", "b", "c"]);
    let lines = server.lines();
    assert_eq!(lines[2], "GET /v2/a/b/tags/list?n=2&last=b");
    assert_eq!(lines[3], "GET /v2/a/b/tags/list?last=c");
}

#[tokio::test]
async fn lists_that_lead_in_a_circle_end() {
    let server = Server::start(|nth, asked| {
        open(asked).unwrap_or_else(|| {
            let body = format!("{{\"tags\":[\"t{nth}\"]}}");
            answer(
                "200 OK",
                &[("Link", "</v2/a/b/tags/list?last=x>; rel=\"next\"")],
                body.as_bytes(),
            )
        })
    })
    .await;
    let error = repository(options(), &server.address).tags().all().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt, "{error}");
    assert_eq!(server.lines().len(), 3);
}

#[tokio::test]
async fn referrers_come_in_pages_and_from_the_fallback_tag() {
    let index = |digest: &str| {
        format!(
            r#"{{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[{{"mediaType":"{MANIFEST_TYPE}","digest":"{digest}","size":1,"artifactType":"application/vnd.x"}}]}}"#
        )
    };
    let kind = ("Content-Type", "application/vnd.oci.image.index.v1+json");
    let (one, two) = (digest(b"1"), digest(b"2"));
    let pages = [index(one.as_str()), index(two.as_str())];
    let server = Server::start(move |nth, asked| {
        open(asked).unwrap_or_else(|| match nth {
            1 => answer(
                "200 OK",
                &[kind, ("Link", "</v2/a/b/referrers/x?p=2>; rel=\"next\"")],
                pages[0].as_bytes(),
            ),
            2 => answer("200 OK", &[kind], pages[1].as_bytes()),
            3 => answer("404 Not Found", &[], b"404 page not found"),
            4 => answer("200 OK", &[kind], pages[0].as_bytes()),
            _ => answer("200 OK", &[("Content-Type", "text/html")], b"<html>"),
        })
    })
    .await;
    let repository = repository(options(), &server.address);
    let subject = digest(b"subject");
    let all = repository.referrers(&subject, None).await.unwrap();
    assert_eq!([&all[0].digest, &all[1].digest], [&one, &two]);
    let all = repository.referrers(&subject, None).await.unwrap();
    assert_eq!(all.len(), 1);
    let fallback = format!("GET /v2/a/b/manifests/sha256-{}", subject.hex());
    assert_eq!(server.lines()[4], fallback);
}

#[tokio::test]
async fn pages_without_end_and_without_names_end() {
    for body in [r#"{"tags":[]}"#, r#"{"tags":null}"#, r#"{"tags":["","?"]}"#] {
        let server = Server::start(move |nth, _| {
            let next = format!("</v2/a/b/tags/list?last={nth}>; rel=\"next\"");
            answer("200 OK", &[("Link", &next)], body.as_bytes())
        })
        .await;
        let repository = repository(options(), &server.address);
        let reading = tokio::time::timeout(Duration::from_secs(60), repository.tags().all());
        match reading.await.unwrap() {
            Ok(names) => assert!(names.is_empty()),
            Err(error) => assert_eq!(error.kind(), ErrorKind::LimitExceeded, "{error}"),
        }
    }
}

#[tokio::test]
async fn answers_that_drip_are_given_up() {
    // Fast enough for what is a stall, and endless all the same.
    let server = Server::start(|_, _| {
        let head = head_of("200 OK", &[("Content-Type", MANIFEST_TYPE)]) + "\r\n";
        let mut all = vec![Do::Write(head.into_bytes())];
        for _ in 0..2000 {
            all.extend([Do::Write(vec![b' '; 1500]), Do::Wait(Duration::from_millis(50))]);
        }
        all
    })
    .await;
    let mut options = options();
    options.http.deadlines.document = Duration::from_millis(1500);
    let repository = repository(options, &server.address);
    let selector = tag("x");
    let reading = tokio::time::timeout(Duration::from_secs(60), repository.manifest(&selector));
    let error = reading.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
}

#[tokio::test]
async fn a_blob_of_unknown_size_that_broke_at_its_end_is_whole() {
    let blob = noise(5000);
    let sent = blob.clone();
    let server = Server::start(move |nth, asked| match nth {
        0 => answer("200 OK", &[], b"{}"),
        1 => {
            let head = head_of("200 OK", &[("Transfer-Encoding", "chunked")]);
            let mut all = format!("{head}\r\n1388\r\n").into_bytes();
            all.extend_from_slice(&sent);
            all.extend_from_slice(b"\r\n");
            vec![Do::Write(all), Do::Wait(Duration::from_millis(50)), Do::Reset]
        }
        _ => {
            assert_eq!(asked.header("range"), Some("bytes=5000-"));
            answer("416 Range Not Satisfiable", &[("Content-Range", "bytes */5000")], b"")
        }
    })
    .await;
    let repository = repository(options(), &server.address);
    let stream = repository.blob(&digest(&blob), None, 0).await.unwrap();
    assert_eq!(stream.verified().unwrap().read_limited(1 << 20).await.unwrap(), blob);
}

#[tokio::test]
async fn registries_are_reached_by_ipv6_addresses() {
    let Ok(server) = Server::listening("[::1]:0", |_, _| {
        answer("200 OK", &[("Content-Type", MANIFEST_TYPE)], MANIFEST.as_bytes())
    })
    .await
    else {
        eprintln!("this machine has no IPv6 loopback address");
        return;
    };
    assert!(server.address.starts_with("[::1]:"));
    let repository = repository(options(), &server.address);
    let manifest = repository.manifest(&tag("x")).await.unwrap();
    assert_eq!(*manifest.digest(), digest(MANIFEST.as_bytes()));
    assert_eq!(server.asked()[1].header("host"), Some(server.address.as_str()));
}

#[tokio::test]
async fn a_registry_has_limits_and_a_name_for_us_of_its_own() {
    let server = Server::start(|_, _| {
        answer("200 OK", &[("Content-Type", MANIFEST_TYPE)], MANIFEST.as_bytes())
    })
    .await;
    let mut options = options();
    options.hosts = std::sync::Arc::new(|_| {
        let mut limits = cask_http::Limits::default();
        limits.per_second = std::num::NonZeroU32::new(20);
        let mut settings = cask_registry::HostSettings::default();
        settings.danger_http = true;
        settings.limits = Some(limits);
        settings.user_agent = Some("somebody/1".to_owned());
        Ok(settings)
    });
    let repository = repository(options, &server.address);
    let start = Instant::now();
    for _ in 0..4 {
        repository.manifest(&tag("x")).await.unwrap();
    }
    // The ping and four manifests, 50 ms apart.
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    assert!(server.asked().iter().all(|asked| asked.header("user-agent") == Some("somebody/1")));
}
