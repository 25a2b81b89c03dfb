//! Credentials: where they go, and where not.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use base64::Engine as _;
use cask_auth::{Credential, Fixed};
use cask_registry::{ClientOptions, ErrorKind, HostSettings};

use crate::server::{Asked, Do, Server, answer, head_of};
use crate::setup::{
    MANIFEST, MANIFEST_TYPE, PASSWORD, USER, digest, options, repository, tag, with_password,
};

fn basic() -> String {
    let both = format!("{USER}:{PASSWORD}");
    format!("Basic {}", base64::engine::general_purpose::STANDARD.encode(both))
}

fn refuse(realm: &str, more: &str) -> Vec<Do> {
    let challenge = format!("Bearer realm=\"{realm}\",service=\"it\"{more}");
    answer("401 Unauthorized", &[("WWW-Authenticate", &challenge)], b"{}")
}

fn found() -> Vec<Do> {
    let manifest = digest(MANIFEST.as_bytes()).to_string();
    answer(
        "200 OK",
        &[("Docker-Content-Digest", &manifest), ("Content-Type", MANIFEST_TYPE)],
        MANIFEST.as_bytes(),
    )
}

/// A registry with its own token service, which gives the tokens `t1`, `t2` and so on.
async fn registry(check: impl Fn(&Asked) -> Option<Vec<Do>> + Send + Sync + 'static) -> Server {
    let tokens = AtomicUsize::new(0);
    Server::start(move |_, asked| {
        let host = asked.header("host").unwrap();
        if asked.target.starts_with("/token") {
            let nth = tokens.fetch_add(1, Ordering::SeqCst) + 1;
            return answer("200 OK", &[], format!(r#"{{"token":"t{nth}"}}"#).as_bytes());
        }
        if let Some(special) = check(asked) {
            return special;
        }
        match asked.header("authorization") {
            Some(text) if text.starts_with("Bearer t") => found(),
            _ => refuse(&format!("http://{host}/token"), ""),
        }
    })
    .await
}

#[tokio::test]
async fn a_manifest_is_found_by_three_requests_and_a_second_by_one() {
    let server = registry(|_| None).await;
    let repository = repository(with_password(options()), &server.address);
    repository.resolve(&tag("x")).await.unwrap();
    repository.manifest(&tag("x")).await.unwrap();
    let asked = server.asked();
    let lines: Vec<String> = asked.iter().map(Asked::line).collect();
    assert_eq!(
        lines,
        [
            "GET /v2/",
            "GET /token?account=alice&scope=repository%3Aa%2Fb%3Apull&service=it",
            "HEAD /v2/a/b/manifests/x",
            "GET /v2/a/b/manifests/x"
        ]
    );
    assert_eq!(asked[1].header("authorization"), Some(basic().as_str()));
    assert_eq!(asked[2].header("authorization"), Some("Bearer t1"));
}

#[tokio::test]
async fn many_requests_at_once_fetch_one_token() {
    let server = registry(|_| None).await;
    let repository = repository(with_password(options()), &server.address);
    let (one, two) = (tag("1"), tag("2"));
    let both = tokio::join!(repository.resolve(&one), repository.resolve(&two));
    both.0.unwrap();
    both.1.unwrap();
    let tokens = server.lines().iter().filter(|line| line.starts_with("GET /token")).count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn an_expired_token_is_replaced_once() {
    let server = registry(|asked| {
        (asked.header("authorization") == Some("Bearer t1")).then(|| {
            refuse(
                &format!("http://{}/token", asked.header("host").unwrap()),
                ",error=\"invalid_token\"",
            )
        })
    })
    .await;
    let repository = repository(with_password(options()), &server.address);
    repository.resolve(&tag("x")).await.unwrap();
    let tokens = server.lines().iter().filter(|line| line.starts_with("GET /token")).count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn an_expired_token_that_many_show_is_replaced_once() {
    let expired = Arc::new(AtomicBool::new(false));
    let is_expired = Arc::clone(&expired);
    let late = AtomicUsize::new(0);
    let server = registry(move |asked| {
        let refused =
            is_expired.load(Ordering::SeqCst) && asked.header("authorization") == Some("Bearer t1");
        refused.then(|| {
            let realm = format!("http://{}/token", asked.header("host").unwrap());
            let turn = late.fetch_add(1, Ordering::SeqCst) as u64;
            let mut all = vec![Do::Wait(Duration::from_millis(40 * turn))];
            all.extend(refuse(&realm, ",error=\"invalid_token\""));
            all
        })
    })
    .await;
    let repository = repository(with_password(options()), &server.address);
    repository.resolve(&tag("x")).await.unwrap();
    expired.store(true, Ordering::SeqCst);
    let names: Vec<_> = (0..8).map(|nth| tag(&format!("x{nth}"))).collect();
    let all = names.iter().map(|name| repository.resolve(name));
    for result in futures_util::future::join_all(all).await {
        result.unwrap();
    }
    let tokens = server.lines().iter().filter(|line| line.starts_with("GET /token")).count();
    assert_eq!(tokens, 2);
}

#[tokio::test]
async fn a_scope_that_is_missing_is_asked_for_once() {
    let server = registry(|asked| {
        (asked.header("authorization") == Some("Bearer t1")).then(|| {
            let realm = format!("http://{}/token", asked.header("host").unwrap());
            let more = ",scope=\"repository:a/b:pull,special\",error=\"insufficient_scope\"";
            refuse(&realm, more)
        })
    })
    .await;
    let repository = repository(with_password(options()), &server.address);
    repository.resolve(&tag("x")).await.unwrap();
    assert!(server.lines().iter().any(|line| line.contains("pull%2Cspecial")));
}

#[tokio::test]
async fn a_registry_that_always_refuses_is_asked_a_few_times_only() {
    let server = registry(|asked| {
        asked.target.starts_with("/v2/").then(|| {
            let realm = format!("http://{}/token", asked.header("host").unwrap());
            refuse(&realm, ",scope=\"repository:a/b:other\",error=\"insufficient_scope\"")
        })
    })
    .await;
    let repository = repository(with_password(options()), &server.address);
    let error = repository.manifest(&tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized, "{error}");
    assert!(error.to_string().contains("requested access to the resource is denied"), "{error}");
    assert!(server.lines().len() < 8, "{:?}", server.lines());
}

#[tokio::test]
async fn identity_tokens_are_exchanged_by_post() {
    let server = registry(|_| None).await;
    let mut options = options();
    options.keychain = Arc::new(Fixed::new(Credential::identity_token("refresh&me")));
    repository(options, &server.address).resolve(&tag("x")).await.unwrap();
    let asked = server.asked();
    assert_eq!(asked[1].line(), "POST /token");
    assert_eq!(
        String::from_utf8_lossy(&asked[1].body),
        "grant_type=refresh_token&service=it&client_id=cask&scope=repository%3Aa%2Fb%3Apull&\
         refresh_token=refresh%26me"
    );
}

#[tokio::test]
async fn wrong_passwords_are_told_in_known_words() {
    let server = Server::start(|_, asked| {
        if asked.target.starts_with("/token") {
            return answer(
                "401 Unauthorized",
                &[],
                br#"{"details":"incorrect username or password"}"#,
            );
        }
        refuse(&format!("http://{}/token", asked.header("host").unwrap()), "")
    })
    .await;
    let repository = repository(with_password(options()), &server.address);
    let error = repository.resolve(&tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(
        error.to_string(),
        "unable to retrieve auth token: invalid username/password: unauthorized: incorrect \
         username or password"
    );
    assert!(error.hint().is_some());
}

#[tokio::test]
async fn endless_and_hostile_tokens_are_refused() {
    for (body, endless) in [
        (&b"{\"token\":\""[..], true),
        (b"{\"token\":\"a\\r\\nX-Evil: 1\"}", false),
        (b"{\"token\":\"\"}", false),
        (b"[]", false),
        (b"<html>", false),
    ] {
        let server = Server::start(move |_, asked| {
            if !asked.target.starts_with("/token") {
                return refuse(&format!("http://{}/token", asked.header("host").unwrap()), "");
            }
            let mut text = format!("{}\r\n", head_of("200 OK", &[])).into_bytes();
            text.extend_from_slice(body);
            let mut all = vec![Do::Write(text)];
            if endless {
                all.push(Do::Endless(vec![b'a'; 1 << 16]));
            }
            all
        })
        .await;
        let repository = repository(with_password(options()), &server.address);
        let error = repository.resolve(&tag("x")).await.unwrap_err();
        let kind = if endless { ErrorKind::LimitExceeded } else { ErrorKind::Corrupt };
        assert_eq!(error.kind(), kind, "{error}");
    }
}

/// A second server, which must see no secret.
async fn stranger() -> Server {
    Server::start(|_, asked| {
        if asked.target.starts_with("/token") {
            answer("200 OK", &[], br#"{"token":"stolen"}"#)
        } else {
            found()
        }
    })
    .await
}

fn assert_saw_no_secret(server: &Server) {
    for asked in server.asked() {
        let text = format!("{asked:?}{}", String::from_utf8_lossy(&asked.body));
        for secret in [PASSWORD, "t1", "Bearer", "Basic", "x-secret-header"] {
            assert!(!text.contains(secret), "{secret} in {text}");
        }
    }
}

fn with_header(mut options: ClientOptions) -> ClientOptions {
    options.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        settings.headers.insert("x-secret-header", "s3cret".parse().unwrap());
        Ok(settings)
    });
    options
}

#[tokio::test]
async fn redirects_to_another_origin_lose_all_secrets() {
    for status in [
        "301 Moved Permanently",
        "302 Found",
        "303 See Other",
        "307 Temporary Redirect",
        "308 Permanent Redirect",
    ] {
        let other = stranger().await;
        let target = other.url("/v2/elsewhere");
        let server = registry(move |asked| {
            (asked.target.contains("manifests") && asked.header("authorization").is_some())
                .then(|| answer(status, &[("Location", &target)], b""))
        })
        .await;
        let options = with_header(with_password(options()));
        repository(options, &server.address).manifest(&tag("x")).await.unwrap();
        assert_eq!(other.lines(), ["GET /v2/elsewhere"]);
        assert_saw_no_secret(&other);
        assert_eq!(server.asked().last().unwrap().header("x-secret-header"), Some("s3cret"));
    }
}

#[tokio::test]
async fn identity_tokens_do_not_follow_a_token_service_elsewhere() {
    let other = stranger().await;
    let target = other.url("/token");
    let server = Server::start(move |_, asked| {
        if asked.target.starts_with("/token") {
            return answer("307 Temporary Redirect", &[("Location", &target)], b"");
        }
        refuse(&format!("http://{}/token", asked.header("host").unwrap()), "")
    })
    .await;
    let mut options = options();
    options.keychain = Arc::new(Fixed::new(Credential::identity_token("refresh&me")));
    repository(options, &server.address).resolve(&tag("x")).await.unwrap_err();
    assert!(server.lines().contains(&"POST /token".to_owned()), "{:?}", server.lines());
    assert_saw_no_secret(&other);
    for asked in other.asked() {
        assert!(!asked.body.windows(7).any(|bytes| bytes == b"refresh"), "{asked:?}");
    }
}

#[tokio::test]
async fn a_stranger_that_refuses_is_not_shown_anything() {
    let other = Server::start(|_, asked| {
        if asked.target.starts_with("/token") {
            return answer("200 OK", &[], br#"{"token":"stolen"}"#);
        }
        refuse(&format!("http://{}/token", asked.header("host").unwrap()), "")
    })
    .await;
    let target = other.url("/v2/elsewhere");
    let server = registry(move |asked| {
        (asked.target.contains("manifests") && asked.header("authorization").is_some())
            .then(|| answer("307 Temporary Redirect", &[("Location", &target)], b""))
    })
    .await;
    let repository = repository(with_password(options()), &server.address);
    let error = repository.manifest(&tag("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unauthorized);
    assert_eq!(other.lines(), ["GET /v2/elsewhere"]);
    assert_saw_no_secret(&other);
}

#[tokio::test]
async fn redirects_in_a_circle_end() {
    let server = registry(|asked| {
        asked
            .target
            .contains("manifests")
            .then(|| answer("307 Temporary Redirect", &[("Location", asked.target.as_str())], b""))
    })
    .await;
    let error = repository(options(), &server.address).manifest(&tag("x")).await.unwrap_err();
    assert!(error.to_string().contains("stopped after 10 redirects"), "{error}");
}

#[tokio::test]
async fn a_token_service_of_another_site_gets_no_password() {
    // `localhost` and `127.0.0.1` are two sites.
    let other = stranger().await;
    let port = other.address.rsplit_once(':').unwrap().1.to_owned();
    let realm = format!("http://localhost:{port}/token");
    let server = Server::start(move |_, asked| {
        if asked.header("authorization") == Some("Bearer stolen") {
            return found();
        }
        refuse(&realm, "")
    })
    .await;
    let error = repository(with_password(options()), &server.address).resolve(&tag("x")).await;
    let error = error.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().contains("of another site than the registry"), "{error}");
    assert!(error.hint().unwrap().contains("localhost"));
    assert_eq!(other.lines(), [""; 0]);

    // Without a password there is nothing to lose.
    repository(options(), &server.address).resolve(&tag("x")).await.unwrap();
    assert_saw_no_secret(&other);

    // What the user trusts is trusted.
    let mut trusting = with_password(options());
    trusting.hosts = Arc::new(|_| {
        let mut settings = HostSettings::default();
        settings.danger_http = true;
        settings.trusted_token_hosts.push("localhost".to_owned());
        Ok(settings)
    });
    repository(trusting, &server.address).resolve(&tag("x")).await.unwrap();
    assert_eq!(other.asked().last().unwrap().header("authorization"), Some(basic().as_str()));
}

#[tokio::test]
async fn hostile_realms_are_refused() {
    for realm in ["file:///etc/passwd", "not a url", "", "ftp://127.0.0.1/", "http://"] {
        let server = Server::start(move |_, _| refuse(realm, "")).await;
        let repository = repository(with_password(options()), &server.address);
        let error = repository.resolve(&tag("x")).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{realm}: {error}");
    }
}

#[tokio::test]
async fn secrets_are_in_no_error_and_no_debug_text() {
    let server = Server::start(|_, asked| {
        if asked.target.starts_with("/token") {
            return answer("500 Internal Server Error", &[], b"no");
        }
        refuse(
            &format!(
                "http://user:{PASSWORD}@{}/token?sig={PASSWORD}",
                asked.header("host").unwrap()
            ),
            "",
        )
    })
    .await;
    let options = with_password(options());
    assert!(!format!("{options:?}").contains(PASSWORD));
    let repository = repository(options, &server.address);
    assert!(!format!("{repository:?}").contains(PASSWORD));
    let error = repository.resolve(&tag("x")).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains(PASSWORD), "{error:?}");
}

#[tokio::test]
async fn foreign_layers_are_fetched_without_secrets() {
    let other = Server::start(|_, _| answer("200 OK", &[], b"layer")).await;
    let server = registry(|_| None).await;
    let repository = repository(with_header(with_password(options())), &server.address);
    // With a token in hand.
    repository.resolve(&tag("x")).await.unwrap();
    let url = other.url("/layer").parse().unwrap();
    let blob = repository.foreign_blob(&url, &digest(b"layer"), Some(5), 0).await.unwrap();
    assert_eq!(blob.verified().unwrap().read_limited(5).await.unwrap(), &b"layer"[..]);
    assert_eq!(other.lines(), ["GET /layer"]);
    assert_saw_no_secret(&other);
    let url = "file:///etc/passwd".parse().unwrap();
    let error = repository.foreign_blob(&url, &digest(b""), None, 0).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}

/// Passwords that live for one question.
#[derive(Debug, Default)]
struct Rotating(AtomicUsize);

impl cask_auth::Keychain for Rotating {
    fn credential(
        &self,
        registry: &str,
        repository: Option<&str>,
    ) -> Result<Option<cask_auth::Found>, cask_auth::Error> {
        let nth = self.0.fetch_add(1, Ordering::SeqCst).min(1);
        let fixed = Fixed::new(Credential::basic(USER, format!("password {nth}")));
        fixed.credential(registry, repository)
    }
}

#[tokio::test]
async fn a_keychain_is_asked_again_when_its_password_is_refused() {
    let right = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:password 1"));
    let right = format!("Basic {right}");
    for by_token in [false, true] {
        let right = right.clone();
        let server = Server::start(move |_, asked| {
            let shown = asked.header("authorization");
            let host = asked.header("host").unwrap();
            if asked.target.starts_with("/token") {
                return if shown == Some(&right) {
                    answer("200 OK", &[], br#"{"token":"t1"}"#)
                } else {
                    answer("401 Unauthorized", &[], b"")
                };
            }
            if shown == Some(if by_token { "Bearer t1" } else { &right }) {
                return found();
            }
            if by_token {
                return refuse(&format!("http://{host}/token"), "");
            }
            answer("401 Unauthorized", &[("WWW-Authenticate", "Basic realm=\"it\"")], b"")
        })
        .await;
        let mut options = options();
        options.keychain = Arc::new(Rotating::default());
        repository(options, &server.address).resolve(&tag("x")).await.unwrap();
    }
}
