//! `copy`, with each flag that is for local places.

use tests::{Scratch, Tree, tree};

use crate::{both, place, ready, words};

/// What was written, without permissions, and with archives' times as they may be.
fn written(place: &Scratch, name: &str) -> Tree {
    let mut tree = tree(&place.join(name));
    for (name, (mode, bytes)) in &mut tree {
        *mode = 0;
        if name.ends_with("/index.json") || name.ends_with("/oci-layout") {
            // These have no digest: what they say counts.
            let mut value: serde_json::Value = serde_json::from_slice(bytes).expect("it is JSON");
            value.as_object_mut().expect("it is an object").remove("mediaType");
            *bytes = value.to_string().into_bytes();
        }
    }
    tree
}

/// Both succeed and write the same files.
#[track_caller]
fn writes_the_same(line: &str) {
    let place = place();
    let [ours, theirs] = both(&place, &words(line));
    assert_eq!((ours.code, theirs.code), (0, 0), "{ours}\n{theirs}");
    let (ours, theirs) = (written(&place, "ours"), written(&place, "theirs"));
    let names = |tree: &Tree| tree.keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&ours), names(&theirs), "{line}");
    let differ = ours.keys().filter(|name| ours.get(*name) != theirs.get(*name));
    assert_eq!(differ.collect::<Vec<_>>(), Vec::<&String>::new(), "{line}");
}

#[test]
fn copy_writes_the_same_files() {
    if !ready() {
        return;
    }
    let mut broken = Vec::new();
    for line in [
        "copy oci:IN/layout:it dir:OUT/d",
        "copy dir:IN/image dir:OUT/d",
        "copy dir:IN/image oci:OUT/o:it",
        "copy oci:IN/layout:it docker-archive:OUT/a.tar",
        "copy oci:IN/layout:it docker-archive:OUT/a.tar:foo/bar:1",
        "copy --additional-tag x/y:2 --additional-tag z:3 oci:IN/layout:it docker-archive:OUT/a.tar:w:1",
        "copy --all oci:IN/layout:index dir:OUT/d",
        "copy -a dir:IN/list dir:OUT/d",
        "copy --multi-arch all dir:IN/list dir:OUT/d",
        "copy --multi-arch index-only dir:IN/list dir:OUT/d",
        "copy --multi-arch system dir:IN/list dir:OUT/d",
        "copy --preserve-digests oci:IN/layout:it dir:OUT/d",
        "copy --preserve-digests --all dir:IN/list dir:OUT/d",
        "copy --format oci dir:IN/image dir:OUT/d",
        "copy --format v2s2 dir:IN/image dir:OUT/d",
        "copy -f v2s2 oci:IN/layout:it dir:OUT/d",
        "copy --remove-signatures dir:IN/image dir:OUT/d",
        "copy -q --digestfile OUT/digest oci:IN/layout:it dir:OUT/d",
        "copy --dest-decompress oci:IN/layout:it dir:OUT/d",
        "copy --dest-shared-blob-dir OUT/s dir:IN/image oci:OUT/o:it",
        "--insecure-policy copy oci:IN/layout:it dir:OUT/d",
        "--override-arch arm64 copy dir:IN/list dir:OUT/d",
    ] {
        if let Err(panic) = std::panic::catch_unwind(|| writes_the_same(line)) {
            broken.push(panic.downcast_ref::<String>().cloned().unwrap_or_default());
        }
    }
    assert!(broken.is_empty(), "{} broken:\n{}", broken.len(), broken.join("\n===\n"));
}

#[test]
fn quiet_copies_say_nothing() {
    if !ready() {
        return;
    }
    let place = place();
    for outcome in both(&place, &words("copy -q oci:IN/layout:it dir:OUT/d")) {
        assert_eq!((outcome.code, outcome.text(), outcome.stderr.as_str()), (0, "", ""));
    }
}

#[test]
fn progress_has_the_lines_that_scripts_look_for() {
    if !ready() {
        return;
    }
    let place = place();
    let [ours, theirs] = both(&place, &words("copy dir:IN/list oci:OUT/o:it"));
    for phrase in [
        "Getting image source signatures",
        "Copying blob ",
        "Copying config ",
        "Writing manifest to image destination",
    ] {
        assert!(ours.stderr.contains(phrase), "{phrase}: {ours}");
        // There it is on standard output.
        assert!(String::from_utf8_lossy(&theirs.stdout).contains(phrase), "{phrase}: {theirs}");
    }
    assert_eq!(ours.text(), "");
}
