//! Writing.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use cask_image::{MediaType, RawManifest};
use cask_registry::{BodyStream, BoxError, ErrorKind, SubjectLink, UploadBody, UploadOptions};

use crate::server::{Asked, Do, Read, Server, answer};
use crate::setup::{
    MANIFEST, MANIFEST_TYPE, digest, noise, options, repository, tag, with_password,
};

/// What a good registry has of one blob.
#[derive(Default)]
struct Store {
    partial: Vec<u8>,
    done: bool,
}

/// A registry that takes one blob, by the book.
fn take(store: &Mutex<Store>, asked: &Asked) -> Vec<Do> {
    let mut store = store.lock().unwrap();
    let range = |store: &Store| format!("0-{}", store.partial.len().saturating_sub(1));
    match asked.method.as_str() {
        "GET" if asked.target == "/v2/" => answer("200 OK", &[], b"{}"),
        "HEAD" if store.done => {
            let length = store.partial.len().to_string();
            answer("200 OK", &[("Content-Length", &length)], b"")
        }
        "HEAD" => answer("404 Not Found", &[], b""),
        "POST" => {
            store.partial.clear();
            answer("202 Accepted", &[("Location", "/v2/a/b/blobs/uploads/1?_state=1")], b"")
        }
        "GET" => {
            let range = range(&store);
            answer(
                "204 No Content",
                &[("Range", &range), ("Location", "/v2/a/b/blobs/uploads/1?_state=2")],
                b"",
            )
        }
        "PATCH" => {
            if let Some(range) = asked.header("content-range")
                && !range.starts_with(&format!("{}-", store.partial.len()))
            {
                return answer("416 Range Not Satisfiable", &[], b"");
            }
            store.partial.extend_from_slice(&asked.body);
            let range = range(&store);
            answer(
                "202 Accepted",
                &[("Range", &range), ("Location", "/v2/a/b/blobs/uploads/1?_state=3")],
                b"",
            )
        }
        "PUT" => {
            store.partial.extend_from_slice(&asked.body);
            let named = digest(&store.partial).to_string().replace(':', "%3A");
            if asked.target.ends_with(&named) {
                store.done = true;
                answer("201 Created", &[], b"")
            } else {
                let body = br#"{"errors":[{"code":"DIGEST_INVALID","message":"no"}]}"#;
                answer("400 Bad Request", &[], body)
            }
        }
        _ => answer("204 No Content", &[], b""),
    }
}

#[tokio::test]
async fn an_upload_goes_on_where_it_broke() {
    let store = Arc::new(Mutex::new(Store::default()));
    let broken = Arc::new(AtomicBool::new(false));
    let kept = Arc::clone(&store);
    let server = Server::reading(
        move |_, asked| {
            if asked.method == "PUT" && asked.header("content-length") == Some("400000") {
                Read::Bytes(150_000)
            } else {
                Read::All
            }
        },
        move |_, asked| {
            if asked.body.len() == 150_000 && !broken.swap(true, Ordering::SeqCst) {
                kept.lock().unwrap().partial.extend_from_slice(&asked.body);
                return vec![Do::Reset];
            }
            take(&kept, asked)
        },
    )
    .await;
    let blob = noise(400_000);
    let repository = repository(options(), &server.address).for_writing();
    repository.upload_bytes(&digest(&blob), blob.clone()).await.unwrap();
    assert_eq!(store.lock().unwrap().partial, blob);
    let asked = server.asked();
    let patch = asked.iter().find(|asked| asked.method == "PATCH").unwrap();
    assert_eq!(patch.header("content-range"), Some("150000-399999"));
    assert_eq!(patch.body.len(), 250_000);
}

#[tokio::test]
async fn an_upload_refused_half_way_is_gone_on_with_under_a_new_token() {
    let store = Arc::new(Mutex::new(Store::default()));
    let kept = Arc::clone(&store);
    let tokens = AtomicUsize::new(0);
    let refused = AtomicBool::new(false);
    let server = Server::reading(
        |_, asked| {
            if asked.method == "PUT" && asked.header("content-length") == Some("300000") {
                Read::Bytes(100_000)
            } else {
                Read::All
            }
        },
        move |_, asked| {
            let realm = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
            let refuse = || answer("401 Unauthorized", &[("WWW-Authenticate", &realm)], b"");
            if asked.target.starts_with("/token") {
                let nth = tokens.fetch_add(1, Ordering::SeqCst);
                return answer("200 OK", &[], format!("{{\"token\":\"t{nth}\"}}").as_bytes());
            }
            let expected = format!("Bearer t{}", usize::from(refused.load(Ordering::SeqCst)));
            if asked.body.len() == 100_000 {
                kept.lock().unwrap().partial.extend_from_slice(&asked.body);
                refused.store(true, Ordering::SeqCst);
                return refuse();
            }
            if asked.header("authorization") != Some(expected.as_str()) {
                return refuse();
            }
            take(&kept, asked)
        },
    )
    .await;
    let blob = noise(300_000);
    let repository = repository(with_password(options()), &server.address).for_writing();
    repository.upload_bytes(&digest(&blob), blob.clone()).await.unwrap();
    assert_eq!(store.lock().unwrap().partial, blob);
}

#[tokio::test]
async fn a_blob_that_was_stored_although_the_registry_failed_is_not_sent_again() {
    let store = Arc::new(Mutex::new(Store::default()));
    let kept = Arc::clone(&store);
    let server = Server::start(move |_, asked| {
        let done = take(&kept, asked);
        if asked.method == "PUT" {
            return answer("500 Internal Server Error", &[], b"oops");
        }
        done
    })
    .await;
    let blob = noise(5000);
    let repository = repository(options(), &server.address).for_writing();
    repository.upload_bytes(&digest(&blob), blob.clone()).await.unwrap();
    let puts = server.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(puts, 1);
}

#[tokio::test]
async fn a_session_that_the_registry_forgot_starts_anew() {
    let store = Arc::new(Mutex::new(Store::default()));
    let forgotten = AtomicBool::new(false);
    let server = Server::start(move |_, asked| {
        if asked.method == "PUT" && !forgotten.swap(true, Ordering::SeqCst) {
            let body = br#"{"errors":[{"code":"BLOB_UPLOAD_UNKNOWN","message":"?"}]}"#;
            return answer("404 Not Found", &[], body);
        }
        take(&store, asked)
    })
    .await;
    let blob = noise(5000);
    let repository = repository(options(), &server.address).for_writing();
    repository.upload_bytes(&digest(&blob), blob).await.unwrap();
    let posts = server.lines().iter().filter(|line| line.starts_with("POST")).count();
    assert_eq!(posts, 2);
}

#[tokio::test]
async fn a_blob_too_large_for_what_stands_before_the_registry_goes_in_pieces() {
    let store = Arc::new(Mutex::new(Store::default()));
    let kept = Arc::clone(&store);
    let server = Server::start(move |_, asked| {
        if asked.body.len() > 4000 {
            return answer("413 Payload Too Large", &[], b"");
        }
        take(&kept, asked)
    })
    .await;
    let blob = noise(10_000);
    let mut options = options();
    options.chunk_bytes = 4000;
    let repository = repository(options, &server.address).for_writing();
    repository.upload_bytes(&digest(&blob), blob.clone()).await.unwrap();
    assert_eq!(store.lock().unwrap().partial, blob);
}

#[tokio::test]
async fn a_location_at_another_origin_gets_the_blob_but_no_token() {
    let store = Arc::new(Mutex::new(Store::default()));
    let other = Server::start(move |_, asked| take(&store, asked)).await;
    let target = other.url("/put/here?sig=1");
    let server = Server::start(move |_, asked| {
        if asked.target.starts_with("/token") {
            return answer("200 OK", &[], br#"{"token":"t1"}"#);
        }
        if asked.header("authorization").is_none() {
            let realm = format!("Bearer realm=\"http://{}/token\"", asked.header("host").unwrap());
            return answer("401 Unauthorized", &[("WWW-Authenticate", &realm)], b"");
        }
        answer("202 Accepted", &[("Location", &target)], b"")
    })
    .await;
    let blob = noise(1000);
    let repository = repository(with_password(options()), &server.address).for_writing();
    repository.upload_bytes(&digest(&blob), blob).await.unwrap();
    let asked = other.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].target.starts_with("/put/here?sig=1&digest=sha256%3A"));
    assert_eq!(asked[0].header("authorization"), None);
}

#[tokio::test]
async fn hostile_locations_are_refused() {
    for location in ["file:///etc/passwd", "http://[", "ftp://127.0.0.1/x"] {
        let server = Server::start(move |_, asked| {
            if asked.method == "POST" {
                return answer("202 Accepted", &[("Location", location)], b"");
            }
            answer("200 OK", &[], b"")
        })
        .await;
        let repository = repository(options(), &server.address).for_writing();
        let error = repository.upload_bytes(&digest(b"x"), Bytes::from_static(b"x")).await;
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Corrupt, "{location}");
    }
}

#[tokio::test]
async fn a_body_that_is_not_what_was_announced_is_an_error() {
    let store = Arc::new(Mutex::new(Store::default()));
    let server = Server::start(move |_, asked| take(&store, asked)).await;
    let repository = repository(options(), &server.address).for_writing();
    let error = repository.upload_bytes(&digest(b"y"), Bytes::from_static(b"x")).await;
    assert_eq!(error.unwrap_err().kind(), ErrorKind::DigestMismatch);

    struct Short;
    #[async_trait::async_trait]
    impl UploadBody for Short {
        fn size(&self) -> Option<u64> {
            Some(10)
        }
        async fn open(&self, _: u64) -> Result<BodyStream, BoxError> {
            let pieces: [Result<Bytes, BoxError>; 1] = [Ok(Bytes::from_static(b"abc"))];
            Ok(Box::pin(futures_util::stream::iter(pieces)))
        }
    }
    let options = UploadOptions::default();
    let error = repository.upload(&digest(b"abc"), Arc::new(Short), options).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Body);
    let source = error.into_source().unwrap();
    assert_eq!(source.to_string(), "the body ended 7 bytes early");
}

#[tokio::test]
async fn a_registry_that_reads_nothing_is_a_stall() {
    let server = Server::reading(
        |_, asked| if asked.method == "PUT" { Read::Bytes(0) } else { Read::All },
        |_, asked| {
            if asked.method == "PUT" {
                return vec![Do::Wait(Duration::from_secs(60))];
            }
            take(&Mutex::new(Store::default()), asked)
        },
    )
    .await;
    let blob = noise(30 << 20);
    let mut options = options();
    options.http.retry.attempts = 1;
    let repository = repository(options, &server.address).for_writing();
    /// Pieces, as a file gives them.
    struct Pieces(Bytes);
    #[async_trait::async_trait]
    impl UploadBody for Pieces {
        fn size(&self) -> Option<u64> {
            Some(self.0.len() as u64)
        }
        async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
            let bytes = self.0.slice(usize::try_from(offset)?..);
            let count = bytes.len().div_ceil(65536);
            let pieces = (0..count).map(move |nth| {
                let start = nth * 65536;
                Ok(bytes.slice(start..(start + 65536).min(bytes.len())))
            });
            Ok(Box::pin(futures_util::stream::iter(pieces)))
        }
    }
    let body = Arc::new(Pieces(blob.clone()));
    let error = repository.upload(&digest(&blob), body, UploadOptions::default()).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Network);
    assert!(error.to_string().contains("stalled"), "{error}");
}

#[tokio::test]
async fn answers_to_a_manifest_are_understood() {
    let manifest = RawManifest::new(MANIFEST, MediaType::from(MANIFEST_TYPE));
    let lie = digest(b"lie").to_string();
    let refused = |code: &str| format!(r#"{{"errors":[{{"code":"{code}","message":"m"}}]}}"#);
    let rows = [
        ("200 OK", String::new(), None, Some(ErrorKind::Corrupt)),
        ("201 Created", String::new(), Some(lie), Some(ErrorKind::DigestMismatch)),
        ("201 Created", String::new(), None, None),
        ("400 Bad Request", refused("MANIFEST_INVALID"), None, Some(ErrorKind::ManifestRefused)),
        ("400 Bad Request", refused("TAG_INVALID"), None, Some(ErrorKind::ManifestRefused)),
        ("415 Unsupported Media Type", String::new(), None, Some(ErrorKind::ManifestRefused)),
        ("405 Method Not Allowed", refused("UNSUPPORTED"), None, Some(ErrorKind::ManifestRefused)),
        ("403 Forbidden", refused("DENIED"), None, Some(ErrorKind::Denied)),
        ("404 Not Found", refused("NAME_UNKNOWN"), None, Some(ErrorKind::NotFound)),
        ("500 Internal Server Error", String::new(), None, Some(ErrorKind::Network)),
    ];
    for (status, body, claimed, expected) in rows {
        let server = Server::start(move |_, asked| {
            if asked.method != "PUT" {
                return answer("200 OK", &[], b"");
            }
            match &claimed {
                Some(claimed) => {
                    answer(status, &[("Docker-Content-Digest", claimed)], body.as_bytes())
                }
                None => answer(status, &[], body.as_bytes()),
            }
        })
        .await;
        let repository = repository(options(), &server.address);
        let result = repository.put_manifest(&tag("x"), &manifest).await;
        assert_eq!(
            result.as_ref().err().map(cask_registry::Error::kind),
            expected,
            "{status}: {result:?}"
        );
        if let Ok(stored) = result {
            assert_eq!(stored.subject, SubjectLink::None);
        }
    }
}

#[tokio::test]
async fn a_manifest_is_put_again_after_too_many_requests() {
    let manifest = RawManifest::new(MANIFEST, MediaType::from(MANIFEST_TYPE));
    let server = Server::start(|nth, _| match nth {
        0 => answer("200 OK", &[], b""),
        1 | 2 => answer("429 Too Many Requests", &[], b""),
        _ => answer("201 Created", &[], b""),
    })
    .await;
    let repository = repository(options(), &server.address);
    repository.put_manifest(&tag("x"), &manifest).await.unwrap();
    assert_eq!(server.asked()[3].body, MANIFEST.as_bytes());
}

#[tokio::test]
async fn tags_of_old_registries_are_deleted_by_way_of_another_manifest() {
    let deleted = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&deleted);
    let store = Mutex::new(Store::default());
    let server = Server::start(move |_, asked| {
        let by_tag = asked.target.ends_with("/x");
        match asked.method.as_str() {
            "DELETE" if by_tag => {
                let body = br#"{"errors":[{"code":"UNSUPPORTED","message":"no"}]}"#;
                answer("405 Method Not Allowed", &[], body)
            }
            "DELETE" => {
                log.lock().unwrap().push(asked.target.clone());
                answer("202 Accepted", &[], b"")
            }
            "GET" if by_tag => {
                answer("200 OK", &[("Content-Type", MANIFEST_TYPE)], MANIFEST.as_bytes())
            }
            "PUT" if by_tag => answer("201 Created", &[], b""),
            _ => take(&store, asked),
        }
    })
    .await;
    let repository = repository(options(), &server.address);
    repository.untag(&"x".parse().unwrap()).await.unwrap();
    let asked = server.asked();
    let put = asked.iter().find(|asked| asked.line() == "PUT /v2/a/b/manifests/x").unwrap();
    let stand_in = format!("/v2/a/b/manifests/{}", digest(&put.body));
    assert_eq!(*deleted.lock().unwrap(), [stand_in]);
    assert_ne!(put.body, MANIFEST.as_bytes());
}

#[tokio::test]
async fn a_stream_of_unknown_size_goes_on_where_it_broke() {
    /// Bytes of which nobody knows how many there are.
    struct Unknown(Bytes);
    #[async_trait::async_trait]
    impl UploadBody for Unknown {
        fn size(&self) -> Option<u64> {
            None
        }
        async fn open(&self, offset: u64) -> Result<BodyStream, BoxError> {
            let rest = self.0.slice(usize::try_from(offset)?..);
            let pieces: Vec<Result<Bytes, BoxError>> =
                rest.chunks(1000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            Ok(Box::pin(futures_util::stream::iter(pieces)))
        }
    }
    let store = Arc::new(Mutex::new(Store::default()));
    let kept = Arc::clone(&store);
    let breaks = AtomicUsize::new(0);
    let reads = AtomicUsize::new(0);
    let server = Server::reading(
        move |_, asked| {
            let first = asked.method == "PATCH" && reads.fetch_add(1, Ordering::SeqCst) == 0;
            if first { Read::Bytes(50_000) } else { Read::All }
        },
        move |_, asked| {
            if asked.method == "PATCH" && breaks.fetch_add(1, Ordering::SeqCst) == 0 {
                // The registry has less than it was sent.
                kept.lock().unwrap().partial.extend_from_slice(&asked.body[..20_500]);
                return vec![Do::Reset];
            }
            take(&kept, asked)
        },
    )
    .await;
    let blob = noise(90_001);
    let repository = repository(options(), &server.address).for_writing();
    let body = Arc::new(Unknown(blob.clone()));
    let uploaded = repository.upload_stream(body, UploadOptions::default()).await.unwrap();
    assert_eq!((uploaded.digest, uploaded.size_bytes), (digest(&blob), 90_001));
    assert_eq!(store.lock().unwrap().partial, blob);
    let patches = server.lines().iter().filter(|line| line.starts_with("PATCH")).count();
    assert_eq!(patches, 2);
}

#[tokio::test]
async fn a_stream_of_known_size_is_measured_too() {
    for (in_chunks, len) in [(false, 90_001), (true, 90_001), (false, 0), (true, 0)] {
        let store = Arc::new(Mutex::new(Store::default()));
        let kept = Arc::clone(&store);
        let server = Server::start(move |_, asked| take(&kept, asked)).await;
        let blob = noise(len);
        let mut options = options();
        options.chunk_bytes = 40_000;
        let repository = repository(options, &server.address).for_writing();
        let mut how = UploadOptions::default();
        how.in_chunks = in_chunks;
        let uploaded = repository.upload_stream(Arc::new(blob.clone()), how).await.unwrap();
        assert_eq!((uploaded.digest, uploaded.size_bytes), (digest(&blob), len as u64));
        assert_eq!(store.lock().unwrap().partial, blob);
    }
}

#[tokio::test]
async fn a_registry_that_takes_all_and_ends_nothing_is_given_up_soon() {
    let store = Arc::new(Mutex::new(Store::default()));
    let kept = Arc::clone(&store);
    let server = Server::start(move |_, asked| {
        if asked.method == "PUT" {
            kept.lock().unwrap().partial.clear();
            return answer("503 Service Unavailable", &[], b"");
        }
        take(&kept, asked)
    })
    .await;
    let blob = noise(10_000);
    let mut options = options();
    options.chunk_bytes = 4000;
    let repository = repository(options, &server.address).for_writing();
    let mut how = UploadOptions::default();
    how.in_chunks = true;
    let error = repository.upload(&digest(&blob), Arc::new(blob), how).await.unwrap_err();
    assert_eq!(error.status(), Some(503));
    let puts = server.lines().iter().filter(|line| line.starts_with("PUT")).count();
    assert_eq!(puts, 5);
}

#[tokio::test]
async fn bytes_in_memory_stall_as_well() {
    let server = Server::reading(
        |_, asked| if asked.method == "PUT" { Read::Bytes(0) } else { Read::All },
        |_, asked| {
            if asked.method == "PUT" {
                return vec![Do::Wait(Duration::from_secs(60))];
            }
            take(&Mutex::new(Store::default()), asked)
        },
    )
    .await;
    let blob = noise(30 << 20);
    let mut options = options();
    options.http.retry.attempts = 1;
    let repository = repository(options, &server.address).for_writing();
    let digest = digest(&blob);
    let uploading = repository.upload_bytes(&digest, blob);
    let error = tokio::time::timeout(Duration::from_secs(60), uploading).await.unwrap();
    assert!(error.unwrap_err().to_string().contains("stalled"));
}
