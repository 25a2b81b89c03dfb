//! What is hostile is so in the way it says.

use std::collections::BTreeSet;
use std::io::Read as _;

use cask_image::{Algorithm, Hasher, MAX_CONFIG_BYTES, MAX_MANIFEST_BYTES};
use cask_testkit::generate::hostile::{
    Case, Fault, ambiguous_manifests, bomb, contents, deep_index, docker_archives, doubling_index,
    malformed_manifests, oci_archives, tars, write_dirs, write_layouts,
};
use cask_testkit::generate::{Content, ImageSpec, dir_files, oci_layout_files};

/// Checks how many cases there are, and that each has a name of its own.
#[track_caller]
fn check_table<T>(cases: &[Case<T>], expected: usize) {
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!(names.len(), cases.len(), "a name stands twice");
    assert_eq!(cases.len(), expected);
}

fn found(content: &Content) -> Option<Fault> {
    let limit = |bytes: u64, most: u64| bytes > most;
    let all = || content.manifests.iter().chain(&content.blobs);
    let top = content.manifest(&content.top.digest)?;
    if content.manifests.iter().any(|m| limit(m.bytes.len() as u64, MAX_MANIFEST_BYTES))
        || content.blobs.iter().any(|blob| limit(blob.bytes.len() as u64, MAX_CONFIG_BYTES))
    {
        return Some(Fault::Limit);
    }
    if top.bytes.len() as u64 != content.top.size {
        return Some(Fault::Size);
    }
    let longer = all().find(|blob| blob.bytes.len() as u64 != blob.descriptor.size);
    if longer.is_some() {
        return Some(Fault::Size);
    }
    (!content.is_honest()).then_some(Fault::Digest)
}

#[test]
fn contents_have_the_fault_they_tell() {
    let cases = contents(1);
    check_table(&cases, 41);
    for case in &cases {
        let Case { name, fault, value } = case;
        match (fault, found(value)) {
            (expected, Some(found)) if *expected == found => {}
            (Fault::Top, Some(Fault::Digest | Fault::Size)) => {}
            // What lies deeper: a reader of documents or streams finds it.
            (Fault::Size, None) => {
                assert!(name.contains(" than told") || name.contains("said to be"), "{name}")
            }
            (Fault::Digest, None) => assert!(name.starts_with("diff ID"), "{name}"),
            (Fault::Malformed | Fault::Missing | Fault::Limit, None) => {}
            (expected, found) => panic!("{name}: {found:?}, not {expected:?}"),
        }
    }
    let oversize = cases.iter().filter(|case| found(&case.value) == Some(Fault::Limit)).count();
    assert_eq!(oversize, 3);
}

#[test]
fn hostile_content_can_be_written_anywhere() {
    for case in contents(1) {
        assert!(oci_layout_files(&[(None, &case.value)]).len() >= 3, "{}", case.name);
        assert!(dir_files(&case.value).len() >= 2, "{}", case.name);
    }
}

#[test]
fn a_bomb_is_small_and_honest() {
    for size in [0, 1, 511, 512, 10 << 20] {
        let image = bomb(1, size);
        let content = image.content();
        assert!(content.is_honest());
        let mut tar = Vec::new();
        let layer = &image.layers[0];
        flate2::read::GzDecoder::new(&layer.blob.bytes[..]).read_to_end(&mut tar).unwrap();
        assert_eq!(layer.diff_id, Hasher::digest(Algorithm::Sha256, &tar));
        let config = String::from_utf8(image.config.bytes.to_vec()).unwrap();
        assert!(config.contains(layer.diff_id.as_str()));
        let mut archive = tar::Archive::new(&tar[..]);
        let entry = archive.entries().unwrap().next().unwrap().unwrap();
        assert_eq!(entry.size(), size);
        assert_eq!(tar.len() as u64, 512 + size.next_multiple_of(512) + 1024);
        assert!(size < 1 << 20 || layer.blob.bytes.len() as u64 * 500 < size);
    }
}

#[test]
fn deep_and_doubling_indexes_are_honest_and_small() {
    let deep = deep_index(1, 50);
    assert!(deep.is_honest());
    assert_eq!(deep.manifests.len(), 51);
    let doubling = doubling_index(1, 50);
    assert!(doubling.is_honest());
    assert_eq!(doubling.manifests.len(), 51);
    assert!(doubling.size_bytes() < 100_000);
}

#[test]
fn documents_are_complete() {
    let cases = malformed_manifests();
    check_table(&cases, (22 + 9) * 4 + 11);
    assert!(cases.iter().all(|case| case.value.is_honest() && case.fault == Fault::Malformed));
    let cases = ambiguous_manifests();
    check_table(&cases, 15);
    assert!(cases.iter().all(|case| case.value.is_honest() && case.fault == Fault::Ambiguous));
    // All of these are JSON to a lenient reader.
    for case in cases {
        serde_json::from_slice::<serde_json::Value>(&case.value.bytes).expect(&case.name);
    }
}

#[test]
fn tars_are_complete() {
    let cases = tars();
    check_table(&cases, 69);
    assert!(cases.iter().filter(|case| case.fault == Fault::Escape).count() > 25);
}

#[test]
fn archives_are_complete() {
    check_table(&docker_archives(1), 27);
    check_table(&oci_archives(1), 15);
}

#[test]
fn directories_are_written_as_they_are_told() {
    let directory = tempfile::tempdir().unwrap();
    let cases = write_layouts(&directory.path().join("layouts"), 1).unwrap();
    check_table(&cases, 14);
    let links = cases.iter().filter(|case| case.fault == Fault::Escape);
    for case in links {
        let link = |path: &std::path::Path| {
            std::fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink())
        };
        let blobs = case.value.join("blobs");
        let within = std::fs::read_dir(blobs.join("sha256")).unwrap();
        let any = within.filter_map(Result::ok).any(|entry| link(&entry.path()));
        assert!(any || link(&blobs) || link(&case.value.join("index.json")), "{}", case.name);
    }
    check_table(&write_dirs(&directory.path().join("dirs"), 1).unwrap(), 8);
    let honest = ImageSpec::new(1).build();
    let outside = std::fs::read(directory.path().join("layouts/outside")).unwrap();
    assert_eq!(outside, honest.layers[0].blob.bytes);
}
