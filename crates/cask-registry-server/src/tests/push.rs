//! "Push" of the conformance suite.

use cask_image::{ImageFormat, Index, MediaType, RawManifest};
use http::StatusCode;

use super::support::{
    Place, descriptor, digest_of, expect, expect_refused, header, image, options,
};

const CHUNKED: &[u8] = b"the first half, the second half";

#[tokio::test]
async fn blob_upload_streamed() {
    let place = Place::new();
    let location = place.begin("a/b").await;
    let answer = place.call_with("PATCH", &location, &[], CHUNKED).await;
    expect(&answer, StatusCode::ACCEPTED);
    assert_eq!(header(&answer, "range"), format!("0-{}", CHUNKED.len() - 1));
    let target = format!("{}?digest={}", header(&answer, "location"), digest_of(CHUNKED));
    let answer = place.call("PUT", &target).await;
    expect(&answer, StatusCode::CREATED);
    assert_eq!(header(&answer, "location"), format!("/v2/a/b/blobs/{}", digest_of(CHUNKED)));
    assert_eq!(header(&answer, "docker-content-digest"), digest_of(CHUNKED).to_string());
    let blob = place.call("GET", &header(&answer, "location")).await;
    assert_eq!(&blob.body()[..], CHUNKED);
    assert!(!place.path(".cask-uploads").read_dir().unwrap().any(|_| true), "nothing is left");
}

#[tokio::test]
async fn blob_upload_monolithic() {
    let place = Place::new();
    let missing = place.call("GET", &format!("/v2/a/blobs/{}", digest_of(b"x"))).await;
    expect_refused(&missing, 404, "NAME_UNKNOWN");
    place.push_blob("a", b"x").await;
    let missing = place.call("HEAD", &format!("/v2/a/blobs/{}", digest_of(b"y"))).await;
    assert_eq!(missing.status(), 404);
    let location = place.begin("a").await;
    let target = format!("{location}?digest={}", digest_of(b"y"));
    expect(&place.call_with("PUT", &target, &[], b"y").await, StatusCode::CREATED);
    let found = place.call("HEAD", &format!("/v2/a/blobs/{}", digest_of(b"y"))).await;
    expect(&found, StatusCode::OK);
    assert_eq!((header(&found, "content-length").as_str(), found.body().len()), ("1", 0));
    // Again is as good as once.
    place.push_blob("a", b"y").await;
    place.push_blob("a", b"").await;
}

#[tokio::test]
async fn blob_upload_chunked() {
    let place = Place::new();
    let location = place.begin("a").await;
    let out_of_order = [("content-range", "16-30")];
    let answer = place.call_with("PATCH", &location, &out_of_order, &CHUNKED[16..]).await;
    expect_refused(&answer, 416, "BLOB_UPLOAD_INVALID");
    assert_eq!(header(&answer, "range"), "0-0");
    let first = [("content-range", "0-15"), ("content-length", "16")];
    let answer = place.call_with("PATCH", &location, &first, &CHUNKED[..16]).await;
    expect(&answer, StatusCode::ACCEPTED);
    assert_eq!(header(&answer, "range"), "0-15");
    // The same again is out of order, and changes nothing.
    let answer = place.call_with("PATCH", &location, &first, &CHUNKED[..16]).await;
    expect_refused(&answer, 416, "BLOB_UPLOAD_INVALID");
    let answer = place.call("GET", &location).await;
    expect(&answer, StatusCode::NO_CONTENT);
    assert_eq!(header(&answer, "range"), "0-15");
    assert_eq!(header(&answer, "location"), location);
    let last = [("content-range", "16-30")];
    let target = format!("{location}?digest={}", digest_of(CHUNKED));
    let answer = place.call_with("PUT", &target, &last, &CHUNKED[16..]).await;
    expect(&answer, StatusCode::CREATED);
    expect_refused(&place.call("GET", &location).await, 404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn chunks_of_another_length_than_announced_are_not_taken() {
    let place = Place::new();
    let location = place.begin("a").await;
    let check = async |range: &str, length: Option<&str>, code: &str| {
        let mut headers = vec![("content-range", range)];
        headers.extend(length.map(|length| ("content-length", length)));
        let answer = place.call_with("PATCH", &location, &headers, b"12345").await;
        expect_refused(&answer, 400, code);
        assert_eq!(header(&place.call("GET", &location).await, "range"), "0-0");
    };
    check("0-9", None, "SIZE_INVALID").await;
    check("0-2", None, "SIZE_INVALID").await;
    check("0-9", Some("5"), "SIZE_INVALID").await;
    check("4-0", None, "BLOB_UPLOAD_INVALID").await;
    check("x", None, "BLOB_UPLOAD_INVALID").await;
    // And what follows is right.
    expect(&place.call_with("PATCH", &location, &[], b"abc").await, StatusCode::ACCEPTED);
    let target = format!("{location}?digest={}", digest_of(b"abc"));
    expect(&place.call("PUT", &target).await, StatusCode::CREATED);
}

#[tokio::test]
async fn wrong_digests_are_refused_and_leave_nothing() {
    let place = Place::new();
    let check = async |digest: &str| {
        let location = place.begin("a").await;
        let target = format!("{location}?digest={digest}");
        let answer = place.call_with("PUT", &target, &[], b"content").await;
        expect_refused(&answer, 400, "DIGEST_INVALID");
    };
    check(digest_of(b"other").as_str()).await;
    check("").await;
    check("sha256:../../x").await;
    check("md5:d41d8cd98f00b204e9800998ecf8427e").await;
    check(&digest_of(b"content").as_str().to_uppercase()).await;
    let location = place.begin("a").await;
    expect_refused(&place.call("PUT", &location).await, 400, "DIGEST_INVALID");
    assert!(!place.path("a/blobs").exists());
}

#[tokio::test]
async fn digests_by_other_algorithms_are_checked() {
    let place = Place::new();
    let digest = cask_image::Hasher::digest(cask_image::Algorithm::Sha512, b"content");
    let location = place.begin("a").await;
    let target = format!("{location}?digest={digest}");
    let answer = place.call_with("PUT", &target, &[], b"content").await;
    expect(&answer, StatusCode::CREATED);
    let answer = place.call("GET", &format!("/v2/a/blobs/{digest}")).await;
    assert_eq!(&answer.body()[..], b"content");
}

#[tokio::test]
async fn uploads_survive_a_restart() {
    let place = Place::new();
    let location = place.begin("a").await;
    place.call_with("PATCH", &location, &[], &CHUNKED[..16]).await;
    let place = place.restarted();
    assert_eq!(header(&place.call("GET", &location).await, "range"), "0-15");
    let elsewhere = location.replace("/v2/a/", "/v2/b/");
    expect_refused(&place.call("GET", &elsewhere).await, 404, "BLOB_UPLOAD_UNKNOWN");
    let target = format!("{location}?digest={}", digest_of(CHUNKED));
    let last = [("content-range", "16-30")];
    let answer = place.call_with("PUT", &target, &last, &CHUNKED[16..]).await;
    expect(&answer, StatusCode::CREATED);
}

#[tokio::test]
async fn uploads_are_cancelled_bounded_and_thrown_away() {
    let mut few = options();
    few.max_uploads = 2;
    few.upload_lifetime = std::time::Duration::from_secs(3600);
    let place = Place::with(few);
    let first = place.begin("a").await;
    let second = place.begin("a").await;
    let third = place.call("POST", "/v2/a/blobs/uploads/").await;
    expect_refused(&third, 429, "TOOMANYREQUESTS");
    assert_eq!(header(&third, "retry-after"), "60");
    expect(&place.call("DELETE", &first).await, StatusCode::NO_CONTENT);
    expect_refused(&place.call("GET", &first).await, 404, "BLOB_UPLOAD_UNKNOWN");
    place.begin("a").await;
    // Long ago.
    let id = second.rsplit('/').next().unwrap();
    let file = place.path(".cask-uploads").read_dir().unwrap().map(|entry| entry.unwrap().path());
    let file = file.into_iter().find(|path| path.to_str().unwrap().contains(id)).unwrap();
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(100_000);
    std::fs::File::open(&file).unwrap().set_modified(old).unwrap();
    let place = place.restarted();
    assert!(!file.exists());
    expect_refused(&place.call("GET", &second).await, 404, "BLOB_UPLOAD_UNKNOWN");
}

#[tokio::test]
async fn cross_repository_blob_mount() {
    let place = Place::new();
    let digest = place.push_blob("from", b"shared").await;
    let mount = |from: &str| format!("/v2/to/blobs/uploads/?mount={digest}&from={from}");
    let answer = place.call("POST", &mount("nowhere")).await;
    expect(&answer, StatusCode::ACCEPTED);
    assert!(header(&answer, "location").starts_with("/v2/to/blobs/uploads/"));
    let answer = place.call("POST", &mount("../from")).await;
    expect(&answer, StatusCode::ACCEPTED);
    let answer = place.call("POST", &mount("from")).await;
    expect(&answer, StatusCode::CREATED);
    assert_eq!(header(&answer, "location"), format!("/v2/to/blobs/{digest}"));
    let answer = place.call("GET", &format!("/v2/to/blobs/{digest}")).await;
    assert_eq!(&answer.body()[..], b"shared");
    let anywhere = format!("/v2/other/blobs/uploads/?mount={digest}");
    expect(&place.call("POST", &anywhere).await, StatusCode::CREATED);
    let anywhere = format!("/v2/other/blobs/uploads/?mount={}", digest_of(b"nowhere"));
    expect(&place.call("POST", &anywhere).await, StatusCode::ACCEPTED);
    // The one does not need the other.
    std::fs::remove_dir_all(place.path("from")).unwrap();
    let answer = place.call("GET", &format!("/v2/to/blobs/{digest}")).await;
    assert_eq!(&answer.body()[..], b"shared");
}

#[tokio::test]
async fn manifest_upload() {
    let place = Place::new();
    let manifest = place.push_parts("a", "layer").await.encode();
    let answer = place.put_manifest("a", "v1", &manifest).await;
    expect(&answer, StatusCode::CREATED);
    let digest = manifest.digest().to_string();
    assert_eq!(header(&answer, "location"), format!("/v2/a/manifests/{digest}"));
    assert_eq!(header(&answer, "docker-content-digest"), digest);
    expect(&place.put_manifest("a", &digest, &manifest).await, StatusCode::CREATED);
    for reference in ["v1", &digest] {
        let answer = place.call("GET", &format!("/v2/a/manifests/{reference}")).await;
        assert_eq!(answer.body(), manifest.bytes());
        assert_eq!(header(&answer, "content-type"), manifest.media_type().as_str());
        assert_eq!(header(&answer, "docker-content-digest"), digest);
    }
    let index = std::fs::read_to_string(place.path("a/index.json")).unwrap();
    assert_eq!(index.matches(&digest).count(), 1, "{index}");
}

#[tokio::test]
async fn a_manifest_is_refused_unless_it_and_all_that_it_needs_are_right() {
    let place = Place::new();
    place.push_parts("a", "layer").await;
    let check = async |manifest: &RawManifest, reference: &str, status: u16, code: &str| {
        expect_refused(&place.put_manifest("a", reference, manifest).await, status, code);
    };
    let good = image("layer").encode();
    check(&image("missing").encode(), "v1", 400, "MANIFEST_BLOB_UNKNOWN").await;
    check(&good, digest_of(b"other").as_str(), 400, "DIGEST_INVALID").await;
    check(&good, "sha256:x", 400, "DIGEST_INVALID").await;
    check(&good, "-no-tag", 400, "MANIFEST_INVALID").await;
    check(&good, &"a".repeat(129), 400, "MANIFEST_INVALID").await;
    let typed = |bytes: &[u8], kind: &str| RawManifest::new(bytes.to_vec(), MediaType::from(kind));
    let oci = "application/vnd.oci.image.manifest.v1+json";
    check(&typed(b"", oci), "v1", 400, "MANIFEST_INVALID").await;
    check(&typed(b"{}", oci), "v1", 400, "MANIFEST_INVALID").await;
    check(&typed(good.bytes(), "text/plain"), "v1", 400, "MANIFEST_INVALID").await;
    let both = br#"{"schemaVersion":2,"manifests":[],"layers":[]}"#;
    check(&typed(both, oci), "v1", 400, "MANIFEST_INVALID").await;
    let signed = "application/vnd.docker.distribution.manifest.v1+prettyjws";
    check(&typed(b"{}", signed), "v1", 400, "MANIFEST_INVALID").await;
    check(&typed(&vec![b' '; (4 << 20) + 1], oci), "v1", 413, "SIZE_INVALID").await;
    let index = Index::new(ImageFormat::Oci, vec![good.descriptor()]).encode();
    check(&index, "v1", 400, "MANIFEST_BLOB_UNKNOWN").await;
    let mut wrong_size = image("layer");
    wrong_size.layers[0].size += 1;
    check(&wrong_size.encode(), "v1", 400, "MANIFEST_BLOB_UNKNOWN").await;
    expect_refused(&place.call("GET", "/v2/a/manifests/v1").await, 404, "MANIFEST_UNKNOWN");
    let answer = place.put_manifest("new", "v1", &good).await;
    expect_refused(&answer, 400, "MANIFEST_BLOB_UNKNOWN");
    assert!(!place.path("new").exists(), "a refused push makes no repository");
}

#[tokio::test]
async fn layers_from_elsewhere_need_not_be_there() {
    let place = Place::new();
    let mut manifest = place.push_parts("a", "layer").await;
    let foreign = MediaType::from("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip");
    let mut layer = descriptor(foreign, b"far away");
    layer.urls = vec!["https://example.com/layer".to_owned()];
    manifest.layers.push(layer);
    expect(&place.put_manifest("a", "v1", &manifest.encode()).await, StatusCode::CREATED);
}

#[tokio::test]
async fn an_index_may_be_sparse_only_if_the_options_say_so() {
    let mut sparse = options();
    sparse.accept_sparse_indexes = true;
    let place = Place::with(sparse);
    let index = Index::new(ImageFormat::Oci, vec![image("missing").encode().descriptor()]);
    expect(&place.put_manifest("a", "v1", &index.encode()).await, StatusCode::CREATED);
}

#[tokio::test]
async fn what_docker_pushes_comes_back_byte_for_byte() {
    let place = Place::new();
    place.push_parts("a", "layer").await;
    let oci = image("layer").encode();
    let text = String::from_utf8(oci.bytes().to_vec()).unwrap();
    let text = text
        .replace("vnd.oci.image.manifest.v1", "vnd.docker.distribution.manifest.v2")
        .replace("vnd.oci.image.config.v1", "vnd.docker.container.image.v1")
        .replace("vnd.oci.image.layer.v1.tar", "vnd.docker.image.rootfs.diff.tar");
    let text = format!("{text} \n");
    let manifest = RawManifest::new(text.into_bytes(), MediaType::DockerManifest);
    expect(&place.put_manifest("a", "v1", &manifest).await, StatusCode::CREATED);
    let list = Index::new(ImageFormat::Docker, vec![manifest.descriptor()]).encode();
    expect(&place.put_manifest("a", "list", &list).await, StatusCode::CREATED);
    for (reference, pushed) in [("v1", &manifest), ("list", &list)] {
        let answer = place.call("GET", &format!("/v2/a/manifests/{reference}")).await;
        assert_eq!(answer.body(), pushed.bytes());
        assert_eq!(header(&answer, "content-type"), pushed.media_type().as_str());
    }
}

#[tokio::test]
async fn a_push_by_digest_gives_tags_if_asked() {
    let place = Place::new();
    let manifest = place.push_parts("a", "layer").await.encode();
    let reference = format!("{}?tag=v1&tag=v1.0", manifest.digest());
    let answer = place.put_manifest("a", &reference, &manifest).await;
    expect(&answer, StatusCode::CREATED);
    let tags: Vec<_> = answer.headers().get_all("oci-tag").iter().collect();
    assert_eq!(tags, ["v1", "v1.0"]);
    let answer = place.put_manifest("a", "v2?tag=v3", &manifest).await;
    expect_refused(&answer, 400, "MANIFEST_INVALID");
    let tags = place.call("GET", "/v2/a/tags/list").await;
    assert_eq!(&tags.body()[..], br#"{"name":"a","tags":["v1","v1.0"]}"#);
}

#[tokio::test]
async fn a_tag_moves_and_leaves_the_old_manifest() {
    let place = Place::new();
    let old = place.push_image("a", "v1", "old").await;
    let new = place.push_image("a", "v1", "new").await;
    let answer = place.call("HEAD", "/v2/a/manifests/v1").await;
    assert_eq!(header(&answer, "docker-content-digest"), new.digest().to_string());
    let answer = place.call("GET", &format!("/v2/a/manifests/{}", old.digest())).await;
    assert_eq!(answer.body(), old.bytes());
}

#[tokio::test]
async fn every_tag_that_is_one_can_be_pushed() {
    let place = Place::new();
    for tag in ["_x", "a__b", "v1.", "a---b", "V1_.-", &"a".repeat(128)] {
        let manifest = place.push_image("a", tag, tag).await;
        let answer = place.call("GET", &format!("/v2/a/manifests/{tag}")).await;
        assert_eq!(answer.body(), manifest.bytes(), "{tag}");
    }
}

#[tokio::test]
async fn blobs_have_a_limit_if_there_is_to_be_one() {
    let mut small = options();
    small.max_blob_bytes = Some(4);
    let place = Place::with(small);
    place.push_blob("a", b"1234").await;
    let location = place.begin("a").await;
    let answer = place.call_with("PATCH", &location, &[], b"12345").await;
    expect_refused(&answer, 413, "SIZE_INVALID");
}
