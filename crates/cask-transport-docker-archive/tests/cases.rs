//! Rows of cases from the field: names and policy scopes.

#![cfg(test)]

use cask_transport::{Location, Transport as _, Transports};
use cask_transport_docker_archive::DockerArchiveTransport;
use serde_json::Value;

/// A table of `transport-names.json`; `None` if the cases are not here.
fn table(name: &str, rows: usize) -> Option<Vec<Value>> {
    cask_cases::rows("transport-names.json", name, rows)
}

fn parse(text: &str) -> cask_transport::Result<Box<dyn Location>> {
    DockerArchiveTransport::default().parse(text)
}

/// How a location is printed that has these parts.
fn printed(path: &str, reference: &str, position: i64) -> String {
    match (reference, position) {
        ("", -1) => format!("docker-archive:{path}"),
        ("", position) => format!("docker-archive:{path}:@{position}"),
        (reference, _) => format!("docker-archive:{path}:{reference}"),
    }
}

#[test]
fn names_come_back_as_they_are() {
    let name = "image/transports/alltransports TestImageNameHandling:literal";
    let Some(rows) = table(name, 9) else { return };
    let transports = Transports::new().with(DockerArchiveTransport::default());
    let mut count = 0;
    for row in rows.iter().filter(|row| row["transport"] == "docker-archive") {
        let text = format!("docker-archive:{}", row["input"].as_str().unwrap());
        let location = transports.parse(&text).unwrap();
        let round_trip = format!("docker-archive:{}", row["roundtrip"].as_str().unwrap());
        assert_eq!(location.to_string(), round_trip);
        assert_eq!(transports.parse(&round_trip).unwrap().to_string(), round_trip);
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn references_are_parsed_as_in_containers_image() {
    let Some(rows) = table("image/docker/archive testParseReference:literal", 15) else { return };
    let mut refused = 0;
    for row in rows {
        let input = row["input"].as_str().unwrap();
        let path = row["expectedPath"].as_str().unwrap();
        let Ok(location) = parse(input) else {
            assert_eq!(path, "", "{input} is refused");
            refused += 1;
            continue;
        };
        let reference = row["expectedRef"].as_str().unwrap();
        let position = row["expectedSourceIndex"].as_i64().unwrap();
        assert_eq!(location.to_string(), printed(path, reference, position));
        let found = location.reference().map(ToString::to_string).unwrap_or_default();
        assert_eq!(found, reference);
        assert_eq!(location.capabilities().write, position < 0);
    }
    assert_eq!(refused, 9);
}

#[test]
fn locations_are_made_of_parts_as_in_containers_image() {
    let tests = "image/docker/archive";
    let Some(paths) = table(&format!("{tests} TestNewReference:literal"), 2) else { return };
    let references = table(&format!("{tests} TestNewReference:literal#2"), 3).unwrap();
    let index_paths = table(&format!("{tests} TestNewIndexReference:literal"), 2).unwrap();
    let positions = table(&format!("{tests} TestNewIndexReference:literal#2"), 4).unwrap();
    for path in &paths {
        for row in &references {
            let separator = if row["ref"] == "" { "" } else { ":" };
            let reference = row["ref"].as_str().unwrap();
            let text = format!("{}{separator}{reference}", path.as_str().unwrap());
            assert_eq!(parse(&text).is_ok(), row["ok"] == true, "{text}");
        }
    }
    for path in &index_paths {
        for row in &positions {
            let text = format!("{}:@{}", path.as_str().unwrap(), row["index"]);
            assert_eq!(parse(&text).is_ok(), row["ok"] == true, "{text}");
        }
    }
}

#[test]
fn locations_print_and_name_what_they_mean() {
    for test in [
        "TestReferenceStringWithinTransport",
        "TestReferenceDockerReference",
        "TestReferencePolicyConfigurationIdentity",
        "TestReferencePolicyConfigurationNamespaces",
    ] {
        let name = format!("image/docker/archive {test}:validReferenceTestCases");
        let Some(rows) = table(&name, 6) else { return };
        for row in rows {
            let location = parse(row["input"].as_str().unwrap()).unwrap();
            let within = row["stringWithinTransport"].as_str().unwrap();
            assert_eq!(location.to_string(), format!("docker-archive:{within}"));
            let reference = location.reference().map(ToString::to_string).unwrap_or_default();
            assert_eq!(reference, row["dockerRef"].as_str().unwrap());
            assert_eq!(location.name().unwrap_or_default(), reference);
            let identity = location.policy_identity().unwrap();
            assert!(identity.identity.is_empty() && identity.namespaces.is_empty());
        }
    }
}

#[test]
fn no_policy_scope_is_accepted() {
    let name = "image/docker/archive TestTransportValidatePolicyConfigurationScope:literal";
    let Some(rows) = table(name, 5) else { return };
    for row in rows {
        let scope = row.as_str().unwrap();
        DockerArchiveTransport::default().validate_policy_scope(scope).unwrap_err();
    }
}

#[test]
fn what_is_wrong_is_said() {
    let check = |text: &str, expected: &str| {
        let error = parse(text).unwrap_err();
        let source = std::error::Error::source(&error).map(ToString::to_string);
        let whole = format!("{error}: {}", source.unwrap_or_default());
        assert!(whole.contains(expected), "{text}: {whole}");
    };
    check("", "isn't of the form <path>[:<reference>]");
    check(":a:b", "isn't of the form <path>[:<reference>]");
    check("a\0", "isn't of the form <path>[:<reference>]");
    check("a:", "docker-archive parsing reference: invalid reference format");
    check("a:UPPER", "invalid reference format: repository name (library/UPPER) must be lowercase");
    check("a:@x", "Invalid source index @x: not an integer");
    check("a:@", "Invalid source index @: not an integer");
    check("a:@-1", "Invalid source index @-1: must not be negative");
    let digest = format!("sha256:{}", "0".repeat(64));
    check(&format!("a:b:c@{digest}"), "docker-archive doesn't support digest references: ");
    check(&format!("a:b@{digest}"), "reference does not include a tag: ");
    assert_eq!(parse("a:@+01").unwrap().to_string(), "docker-archive:a:@1");
}
