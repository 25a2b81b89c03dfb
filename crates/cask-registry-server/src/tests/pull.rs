//! "Pull" of the conformance suite.

use http::StatusCode;

use super::support::{Place, digest_of, expect, expect_refused, header};

#[tokio::test]
async fn get_and_head_of_blobs() {
    let place = Place::new();
    let digest = place.push_blob("a", b"0123456789").await;
    let target = format!("/v2/a/blobs/{digest}");
    let answer = place.call("GET", &target).await;
    expect(&answer, StatusCode::OK);
    assert_eq!(&answer.body()[..], b"0123456789");
    let head = place.call("HEAD", &target).await;
    assert!(head.body().is_empty());
    for name in ["content-length", "docker-content-digest", "accept-ranges", "etag"] {
        assert_eq!(header(&answer, name), header(&head, name), "{name}");
        assert!(!header(&head, name).is_empty(), "{name}");
    }
    let missing = format!("/v2/a/blobs/{}", digest_of(b"missing"));
    expect_refused(&place.call("GET", &missing).await, 404, "BLOB_UNKNOWN");
    expect_refused(&place.call("GET", "/v2/a/blobs/sha256:x").await, 400, "DIGEST_INVALID");
    let etag = header(&answer, "etag");
    let known = place.call_with("GET", &target, &[("if-none-match", &etag)], b"").await;
    expect(&known, StatusCode::NOT_MODIFIED);
}

#[tokio::test]
async fn ranges_of_blobs() {
    let place = Place::new();
    let digest = place.push_blob("a", b"0123456789").await;
    let target = format!("/v2/a/blobs/{digest}");
    let check = async |range: &str, status: u16, body: &[u8], content_range: &str| {
        let answer = place.call_with("GET", &target, &[("range", range)], b"").await;
        assert_eq!(answer.status(), status, "{range}");
        assert_eq!(header(&answer, "content-range"), content_range, "{range}");
        if status < 400 {
            assert_eq!(&answer.body()[..], body, "{range}");
            assert_eq!(header(&answer, "content-length"), body.len().to_string(), "{range}");
        }
    };
    check("bytes=2-4", 206, b"234", "bytes 2-4/10").await;
    check("bytes=8-", 206, b"89", "bytes 8-9/10").await;
    check("bytes=-3", 206, b"789", "bytes 7-9/10").await;
    check("bytes=0-99", 206, b"0123456789", "bytes 0-9/10").await;
    check("bytes=10-", 416, b"", "bytes */10").await;
    check("bytes=0-1,4-5", 200, b"0123456789", "").await;
    let other = [("range", "bytes=2-4"), ("if-range", "\"other\"")];
    let answer = place.call_with("GET", &target, &other, b"").await;
    expect(&answer, StatusCode::OK);
}

#[tokio::test]
async fn get_and_head_of_manifests() {
    let place = Place::new();
    let manifest = place.push_image("a", "v1", "layer").await;
    let by_digest = format!("/v2/a/manifests/{}", manifest.digest());
    for target in ["/v2/a/manifests/v1", &by_digest] {
        let answer = place.call("GET", target).await;
        expect(&answer, StatusCode::OK);
        let head = place.call("HEAD", target).await;
        expect(&head, StatusCode::OK);
        assert!(head.body().is_empty());
        for name in ["content-length", "content-type", "docker-content-digest", "etag"] {
            assert_eq!(header(&answer, name), header(&head, name), "{name}");
        }
        let etag = header(&answer, "etag");
        let known = place.call_with("GET", target, &[("if-none-match", &etag)], b"").await;
        expect(&known, StatusCode::NOT_MODIFIED);
    }
    let check = async |target: &str, status: u16, code: &str| {
        expect_refused(&place.call("GET", target).await, status, code);
    };
    check("/v2/a/manifests/.INVALID_MANIFEST_NAME", 404, "MANIFEST_UNKNOWN").await;
    check("/v2/a/manifests/none", 404, "MANIFEST_UNKNOWN").await;
    check(&format!("/v2/a/manifests/{}", digest_of(b"x")), 404, "MANIFEST_UNKNOWN").await;
    check(&format!("/v2/none/manifests/{}", digest_of(b"x")), 404, "NAME_UNKNOWN").await;
    check("/v2/a/manifests/sha256:x", 400, "DIGEST_INVALID").await;
}

#[tokio::test]
async fn a_blob_is_no_manifest() {
    let place = Place::new();
    place.push_image("a", "v1", "layer").await;
    let target = format!("/v2/a/manifests/{}", digest_of(b"layer"));
    expect_refused(&place.call("GET", &target).await, 404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn the_base_says_that_this_is_a_registry() {
    let place = Place::new();
    for target in ["/v2/", "/v2"] {
        let answer = place.call("GET", target).await;
        expect(&answer, StatusCode::OK);
        assert_eq!(header(&answer, "docker-distribution-api-version"), "registry/2.0");
    }
    expect_refused(&place.call("GET", "/").await, 404, "UNSUPPORTED");
    expect_refused(&place.call("POST", "/v2/").await, 405, "UNSUPPORTED");
    let answer = place.call("PUT", "/v2/a/tags/list").await;
    assert_eq!(header(&answer, "allow"), "GET, HEAD");
}

#[tokio::test]
async fn a_damaged_manifest_is_not_given_out() {
    let place = Place::new();
    let manifest = place.push_image("a", "v1", "layer").await;
    let path = place.path("a/blobs/sha256").join(manifest.digest().hex());
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[3] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let answer = place.call("GET", "/v2/a/manifests/v1").await;
    expect_refused(&answer, 500, "UNKNOWN");
    let text = String::from_utf8(answer.body().to_vec()).unwrap();
    assert!(!text.contains(place.root.path().to_str().unwrap()), "{text}");
}
