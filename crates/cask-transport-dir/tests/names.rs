//! Names, policy scopes and versions: rows of cases from the field, and our own.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod common;

use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use cask_testkit::generate::write_dir;
use cask_transport::{ErrorKind, Transport as _, Transports, WriteOptions};
use cask_transport_dir::DirTransport;
use common::{image, location, parse};
use serde_json::Value;

/// A table of `transport-names.json` with this many rows; `None` if the cases are not here.
fn table(name: &str, rows: usize) -> Option<Vec<Value>> {
    cask_cases::rows("transport-names.json", name, rows)
}

#[test]
fn names_come_back_as_they_are() {
    let transports = Transports::new().with(DirTransport);
    let table_of = "image/transports/alltransports";
    let Some(rows) = table(&format!("{table_of} TestImageNameHandling:literal"), 9) else { return };
    let mut count = 0;
    for row in rows.iter().filter(|row| row["transport"] == "dir") {
        let text = format!("dir:{}", row["input"].as_str().unwrap());
        let location = transports.parse(&text).unwrap();
        assert_eq!(location.scheme(), "dir");
        let printed = location.to_string();
        assert_eq!(printed, format!("dir:{}", row["roundtrip"].as_str().unwrap()));
        assert_eq!(transports.parse(&printed).unwrap().to_string(), printed);
        count += 1;
    }
    assert_eq!(count, 1);
    for row in table(&format!("{table_of} TestParseImageName:literal"), 4).unwrap() {
        transports.parse(row.as_str().unwrap()).unwrap_err();
    }
}

#[tokio::test]
async fn locations_are_any_path_whose_parent_exists() {
    let temp = tempfile::tempdir().unwrap();
    let Some(rows) = table("image/directory testNewReference:literal", 5) else { return };
    for row in rows {
        let text = row.as_str().unwrap().replace("$TMP", temp.path().to_str().unwrap());
        let location = parse(&text);
        assert_eq!(location.to_string(), format!("dir:{text}"));
        assert!(location.reference().is_none() && location.name().is_none());
        location.policy_identity().unwrap_or_else(|error| panic!("{text}: {error:?}"));
    }
    let location = location(&temp.path().join("thisparentdoesnotexist/something"));
    assert_eq!(location.policy_identity().unwrap_err().kind(), ErrorKind::NotFound);
    assert_eq!(location.source().await.unwrap_err().kind(), ErrorKind::NotFound);
    let error = location.begin(&WriteOptions::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.hint(), Some("the parent directory must exist"));
}

#[test]
fn scopes_are_absolute_paths_in_their_shortest_form() {
    let name = "image/directory TestTransportValidatePolicyConfigurationScope:literal";
    let Some(valid) = table(name, 2) else { return };
    for scope in valid {
        DirTransport.validate_policy_scope(scope.as_str().unwrap()).unwrap();
    }
    for scope in table(&format!("{name}#2"), 6).unwrap() {
        let scope = scope.as_str().unwrap();
        let error = DirTransport.validate_policy_scope(scope).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidLocation);
        assert!(error.to_string().starts_with("Invalid scope "), "{error}");
    }
}

#[test]
fn namespaces_are_the_directories_above() {
    let name = "image/directory TestReferencePolicyConfigurationNamespaces:literal";
    for path in table(name, 2).into_iter().flatten() {
        let identity = parse(path.as_str().unwrap()).policy_identity().unwrap();
        assert_eq!(identity.namespaces.last().map(String::as_str), Some("/usr"));
    }
    let identity = parse("/").policy_identity().unwrap();
    assert_eq!((identity.identity.as_str(), identity.namespaces.len()), ("/", 0));
    let identity = parse("/not-here").policy_identity().unwrap();
    assert_eq!((identity.identity.as_str(), identity.namespaces.len()), ("/not-here", 1));
}

#[tokio::test]
async fn versions_are_read_to_the_letter() {
    let Some(rows) = table("image/directory TestParseVersion:literal", 5) else { return };
    let temp = tempfile::tempdir().unwrap();
    write_dir(temp.path(), &image(1)).unwrap();
    for row in rows {
        std::fs::write(temp.path().join("version"), row["input"].as_str().unwrap()).unwrap();
        let result = location(temp.path()).source().await;
        assert_eq!(result.is_err(), row["shouldError"].as_bool().unwrap(), "{row}");
        if let Err(error) = result {
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{error:?}");
            assert!(error.to_string().contains("invalid version file content"), "{error}");
        }
    }
}

/// What a path is in the eyes of the policy; both are below the same directory.
#[track_caller]
fn check_identity(top: &Path, path: &str, expected: Option<&str>) {
    let text = format!("{}/{path}", top.display());
    let found = parse(&text).policy_identity();
    let Some(expected) = expected else {
        assert_eq!(found.unwrap_err().kind(), ErrorKind::NotFound, "{path}");
        return;
    };
    let expected = top.join(expected);
    let found = found.unwrap_or_else(|error| panic!("{path}: {error:?}"));
    assert_eq!(Path::new(&found.identity), expected, "{path}");
    let mut above: Vec<_> = expected.ancestors().collect();
    assert_eq!(above.pop(), Some(Path::new("/")));
    assert!(found.namespaces.iter().map(Path::new).eq(above), "{:?}", found.namespaces);
    for scope in std::iter::once(&found.identity).chain(&found.namespaces) {
        DirTransport.validate_policy_scope(scope).unwrap();
    }
}

#[test]
fn a_path_has_one_identity_however_it_is_written() {
    let temp = tempfile::tempdir().unwrap();
    let top = temp.path().canonicalize().unwrap();
    std::fs::create_dir_all(top.join("dir1/dir2/dir3")).unwrap();
    let link = |target: &str, name: &str| {
        std::os::unix::fs::symlink(target, top.join(name)).unwrap();
    };
    link("dir1", "link1");
    link("dir2", "dir1/link2");
    link("../dir1/dir2", "dir1/round");
    link("dir3", "dir1/dir2/link3");
    link("missing", "dangling");
    for (path, expected) in [
        ("dir1/dir2/dir3", Some("dir1/dir2/dir3")),
        ("dir1//dir2/", Some("dir1/dir2")),
        ("link1/dir2", Some("dir1/dir2")),
        ("dir1/link2", Some("dir1/dir2")),
        ("dir1/link2/", Some("dir1/dir2")),
        ("dir1/./dir2/../dir2/dir3", Some("dir1/dir2/dir3")),
        ("dir1/dir2/..", Some("dir1")),
        ("dir1/round", Some("dir1/dir2")),
        ("dir1/dir2/link3/../..", Some("dir1")),
        ("new", Some("new")),
        ("new/", Some("new")),
        ("new/.", Some("new")),
        ("link1/new", Some("dir1/new")),
        ("new/..", None),
        ("missing/dir2", None),
        ("dangling", None),
        ("dangling/", None),
        ("dangling/dir2", None),
    ] {
        check_identity(&top, path, expected);
    }
    // Two paths that print alike must not be one to the policy.
    let odd = top.join(std::ffi::OsStr::from_bytes(b"\xff"));
    std::fs::create_dir(&odd).unwrap();
    std::os::unix::fs::symlink(&odd, top.join("odd")).unwrap();
    let error = location(&top.join("odd")).policy_identity().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidLocation, "{error:?}");
}

#[test]
fn what_cannot_be_a_path_is_refused() {
    for (text, expected) in [
        ("", "parsing \"dir:\": the path is missing"),
        ("a\0b", "parsing \"dir:a\\0b\": a path cannot contain a zero byte"),
    ] {
        let error = DirTransport.parse(text).unwrap_err();
        assert_eq!((error.kind(), &*error.to_string()), (ErrorKind::InvalidLocation, expected));
    }
    for text in [".", "..", "/", "a:b", "a@sha256:b", " ", "a\nb", "-", "\u{1f980}", "a//b/../c/"] {
        assert_eq!(parse(text).to_string(), format!("dir:{text}"));
    }
}
