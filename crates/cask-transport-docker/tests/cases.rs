//! Rows of cases from the field: names and policy scopes.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use cask_transport::{Location, Transport as _, Transports};
use cask_transport_docker::{DockerOptions, DockerTransport};
use serde_json::Value;

/// A table of a file of cases; `None` if the cases are not here.
fn table(file: &str, name: &str) -> Option<Value> {
    let folder = cask_cases::folder(name)?;
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let names: Value = serde_json::from_str(&text).unwrap();
    Some(names["tables"][name]["rows"].clone())
}

fn rows(file: &str, name: &str, count: usize) -> Vec<Value> {
    let Some(table) = table(file, name) else { return Vec::new() };
    let rows = table.as_array().expect(name).clone();
    assert_eq!(rows.len(), count, "{name}");
    rows
}

const FILE: &str = "docker-transport.json";

fn transport() -> DockerTransport {
    DockerTransport::new(DockerOptions::default())
}

fn parse(text: &str) -> Box<dyn Location> {
    transport().parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

#[test]
fn references_are_parsed_as_in_containers_image() {
    for row in rows(FILE, "image/docker testParseReference:literal", 11) {
        let input = row["input"].as_str().unwrap();
        let expected = row["expected"].as_str().unwrap();
        match transport().parse(input) {
            // On purpose: containers/image refuses a tag with a digest.
            Ok(location) if input.contains(":latest@") => {
                assert!(expected.is_empty() && location.reference().unwrap().digest().is_some());
            }
            Ok(location) => {
                assert_eq!(location.reference().unwrap().to_string(), expected, "{input}");
                let unknown = row["expectedUnknownDigest"].as_bool().unwrap();
                assert_eq!(location.reference().unwrap().is_name_only(), unknown, "{input}");
            }
            Err(error) => assert_eq!(expected, "", "{input}: {error}"),
        }
    }
}

#[test]
fn references_print_as_in_containers_image() {
    let tables = ["NewReference", "NewReferenceUnknownDigest", "ReferenceStringWithinTransport"];
    for table in tables.iter().chain(&["ReferenceDockerReference"]) {
        for row in rows(FILE, &format!("image/docker Test{table}:validReferenceTestCases"), 6) {
            let location = parse(&format!("//{}", row["input"].as_str().unwrap()));
            let printed = row["stringWithinTransport"].as_str().unwrap();
            assert_eq!(location.to_string(), format!("docker:{printed}"));
            let reference = location.reference().unwrap().to_string();
            assert_eq!(reference, row["dockerRef"].as_str().unwrap());
        }
    }
}

#[test]
fn a_reference_asks_for_its_tag_or_its_digest() {
    let Some(rows) = table(FILE, "image/docker TestReferenceTagOrDigest:literal") else { return };
    let rows = rows.as_object().unwrap().clone();
    assert_eq!(rows.len(), 2);
    for (input, expected) in rows {
        let location = parse(&input);
        assert_eq!(location.reference().unwrap().selector(), expected.as_str());
    }
}

#[test]
fn every_scope_is_accepted() {
    let name = "image/docker TestTransportValidatePolicyConfigurationScope:literal";
    for row in rows(FILE, name, 6) {
        transport().validate_policy_scope(row.as_str().unwrap()).unwrap();
    }
}

#[test]
fn names_come_back_as_they_are() {
    let name = "image/transports/alltransports TestImageNameHandling:literal";
    let transports = Transports::new().with(transport());
    let rows = rows("transport-names.json", name, 9);
    let ours: Vec<_> = rows.iter().filter(|row| row["transport"] == "docker").collect();
    assert!(rows.is_empty() || ours.len() == 2);
    for row in ours {
        let location = transports.parse(&format!("docker:{}", row["input"].as_str().unwrap()));
        let printed = location.unwrap().to_string();
        assert_eq!(printed, format!("docker:{}", row["roundtrip"].as_str().unwrap()));
        assert_eq!(transports.parse(&printed).unwrap().to_string(), printed);
    }
}
