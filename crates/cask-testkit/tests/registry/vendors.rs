//! What is peculiar about each.

use cask_testkit::generate::ImageSpec;
use cask_testkit::registry::{Registry, Vendor};

use crate::http::{Answer, get, push, send};

async fn start(vendor: Vendor) -> Registry {
    Registry::builder().vendor(vendor).start().await
}

/// Pushes an image to `p/a`, and gives the answer to its manifest.
async fn push_image(registry: &Registry, tag: &str) -> Answer {
    let image = ImageSpec::new(1).build().content();
    for blob in &image.blobs {
        push(registry, "p/a", &blob.bytes).await;
    }
    let manifest = image.manifests.last().expect("the top is among them");
    let media_type = manifest.descriptor.media_type.to_string();
    let target = format!("/v2/p/a/manifests/{tag}");
    let headers = [("content-type", media_type.as_str())];
    send(registry.address(), "PUT", &target, &headers, &manifest.bytes).await.expect("an answer")
}

#[tokio::test]
async fn everyone_takes_an_image_and_gives_it_back() {
    for vendor in Vendor::ALL {
        let registry = start(vendor).await;
        assert_eq!(push_image(&registry, "v1").await.status, 201, "{vendor:?}");
        assert_eq!(get(&registry, "/v2/p/a/manifests/v1", &[]).await.status, 200, "{vendor:?}");
    }
}

#[tokio::test]
async fn ecr() {
    let registry = start(Vendor::Ecr).await;
    let blob = push(&registry, "p/a", b"x").await;
    let digest = blob.rsplit('/').next().unwrap();
    let mount = format!("/v2/p/b/blobs/uploads/?mount={digest}&from=p/a");
    assert_eq!(send(registry.address(), "POST", &mount, &[], b"").await.unwrap().status, 202);
    let tags = get(&registry, "/v2/p/a/tags/list", &[]).await;
    assert_eq!((tags.status, &tags.json()["errors"][0]["code"]), (403, &"DENIED".into()));
    let oci = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let target = "/v2/p/a/manifests/v1";
    let refused = send(registry.address(), "PUT", target, &oci, b"{}").await.unwrap();
    assert_eq!(refused.status, 405);
    assert!(String::from_utf8_lossy(&refused.body).contains("Invalid JSON syntax"));
}

#[tokio::test]
async fn docker_hub() {
    let registry = Registry::builder().vendor(Vendor::DockerHub).pull_limit(1).start().await;
    push_image(&registry, "v1").await;
    let manifest = "/v2/p/a/manifests/v1";
    for _ in 0..3 {
        let head = send(registry.address(), "HEAD", manifest, &[], b"").await.unwrap();
        assert_eq!((head.status, head.header("ratelimit-remaining").as_str()), (200, "1;w=21600"));
    }
    // The last one that is allowed.
    assert_eq!(get(&registry, manifest, &[]).await.status, 200);
    assert_eq!(get(&registry, manifest, &[]).await.status, 429);
    assert_eq!(get(&registry, "/v2/_catalog", &[]).await.status, 401);
}

#[tokio::test]
async fn ghcr() {
    let registry = start(Vendor::Ghcr).await;
    push_image(&registry, "v1").await;
    let target = "/v2/p/a/manifests/v1";
    assert_eq!(send(registry.address(), "DELETE", target, &[], b"").await.unwrap().status, 405);
    let digest = get(&registry, target, &[]).await.header("docker-content-digest");
    let referrers = get(&registry, &format!("/v2/p/a/referrers/{digest}"), &[]).await;
    assert_eq!((referrers.status, &referrers.body[..]), (404, &b"404 page not found\n"[..]));
    assert!(referrers.header("content-type").starts_with("text/plain"));
}

#[tokio::test]
async fn quay() {
    let registry = start(Vendor::Quay).await;
    push_image(&registry, "v1").await;
    push_image(&registry, "v2").await;
    let first = get(&registry, "/v2/p/a/tags/list?n=1", &[]).await.header("link");
    assert_eq!(first, "</v2/p/a/tags/list?n=1&next_page=v1>; rel=\"next\"");
    let second = get(&registry, "/v2/p/a/tags/list?n=1&next_page=v1", &[]).await;
    assert_eq!(second.json()["tags"], serde_json::json!(["v2"]));
    let oci = [("content-type", "application/vnd.oci.image.manifest.v1+json")];
    let zstd = br#"{"layers":[{"mediaType":"application/vnd.oci.image.layer.v1.tar+zstd"}]}"#;
    let target = "/v2/p/a/manifests/v3";
    assert_eq!(send(registry.address(), "PUT", target, &oci, zstd).await.unwrap().status, 400);
}

#[tokio::test]
async fn gitlab_and_harbor() {
    for (vendor, path) in [(Vendor::GitLab, "/jwt/auth"), (Vendor::Harbor, "/service/token")] {
        let registry = start(vendor).await;
        push(&registry, "p/a", b"x").await;
        let tags = get(&registry, "/v2/p/a/tags/list", &[]).await;
        assert_eq!(tags.body, br#"{"name":"p/a","tags":null}"#, "{vendor:?}");
        assert_eq!(get(&registry, "/v2/_catalog", &[]).await.status, 401);
        let guarded = Registry::builder().vendor(vendor).token_auth_for_everyone().start().await;
        let challenge = get(&guarded, "/v2/", &[]).await.header("www-authenticate");
        assert!(challenge.contains(path), "{challenge}");
    }
    let harbor = start(Vendor::Harbor).await;
    let outside = get(&harbor, "/v2/a/tags/list", &[]).await;
    assert_eq!(outside.json()["errors"][0]["message"], "project not found");
    assert!(get(&harbor, "/v2/", &[]).await.header("set-cookie").starts_with("sid="));
    let gitlab = Registry::builder().vendor(Vendor::GitLab).token_auth_for_everyone().start().await;
    let both = "/jwt/auth?scope=repository:a:pull,push&scope=repository:b:pull";
    let token = get(&gitlab, both, &[]).await.json()["token"].as_str().unwrap().to_owned();
    let bearer = format!("Bearer {token}");
    let mount = "/v2/a/blobs/uploads/?mount=x&from=b";
    let headers = [("authorization", bearer.as_str())];
    let refused = send(gitlab.address(), "POST", mount, &headers, b"").await.unwrap();
    assert!(refused.header("www-authenticate").contains("insufficient_scope"));
}

#[tokio::test]
async fn artifactory() {
    let registry = start(Vendor::Artifactory).await;
    let missing = get(&registry, "/v2/none/tags/list", &[]).await;
    assert_eq!((missing.status, missing.header("content-type").as_str()), (404, "text/html"));
    let begun = send(registry.address(), "POST", "/v2/a/blobs/uploads/", &[], b"").await.unwrap();
    let expected = format!("http://localhost:{}/v2/a/", registry.address().port());
    assert!(begun.header("location").starts_with(&expected), "{begun:?}");
}

#[tokio::test]
async fn nexus() {
    let registry = start(Vendor::Nexus).await;
    push_image(&registry, "v1").await;
    let head = send(registry.address(), "HEAD", "/v2/p/a/manifests/v1", &[], b"").await.unwrap();
    assert_eq!((head.status, head.header("docker-content-digest").as_str()), (200, ""));
    let tls = Registry::builder().vendor(Vendor::Nexus).token_auth_for_everyone().tls();
    let registry = tls.start().await;
    assert!(registry.url().starts_with("https://"));
    assert!(registry.authority_pem().unwrap().starts_with("-----BEGIN CERTIFICATE-----"));
}

#[tokio::test]
async fn acr() {
    let nobody = "00000000-0000-0000-0000-000000000000";
    let registry = Registry::builder()
        .vendor(Vendor::Acr)
        .token_auth(nobody, "unused")
        .identity_token("refresh")
        .start()
        .await;
    let form = b"grant_type=refresh_token&service=x&scope=repository:a:pull&refresh_token=refresh";
    let given = send(registry.address(), "POST", "/oauth2/token", &[], form).await.unwrap().json();
    assert!(given["access_token"].is_string() && given["token"].is_null(), "{given}");
}
