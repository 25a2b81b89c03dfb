//! Rows of cases from the field: references, and layouts to look up and to delete in.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

use std::path::{Path, PathBuf};

use cask_layout::{
    Content as _, ErrorKind, ImageChoice, Layout, LayoutOptions, LayoutReference, ReferenceName,
    Selector,
};
use serde_json::Value;

/// The folder of cases; `None` if it is not here.
fn cases() -> Option<PathBuf> {
    cask_cases::folder("the names of layouts")
}

/// A table of `transport-names.json`, which must have so many rows.
fn table(name: &str, rows: usize) -> Option<Vec<Value>> {
    cask_cases::rows("transport-names.json", name, rows)
}

/// A writable copy of a layout among the cases, with the file `oci-layout` where it lacks one.
fn fixture(name: &str) -> Option<tempfile::TempDir> {
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir_all(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let to = to.join(entry.file_name());
            if entry.file_type().unwrap().is_dir() {
                copy(&entry.path(), &to);
            } else {
                std::fs::write(to, std::fs::read(entry.path()).unwrap()).unwrap();
            }
        }
    }
    let folder = cases()?.join("fixtures/oci-layout").join(name);
    let temp = tempfile::tempdir().unwrap();
    copy(&folder, temp.path());
    let marker = temp.path().join("oci-layout");
    if !marker.exists() {
        std::fs::write(marker, r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    }
    Some(temp)
}

fn open(path: &Path) -> Layout {
    Layout::open(path, LayoutOptions::default()).unwrap()
}

/// What a row says is chosen: a name, or a position unless that is -1.
fn choice(row: &Value) -> ImageChoice {
    let position = row.get("sourceIndex").or_else(|| row.get("index")).and_then(Value::as_i64);
    match (row["image"].as_str().unwrap_or_default(), position) {
        (_, Some(position @ 0..)) => ImageChoice::Position(usize::try_from(position).unwrap()),
        ("", _) => ImageChoice::Only,
        (name, _) => ImageChoice::Name(ReferenceName::parse(name).unwrap()),
    }
}

fn check(text: &str, path: &str, image: &ImageChoice) {
    let reference = LayoutReference::parse(text).unwrap();
    assert_eq!((reference.path(), reference.image()), (path, image), "{text}");
    assert_eq!(LayoutReference::parse(&reference.to_string()).unwrap(), reference, "{text}");
}

#[test]
fn references_to_layouts_and_archives() {
    for (package, suffixes) in [("layout", 7), ("archive", 4)] {
        let name = format!("image/oci/{package} testParseReference:literal");
        let Some(paths) = table(&name, 5) else { return };
        for row in table(&format!("{name}#2"), suffixes).unwrap() {
            for path in &paths {
                let path = path.as_str().unwrap().replace("$TMP", "/a temporary/directory");
                let text = format!("{path}{}", row["suffix"].as_str().unwrap());
                check(&text, &path, &choice(&row));
            }
        }
    }
}

#[test]
fn references_are_split() {
    let name = "image/oci/internal TestSplitReferenceIntoDirAndImageNonWindows:tests";
    let Some(rows) = table(name, 3) else { return };
    for row in rows {
        check(row["ref"].as_str().unwrap(), row["dir"].as_str().unwrap(), &choice(&row));
    }
    let name = "image/oci/internal TestParseOCIReferenceName:validTests";
    for row in table(name, 2).unwrap() {
        check(&format!("/x:{}", row["ref"].as_str().unwrap()), "/x", &choice(&row));
    }
    for row in table("image/oci/internal TestParseOCIReferenceName:invalidTests", 2).unwrap() {
        LayoutReference::parse(&format!("/x:{}", row.as_str().unwrap())).unwrap_err();
    }
    for package in ["layout", "archive"] {
        let rows = if package == "layout" { 3 } else { 2 };
        let name = format!("image/oci/{package} TestReferenceStringWithinTransport:literal");
        for row in table(&name, rows).unwrap() {
            let reference = LayoutReference::parse(row["input"].as_str().unwrap()).unwrap();
            assert_eq!(reference.to_string(), row["result"].as_str().unwrap());
        }
    }
}

#[test]
fn layouts_are_listed() {
    let Some(rows) = table("image/oci/layout TestList:literal", 3) else { return };
    for row in rows {
        let name = row["path"].as_str().unwrap().strip_prefix("fixtures/").unwrap();
        let temp = fixture(name).unwrap();
        let entries = open(temp.path()).list().unwrap();
        let digests: Vec<_> =
            entries.iter().map(|entry| entry.descriptor.digest.as_str()).collect();
        let expected: Vec<_> =
            row["digests"].as_array().unwrap().iter().map(|d| d.as_str().unwrap()).collect();
        assert_eq!(digests, expected, "{name}");
        for entry in &entries {
            let expected = row["names"][entry.position.to_string()].as_str().unwrap();
            assert_eq!(entry.name().unwrap_or_default(), expected, "{name}");
        }
        assert_eq!(row["num"], entries.len());
    }
}

#[test]
fn names_are_looked_up() {
    let Some(temp) = fixture("name_lookups") else { return };
    let layout = open(temp.path());
    for (name, position) in [("a", 0), ("b", 1), ("c", 2), ("d", 3)] {
        let found = layout.resolve(Selector::Name(name)).unwrap();
        assert_eq!((found.position, found.depth), (position, 0), "{name}");
        assert_eq!(found.descriptor.size, position as u64 + 1);
    }
    let missing = layout.resolve(Selector::Name("this-does-not-exist")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    let strange = layout.resolve(Selector::Name("invalid-mime")).unwrap_err();
    assert_eq!(strange.kind(), ErrorKind::Unsupported);
    let words = r#"reference "invalid-mime" matches unsupported manifest MIME types ["x-completely-unknown"]"#;
    assert!(strange.to_string().ends_with(words), "{strange}");

    let temp = fixture("manifest").unwrap();
    let only = open(temp.path()).resolve(Selector::Only).unwrap();
    assert_eq!(only.name(), Some("v0.1.1"));
    assert_eq!(only.descriptor.platform.unwrap().architecture, "amd64");

    let temp = fixture("two_images_manifest").unwrap();
    let layout = open(temp.path());
    assert_eq!(layout.resolve(Selector::Only).unwrap_err().kind(), ErrorKind::Ambiguous);
    let first = layout.resolve(Selector::Position(0)).unwrap().descriptor;
    assert_eq!((first.size, first.platform.unwrap().architecture.as_str()), (7143, "ppc64le"));
    let error = layout.resolve(Selector::Position(6)).unwrap_err();
    assert!(error.to_string().ends_with("index 6 is too large, only 2 entries available"));
}

/// How many blobs a layout has left, and which of some it still has.
fn blobs(path: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(path.join("sha256")).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn images_are_deleted_as_containers_image_does() {
    let check = |name: &str, selector: Selector<'_>, entries: usize, left: usize, gone: &[&str]| {
        let Some(temp) = fixture(name) else { return };
        let layout = open(temp.path());
        let removed = layout.delete(selector).unwrap();
        assert_eq!(removed.entries.len(), 1, "{name} {selector:?}");
        assert!(removed.unreadable.is_empty(), "{name} {selector:?}: {:?}", removed.unreadable);
        assert_eq!(layout.list().unwrap().len(), entries, "{name} {selector:?}");
        let blobs = blobs(&temp.path().join("blobs"));
        assert_eq!(blobs.len(), left, "{name} {selector:?}");
        for start in gone {
            assert!(!blobs.iter().any(|blob| blob.starts_with(start)), "{name}: {start}");
        }
    };
    check("delete_image_only_one_image", Selector::Name("latest"), 0, 0, &[]);
    check("delete_image_only_one_image", Selector::Only, 0, 0, &[]);
    let many = "delete_image_multiple_images";
    check(many, Selector::Name("3.17.5"), 6, 16, &["5b2aba4d", "df11bc18", "986315a0"]);
    check(many, Selector::Name("1.0.0"), 6, 17, &["0dc27f36", "a6f737ac"]);
    check(
        many,
        Selector::Name("3.16.7"),
        6,
        12,
        &["861d3c01", "39c52441", "f732172a", "02ea786c", "be6036f9", "7ffdfe7d", "e2f7e037"],
    );
    check(many, Selector::Name("3.18.3"), 6, 19, &[]);
    let twice = "delete_image_two_identical_references";
    check(twice, Selector::Name("1.0.0"), 1, 3, &["49d15844"]);

    let Some(temp) = fixture(many) else { return };
    let layout = open(temp.path());
    let missing = layout.delete(Selector::Name("does-not-exist")).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert_eq!(layout.delete(Selector::Only).unwrap_err().kind(), ErrorKind::Ambiguous);
}

#[test]
fn shared_blobs_stay() {
    let Some(temp) = fixture("delete_image_shared_blobs_dir") else { return };
    let mut options = LayoutOptions::default();
    options.shared_blob_dir = Some(temp.path().join("shared_blobs"));
    let layout = Layout::open(temp.path(), options).unwrap();
    layout.delete(Selector::Name("latest")).unwrap();
    assert_eq!(layout.list().unwrap().len(), 0);
    assert_eq!(blobs(&temp.path().join("blobs")), Vec::<String>::new());
    assert_eq!(blobs(&temp.path().join("shared_blobs")).len(), 2);
}
