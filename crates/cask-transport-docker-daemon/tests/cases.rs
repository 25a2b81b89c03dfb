//! Rows of cases from the field: names and policy scopes.

#![cfg(test)]

use cask_transport::{Location, Transport as _};
use cask_transport_docker_daemon::DockerDaemonTransport;
use serde_json::Value;

/// A table of `transport-names.json`; `None` if the cases are not here.
fn table(name: &str, rows: usize) -> Option<Vec<Value>> {
    cask_cases::rows("transport-names.json", name, rows)
}

fn parse(text: &str) -> cask_transport::Result<Box<dyn Location>> {
    DockerDaemonTransport::default().parse(text)
}

#[test]
fn references_are_parsed_as_in_containers_image() {
    let Some(rows) = table("image/docker/daemon testParseReference:literal", 12) else { return };
    let mut refused = 0;
    for row in rows {
        let input = row["input"].as_str().unwrap();
        let (id, name) =
            (row["expectedID"].as_str().unwrap(), row["expectedRef"].as_str().unwrap());
        let Ok(location) = parse(input) else {
            assert_eq!((id, name), ("", ""), "{input} is refused");
            refused += 1;
            continue;
        };
        let found = location.reference().map(ToString::to_string).unwrap_or_default();
        assert_eq!(found, name);
        if !id.is_empty() {
            assert_eq!(location.to_string(), format!("docker-daemon:{id}"));
        }
    }
    assert_eq!(refused, 8);
}

#[test]
fn names_print_and_mean_the_same_as_in_containers_image() {
    for test in
        ["TestNewReference", "TestReferenceStringWithinTransport", "TestReferenceDockerReference"]
    {
        let table_name = format!("image/docker/daemon {test}:validNamedReferenceTestCases");
        let Some(rows) = table(&table_name, 4) else { return };
        for row in rows {
            let text = |key: &str| row[key].as_str().unwrap();
            let input = text("input").replacen("sha256:", "@sha256:", 1);
            let location = parse(&input).unwrap();
            let printed = text("stringWithinTransport").replacen("sha256:", "@sha256:", 1);
            assert_eq!(location.to_string(), format!("docker-daemon:{printed}"));
            assert_eq!(parse(&printed).unwrap().to_string(), location.to_string());
            let name = location.reference().unwrap().to_string();
            assert_eq!(name, text("dockerRef").replacen("sha256:", "@sha256:", 1));
            assert_eq!(location.name().unwrap(), name);
            assert_eq!(location.policy_identity().unwrap().identity, name);
        }
    }
}

#[test]
fn policy_scopes_are_those_of_names() {
    let name = "image/docker/daemon TestTransportValidatePolicyConfigurationScope:literal";
    let Some(rows) = table(name, 8) else { return };
    for row in rows {
        // The rows were joined from parts without the `@`.
        let scope = row.as_str().unwrap();
        DockerDaemonTransport::default().validate_policy_scope(scope).unwrap();
    }
    let id = format!("sha256:{}", "0".repeat(64));
    let error = DockerDaemonTransport::default().validate_policy_scope(&id).unwrap_err();
    assert!(error.to_string().contains("can not use algo:digest value sha256:000"), "{error}");
    let by_id = parse(&id).unwrap().policy_identity().unwrap();
    assert!(by_id.identity.is_empty() && by_id.namespaces.is_empty());
    let named = parse("a.example.com/ns/it:1").unwrap().policy_identity().unwrap();
    let expected =
        ["a.example.com/ns/it", "a.example.com/ns", "a.example.com", "*.example.com", "*.com"];
    assert_eq!(named.namespaces, expected);
}

#[test]
fn what_is_wrong_is_said() {
    let check = |text: &str, expected: &str| {
        let error = parse(text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let whole = format!("{error}: {}", source.unwrap_or_default());
        assert!(whole.contains(expected), "{text}: {whole}");
    };
    check("", "docker-daemon parsing reference: invalid reference format");
    check("foo", "docker-daemon: reference foo has neither a tag nor a digest");
    check("sha256:ab", "The sha256 repository name is reserved");
    check(&format!("sha512:{}", "0".repeat(128)), "only digest algorithm sha256 accepted");
    check(&format!("a:1@sha256:{}", "0".repeat(64)), "has both a tag and a digest");
}
