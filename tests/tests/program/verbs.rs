//! A few words of each verb.

use serde_json::json;
use tests::dray;

use crate::layout;

#[test]
fn tag_and_untag_change_names_only() {
    let (_scratch, place) = layout();
    let digest = dray(&format!("digest {place}:it")).ok();
    dray(&format!("tag {place}:it v1 v2")).ok();
    assert_eq!(dray(&format!("digest {place}:v2")).ok().text(), digest.text());
    dray(&format!("untag {place}:it")).ok();
    let tags = dray(&format!("list-tags {place}")).ok().json();
    assert_eq!(tags, json!({"Tags": ["index", "v1", "v2"]}));
    dray("untag dir:/nowhere").ends(1).says("has no name that could be taken away");
}

#[test]
fn delete_takes_the_blobs_that_only_the_image_needed() {
    let (scratch, place) = layout();
    let count = || tests::tree(&scratch.join("layout/blobs/sha256")).len();
    let before = count();
    dray(&format!("delete {place}:it")).ok();
    assert!(count() < before);
    dray(&format!("validate {place}:index")).ok();
}

#[test]
fn validate_counts_and_names_what_is_wrong() {
    let (scratch, place) = layout();
    let valid = dray(&format!("validate -q {place}:it")).ok();
    assert!(valid.text().contains("is valid: 1 manifests, 3 blobs"), "{valid}");
    let layer = tests::layers(&format!("{place}:it"))[0]["digest"].as_str().map(str::to_owned);
    let layer = layer.expect("a layer has a digest");
    let file = scratch.join("layout/blobs").join(layer.replace(':', "/"));
    let mut bytes = std::fs::read(&file).expect("it is there");
    let end = bytes.len() - 1;
    bytes[end] ^= 1;
    std::fs::write(&file, bytes).expect("it is writable");
    let invalid = dray(&format!("validate -q {place}:it")).ends(1).says("is not valid");
    assert!(invalid.text().starts_with(&layer), "{invalid}");
}

#[test]
fn inspect_of_a_list_is_a_table() {
    let (_scratch, place) = layout();
    let table = dray(&format!("inspect --list {place}:index")).ok();
    for word in ["linux/amd64", "linux/arm64", "linux/arm/v7", "sha256:"] {
        assert!(table.text().contains(word), "{word}: {table}");
    }
}

#[test]
fn wrong_words_are_corrected() {
    dray("inspct x").ends(1).says("Did you mean this?");
    dray("copy --al a b").ends(1).says("did you mean --all?");
    dray("inspect nonsense:x")
        .ends(1)
        .says("hint: the transports are containers-storage, dir, docker, docker-archive");
    dray("frobnicate").ends(1).says("Try 'dray --help' for more information");
}

#[test]
fn flags_that_do_not_fit_the_destination_are_refused() {
    let (scratch, place) = layout();
    let out = scratch.at("out");
    let table = [
        ("--dest-append", "--dest-append is for docker-archive: and oci-archive: only"),
        ("--dest-hybrid", "--dest-hybrid is for docker-archive: only"),
        ("--dest-oci-accept-uncompressed-layers", "is for oci: and oci-archive: only"),
        ("--format v2s1", "format v2s1 can only be read"),
        ("--dest-compress-format lz4", "unknown compression format"),
        ("--dest-compress-format gzip --dest-compress-level 99", "99"),
        ("--image-parallel-copies 0", "--image-parallel-copies must be at least 1"),
    ];
    for (flags, words) in table {
        dray(&format!("copy {flags} {place}:it dir:{out}")).ends(1).says(words);
        assert!(!scratch.join("out").exists(), "{flags}");
    }
}
