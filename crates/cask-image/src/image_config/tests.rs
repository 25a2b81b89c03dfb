use std::time::Duration;

use super::*;
use crate::{Algorithm, Hasher, ManifestErrorKind, Timestamp};

const A: &str = "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";

/// Changes a config and compares what is written; `A` stands for a digest.
fn check(before: &str, change: impl FnOnce(&mut ImageConfig), expected: &str) {
    let mut config = ImageConfig::parse(before.replace("DIGEST", A)).unwrap();
    change(&mut config);
    let encoded = config.encode();
    let text = String::from_utf8_lossy(&encoded);
    assert_eq!(text, expected.replace("DIGEST", A), "{before}");
    assert!(ImageConfig::parse(encoded.clone()).unwrap().says_the_same(&config), "{text}");
}

#[test]
fn an_unchanged_config_keeps_its_bytes() {
    for bytes in [
        &b" {\n \"architecture\" : \"amd64\", \"x\":[ 1.50, \"\\u003c\" ], \"CONFIG\": {\"Env\":null}}\n"[..],
        b"{\"author\":\"\xff\\ud800\",\"config\":null,\"rootfs\":null,\"history\":[null]}",
        b"{}",
    ] {
        let config = ImageConfig::parse(bytes.to_vec()).unwrap();
        assert_eq!(config.encode(), bytes);
        let mut changed = config.clone();
        changed.author = "other".into();
        changed.author = config.author.clone();
        assert_eq!(changed.encode(), bytes, "changed back");
    }
}

#[test]
fn a_change_keeps_all_else_and_the_order() {
    check(
        r#"{ "x": [1.50, "\u003c<"], "config": {"Domainname": "d", "ENV": ["A=1"], "Cmd": null}, "os": "linux" }"#,
        |config| config.config.env.push("B=<2>".into()),
        r#"{"x":[1.50,"\u003c<"],"config":{"Domainname":"d","ENV":["A=1","B=\u003c2\u003e"],"Cmd":null},"os":"linux"}"#,
    );
    check(
        r#"{"config":{"Cmd":["a"],"Entrypoint":[],"Labels":{"b":"1"},"Healthcheck":{"Test":["NONE"],"x":1}}}"#,
        |config| {
            config.config.cmd = None;
            config.config.labels.insert("a".into(), "2".into());
            config.architecture = "arm64".into();
        },
        r#"{"config":{"Entrypoint":[],"Labels":{"a":"2","b":"1"},"Healthcheck":{"Test":["NONE"],"x":1}},"architecture":"arm64"}"#,
    );
    check(
        r#"{"architecture":"amd64"}"#,
        |config| {
            config.config.user = "u".into();
            config.variant = Some("v2".into());
        },
        r#"{"architecture":"amd64","variant":"v2","config":{"User":"u"}}"#,
    );
    check(
        r#"{"config":null,"os":"linux"}"#,
        |config| {
            config.config.healthcheck = Some(Healthcheck {
                retries: 3,
                interval: Duration::from_secs(1),
                ..Healthcheck::default()
            })
        },
        r#"{"config":{"Healthcheck":{"Interval":1000000000,"Retries":3}},"os":"linux"}"#,
    );
}

#[test]
fn added_layers_keep_the_old_history() {
    let layer = Hasher::digest(Algorithm::Sha256, b"");
    let text = format!(r#""DIGEST","{layer}""#);
    check(
        r#"{"rootfs":{"base":"x","diff_ids":["DIGEST"],"type":"layers"},"history":[{"created_by":"a","x":1},null]}"#,
        |config| {
            config.diff_ids.push(layer.clone());
            config.history.push(HistoryEntry {
                created: Timestamp::from_unix(0, 500_000_000),
                created_by: "b".into(),
                empty_layer: true,
                ..HistoryEntry::default()
            });
        },
        &format!(
            r#"{{"rootfs":{{"base":"x","diff_ids":[{text}],"type":"layers"}},"history":[{{"created_by":"a","x":1}},null,{{"created":"1970-01-01T00:00:00.5Z","created_by":"b","empty_layer":true}}]}}"#
        ),
    );
}

#[test]
fn a_new_config_is_in_the_order_of_the_go_struct() {
    let mut config = ImageConfig::new("linux", "amd64");
    config.created = Timestamp::from_unix(0, 0);
    config.author = "a".into();
    config.variant = Some("v3".into());
    config.config.cmd = Some(vec!["sh".into()]);
    config.config.volumes = ["/b".to_owned(), "/a".to_owned()].into();
    config.diff_ids = vec![A.parse().unwrap()];
    config.history = vec![HistoryEntry { comment: "c".into(), ..HistoryEntry::default() }];
    let expected = r#"{"created":"1970-01-01T00:00:00Z","author":"a","architecture":"amd64","os":"linux","variant":"v3","config":{"Cmd":["sh"],"Volumes":{"/a":{},"/b":{}}},"rootfs":{"type":"layers","diff_ids":["DIGEST"]},"history":[{"comment":"c"}]}"#;
    let encoded = config.encode();
    assert_eq!(String::from_utf8_lossy(&encoded), expected.replace("DIGEST", A));
    // The Go tools would write the same.
    assert_eq!(to_oci(&encoded).unwrap(), (encoded.to_vec(), Vec::new()));
    assert!(crate::validate_config(&encoded).is_ok());
}

#[test]
fn docker_writes_some_things_differently() {
    let config = ImageConfig::parse(
        r#"{"config":{"Cmd":"a b","Shell":["x"],"OnBuild":["y"],"Healthcheck":{"Interval":-1,"Retries":7}}}"#,
    )
    .unwrap()
    .config;
    assert_eq!(config.cmd.as_deref(), Some(&["a b".to_owned()][..]));
    assert_eq!(config.shell.as_deref(), Some(&["x".to_owned()][..]));
    assert_eq!(config.on_build, ["y"]);
    let check = config.healthcheck.unwrap();
    assert_eq!((check.interval, check.retries), (Duration::ZERO, 7));
}

#[test]
fn malformed_configs_are_refused() {
    for (document, kind, path) in [
        ("", ManifestErrorKind::Syntax, ""),
        ("[]", ManifestErrorKind::WrongType, ""),
        (r#"{"os":1}"#, ManifestErrorKind::WrongType, "os"),
        (r#"{"os":"a","OS":"b"}"#, ManifestErrorKind::DuplicateKey, "OS"),
        (
            r#"{"config":{"Labels":{"a":"1","a":"2"}}}"#,
            ManifestErrorKind::DuplicateKey,
            "config.Labels.a",
        ),
        (r#"{"config":[]}"#, ManifestErrorKind::WrongType, "config"),
        (r#"{"config":{"Env":"A=1"}}"#, ManifestErrorKind::WrongType, "config.Env"),
        (r#"{"config":{"Volumes":["/a"]}}"#, ManifestErrorKind::WrongType, "config.Volumes"),
        (
            r#"{"config":{"ExposedPorts":{"80/tcp":1}}}"#,
            ManifestErrorKind::WrongType,
            "config.ExposedPorts[\"80/tcp\"]",
        ),
        (r#"{"created":"yesterday"}"#, ManifestErrorKind::InvalidValue, "created"),
        (
            r#"{"history":[{},{"created":"1970-01-01"}]}"#,
            ManifestErrorKind::InvalidValue,
            "history[1].created",
        ),
        (
            r#"{"rootfs":{"diff_ids":["sha256:../x"]}}"#,
            ManifestErrorKind::InvalidValue,
            "rootfs.diff_ids[0]",
        ),
        (r#"{"rootfs":{"diff_ids":[null]}}"#, ManifestErrorKind::WrongType, "rootfs.diff_ids[0]"),
    ] {
        let error = ImageConfig::parse(document).expect_err(document);
        assert_eq!((error.kind(), error.path()), (kind, path), "{document}: {error}");
    }
    let large = ImageConfig::parse(vec![b' '; (4 << 20) + 1]).unwrap_err();
    assert_eq!(
        large.to_string(),
        "exceeded maximum allowed size of 4194304 bytes (line 1, column 1)"
    );
}
