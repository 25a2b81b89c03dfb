//! "Content Discovery" of the conformance suite.

use cask_image::{ImageFormat, ImageManifest, Index, MediaType, RawManifest};
use http::StatusCode;

use super::support::{CONFIG, Place, descriptor, digest_of, expect, expect_refused, header};

#[tokio::test]
async fn tags_are_listed_in_pages() {
    let place = Place::new();
    for tag in ["b", "a", "d", "c"] {
        place.push_image("r", tag, "layer").await;
    }
    let check = async |query: &str, tags: &[&str], link: &str| {
        let answer = place.call("GET", &format!("/v2/r/tags/list{query}")).await;
        expect(&answer, StatusCode::OK);
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body, serde_json::json!({ "name": "r", "tags": tags }), "{query}");
        assert_eq!(header(&answer, "link"), link, "{query}");
    };
    check("", &["a", "b", "c", "d"], "").await;
    check("?n=4", &["a", "b", "c", "d"], "").await;
    check("?n=2", &["a", "b"], "</v2/r/tags/list?n=2&last=b>; rel=\"next\"").await;
    check("?n=2&last=b", &["c", "d"], "").await;
    check("?last=bb", &["c", "d"], "").await;
    check("?last=z", &[], "").await;
    check("?n=0", &[], "").await;
    let answer = place.call("GET", "/v2/r/tags/list?n=x").await;
    expect_refused(&answer, 400, "UNSUPPORTED");
    expect_refused(&place.call("GET", "/v2/none/tags/list").await, 404, "NAME_UNKNOWN");
}

#[tokio::test]
async fn repositories_are_listed_in_pages() {
    let place = Place::new();
    for name in ["b/c", "a", "b", "a/x/y"] {
        place.push_blob(name, b"x").await;
    }
    std::fs::create_dir_all(place.path("no-layout/below")).unwrap();
    std::os::unix::fs::symlink("a", place.path("link")).unwrap();
    let check = async |query: &str, names: &[&str], link: &str| {
        let answer = place.call("GET", &format!("/v2/_catalog{query}")).await;
        let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
        assert_eq!(body, serde_json::json!({ "repositories": names }), "{query}");
        assert_eq!(header(&answer, "link"), link, "{query}");
    };
    check("", &["a", "a/x/y", "b", "b/c"], "").await;
    check("?n=2", &["a", "a/x/y"], "</v2/_catalog?n=2&last=a%2Fx%2Fy>; rel=\"next\"").await;
    check("?n=2&last=a%2Fx%2Fy", &["b", "b/c"], "").await;
}

/// A manifest about another.
fn referrer(subject: &RawManifest, kind: &str, name: &str) -> RawManifest {
    let config = descriptor(MediaType::OciConfig, CONFIG);
    let mut manifest = ImageManifest::new(ImageFormat::Oci, config, Vec::new());
    manifest.subject = Some(subject.descriptor());
    manifest.artifact_type = Some(MediaType::from(kind));
    manifest.annotations.insert("name".to_owned(), name.to_owned());
    manifest.encode()
}

async fn referrers(place: &Place, of: &RawManifest, query: &str) -> (Vec<String>, String) {
    let target = format!("/v2/r/referrers/{}{query}", of.digest());
    let answer = place.call("GET", &target).await;
    expect(&answer, StatusCode::OK);
    assert_eq!(header(&answer, "content-type"), "application/vnd.oci.image.index.v1+json");
    let body: serde_json::Value = serde_json::from_slice(answer.body()).unwrap();
    let found = body["manifests"].as_array().unwrap().iter();
    let found = found.map(|entry| entry["annotations"]["name"].as_str().unwrap().to_owned());
    (found.collect(), header(&answer, "oci-filters-applied"))
}

#[tokio::test]
async fn referrers_are_listed_and_filtered() {
    let place = Place::new();
    let image = place.push_image("r", "v1", "layer").await;
    for (kind, name) in [("a/x", "one"), ("a/y", "two"), ("a/x", "three")] {
        let manifest = referrer(&image, kind, name);
        let answer = place.put_manifest("r", manifest.digest().as_str(), &manifest).await;
        expect(&answer, StatusCode::CREATED);
        assert_eq!(header(&answer, "oci-subject"), image.digest().to_string());
    }
    let names = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = referrers(&place, &image, "").await;
    assert_eq!(all, (names(&["one", "two", "three"]), String::new()));
    let filtered = referrers(&place, &image, "?artifactType=a%2Fx").await;
    assert_eq!(filtered, (names(&["one", "three"]), "artifactType".to_owned()));
    let none = referrers(&place, &image, "?artifactType=a/none").await;
    assert_eq!(none, (Vec::new(), "artifactType".to_owned()));
}

#[tokio::test]
async fn nobody_refers_to_what_does_not_exist() {
    let place = Place::new();
    let check = async |target: &str, status: u16| {
        assert_eq!(place.call("GET", target).await.status(), status, "{target}");
    };
    check(&format!("/v2/none/referrers/{}", digest_of(b"x")), 200).await;
    place.push_blob("r", b"x").await;
    check(&format!("/v2/r/referrers/{}", digest_of(b"x")), 200).await;
    check("/v2/r/referrers/sha256:x", 400).await;
}

#[tokio::test]
async fn a_subject_need_not_exist_yet() {
    let place = Place::new();
    let later = place.push_parts("r", "layer").await.encode();
    let manifest = referrer(&later, "a/x", "early");
    expect(&place.put_manifest("r", "sig", &manifest).await, StatusCode::CREATED);
    assert_eq!(referrers(&place, &later, "").await.0, ["early"]);
}

#[tokio::test]
async fn children_of_an_index_are_found_by_digest() {
    let place = Place::new();
    let child = place.push_parts("r", "layer").await.encode();
    let by_digest = child.digest().as_str();
    expect(&place.put_manifest("r", by_digest, &child).await, StatusCode::CREATED);
    let index = Index::new(ImageFormat::Oci, vec![child.descriptor()]).encode();
    expect(&place.put_manifest("r", "all", &index).await, StatusCode::CREATED);
    let answer = place.call("GET", &format!("/v2/r/manifests/{by_digest}")).await;
    assert_eq!(answer.body(), child.bytes());
    let tags = place.call("GET", "/v2/r/tags/list").await;
    assert_eq!(&tags.body()[..], br#"{"name":"r","tags":["all"]}"#);
}
