//! What strangers send, and directories that strangers made.

use http::StatusCode;

use super::support::{Place, digest_of, expect, expect_refused, header, options};
use crate::{ErrorKind, Htpasswd, Registry, RepositoryName};

#[tokio::test]
async fn links_are_not_followed() {
    let place = Place::new();
    let secret = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(secret.path(), place.path("link")).unwrap();
    let target = format!("/v2/link/blobs/uploads/?digest={}", digest_of(b"x"));
    let answer = place.call_with("POST", &target, &[], b"x").await;
    expect_refused(&answer, 500, "UNKNOWN");
    let target = format!("/v2/link/x/blobs/uploads/?digest={}", digest_of(b"x"));
    let answer = place.call_with("POST", &target, &[], b"x").await;
    expect_refused(&answer, 500, "UNKNOWN");
    assert_eq!(secret.path().read_dir().unwrap().count(), 0);
    // A blob that is a link to elsewhere.
    let digest = place.push_blob("a", b"x").await;
    std::fs::write(secret.path().join("file"), "y").unwrap();
    let linked = place.path("a/blobs/sha256").join(digest_of(b"y").hex());
    std::os::unix::fs::symlink(secret.path().join("file"), linked).unwrap();
    let answer = place.call("GET", &format!("/v2/a/blobs/{}", digest_of(b"y"))).await;
    expect_refused(&answer, 500, "UNKNOWN");
    expect(&place.call("GET", &format!("/v2/a/blobs/{digest}")).await, StatusCode::OK);
}

#[tokio::test]
async fn no_path_leads_elsewhere() {
    let place = Place::new();
    place.push_blob("a", b"x").await;
    let hex = digest_of(b"x").hex().to_owned();
    for target in [
        "/v2/../manifests/x".to_owned(),
        "/v2/%2e%2e/manifests/x".to_owned(),
        "/v2/a%2f..%2fb/manifests/x".to_owned(),
        "/v2/a/blobs/sha256/manifests/x".to_owned(),
        format!("/v2/a/blobs/sha256:..%2Fsha256%2F{hex}"),
        "/v2/a/blobs/uploads/..".to_owned(),
        "/v2/.cask-uploads/tags/list".to_owned(),
        "/v2/a/index.json/tags/list".to_owned(),
    ] {
        let answer = place.call("GET", &target).await;
        assert!(answer.status().is_client_error(), "{target}: {answer:?}");
    }
    let answer = place.call("POST", "/v2/a/blobs/sha256/blobs/uploads/").await;
    expect_refused(&answer, 400, "NAME_INVALID");
}

#[tokio::test]
async fn an_upload_that_is_a_blob_already_is_not_written_again() {
    let place = Place::new();
    let location = place.begin("a").await;
    place.call_with("PATCH", &location, &[], b"content").await;
    // A process that died between giving the blob its name and taking that of the upload.
    let file = place.path(".cask-uploads").read_dir().unwrap().next().unwrap().unwrap().path();
    let place = place.restarted();
    std::fs::hard_link(&file, place.path("blob")).unwrap();
    let answer = place.call_with("PATCH", &location, &[], b"more").await;
    expect_refused(&answer, 404, "BLOB_UPLOAD_UNKNOWN");
    assert_eq!(std::fs::read(place.path("blob")).unwrap(), b"content");
    assert!(!file.exists());
}

#[tokio::test]
async fn one_layout_is_one_repository() {
    let place = Place::new();
    let manifest = place.push_image("team/image", "v1", "layer").await;
    let open = |name: Option<&str>| {
        let mut options = options();
        options.name = name.map(|name| RepositoryName::parse(name).unwrap());
        Registry::open(place.path("team/image"), options).unwrap()
    };
    for (given, name) in [(None, "image"), (Some("x/y"), "x/y")] {
        let registry = open(given);
        assert_eq!(registry.repositories().unwrap(), [RepositoryName::parse(name).unwrap()]);
        let root = tempfile::tempdir().unwrap();
        let single = Place { registry, root };
        let answer = single.call("GET", &format!("/v2/{name}/manifests/v1")).await;
        assert_eq!(answer.body(), manifest.bytes());
        let answer = single.call("GET", "/v2/team/image/manifests/v1").await;
        expect_refused(&answer, 404, "NAME_UNKNOWN");
        let answer = single.call("POST", "/v2/other/blobs/uploads/").await;
        expect_refused(&answer, 403, "DENIED");
        single.push_image(name, "v2", "more").await;
    }
    let mut named = options();
    named.name = Some(RepositoryName::parse("x").unwrap());
    let error = Registry::open(place.root.path(), named).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    let error = Registry::open(place.path("none"), options()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn passwords_are_checked() {
    use base64::Engine as _;
    let hash = bcrypt::hash("secret", 4).unwrap();
    let mut guarded = options();
    guarded.htpasswd = Some(Htpasswd::parse(&format!("# users\n\nann:{hash}\n")).unwrap());
    let place = Place::with(guarded);
    let check = async |credentials: Option<&str>, status: u16| {
        let encode = |text| base64::engine::general_purpose::STANDARD.encode(text);
        let value = credentials.map(|text| format!("Basic {}", encode(text)));
        let headers: Vec<_> = value.iter().map(|value| ("authorization", value.as_str())).collect();
        let answer = place.call_with("GET", "/v2/", &headers, b"").await;
        assert_eq!(answer.status(), status, "{credentials:?}");
        let challenge = header(&answer, "www-authenticate");
        assert_eq!(challenge.starts_with("Basic realm="), status == 401, "{challenge}");
    };
    check(None, 401).await;
    check(Some("ann:secret"), 200).await;
    check(Some("ann:secret"), 200).await;
    check(Some("ann:wrong"), 401).await;
    check(Some("bob:secret"), 401).await;
    check(Some("ann"), 401).await;
    check(Some(":"), 401).await;
    let basic = [("authorization", "Bearer x")];
    let answer = place.call_with("GET", "/v2/a/tags/list", &basic, b"").await;
    expect_refused(&answer, 401, "UNAUTHORIZED");
}

#[test]
fn password_files_without_bcrypt_are_refused() {
    let check = |text: &str, words: &str| {
        let error = Htpasswd::parse(text).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidPasswords, "{text}");
        assert!(error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains("secret"), "{error}");
    };
    check("\nann:secret", "line 2");
    check("ann", "no colon");
    check(":x", "empty");
    check("ann:$apr1$x$secret", "not hashed by bcrypt");
    check("ann:{SHA}secret", "not hashed by bcrypt");
    check(&format!("ann:$2y$31${}", ".".repeat(53)), "from 4 to 17");
    assert!(Htpasswd::parse("").is_ok());
}
