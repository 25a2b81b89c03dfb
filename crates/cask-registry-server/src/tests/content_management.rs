//! "Content Management" of the conformance suite.

use cask_image::{ImageFormat, Index};
use http::StatusCode;

use super::support::{Place, digest_of, expect, expect_refused, options};

#[tokio::test]
async fn manifest_delete_by_tag_and_by_digest() {
    let place = Place::new();
    let manifest = place.push_image("a", "v1", "layer").await;
    place.push_image("a", "v2", "layer").await;
    expect(&place.call("DELETE", "/v2/a/manifests/v1").await, StatusCode::ACCEPTED);
    expect_refused(&place.call("GET", "/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN");
    expect_refused(&place.call("DELETE", "/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN");
    let by_digest = format!("/v2/a/manifests/{}", manifest.digest());
    expect(&place.call("GET", &by_digest).await, StatusCode::OK);
    expect(&place.call("DELETE", &by_digest).await, StatusCode::ACCEPTED);
    for target in ["/v2/a/manifests/v2", &by_digest] {
        expect_refused(&place.call("GET", target).await, 404, "MANIFEST_UNKNOWN");
        expect_refused(&place.call("DELETE", target).await, 404, "MANIFEST_UNKNOWN");
    }
    let tags = place.call("GET", "/v2/a/tags/list").await;
    assert_eq!(&tags.body()[..], br#"{"name":"a","tags":[]}"#);
    // Its blobs stay, and can be deleted now.
    let blob = format!("/v2/a/blobs/{}", digest_of(b"layer"));
    expect(&place.call("DELETE", &blob).await, StatusCode::ACCEPTED);
}

#[tokio::test]
async fn the_last_tag_leaves_the_manifest() {
    let place = Place::new();
    let manifest = place.push_image("a", "v1", "layer").await;
    expect(&place.call("DELETE", "/v2/a/manifests/v1").await, StatusCode::ACCEPTED);
    let answer = place.call("GET", &format!("/v2/a/manifests/{}", manifest.digest())).await;
    assert_eq!(answer.body(), manifest.bytes());
}

#[tokio::test]
async fn blob_delete() {
    let place = Place::new();
    place.push_image("a", "v1", "layer").await;
    let digest = place.push_blob("a", b"single").await;
    let single = format!("/v2/a/blobs/{digest}");
    expect(&place.call("DELETE", &single).await, StatusCode::ACCEPTED);
    expect_refused(&place.call("GET", &single).await, 404, "BLOB_UNKNOWN");
    expect_refused(&place.call("DELETE", &single).await, 404, "BLOB_UNKNOWN");
    let needed = format!("/v2/a/blobs/{}", digest_of(b"layer"));
    expect_refused(&place.call("DELETE", &needed).await, 405, "UNSUPPORTED");
    expect(&place.call("GET", &needed).await, StatusCode::OK);
}

#[tokio::test]
async fn parts_of_an_index_stay() {
    let place = Place::new();
    let child = place.push_image("a", "child", "layer").await;
    let index = Index::new(ImageFormat::Oci, vec![child.descriptor()]).encode();
    expect(&place.put_manifest("a", "all", &index).await, StatusCode::CREATED);
    let by_digest = format!("/v2/a/manifests/{}", child.digest());
    expect(&place.call("DELETE", &by_digest).await, StatusCode::ACCEPTED);
    // Only the index lists it now.
    expect(&place.call("GET", &by_digest).await, StatusCode::OK);
    expect_refused(&place.call("DELETE", &by_digest).await, 405, "UNSUPPORTED");
    let whole = format!("/v2/a/manifests/{}", index.digest());
    expect(&place.call("DELETE", &whole).await, StatusCode::ACCEPTED);
    expect_refused(&place.call("GET", &by_digest).await, 404, "MANIFEST_UNKNOWN");
}

#[tokio::test]
async fn a_read_only_registry_takes_nothing() {
    let place = Place::new();
    let manifest = place.push_image("a", "v1", "layer").await;
    let mut guarded = options();
    guarded.read_only = true;
    let registry = crate::Registry::open(place.root.path(), guarded).unwrap();
    let place = Place { registry, ..place };
    expect(&place.call("GET", "/v2/a/manifests/v1").await, StatusCode::OK);
    expect_refused(&place.put_manifest("a", "v2", &manifest).await, 405, "UNSUPPORTED");
    for (method, target) in [
        ("DELETE", "/v2/a/manifests/v1"),
        ("POST", "/v2/a/blobs/uploads/"),
        ("PATCH", "/v2/a/blobs/uploads/x"),
        ("PUT", "/v2/a/blobs/uploads/x"),
    ] {
        expect_refused(&place.call(method, target).await, 405, "UNSUPPORTED");
    }
}
