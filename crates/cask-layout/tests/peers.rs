//! Other tools read what we write, and we go on where they stopped.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

use std::path::Path;
use std::process::Command;

use cask_image::{
    Algorithm, Descriptor, Hasher, ImageFormat, ImageManifest, Index, LayerCompression, MediaType,
    RawManifest,
};
use cask_layout::{Content as _, Layout, LayoutOptions, NewEntry, ReferenceName, Selector};
use serde_json::{Value, json};

/// Whether a program is here. Where tests must be complete, it is.
fn have(program: &str) -> bool {
    let found = Command::new(program).arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "{program} is needed by this test");
    if !found {
        eprintln!("{program} is not here: nothing was compared");
    }
    found
}

/// Runs a program and gives what it prints.
fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {arguments:?}: {said}");
    String::from_utf8(output.stdout).unwrap()
}

fn copy(from: &str, to: &str, more: &[&str]) {
    let mut arguments = vec!["--insecure-policy", "copy", "--quiet"];
    arguments.extend(more);
    arguments.extend([from, to]);
    run("skopeo", &arguments);
}

fn digest_of(bytes: &[u8]) -> cask_image::Digest {
    Hasher::digest(Algorithm::Sha256, bytes)
}

fn name(text: &str) -> ReferenceName {
    ReferenceName::parse(text).unwrap()
}

fn open(path: &Path) -> Layout {
    Layout::create_or_open(path, LayoutOptions::default()).unwrap()
}

/// Writes an image that can be unpacked: a config, and an empty tar for a layer.
fn write(path: &Path, seed: &str, name_text: Option<&str>) -> RawManifest {
    let layout = open(path);
    let transaction = layout.begin().unwrap();
    let tar = vec![0; 1024 + 512 * seed.len()];
    let config = format!(
        r#"{{"architecture":"amd64","os":"linux","author":"{seed}","config":{{}},"rootfs":{{"type":"layers","diff_ids":["{}"]}}}}"#,
        digest_of(&tar)
    );
    let describe = |media_type, bytes: &[u8]| {
        Descriptor::new(media_type, transaction.write_bytes(bytes).unwrap(), bytes.len() as u64)
    };
    let config = describe(MediaType::OciConfig, config.as_bytes());
    let layer = describe(MediaType::OciLayer(LayerCompression::None), &tar);
    let manifest = ImageManifest::new(ImageFormat::Oci, config, vec![layer]).encode();
    transaction.write_manifest(&manifest).unwrap();
    let entry = NewEntry { descriptor: manifest.descriptor(), name: name_text.map(name) };
    transaction.commit(&[entry]).unwrap();
    manifest
}

/// The index of a layout, without what releases of skopeo differ in.
fn index(path: &Path) -> Value {
    let bytes = std::fs::read(path.join("index.json")).unwrap();
    let mut index: Value = serde_json::from_slice(&bytes).unwrap();
    index.as_object_mut().unwrap().remove("mediaType");
    index
}

#[test]
fn three_writes_list_what_skopeo_lists() {
    if !have("skopeo") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let place = |name: &str| temp.path().join(name);
    let manifest = write(&place("source"), "a", None);
    let other = write(&place("other"), "b", None);
    let from = |name: &str| format!("oci:{}", place(name).display());
    let keep = ["--dest-oci-accept-uncompressed-layers", "--preserve-digests"];
    // Some tools know only the first of these options.
    let known = run("skopeo", &["copy", "--help"]);
    let keep: Vec<&str> = keep.into_iter().filter(|option| known.contains(option)).collect();
    let writes = [
        ("source", "v1"),
        ("source", "v2"),
        ("source", ""),
        ("source", "v1"),
        ("other", "v2"),
        ("other", ""),
        ("source", "v3"),
        ("other", "v1"),
    ];
    let (theirs, ours, mixed) = (place("theirs"), place("ours"), place("mixed"));
    for (number, (image, tag)) in writes.into_iter().enumerate() {
        let by_skopeo = |path: &Path| {
            copy(&from(image), &format!("oci:{}:{tag}", path.display()), &keep);
        };
        let by_us = |path: &Path| {
            let seed = if image == "source" { "a" } else { "b" };
            write(path, seed, (!tag.is_empty()).then_some(tag));
        };
        by_skopeo(&theirs);
        by_us(&ours);
        // Each goes on where the other stopped.
        if number % 2 == 0 {
            by_skopeo(&mixed)
        } else {
            by_us(&mixed)
        }
        assert_eq!(index(&ours), index(&theirs), "after write {number}");
        assert_eq!(index(&mixed), index(&theirs), "after write {number}");
        if number == 2 {
            let entry = |name: Option<&str>| {
                let mut entry = json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": manifest.digest().as_str(),
                    "size": manifest.bytes().len(),
                });
                if let Some(name) = name {
                    entry["annotations"] = json!({ "org.opencontainers.image.ref.name": name });
                }
                entry
            };
            let entries = [entry(Some("v1")), entry(Some("v2")), entry(None)];
            assert_eq!(index(&theirs), json!({ "schemaVersion": 2, "manifests": entries }));
        }
    }
    assert_eq!(
        open(&ours).resolve(Selector::Name("v1")).unwrap().descriptor.digest,
        *other.digest()
    );
    // Byte for byte, but for the media type that newer releases write.
    let bytes = |path: &Path| {
        let text = std::fs::read_to_string(path.join("index.json")).unwrap();
        text.replace(r#""mediaType":"application/vnd.oci.image.index.v1+json","#, "")
    };
    assert_eq!(bytes(&ours), bytes(&theirs));
}

#[test]
fn skopeo_and_umoci_read_what_we_write() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    let place = path.display().to_string();
    let (one, two) = (write(&path, "one", Some("v1")), write(&path, "two", Some("nested/v2")));
    let layout = open(&path);
    let transaction = layout.begin().unwrap();
    let entries = [&one, &two].map(|manifest| manifest.descriptor()).to_vec();
    let all = Index::new(ImageFormat::Oci, entries).encode();
    transaction.write_manifest(&all).unwrap();
    let entry = NewEntry { descriptor: all.descriptor(), name: Some(name("all")) };
    transaction.commit(&[entry]).unwrap();

    if have("skopeo") {
        for (image, manifest) in [("v1", &one), ("nested/v2", &two), ("all", &all)] {
            let raw = run("skopeo", &["inspect", "--raw", &format!("oci:{place}:{image}")]);
            assert_eq!(raw.as_bytes(), &manifest.bytes()[..]);
        }
        let target = format!("dir:{}", temp.path().join("dir").display());
        copy(&format!("oci:{place}:all"), &target, &["--all"]);
    }
    if have("umoci") {
        let names = run("umoci", &["list", "--layout", &place]);
        assert_eq!(names.lines().collect::<Vec<_>>(), ["v1", "nested/v2", "all"]);
        run("umoci", &["stat", "--image", &format!("{place}:v1"), "--json"]);
        run("umoci", &["gc", "--layout", &place]);
        assert_eq!(layout.list().unwrap().len(), 3);
        layout.manifest(&two.descriptor()).unwrap();
    }
}

#[test]
fn we_go_on_where_umoci_stopped() {
    if !have("umoci") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("layout");
    let place = path.display().to_string();
    run("umoci", &["init", "--layout", &place]);
    assert!(open(&path).list().unwrap().is_empty());
    run("umoci", &["new", "--image", &format!("{place}:theirs")]);
    let ours = write(&path, "ours", Some("ours"));
    run("umoci", &["tag", "--image", &format!("{place}:ours"), "again"]);
    let layout = open(&path);
    let found = layout.resolve(Selector::Name("again")).unwrap();
    assert_eq!(found.descriptor.digest, *ours.digest());
    layout.untag("ours").unwrap();
    layout.delete(Selector::Name("again")).unwrap();
    let names = run("umoci", &["list", "--layout", &place]);
    assert_eq!(names.trim(), "theirs");
    assert!(layout.blob_size(ours.digest()).unwrap().is_none());
}

#[test]
fn skopeo_deletes_and_shares_blobs_with_us() {
    if !have("skopeo") {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let shared = temp.path().join("shared");
    let mut options = LayoutOptions::default();
    options.shared_blob_dir = Some(shared.clone());
    let source = temp.path().join("source");
    write(&source, "a", Some("v1"));
    let target = temp.path().join("target");
    let shared_option = format!("--dest-shared-blob-dir={}", shared.display());
    let (from, to) =
        (format!("oci:{}:v1", source.display()), format!("oci:{}:v1", target.display()));
    copy(&from, &to, &[&shared_option]);
    let layout = Layout::open(&target, options).unwrap();
    let entry = layout.resolve(Selector::Only).unwrap();
    layout.manifest(&entry.descriptor).unwrap();
    layout.delete(Selector::Only).unwrap();
    assert!(layout.blob_size(&entry.descriptor.digest).unwrap().is_some(), "shared blobs stay");
}
