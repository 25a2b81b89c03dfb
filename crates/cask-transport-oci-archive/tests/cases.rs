//! Rows of cases from the field: names and policy scopes.

#![cfg(test)]

use std::path::Path;

use cask_transport::{Location, Transport as _, Transports};
use cask_transport_oci_archive::OciArchiveTransport;
use serde_json::Value;

/// A table of `transport-names.json`; `None` if the cases are not here.
fn table(name: &str, rows: usize) -> Option<Vec<Value>> {
    cask_cases::rows("transport-names.json", name, rows)
}

fn parse(text: &str) -> Box<dyn Location> {
    OciArchiveTransport::default().parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Replaces the temporary directory's placeholder.
fn at(temp: &Path, text: &Value) -> String {
    text.as_str().unwrap().replace("$TMP", temp.to_str().unwrap())
}

#[test]
fn names_come_back_as_they_are() {
    let name = "image/transports/alltransports TestImageNameHandling:literal";
    let Some(rows) = table(name, 9) else { return };
    let transports = Transports::new().with(OciArchiveTransport::default());
    let mut count = 0;
    for row in rows.iter().filter(|row| row["transport"] == "oci-archive") {
        let text = format!("oci-archive:{}", row["input"].as_str().unwrap());
        let location = transports.parse(&text).unwrap();
        assert_eq!(location.scheme(), "oci-archive");
        let round_trip = format!("oci-archive:{}", row["roundtrip"].as_str().unwrap());
        assert_eq!(location.to_string(), round_trip);
        assert_eq!(transports.parse(&round_trip).unwrap().to_string(), round_trip);
        count += 1;
    }
    assert_eq!(count, 2);
}

#[test]
fn every_path_goes_with_every_image() {
    let tests = "image/oci/archive testParseReference:literal";
    let Some(paths) = table(tests, 5) else { return };
    let suffixes = table(&format!("{tests}#2"), 4).unwrap();
    let temp = tempfile::tempdir().unwrap();
    for path in &paths {
        let path = at(temp.path(), path);
        for row in &suffixes {
            let image = row["image"].as_str().unwrap();
            let location = parse(&format!("{path}{}", row["suffix"].as_str().unwrap()));
            assert_eq!(location.to_string(), format!("oci-archive:{path}:{image}"));
            assert_eq!(location.name().unwrap_or_default(), image);
        }
    }
}

#[test]
fn references_print_as_in_containers_image() {
    let name = "image/oci/archive TestReferenceStringWithinTransport:literal";
    let Some(rows) = table(name, 2) else { return };
    for row in rows {
        let location = parse(row["input"].as_str().unwrap());
        let result = row["result"].as_str().unwrap();
        assert_eq!(location.to_string(), format!("oci-archive:{result}"));
    }
}

#[test]
fn scopes_are_judged_as_in_containers_image() {
    let judged = |name: &str, count: usize, valid: bool| {
        let Some(rows) = table(name, count) else { return };
        for row in rows {
            let result =
                OciArchiveTransport::default().validate_policy_scope(row.as_str().unwrap());
            assert_eq!(result.is_ok(), valid, "{row}: {result:?}");
        }
    };
    let name = "image/oci/archive TestTransportValidatePolicyConfigurationScope:literal";
    judged(name, 2, true);
    judged(&format!("{name}#2"), 6, false);
}

#[test]
fn namespaces_are_those_of_containers_image() {
    let name = "image/oci/archive TestReferencePolicyConfigurationNamespaces:literal";
    let Some(rows) = table(name, 2) else { return };
    for row in rows {
        let location = parse(&format!("{}:someimage", row.as_str().unwrap()));
        let identity = location.policy_identity().unwrap();
        assert_eq!(identity.identity, "/usr/share");
        assert_eq!(identity.namespaces, ["/usr/share", "/usr"]);
    }
}

#[test]
fn positions_and_what_is_wrong() {
    let location = parse("a.tar:@12");
    assert_eq!(location.to_string(), "oci-archive:a.tar:@12");
    assert!(!location.capabilities().write && location.capabilities().read);
    assert_eq!(parse("-:x").to_string(), "oci-archive:-:x");
    for text in ["", ":x", "a:@x", "a:@-1", "a:b/../c", "a:b c", "a\0"] {
        let error = OciArchiveTransport::default().parse(text).unwrap_err();
        assert_eq!(error.kind(), cask_transport::ErrorKind::InvalidLocation, "{text}");
    }
}
