//! Whom it lets in, and what it tells.

use crate::http::{Answer, get, send};
use cask_testkit::registry::Registry;

/// A token for what an answer says is needed.
async fn token(registry: &Registry, challenge: &str, headers: &[(&str, &str)]) -> Answer {
    let scope = challenge
        .split("scope=\"")
        .nth(1)
        .unwrap_or_default()
        .split('"')
        .next()
        .unwrap_or_default();
    get(registry, &format!("/token?service=x&scope={scope}"), headers).await
}

const ANN: (&str, &str) = ("authorization", "Basic YW5uOnNlY3JldA==");

#[tokio::test]
async fn everyone_is_let_in_and_told_of() {
    let registry = Registry::start().await;
    assert_eq!(get(&registry, "/v2/?x=1", &[("x-mine", "hello")]).await.status, 200);
    let seen = registry.requests();
    assert_eq!(seen[0].to_string(), "GET /v2/?x=1 200");
    assert!(seen[0].mentions("hello") && !seen[0].mentions("secret"));
    assert_eq!(registry.take_requests().len(), 1);
    assert!(registry.requests().is_empty());
}

#[tokio::test]
async fn basic_auth_wants_the_password() {
    let registry = Registry::builder().basic_auth("ann", "secret").start().await;
    let refused = get(&registry, "/v2/", &[]).await;
    assert_eq!(refused.status, 401);
    assert!(refused.header("www-authenticate").starts_with("Basic realm="));
    assert_eq!(get(&registry, "/v2/", &[ANN]).await.status, 200);
}

#[tokio::test]
async fn tokens_are_for_what_they_were_given() {
    let registry = Registry::builder().token_auth("ann", "secret").start().await;
    let refused = get(&registry, "/v2/a/b/tags/list", &[]).await;
    assert_eq!(refused.status, 401);
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("scope=\"repository:a/b:pull\""), "{challenge}");
    assert_eq!(token(&registry, &challenge, &[]).await.status, 401);
    let given = token(&registry, &challenge, &[ANN]).await;
    let bearer = format!("Bearer {}", given.json()["token"].as_str().unwrap());
    let bearer = [("authorization", bearer.as_str())];
    assert_eq!(get(&registry, "/v2/a/b/tags/list", &bearer).await.status, 404);
    let post = "/v2/a/b/blobs/uploads/?mount=x&from=c";
    let refused = send(registry.address(), "POST", post, &bearer, b"").await.unwrap();
    let challenge = refused.header("www-authenticate");
    assert!(challenge.contains("error=\"insufficient_scope\""), "{challenge}");
    assert!(challenge.contains("\"repository:a/b:pull,push repository:c:pull\""), "{challenge}");
    registry.expire_tokens();
    let refused = get(&registry, "/v2/a/b/tags/list", &bearer).await;
    assert!(refused.header("www-authenticate").contains("error=\"invalid_token\""));
}

#[tokio::test]
async fn identity_tokens_stand_for_passwords() {
    let registry =
        Registry::builder().token_auth("ann", "secret").identity_token("id").start().await;
    let given = get(&registry, "/token?offline_token=true", &[ANN]).await;
    assert_eq!(given.json()["refresh_token"], "id");
    let post = async |form: &[u8]| {
        send(registry.address(), "POST", "/token", &[], form).await.unwrap().status
    };
    assert_eq!(post(b"grant_type=refresh_token&refresh_token=id").await, 200);
    assert_eq!(post(b"grant_type=refresh_token&refresh_token=other").await, 401);
    assert_eq!(post(b"grant_type=password&username=ann&password=secret").await, 200);
    assert_eq!(post(b"grant_type=password&username=ann&password=x").await, 401);
}
