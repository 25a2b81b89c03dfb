//! Searches: registries that have one, that have none, and that answer nonsense.

use cask_registry::{Client, FoundRepository};

use crate::server::{Asked, Do, Server, answer};
use crate::setup::{PASSWORD, options, with_password};

/// What is found where the search answers so; the catalog has five names.
async fn found(
    status: &'static str,
    body: impl Into<Vec<u8>>,
    (term, limit): (&str, usize),
) -> (Vec<FoundRepository>, Vec<Asked>) {
    let body = body.into();
    let script = move |_: usize, asked: &Asked| -> Vec<Do> {
        match asked.target.split('?').next() {
            Some("/v1/search") => answer(status, &[], &body),
            Some("/v2/_catalog") => {
                let names =
                    r#"{"repositories":["a/busybox","alpine","b/alpine-x","busybox","my/busy"]}"#;
                answer("200 OK", &[], names.as_bytes())
            }
            _ => answer("200 OK", &[], b"{}"),
        }
    };
    let server = Server::start(script).await;
    let client = Client::new(with_password(options()));
    let found = client.registry(&server.address).search(term, limit).await.unwrap();
    (found, server.asked())
}

fn names(found: &[FoundRepository]) -> Vec<&str> {
    found.iter().map(|one| one.name.as_str()).collect()
}

#[tokio::test]
async fn a_registry_s_own_search_is_asked_first_and_shown_no_secret() {
    let results = r#"{"results": [
        {"name": "alpine", "description": "small\n\u001b[2Jand old", "star_count": 7, "is_official": true, "is_automated": false},
        {"description": "of nobody"},
        {"name": "x/y", "description": null, "star_count": null, "is_automated": true},
        {"name": "one/too-many"}]}"#;
    let (found, asked) = found("200 OK", results, ("al&p=1", 2)).await;
    let alpine = FoundRepository {
        name: "alpine".to_owned(),
        description: "small  [2Jand old".to_owned(),
        stars: 7,
        is_official: true,
        is_automated: false,
    };
    let other =
        FoundRepository { name: "x/y".to_owned(), is_automated: true, ..Default::default() };
    assert_eq!(found, [alpine, other]);
    let searched = asked.iter().find(|asked| asked.target.starts_with("/v1/")).unwrap();
    assert_eq!(searched.line(), "GET /v1/search?n=2&q=al%26p%3D1");
    assert!(searched.headers.values().all(|value| !value.contains(PASSWORD)));
    assert_eq!(searched.header("authorization"), None);
}

#[tokio::test]
async fn without_a_search_the_catalog_is_looked_through() {
    for (status, body) in [
        ("404 Not Found", b"no".to_vec()),
        ("401 Unauthorized", b"no".to_vec()),
        ("200 OK", b"<html>".to_vec()),
        ("200 OK", b"{}".to_vec()),
        ("200 OK", vec![b' '; (4 << 20) + 1]),
    ] {
        let (all, _) = found(status, body.clone(), ("busy", 9)).await;
        assert_eq!(names(&all), ["a/busybox", "busybox", "my/busy"], "{status}");
        let (first, _) = found(status, body, ("busybox", 2)).await;
        assert_eq!(names(&first), ["busybox", "a/busybox"], "{status}");
    }
    let (none, _) = found("404 Not Found", "no", ("nosuch", 9)).await;
    assert_eq!(names(&none), Vec::<&str>::new());
}

#[tokio::test]
async fn without_a_term_all_names_are_found() {
    let (found, asked) = found("200 OK", r#"{"results": []}"#, ("", 4)).await;
    assert_eq!(names(&found), ["a/busybox", "alpine", "b/alpine-x", "busybox"]);
    assert!(asked.iter().all(|asked| !asked.target.starts_with("/v1/")));
}
