//! Rows of cases from the field: names and policy scopes.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::Path;

use cask_transport::{Location, Transport as _, Transports};
use cask_transport_oci::OciTransport;
use serde_json::Value;

/// A table of `transport-names.json`; `None` if the cases are not here.
fn table(name: &str) -> Option<Vec<Value>> {
    let folder = cask_cases::folder(name)?;
    let path = folder.join("transport-names.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let names: Value = serde_json::from_str(&text).unwrap();
    Some(names["tables"][name]["rows"].as_array().expect(name).clone())
}

fn parse(text: &str) -> Box<dyn Location> {
    OciTransport::default().parse(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// Replaces the temporary directory's placeholder.
fn at(temp: &Path, text: &Value) -> String {
    text.as_str().unwrap().replace("$TMP", temp.to_str().unwrap())
}

#[test]
fn names_come_back_as_they_are() {
    let Some(rows) = table("image/transports/alltransports TestImageNameHandling:literal") else {
        return;
    };
    let transports = Transports::new().with(OciTransport::default());
    let mut count = 0;
    for row in rows.iter().filter(|row| row["transport"] == "oci") {
        let text = format!("oci:{}", row["input"].as_str().unwrap());
        let location = transports.parse(&text).unwrap();
        assert_eq!(location.scheme(), "oci");
        let printed = location.to_string();
        assert_eq!(printed, format!("oci:{}", row["roundtrip"].as_str().unwrap()));
        assert_eq!(transports.parse(&printed).unwrap().to_string(), printed);
        count += 1;
    }
    assert_eq!((rows.len(), count), (9, 2));
    let Some(rows) = table("image/transports/alltransports TestParseImageName:literal") else {
        return;
    };
    assert_eq!(rows.len(), 4);
    for row in rows {
        transports.parse(row.as_str().unwrap()).unwrap_err();
    }
}

#[test]
fn references_print_as_in_containers_image() {
    let Some(rows) = table("image/oci/layout TestReferenceStringWithinTransport:literal") else {
        return;
    };
    assert_eq!(rows.len(), 3);
    for row in rows {
        let location = parse(row["input"].as_str().unwrap());
        assert_eq!(location.to_string(), format!("oci:{}", row["result"].as_str().unwrap()));
    }
}

#[test]
fn scopes_are_judged_as_in_containers_image() {
    let judged = |name: &str, count: usize, valid: bool| {
        let Some(rows) = table(name) else { return };
        assert_eq!(rows.len(), count);
        for row in rows {
            let result = OciTransport::default().validate_policy_scope(row.as_str().unwrap());
            assert_eq!(result.is_ok(), valid, "{row}: {result:?}");
        }
    };
    let name = "image/oci/layout TestTransportValidatePolicyConfigurationScope:literal";
    judged(name, 2, true);
    judged(&format!("{name}#2"), 6, false);
}

#[test]
fn namespaces_are_those_of_containers_image() {
    let name = "image/oci/layout TestReferencePolicyConfigurationNamespaces:literal";
    let Some(rows) = table(name) else { return };
    assert_eq!(rows.len(), 2);
    for row in rows {
        let identity = parse(&format!("{}:someimage", row.as_str().unwrap())).policy_identity();
        let identity = identity.unwrap();
        assert_eq!(identity.identity, "/usr/share");
        assert_eq!(identity.namespaces, ["/usr/share", "/usr"]);
    }
}

#[test]
fn a_reference_without_a_parent_or_with_a_negative_position_has_no_identity() {
    let Some(rows) = table("image/oci/layout TestNewIndexReference:literal") else { return };
    assert_eq!(rows.len(), 4);
    let temp = tempfile::tempdir().unwrap();
    for row in rows {
        let text = format!("{}:@{}", at(temp.path(), &row["dir"]), row["index"]);
        // A text cannot have a colon in its path: what follows is taken for a name or a position.
        let parsed = OciTransport::default().parse(&text);
        assert!(parsed.and_then(|location| location.policy_identity()).is_err(), "{text}");
    }
}
